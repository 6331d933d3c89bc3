"""How much of a text is copied word for word from what stands before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actwise.audit.reading import words

RUN = 4
"""Words in a row that count as copied; shorter runs are the language's own."""
_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Copied:
    """What of a text is copied."""

    share: float
    """Share of its words, in [0, 1], in a run of at least `RUN` words that the context holds."""
    longest: int
    """Words of the longest such run, 0 without one."""


class Context:
    """The messages before a decision, searchable by runs of words: some 15 bytes of each word.

    A long run has one for each of thousands of decisions.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        found = [words(text) for text in texts]
        # With one behind all others, so that whatever is looked for has a place.
        self._runs = np.unique(np.concatenate([[_LAST], *map(_runs, found)]))
        self._joined = "\n".join(f" {' '.join(text)} " for text in found)

    def copied(self, text: Sequence[str]) -> Copied:
        """Measure what of a text's words is copied from here."""
        if not text:
            return Copied(0.0, 0)
        inside = [False] * len(text)
        longest = 0
        runs = _runs(text)
        held = self._runs[np.searchsorted(self._runs, runs)] == runs
        for start in np.flatnonzero(held).tolist():
            inside[start : start + RUN] = [True] * RUN
            # Only a longer run is looked for, and as text: a context of one word over and over
            # holds every run in as many places as it has words.
            longest = max(longest, RUN)
            while start + longest < len(text) and self._holds(text[start : start + longest + 1]):
                longest += 1
        return Copied(sum(inside) / len(text), longest)

    def _holds(self, run: Sequence[str]) -> bool:
        return f" {' '.join(run)} " in self._joined


def _runs(text: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the hashes of the runs of a text."""
    starts = range(len(text) - RUN + 1)
    return np.array([hash(tuple(text[start : start + RUN])) for start in starts], dtype=np.int64)
