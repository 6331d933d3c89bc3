"""What reading a record changed or left out, collected while it is read.

Readers are a dozen small functions deep. A remark is made where something is noticed, and belongs
to the record that is being read at that moment.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from actwise.conversation import Remark

_current: ContextVar[list[Remark] | None] = ContextVar("remarks", default=None)


def remark(code: str, detail: str) -> None:
    """Note something about the record that is being read.

    Args:
        code: A key of `actwise.doctor.remarks.MEANINGS`, by which remarks are counted.
        detail: What it is about, such as a key, the name of a tool, or the place of a message.
    """
    found = _current.get()
    if found is not None:
        found.append(Remark(code, detail))


@contextmanager
def collected() -> Iterator[list[Remark]]:
    """Collect the remarks that are made inside the block."""
    found: list[Remark] = []
    token = _current.set(found)
    try:
        yield found
    finally:
        _current.reset(token)
