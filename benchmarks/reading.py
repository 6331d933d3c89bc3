"""Measure what reading logs takes: seconds by the clock and of the processors, and memory.

    python benchmarks/logs.py 100000 logs.jsonl
    python benchmarks/reading.py logs.jsonl check convert prepare --cores 1 2

`prepare` is what a run does with its logs before it loads a model. Memory is the largest sum of the
proportional sets of all processes, looked at every second. docs/experiments/scale.md has what was
measured.
"""

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

PREPARE = """
import sys
from pathlib import Path
from actwise.config import RunConfig
from actwise.data.prepare import prepare
prepare([Path(sys.argv[1])], RunConfig())
"""


def command(what: str, logs: Path, folder: Path) -> list[str]:
    """Return the command line of what is measured."""
    if what == "prepare":
        return [sys.executable, "-c", PREPARE, str(logs)]
    options = ["--out", str(folder / "out.jsonl")] if what == "convert" else []
    return [sys.executable, "-m", "actwise", what, str(logs), *options]


def memory(pid: int) -> int:
    """Return the bytes that a process and those that it has started hold together."""
    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total


def measure(what: str, logs: Path, cores: int) -> None:
    """Print a line of the table."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    most = 0
    with tempfile.TemporaryDirectory(dir=logs.parent) as folder:
        process = subprocess.Popen(
            command(what, logs, Path(folder)),
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, range(cores)),
        )
        while process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(1)
    seconds = time.monotonic() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cells = f"{what} | {logs.name} | {cores} | {seconds:.0f} | {spent:.0f} | {most >> 20}"
    print(f"| {cells} |", flush=True)


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path)
    parser.add_argument("what", nargs="+", choices=["check", "convert", "prepare"])
    parser.add_argument("--cores", type=int, nargs="+", default=[os.cpu_count()])
    given = parser.parse_args()
    for what in given.what:
        for cores in given.cores:
            measure(what, given.logs, cores)


if __name__ == "__main__":
    main()
