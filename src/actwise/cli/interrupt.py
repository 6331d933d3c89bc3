"""Ctrl-C ends the process soon, whatever it waits for.

Python raises KeyboardInterrupt when the main thread comes back to it; a long computation outside of
Python, a name server that does not answer, or threads that are waited for at the end keep it from
that. Everything on disk is written atomically, so the process may end anywhere.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

_SECONDS = 1.5
"""For an orderly end."""


@contextlib.contextmanager
def prompt_interrupt(message: str, told: threading.Event) -> Iterator[None]:
    """End the process for good a moment after Ctrl-C, unless it has ended by itself.

    Args:
        message: For the person who pressed it.
        told: Set where the message has been printed already.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, wake = socket.socketpair()
    wake.setblocking(False)
    before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard, message, told), daemon=True).start()
    try:
        yield
    finally:
        # Where Ctrl-C was heard the watch goes on: threads may be waited for after this, too.
        signal.set_wakeup_fd(before)
        wake.close()


def _watch(heard: socket.socket, message: str, told: threading.Event) -> None:
    with heard:
        while number := heard.recv(1):
            if number[0] == signal.SIGINT:
                break
        else:
            return
    time.sleep(_SECONDS)
    if not told.is_set():
        print(message, file=sys.stderr, flush=True)
    os._exit(130)
