"""A page of a run that is going on: curves, and what the model writes at the moment.

A small server for this machine alone reads the run folder of another process and writes nothing.
The page asks it every two seconds, and both end with the run.
"""

import json
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from actwise import __version__
from actwise.errors import ActwiseError, RunError
from actwise.report import words
from actwise.report.folder import RunFolder, read_run_folder
from actwise.report.judged import read_decisions
from actwise.report.page import curves, rows_so_far
from actwise.report.sections import environment, script
from actwise.run.folder import going_on
from actwise.training.stages import BASE

SAMPLES = 12
"""Sampled completions that are shown, the latest first."""
_TAIL = 200_000
"""Bytes at the end of a file of rollouts that are read for them."""
_PAUSE = 1.0
"""Seconds between two looks at whether the run goes on."""
_FAREWELL = 10.0
"""Seconds in which an open page may learn that the run has ended."""


def watch(folder: Path, say: Callable[[str], None], *, port: int = 0) -> None:
    """Serve the page of a run until no process works on it any more.

    Args:
        folder: The run folder.
        say: Told the address.
        port: On which the page is served; any free one where 0.

    Raises:
        RunError: No process works on the run; the port is taken.
    """
    if not going_on(folder):
        command = shlex.join(["actwise", "report", str(folder)])
        raise RunError(f"{folder}: no process works on this run; `{command}` shows what there is")
    with serving(folder, port) as server:
        say(f"{server.address} shows {folder} until the run ends")
        while going_on(folder):
            time.sleep(_PAUSE)
        server.told.wait(_FAREWELL)


class LiveServer(ThreadingHTTPServer):
    """Serves one run folder to browsers of this machine."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.folder = folder
        self.told = threading.Event()
        """A page has been told that the run has ended."""

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[LiveServer]:
    """Serve the page of a run while the context lasts.

    Raises:
        RunError: The port is taken.
    """
    try:
        server = LiveServer(folder, port)
    except OSError as error:
        raise RunError(f"port {port}: {error.strerror}; choose another --port") from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer

    def do_GET(self) -> None:
        # Another site could give this address a name of its own and read the answers.
        host = self.headers.get("Host", "")
        if host not in (
            f"127.0.0.1:{self.server.server_port}",
            f"localhost:{self.server.server_port}",
        ):
            self.send_error(403)
        elif self.path == "/":
            self._send("text/html; charset=utf-8", live_page(self.server.folder).encode())
        elif self.path == "/state":
            state = live_state(self.server.folder)
            # What a model wrote can hold half a surrogate pair, which UTF-8 cannot.
            text = json.dumps(state, ensure_ascii=False).encode("utf-8", errors="replace")
            self._send("application/json", text)
            if not state["going_on"]:
                self.server.told.set()
        else:
            self.send_error(404)

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        headers = {"Content-Type": kind, "Content-Length": str(len(content))}
        headers |= {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal belongs to the one line with the address."""


def live_page(folder: Path) -> str:
    """Return the page, which asks for `live_state` by itself."""
    return (
        environment()
        .get_template("live.html.j2")
        .render(script("curves", "live"), name=folder.resolve().name, version=__version__)
    )


def live_state(folder: Path) -> dict[str, Any]:
    """Return what there is to see of a run at this moment.

    Returns:
        "going_on"; "problem" where the folder cannot be read just now, such as before the run has
        begun to write; "stages" (title, step, steps, charts); "rows" of what is measured; "samples"
        (step, decision, text, right, reward), the latest first.
    """
    state: dict[str, Any] = {"going_on": going_on(folder), "problem": None}
    state |= {"stages": [], "rows": [], "samples": []}
    try:
        run = read_run_folder(folder)
        state["rows"] = _rows(folder, tuple(run.record.stages), _measured(folder))
    except ActwiseError as error:
        return state | {"problem": str(error)}
    state["stages"] = [_stage(run, name) for name in run.record.stages]
    state["samples"] = _samples(folder, list(run.record.stages))
    return state


def _stage(run: RunFolder, name: str) -> dict[str, Any]:
    metrics = run.metrics.get(name)
    steps = metrics.steps if metrics is not None else []
    return {
        "title": words.stage_title(name),
        "step": int(steps[-1]["step"]) if steps else 0,
        "steps": run.steps_of(name),
        "charts": [
            {
                "title": chart["word"].title,
                "meaning": chart["word"].meaning,
                "values": f"{chart['first']} → {chart['last']}",
                "svg": str(chart["svg"]),
            }
            for chart in (curves(metrics) if metrics is not None and steps else [])
            if chart["svg"] is not None
        ],
    }


def _measured(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.glob("evaluations/[!.]*.jsonl")))


@lru_cache(maxsize=4)
def _rows(folder: Path, stages: tuple[str, ...], measured: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the accuracies so far; computed anew when another model has been measured."""
    decisions = read_decisions(folder, [BASE, *stages])
    return [
        {
            "model": words.model_title(row.model),
            "mode": row.mode,
            "split": row.split,
            "accuracy": words.number(accuracy.value, share=True),
            "range": words.span(accuracy, share=True),
        }
        for row in rows_so_far(decisions)
        if (accuracy := row.metrics.get("action_accuracy")) is not None
    ]


def _samples(folder: Path, stages: list[str]) -> list[dict[str, Any]]:
    """Return the latest completions that were sampled in training, the latest first."""
    files = [folder / "rollouts" / f"{stage}.jsonl" for stage in reversed(stages)]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        return []
    with file.open("rb") as rollouts:
        rollouts.seek(max(0, file.stat().st_size - _TAIL))
        lines = rollouts.read().split(b"\n")
    found = []
    for line in reversed(lines):
        try:
            record = json.loads(line)
            keys = ("step", "decision", "text", "right", "reward")
            found.append({key: record[key] for key in keys})
        except (ValueError, TypeError, LookupError, RecursionError):
            continue  # cut off at either end
        if len(found) == SAMPLES:
            break
    return found
