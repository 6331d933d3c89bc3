"""Look through conversations for what would poison training, and for what they consist of.

Everything is done in one pass; per conversation only a digest and two lengths are kept.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actwise.conversation import Conversation, Decision, Message, tool_name
from actwise.formats import Rejected

Severity = Literal["error", "warning", "note"]

_SHORTEST_VALUE = 3
"""Shorter argument values turn up in any context by chance and prove nothing."""


@dataclass(frozen=True)
class Finding:
    """Something its reader may want to mend."""

    severity: Severity
    """"error": records are left out; "warning": may teach something wrong; "note": good to know."""
    code: str
    count: int
    message: str
    """What is counted and what to do about it; reads on from the count, unless that is 0."""
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Lengths:
    """Order statistics of a length over conversations; all 0 when there is none."""

    shortest: int
    median: int
    p95: int
    longest: int


@dataclass(frozen=True)
class Diagnosis:
    """What the conversations consist of, and the findings about them."""

    conversations: int
    rejected: dict[str, int]
    """Records that cannot be used, by reason."""
    decisions: dict[str, int]
    """Points at which the assistant acts, by kind: "call" or "answer"."""
    calls_per_tool: dict[str, int]
    """Recorded calls of every declared tool, most frequent first; 0 for one never called."""
    unreachable_decisions: int
    """Call decisions with an argument value that occurs nowhere before them."""
    thoughts: int
    """Assistant messages with a recorded thought."""
    messages: Lengths
    """Messages per conversation."""
    characters: Lengths
    """Characters per conversation: contents and calls, without tools' schemas and thoughts."""
    findings: list[Finding]

    @property
    def unreachable_share(self) -> float:
        """Share of call decisions that are unreachable, in [0, 1]; 0 when there is no call."""
        return self.unreachable_decisions / max(1, self.decisions["call"])

    @property
    def thought_share(self) -> float:
        """Share of assistant messages with a recorded thought, in [0, 1]."""
        return self.thoughts / max(1, sum(self.decisions.values()))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values, the shares included."""
        return asdict(self) | {
            "unreachable_share": self.unreachable_share,
            "thought_share": self.thought_share,
        }


def examine(items: Iterable[Conversation | Rejected], *, max_examples: int = 3) -> Diagnosis:
    """Look through what `actwise.formats.read_files` yields.

    Args:
        items: Conversations and rejections, read once.
        max_examples: How many places each finding names.
    """
    examination = _Examination(max_examples)
    for item in items:
        if isinstance(item, Rejected):
            examination.add_rejected(item)
        else:
            examination.add(item)
    return examination.diagnosis()


class _Examination:
    """The tallies of one pass."""

    def __init__(self, max_examples: int) -> None:
        self.max_examples = max_examples
        self.rejected: Counter[str] = Counter()
        self.rejected_places: Counter[str] = Counter()
        self.decisions: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.first_source: dict[bytes, str] = {}
        self.message_lengths: list[int] = []
        self.character_lengths: list[int] = []
        self.thoughts = 0

    def add_rejected(self, rejected: Rejected) -> None:
        self.rejected[rejected.reason] += 1
        self.rejected_places[rejected.reason] += rejected.count
        self._example("rejected:" + rejected.reason, str(rejected))

    def add(self, conversation: Conversation) -> None:
        place = conversation.source or conversation.id
        self.message_lengths.append(len(conversation.messages))
        self.character_lengths.append(sum(map(_characters, conversation.messages)))
        self._add_digest(conversation, place)
        for tool in conversation.tools:
            self.calls.setdefault(tool_name(tool), 0)
        for decision in conversation.decisions():
            self.decisions[decision.kind] += 1
            self.thoughts += bool(decision.gold.reasoning_content)
            self.calls.update(call.name for call in decision.gold.tool_calls)
        for decision, value in _unreachable(conversation):
            self._find(
                "unreachable_argument", f"{place}: messages[{decision.index}] calls with {value}"
            )
        unanswered = _unanswered(conversation.messages)
        if unanswered is not None:
            self._find("unanswered_call", f"{place}: messages[{unanswered}]")

    def diagnosis(self) -> Diagnosis:
        decisions = {kind: self.decisions[kind] for kind in ("call", "answer")}
        return Diagnosis(
            conversations=len(self.message_lengths),
            rejected=dict(self.rejected.most_common()),
            decisions=decisions,
            calls_per_tool=dict(self.calls.most_common()),
            unreachable_decisions=self.found["unreachable_argument"],
            thoughts=self.thoughts,
            messages=_lengths(self.message_lengths),
            characters=_lengths(self.character_lengths),
            findings=list(self._findings(decisions)),
        )

    def _findings(self, decisions: dict[str, int]) -> Iterator[Finding]:
        for reason, count in self.rejected.most_common():
            places = self.rejected_places[reason]
            counted = f", in {places} places" if places > count else ""
            yield Finding(
                "error",
                reason,
                count,
                f"record(s) that cannot be used and are left out{counted}",
                self.examples["rejected:" + reason],
            )
        if not self.message_lengths:
            yield Finding("error", "no_conversation", 0, "there is no conversation to learn from")
            return
        yield from self._warnings(decisions)
        idle = [name for name, count in self.calls.items() if count == 0]
        if idle:
            yield Finding(
                "note",
                "tool_never_called",
                len(idle),
                "declared tool(s) never called: nothing shows the model when to call them",
                [repr(name) for name in idle[: self.max_examples]],
            )

    def _warnings(self, decisions: dict[str, int]) -> Iterator[Finding]:
        messages = {
            "duplicate_conversation": "conversation(s) with the same messages as an earlier "
            "one: they weigh double; remove them",
            "unreachable_argument": f"of {decisions['call']} calling decisions with an argument "
            "value that occurs nowhere before: the model has to work it out or to guess it; "
            "check that the log holds all that the agent saw",
            "unanswered_call": "conversation(s) in which the assistant goes on before a call has "
            "its result: check that the log holds all results",
        }
        for code, message in messages.items():
            if self.found[code]:
                yield Finding("warning", code, self.found[code], message, self.examples[code])
        for kind, lesson in (("call", "when to call a tool"), ("answer", "when to answer")):
            if not decisions[kind]:
                yield Finding(
                    "warning",
                    f"no_{kind}",
                    0,
                    f"no decision of kind {kind}: nothing teaches {lesson}",
                )

    def _add_digest(self, conversation: Conversation, place: str) -> None:
        digest = _digest(conversation.messages)
        first = self.first_source.get(digest)
        if first is None:
            self.first_source[digest] = place
        else:
            self._find("duplicate_conversation", f"{place}: same as {first}")

    def _find(self, code: str, example: str) -> None:
        self.found[code] += 1
        self._example(code, example)

    def _example(self, key: str, example: str) -> None:
        examples = self.examples.setdefault(key, [])
        if len(examples) < self.max_examples:
            examples.append(example)


def _characters(message: Message) -> int:
    calls = sum(
        len(call.name) + len(json.dumps(call.arguments, ensure_ascii=False))
        for call in message.tool_calls
    )
    return len(message.content) + calls


def _digest(messages: Sequence[Message]) -> bytes:
    """Digest the messages without the calls' ids, which are random and mean nothing."""
    hasher = hashlib.blake2b(digest_size=16)
    for message in messages:
        line = [
            message.role,
            message.content,
            message.reasoning_content,
            [(call.name, call.arguments) for call in message.tool_calls],
        ]
        hasher.update(json.dumps(line, sort_keys=True).encode() + b"\n")
    return hasher.digest()


def _unanswered(messages: Sequence[Message]) -> int | None:
    """Return the index of the first assistant message that comes before due results."""
    due = 0
    for index, message in enumerate(messages):
        if message.role == "tool":
            due -= 1
        elif message.role == "assistant":
            if due > 0:
                return index
            due = len(message.tool_calls)
    return None


def _unreachable(conversation: Conversation) -> Iterator[tuple[Decision, str]]:
    """Yield the decisions with a value that occurs nowhere before them, and that value."""
    seen = [_plain(json.dumps(conversation.tools, ensure_ascii=False))]
    read = 0
    for decision in conversation.decisions():
        seen.extend(map(_visible_text, conversation.messages[read : decision.index]))
        read = decision.index
        for call in decision.gold.tool_calls:
            missing = next((v for v in _leaves(call.arguments) if not _occurs(v, seen)), None)
            if missing is not None:
                yield decision, f"{call.name}: {json.dumps(missing, ensure_ascii=False)[:80]}"
                break


def _visible_text(message: Message) -> str:
    """Return what later decisions see of a message: no thought, but the calls."""
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    text = message.content + (json.dumps(calls, ensure_ascii=False) if calls else "")
    return _plain(text)


def _leaves(value: Any) -> Iterator[str | int | float]:
    """Yield the strings and numbers in an argument value that are long enough to be looked for."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, bool) or value is None:
        return
    elif len(str(value).strip()) >= _SHORTEST_VALUE:
        yield value


def _occurs(value: str | int | float, texts: Sequence[str]) -> bool:
    if isinstance(value, str):
        # A value may stand in a tool result, which is JSON text with its own escapes.
        escaped = (json.dumps(value, ensure_ascii=ascii)[1:-1] for ascii in (True, False))
        spellings = {_plain(text) for text in (value, *escaped)}
        return any(spelling in text for text in texts for spelling in spellings)
    digits = str(value) if isinstance(value, int) else f"{value:.15g}"
    zeros = "0*" if "." in digits else r"(?:\.0+)?"
    pattern = re.compile(rf"(?<![\d.]){re.escape(digits)}{zeros}(?!\.?\d)")
    return any(pattern.search(text) for text in texts)


def _plain(text: str) -> str:
    """Even out what is written differently and means the same: case, spaces, 1,000 and 1000."""
    return " ".join(re.sub(r"(?<=\d),(?=\d{3})", "", text).lower().split())


def _lengths(values: list[int]) -> Lengths:
    if not values:
        return Lengths(0, 0, 0, 0)
    ordered = sorted(values)
    last = len(ordered) - 1
    return Lengths(ordered[0], ordered[last // 2], ordered[round(last * 0.95)], ordered[last])


_STYLES: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def render(diagnosis: Diagnosis) -> RenderableType:
    """Return the diagnosis for a terminal."""
    parts: list[RenderableType] = [_overview(diagnosis)]
    if diagnosis.calls_per_tool:
        tools = Table("tool", "calls", title="Calls per tool", title_justify="left")
        for name, count in diagnosis.calls_per_tool.items():
            tools.add_row(Text(name), str(count))
        parts.append(tools)
    # Text, not markup: brackets in the logs must not be taken for styles.
    for finding in diagnosis.findings:
        line = Text(f"{finding.severity} ", style=_STYLES[finding.severity])
        line.append(f"{finding.code}: ", style="bold")
        line.append(_sentence(finding), style="default")
        parts.append(line)
        parts.extend(Text(f"    {example}") for example in finding.examples)
    if not diagnosis.findings:
        parts.append(Text("nothing found", style="green"))
    return Group(*parts)


def _sentence(finding: Finding) -> str:
    return f"{finding.count} {finding.message}" if finding.count else finding.message


def _overview(diagnosis: Diagnosis) -> Table:
    table = Table(show_header=False, title="Conversations", title_justify="left")
    total = sum(diagnosis.decisions.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in diagnosis.decisions.items())
    table.add_row("conversations", str(diagnosis.conversations))
    table.add_row("rejected records", str(sum(diagnosis.rejected.values())))
    table.add_row("decisions", f"{total} ({kinds})")
    table.add_row("with a thought", f"{diagnosis.thoughts} ({diagnosis.thought_share:.1%})")
    table.add_row(
        "calls with unreachable arguments",
        f"{diagnosis.unreachable_decisions} ({diagnosis.unreachable_share:.1%} of calls)",
    )
    for label, lengths in (
        ("messages each", diagnosis.messages),
        ("characters each", diagnosis.characters),
    ):
        table.add_row(
            label,
            f"{lengths.shortest} to {lengths.longest} "
            f"(median {lengths.median}, 95 % up to {lengths.p95})",
        )
    return table
