"""Write logs of any size, made from the desk's grammar, to measure what reading them takes.

    python benchmarks/logs.py 1000000 logs.jsonl

The first n of a longer file are the file of n, so sizes can be compared. docs/experiments/scale.md
has what was measured.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console

from actwise.desk.conversations import generate_one
from actwise.run.files import write_named
from actwise.run.progress import Progress

_CHUNK = 1000


def lines(begin: int, end: int) -> str:
    """Return some conversations as JSON lines."""
    return "".join(f"{generate_one(f'desk-train-0-{i}').to_json()}\n" for i in range(begin, end))


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, help="conversations")
    parser.add_argument("out", type=Path, help="file of JSON lines")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    begins = range(0, given.count, _CHUNK)
    ends = [min(begin + _CHUNK, given.count) for begin in begins]

    def write(temporary: Path) -> None:
        with (
            temporary.open("w", encoding="utf-8") as file,
            ProcessPoolExecutor(given.processes) as pool,
            Progress(Console(stderr=True)).track("conversations", given.count) as show,
        ):
            for end, text in zip(ends, pool.map(lines, begins, ends), strict=True):
                file.write(text)
                show(end)

    write_named(given.out, write)


if __name__ == "__main__":
    main()
