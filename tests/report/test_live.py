"""The page of a run that goes on, and its end."""

import http.client
import json
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from actwise.errors import RunError
from actwise.report.live import live_state, serving, watch
from actwise.run.lock import take_lock
from integration.conftest import Actwise, actwise
from reported import write_lines, write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["actwise"]

HOSTILE = (
    "</pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
)


@pytest.fixture
def going(tmp_path: Path) -> Iterator[tuple[Path, IO[str]]]:
    """A run in RL that another file handle works on; closing the handle ends it."""
    folder = write_run(tmp_path / "going")
    (folder / "results.json").unlink()
    samples = [
        {
            "step": 1 + i // 2,
            "decision": "c-1#2",
            "text": f"try {i}",
            "right": i % 2 == 0,
            "reward": 1,
        }
        for i in range(20)
    ]
    samples[-1]["text"] = HOSTILE
    write_lines(folder / "rollouts" / "rl.jsonl", samples)
    with (folder / "rollouts" / "rl.jsonl").open("a") as file:
        file.write('{"step": 11, "dec')  # just being written
    with (folder / ".lock").open("w") as lock:
        assert take_lock(lock)
        yield folder, lock


def asked(server: Any, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    connection.request("GET", path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_state_of_a_run(going: tuple[Path, IO[str]]) -> None:
    folder, lock = going
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    state = live_state(folder)
    assert (state["going_on"], state["problem"]) == (True, None)
    assert [stage["step"] for stage in state["stages"]] == [40, 40, 40]
    assert state["stages"][2]["steps"] == 50
    titles = [chart["title"] for chart in state["stages"][2]["charts"]]
    assert titles == ["loss", "dev accuracy"]
    # The latest first; the line that is being written is left for the next time.
    assert [s["text"] for s in state["samples"]][:3] == [HOSTILE, "try 18", "try 17"]
    assert len(state["samples"]) == 12
    assert {"model": "SFT", "mode": "direct", "split": "test"}.items() <= state["rows"][2].items()
    # Nothing was written, and the run still has its lock.
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    lock.close()
    assert live_state(folder)["going_on"] is False


def test_a_run_that_has_written_nothing_yet(tmp_path: Path) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        assert take_lock(lock)
        state = live_state(tmp_path)
    assert state["going_on"] and "no run folder" in state["problem"]


def test_watching_ends_with_the_run(going: tuple[Path, IO[str]]) -> None:
    folder, lock = going
    said: list[str] = []
    thread = threading.Thread(target=watch, args=(folder, said.append))
    thread.start()
    while not said:
        thread.join(0.01)
    address = said[0].split()[0]
    port = int(address.rstrip("/").rpartition(":")[2])
    lock.close()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/state")
    assert json.loads(connection.getresponse().read())["going_on"] is False
    thread.join(30)
    assert not thread.is_alive()


def test_the_name_of_a_folder_is_told_as_it_is(
    actwise: Actwise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "[red]x[" / "a] :smile:")
    monkeypatch.setattr("actwise.report.live.watch", lambda folder, say, port: say(str(folder)))
    assert actwise("report", folder, "--watch").err == f"{folder}\n"


def test_nothing_is_watched_where_no_process_works(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "it's done")
    with pytest.raises(RunError, match="no process works on this run") as caught:
        watch(folder, print)
    (command,) = re.findall("`(.*)`", str(caught.value))
    assert shlex.split(command) == ["actwise", "report", str(folder)]


def test_only_this_machine_is_answered(going: tuple[Path, IO[str]]) -> None:
    folder, _ = going
    with serving(folder) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert asked(server, "/state")[0] == 200
        # A name that another site gave to this address.
        assert asked(server, "/state", host=f"evil.example:{server.server_port}")[0] == 403
        assert asked(server, "/../run.json")[0] == 404
        taken = pytest.raises(RunError, match=r"port \d+: .*; choose another --port")
        with taken, serving(folder, server.server_port):
            pass


@pytest.mark.slow
def test_the_live_page_in_a_browser(going: tuple[Path, IO[str]], browser: "Browser") -> None:
    from playwright.sync_api import expect

    folder, lock = going
    with serving(folder) as server:
        page = browser.new_page()
        page.goto(server.address)
        expect(page.locator("#state")).to_have_text("The run goes on.")
        expect(page.locator("#samples li")).to_have_count(12)
        assert page.locator("#samples pre").first.inner_text() == HOSTILE
        assert page.title() == "going: actwise, going on" and page.locator("img").count() == 0
        curve = page.locator("#curves svg").first
        curve.focus()
        assert curve.get_attribute("aria-valuetext") == "step 40: 0.075"
        samples = [{"step": 12, "decision": "c-1#5", "text": "new", "right": None, "reward": 0.5}]
        write_lines(folder / "rollouts" / "rl.jsonl", samples)
        expect(page.locator("#samples li")).to_have_count(1)
        assert "– not checkable reward 0.50" in page.inner_text("#samples")
        lock.close()
        expect(page.locator("#state")).to_contain_text("The run has ended")
        page.close()
