"""What a process holds, against blocks of known size; each in a process of its own."""

import subprocess
import sys
from textwrap import dedent

BEGIN = """
    import torch
    from mmap import mmap
    from actwise.model.memory import peak_memory, restart_peak

    CPU = torch.device("cpu")
    MEBIBYTE = 1 << 20

    def peak():
        return peak_memory(CPU) / MEBIBYTE

    def resident():
        restart_peak(CPU)
        return peak()

    def fill_and_free(size):
        with mmap(-1, size * MEBIBYTE) as block:
            block.write(bytes(size * MEBIBYTE))
"""


def figures(program: str) -> list[float]:
    """Run a program after the lines above; return the numbers that it prints."""
    text = dedent(BEGIN) + dedent(program)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def test_the_peak_is_found_after_it_was_freed_and_forgotten_when_asked() -> None:
    before, first, second, third = figures("""
        print(resident())
        fill_and_free(96)
        print(peak())
        fill_and_free(8)
        print(peak())
        print(resident())
    """)
    assert 90 < first - before < 210  # the block, and the bytes that were written into it
    assert second == first
    assert third < before + 20


def test_the_peak_of_a_process_is_not_that_of_the_one_that_started_it() -> None:
    (alone,) = figures("print(peak())")
    (started,) = figures("""
        import subprocess, sys

        block = bytearray(600 * MEBIBYTE)
        text = (
            "import torch; from actwise.model.memory import peak_memory;"
            "print(peak_memory(torch.device('cpu')) / (1 << 20))"
        )
        print(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True).stdout)
    """)
    assert started < alone + 100
