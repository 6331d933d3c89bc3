"""How the C library manages the memory of tensors."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_MEBIBYTE = 1 << 20


def keep_freed_memory() -> None:
    """Let the C library keep the memory that tensors free, for the tensors that follow.

    By default glibc gives every block of some size back to the system and takes fresh pages, which
    the system fills with zeros, for the next one. A training step on a CPU allocates the same
    blocks again and again; keeping them saves about a tenth of its time. Only `give_back` makes the
    process smaller then.

    By default, too, each thread has an arena of its own, and what one has freed no other can use.
    Here all share one: workers allocate seldom enough not to wait for each other.

    Does nothing where the C library is not glibc.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, 32 * _MEBIBYTE)
        libc.mallopt(_TRIM_THRESHOLD, 2047 * _MEBIBYTE)
        libc.mallopt(_TOP_PAD, 64 * _MEBIBYTE)
        libc.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system all pages that are free now; between stages, whose tensors differ in size."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
