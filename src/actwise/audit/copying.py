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
        self._texts = [words(text) for text in texts]
        self._runs: dict[tuple[str, ...], list[tuple[int, int]]] = {}
        for number, text in enumerate(self._texts):
            for start in range(len(text) - RUN + 1):
                self._runs.setdefault(tuple(text[start : start + RUN]), []).append((number, start))

    def copied(self, text: Sequence[str]) -> Copied:
        """Measure what of a text's words is copied from here."""
        if not text:
            return Copied(0.0, 0)
        inside = [False] * len(text)
        longest = 0
        for start in range(len(text) - RUN + 1):
            places = self._runs.get(tuple(text[start : start + RUN]), [])
            if places:
                inside[start : start + RUN] = [True] * RUN
                longest = max(longest, *(self._length(text, start, place) for place in places))
        return Copied(sum(inside) / len(text), longest)

    def _length(self, text: Sequence[str], start: int, place: tuple[int, int]) -> int:
        number, begin = place
        source = self._texts[number]
        length = RUN
        while (
            start + length < len(text)
            and begin + length < len(source)
            and text[start + length] == source[begin + length]
        ):
            length += 1
        return length
