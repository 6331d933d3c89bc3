"""Conversations on the disk, of which one at a time is in memory, and views of sequences.

What a run trains and measures on is a `Sequence[Conversation]` everywhere. Logs that were read are
a `Store`; splits of them are views. A list of conversations, such as the desk's, stays a list.
"""

import os
import pickle
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar, overload

from actwise.conversation import Conversation
from actwise.errors import RunError

T = TypeVar("T")
S = TypeVar("S")


class Store(Sequence[Conversation]):
    """Conversations in a temporary file without a name; it is gone when nobody uses it any more.

    Each access reads one conversation anew, an object of its own. 8 bytes of each are in memory.
    """

    def __init__(self, conversations: Iterable[Conversation | bytes]) -> None:
        """Write all of them.

        Args:
            conversations: Iterated once; of bytes each is one that is `packed`.

        Raises:
            RunError: If the disk is full or the folder for temporary files cannot be written.
        """
        self._lock = threading.Lock()
        self._begins = array("Q", [0])
        folder = _folder()
        try:
            self._file = _nameless(folder)
            for conversation in conversations:
                kept = conversation if isinstance(conversation, bytes) else packed(conversation)
                self._file.write(kept)
                self._begins.append(self._begins[-1] + len(kept))
            self._file.flush()
        except OSError as error:
            raise RunError(
                f"{folder}: the conversations cannot be kept there ({error.strerror}); free some "
                "space, or let TMPDIR name another folder"
            ) from error

    def __len__(self) -> int:
        return len(self._begins) - 1

    @overload
    def __getitem__(self, index: int) -> Conversation: ...
    @overload
    def __getitem__(self, index: slice) -> "View[Conversation]": ...
    def __getitem__(self, index: int | slice) -> "Conversation | View[Conversation]":
        if isinstance(index, slice):
            return View(self, range(*index.indices(len(self))))
        number = range(len(self))[index]
        begin, end = self._begins[number], self._begins[number + 1]
        with self._lock:
            self._file.seek(begin)
            kept = self._file.read(end - begin)
        return unpacked(kept)


def packed(conversation: Conversation) -> bytes:
    """Return a conversation as a `Store` keeps it."""
    return pickle.dumps(conversation, pickle.HIGHEST_PROTOCOL)


def unpacked(kept: bytes) -> Conversation:
    """Return the conversation that was `packed`."""
    conversation = pickle.loads(kept)
    assert isinstance(conversation, Conversation)
    return conversation


class View(Sequence[T]):
    """Some items of a sequence in some order; 4 bytes of each are in memory."""

    def __init__(self, items: Sequence[T], indices: Iterable[int]) -> None:
        """Take the items and the indices of those that are wanted."""
        self._items = items
        self._indices = array("I", indices)

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> "View[T]": ...
    def __getitem__(self, index: int | slice) -> "T | View[T]":
        if isinstance(index, slice):
            return View(self._items, self._indices[index])
        return self._items[self._indices[index]]


class Mapped(Sequence[T]):
    """What a function makes of each item of a sequence, made anew at each access."""

    def __init__(self, function: Callable[[Any], T], items: Sequence[Any]) -> None:
        """Take a function that gives the same result whenever it is called."""
        self._function = function
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> "Mapped[T]": ...
    def __getitem__(self, index: int | slice) -> "T | Mapped[T]":
        if isinstance(index, slice):
            return Mapped(self._function, self._items[index])
        return self._function(self._items[index])


def chosen(items: Sequence[T], indices: Iterable[int]) -> Sequence[T]:
    """Return some items in some order: a list of a list, of anything else a view."""
    if isinstance(items, list):
        return [items[index] for index in indices]
    return View(items, indices)


def where(items: Sequence[T], wanted: Callable[[T], bool]) -> Sequence[T]:
    """Return the items that are wanted; see `chosen`."""
    return chosen(items, (index for index, item in enumerate(items) if wanted(item)))


def rebuilt(
    items: Sequence[Conversation], conversations: Iterable[Conversation]
) -> Sequence[Conversation]:
    """Return conversations that were made of others, in the way in which those are kept."""
    return list(conversations) if isinstance(items, list) else Store(conversations)


def _nameless(folder: Path) -> IO[bytes]:
    """Open a file that is gone with the last reference to it."""
    return tempfile.TemporaryFile(dir=folder)


def _folder() -> Path:
    """Return where temporary files go; /tmp may be a part of the memory, /var/tmp is a disk."""
    disk = Path("/var/tmp")
    given = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    usable = not given and disk.is_dir() and os.access(disk, os.W_OK)
    return disk if usable else Path(tempfile.gettempdir())
