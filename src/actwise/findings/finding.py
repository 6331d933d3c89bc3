"""What a family of findings is, and what it is given to look at."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal, Protocol

from actwise.conversation import Conversation, Message

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something its reader may want to mend."""

    severity: Severity
    """"error": must not stay as it is (unusable records are left out, leaks make figures false);
    "warning": may teach something wrong; "note": good to know."""
    code: str
    count: int
    message: str
    """What is counted; reads on from the count, unless that is 0."""
    effect: str
    """One sentence: what it does to training."""
    remedy: str
    """One sentence: how to mend it."""
    examples: list[str] = field(default_factory=list)
    """Each begins with the "file:line" of its record."""

    @property
    def sentence(self) -> str:
        """The count and what is counted."""
        return f"{self.count} {self.message}" if self.count else self.message


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with errors first, then warnings, then notes."""
    order: tuple[Severity, ...] = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: order.index(finding.severity))


class Tally:
    """How often something was seen, and where it was seen first."""

    def __init__(self, max_examples: int) -> None:
        self.count = 0
        self.examples: list[str] = []
        self._max_examples = max_examples

    def add(self, example: str, count: int = 1) -> None:
        """Count once more (or `count` times), keeping the example while there is room."""
        self.count += count
        if len(self.examples) < self._max_examples:
            self.examples.append(example)

    def extend(self, examples: Iterable[str]) -> None:
        """Count once more for each example."""
        for example in examples:
            self.add(example)

    def finding(
        self, severity: Severity, code: str, message: str, *, effect: str, remedy: str
    ) -> Iterator[Finding]:
        """Yield the finding, or nothing when nothing was counted."""
        if self.count:
            yield Finding(severity, code, self.count, message, effect, remedy, self.examples)


@dataclass(frozen=True)
class Case:
    """A conversation, with what several families would each compute anew."""

    conversation: Conversation
    tools_line: str
    """The tools as JSON."""
    lines: list[str]
    """Each message as later decisions see it: JSON without ids, thoughts and labels."""

    @property
    def place(self) -> str:
        """Where the conversation was read, as "file:line"."""
        return self.conversation.source or self.conversation.id

    def at(self, index: int) -> str:
        """Return the place of one message."""
        return f"{self.place}: messages[{index}]"


def written(message: Message) -> str:
    """Return all that a message says: content, thought, and arguments of calls as JSON."""
    text = f"{message.content}\n{message.reasoning_content or ''}\n"
    if message.tool_calls:
        text += canonical_json([call.arguments for call in message.tool_calls])
    return text


def case_of(conversation: Conversation) -> Case:
    """Prepare a conversation for the families."""
    lines = [_line(message) for message in conversation.messages]
    return Case(conversation, canonical_json(conversation.tools), lines)


class Family(Protocol):
    """Looks at every conversation once and has something to say at the end.

    Looking may be done in other processes; what was seen is noted in one, in the order of the
    conversations.
    """

    def look(self, case: Case) -> Any:
        """Return what one conversation shows, depending on nothing else, to be pickled."""

    def note(self, seen: Any) -> None:
        """Take in what `look` has returned for the next conversation."""

    def findings(self) -> Iterator[Finding]:
        """Yield what was found in all of them."""


canonical_json = json.JSONEncoder(sort_keys=True).encode
"""JSON text that is the same for equal values."""


def digest(text: str) -> int:
    """Return 64 bits; among a million different texts, two collide once in 40 million logs."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def clipped(value: Any, width: int = 80) -> str:
    """Return a value as JSON of at most `width` characters, for an example."""
    return json.dumps(value, ensure_ascii=False)[:width]


def _line(message: Message) -> str:
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    return canonical_json([message.role, message.content, calls])
