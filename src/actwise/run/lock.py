"""A lock on an open file that goes with its process, however that ends."""

import sys
import time
from pathlib import Path
from typing import IO

_ATTEMPTS, _PAUSE = 10, 0.02
"""How often, and in what distance in seconds, a lock is asked for: who looks holds it, too."""


def try_lock(file: IO[str], *, shared: bool = False) -> bool:
    """Return whether the file is now this process's; it stays so until it is closed.

    Args:
        file: Open for writing, or for reading where `shared`: NFS asks for that.
        shared: Whether others may lock it so, too.

    Raises:
        OSError: Where the file system has no locks, as Lustre has none unless it is told to.
    """
    # Each system has only its own of these modules.
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take_lock(file: IO[str]) -> bool:
    """Return whether the file is now this process's; one that only looks is waited for.

    Raises:
        OSError: Where the file system has no locks.
    """
    for _ in range(_ATTEMPTS):
        if try_lock(file):
            return True
        time.sleep(_PAUSE)
    return False


def is_locked(path: Path) -> bool:
    """Return whether a process has the lock on a file; it is not disturbed by being looked at.

    Where the file system has no locks, nobody has any.
    """
    if not path.exists():
        return False
    with path.open() as file:
        try:
            return not try_lock(file, shared=True)
        except OSError:
            return False
