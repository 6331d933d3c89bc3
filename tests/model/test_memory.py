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


def test_what_tensors_free_is_kept_shared_by_threads_and_given_back_when_asked() -> None:
    before, kept, after = figures("""
        from threading import Barrier, Thread
        from actwise.model.kernels.allocator import give_back, keep_freed_memory

        keep_freed_memory()
        print(resident())
        barrier = Barrier(4)

        def work_in_turn(number):
            for turn in range(4):
                if turn == number:
                    tensors = [torch.ones(MEBIBYTE // 4) for _ in range(80)]
                    del tensors
                barrier.wait()

        threads = [Thread(target=work_in_turn, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(resident())
        give_back()
        print(resident())
    """)
    # Four threads, each with 80 MiB at a time when the others have none.
    assert 70 < kept - before < 200
    assert after < before + 40


def test_products_of_many_sizes_are_not_all_kept() -> None:
    before, after = figures("""
        from actwise.model.kernels.linear import product, use_fast_products

        use_fast_products(torch.nn.Linear(2, 2))
        weight = torch.ones(256, 256)
        product(torch.ones(900, 256), weight)
        print(resident())
        for rows in range(100, 800):
            product(torch.ones(rows, 256), weight)
        print(resident())
    """)
    assert after - before < 250  # of 700 sizes, which take 500
