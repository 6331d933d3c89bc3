"""Check actwise on a CUDA GPU, and measure it there beside TRL, in at most eight minutes.

    python -m benchmarks.gpu --out runs/gpu

Each part runs in a process of its own and for a limited time, so a part that fails, hangs or breaks
the GPU's context leaves the others alone. What is found is printed at once and is in `gpu.json` at
once, so whatever cuts the check off leaves what was found before. docs/experiments/gpu.md says what
a machine without a network needs. `--device cpu --tiny` runs everything on a small scale, to see
that these files still work; its figures mean nothing.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from actwise.model.startup import prepare_torch
from actwise.run.files import write_json
from actwise.run.versions import versions

prepare_torch()

import torch  # noqa: E402

from benchmarks.check import Check, Figures  # noqa: E402
from benchmarks.demo import demo  # noqa: E402
from benchmarks.exact import exact  # noqa: E402
from benchmarks.speed import speed_ours, speed_peers  # noqa: E402

COMMAND = [sys.executable, "-m", "benchmarks.gpu"]
PARTS: dict[str, tuple[Callable[[Check], None], int]] = {
    "exact": (exact, 130),
    "demo": (demo, 110),
    "ours": (speed_ours, 100),
    "peers": (speed_peers, 130),
}
"""What each part does, and its budget in seconds; together less than eight minutes."""


def run_all(arguments: argparse.Namespace) -> int:
    """Run parts one after the other; return the exit code."""
    file: Path = arguments.out / "gpu.json"
    found: Figures = {"command": sys.argv, "machine": machine(arguments.device), "parts": {}}
    print(found["machine"], flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for part in arguments.parts or PARTS:
            found["parts"][part] = {"ended": "cut off", "records": []}
            write_json(file, found)
            begin = time.monotonic()
            ended = run_part(part, arguments, scratch)
            found = json.loads(file.read_text())  # the part has added to it
            seconds = round(time.monotonic() - begin, 1)
            found["parts"][part] |= {"ended": ended, "seconds": seconds}
            write_json(file, found)
            print(f"[{part}] {ended} after {seconds} s", flush=True)
    unmet = [
        f"{part}: {problem}"
        for part, of_part in found["parts"].items()
        for problem in (
            *([] if of_part["ended"] == "finished" else [of_part["ended"]]),
            *(r["name"] for r in of_part["records"] if not r.get("met", True)),
        )
    ]
    print("\n".join(["not as it should be:", *unmet] if unmet else ["all is as it should be"]))
    print(f"figures: {file}")
    return 1 if unmet else 0


def run_part(part: str, arguments: argparse.Namespace, scratch: str) -> str:
    """Run a part in a process of its own; return how it ended."""
    command = [*COMMAND, "--only", part, "--scratch", scratch]
    command += ["--out", str(arguments.out), "--device", arguments.device]
    command += ["--tiny"] if arguments.tiny else []
    _, budget = PARTS[part]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            code = process.wait(None if arguments.tiny else budget)
        except BaseException as error:  # interrupted or not, nothing of the part is left behind
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"cut off by its budget of {budget} s"
    return "finished" if code == 0 else f"failed with exit code {code}"


def machine(device: str) -> Figures:
    """Return what figures depend on, without taking hold of the GPU."""
    gpu = None
    if device != "cpu":
        query = "nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader"
        gpu = subprocess.run(query.split(), capture_output=True, text=True, check=True).stdout
    return {
        "device": device,
        "gpu": gpu,
        "cuda": torch.version.cuda,
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        **versions(),
    }


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all if absent")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder of gpu.json")
    parser.add_argument("--device", default="cuda", help="a torch device; cuda if absent")
    parser.add_argument("--tiny", action="store_true", help="only see whether these files work")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = {*arguments.parts} - {*PARTS}
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if arguments.only is None:
        return run_all(arguments)
    check = Check(
        arguments.out / "gpu.json",
        arguments.only,
        torch.device(arguments.device),
        arguments.tiny,
        arguments.scratch,
    )
    PARTS[arguments.only][0](check)
    return 0


if __name__ == "__main__":
    sys.exit(main())
