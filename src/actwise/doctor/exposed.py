"""Messages that hold what a model must not learn by heart: secrets and personal data."""

from collections.abc import Callable, Iterator, Mapping

from actwise.findings.finding import Case, Finding, Tally, written

Detect = Callable[[str], bool]
"""Tells whether a text holds data of one kind."""


class Exposed:
    """Messages that hold such data; what kind it is, not how it reads, is kept."""

    def __init__(
        self,
        max_examples: int,
        detectors: Mapping[str, Detect],
        *,
        code: str,
        message: str,
        remedy: str,
    ) -> None:
        """Take detectors by the kind that they detect, and the words of the finding."""
        self._detectors = detectors
        self._found = Tally(max_examples)
        self._words = code, message, remedy

    def look(self, case: Case) -> list[str]:
        """See `Family.look`."""
        found = []
        for index, message in enumerate(case.conversation.messages):
            text = written(message)
            kinds = [kind for kind, holds in self._detectors.items() if holds(text)]
            if kinds:
                found.append(f"{case.at(index)} holds: {', '.join(kinds)}")
        return found

    def note(self, seen: list[str]) -> None:
        """Count the messages."""
        self._found.extend(seen)

    def findings(self) -> Iterator[Finding]:
        """Yield the messages."""
        code, message, remedy = self._words
        effect = "The model can learn it by heart and tell it to anybody."
        yield from self._found.finding("warning", code, message, effect=effect, remedy=remedy)
