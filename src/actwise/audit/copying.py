"""How much of a text is copied word for word from what stands before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from actwise.audit.reading import words

RUN = 4
"""Words in a row that count as copied; shorter runs are the language's own."""


@dataclass(frozen=True)
class Copied:
    """What of a text is copied."""

    share: float
    """Share of its words, in [0, 1], in a run of at least `RUN` words that the context holds."""
    longest: int
    """Words of the longest such run, 0 without one."""


class Context:
    """The messages before a decision, searchable by runs of words."""

    def __init__(self, texts: Iterable[str]) -> None:
        found = [words(text) for text in texts]
        self._runs = {
            tuple(text[start : start + RUN])
            for text in found
            for start in range(len(text) - RUN + 1)
        }
        self._joined = "\n".join(f" {' '.join(text)} " for text in found)

    def copied(self, text: Sequence[str]) -> Copied:
        """Measure what of a text's words is copied from here."""
        if not text:
            return Copied(0.0, 0)
        inside = [False] * len(text)
        longest = 0
        for start in range(len(text) - RUN + 1):
            if tuple(text[start : start + RUN]) not in self._runs:
                continue
            inside[start : start + RUN] = [True] * RUN
            # Only a longer run is looked for, and as text: a context of one word over and over
            # holds every run in as many places as it has words.
            longest = max(longest, RUN)
            while start + longest < len(text) and self._holds(text[start : start + longest + 1]):
                longest += 1
        return Copied(sum(inside) / len(text), longest)

    def _holds(self, run: Sequence[str]) -> bool:
        return f" {' '.join(run)} " in self._joined
