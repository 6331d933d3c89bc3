"""A completion while it is being written: its thought, answer and calls as far as they are certain.

What is certain of a text is what stands before anything that may yet become a mark. It is parsed
like any completion (`actwise.template.parse`), so whoever adds up what they were told has exactly
what the whole completion is parsed to.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import regex

from actwise.conversation import ToolCall
from actwise.template.parse import ParsedCompletion
from actwise.template.syntaxes import Syntax


@dataclass(frozen=True)
class Delta:
    """What has been added to a completion."""

    thought: str = ""
    answer: str = ""
    calls: tuple[ToolCall, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.thought or self.answer or self.calls)


class CompletionReader:
    """Reads one completion again and again while it grows."""

    def __init__(
        self,
        parse: Callable[[str], ParsedCompletion],
        *,
        thinking: bool,
        syntax: Syntax,
        opened: bool,
        most_calls: int | None = None,
    ) -> None:
        """Begin.

        Args:
            parse: Parses a completion of this mode.
            thinking: The mode.
            syntax: How the model writes thoughts and calls.
            opened: Whether the prompt has opened the thought.
            most_calls: How many of its calls are told; all of them where None.
        """
        self._parse = parse
        self._thinking = thinking
        self._syntax = syntax
        self._opened = opened
        self._most_calls = most_calls
        self._begin, self._end = (mark.strip() for mark in syntax.think)
        self._told = Delta()
        self._settled = Delta()
        """What the text before the last call is parsed to; it is not parsed again."""
        self._num_settled = 0
        """Its characters."""

    def read(self, text: str) -> Delta:
        """Return what has become certain.

        Args:
            text: All that has been written so far, without a stop token.
        """
        if self._opened and self._begin.startswith(text.lstrip()):
            return Delta()  # it may write the mark itself
        text = self._from_the_thought(text)[self._num_settled :]
        skipped = f"{self._begin}{self._end}" if self._num_settled else ""
        sure = certain(skipped + text, thinking=self._thinking, syntax=self._syntax)
        parsed = self._parse(sure)
        delta = self._tell(_joined(self._settled, parsed))
        if parsed.calls or parsed.broken_calls:
            self._settle(skipped + text, len(sure), len(skipped))
        return delta

    def finish(self, text: str) -> tuple[ParsedCompletion, Delta]:
        """Return the whole completion, and what had not been told of it."""
        parsed = self._parse(self._from_the_thought(text))
        told = replace(parsed, calls=parsed.calls[: self._most_calls])
        return told, self._tell(_joined(Delta(), told))

    def _settle(self, text: str, num_sure: int, num_skipped: int) -> None:
        """Parse what stands before the last call that is certain for the last time."""
        # In the whole text: what is certain may end behind a mark that what follows makes none.
        begun = (mark.start() for mark in self._syntax.opening.finditer(text))
        last = max((at for at in begun if at < num_sure), default=0)
        if last > num_skipped:
            self._settled = _joined(self._settled, self._parse(text[:last]))
            self._num_settled += last - num_skipped

    def _from_the_thought(self, text: str) -> str:
        written = text.lstrip().startswith(self._begin)
        return text if written or not self._opened else self._begin + text

    def _tell(self, now: Delta) -> Delta:
        told, self._told = self._told, replace(now, calls=now.calls[: self._most_calls])
        return Delta(
            now.thought[len(told.thought) :],
            now.answer[len(told.answer) :],
            self._told.calls[len(told.calls) :],
        )


def _joined(before: Delta, parsed: ParsedCompletion) -> Delta:
    """Return what a text is parsed to whose end, from the mark of a call on, is parsed alone."""
    return Delta(
        before.thought + (parsed.thought or ""),
        "\n".join(filter(None, (before.answer, parsed.answer))),
        before.calls + parsed.calls,
    )


def certain(text: str, *, thinking: bool, syntax: Syntax) -> str:
    """Return the beginning of an unfinished completion whose reading no continuation changes.

    Args:
        text: As far as it has been written.
        thinking: Whether it is written in thinking mode.
        syntax: How the model writes thoughts and calls.
    """
    text = text.rstrip("\ufffd")  # of a character of which only some bytes are there
    begin, end = (mark.strip() for mark in syntax.think)
    body = text.lstrip()
    rest = 0
    if body.startswith(begin) or (thinking and begin not in body.partition(end)[0]):
        if end not in body:
            # Without its beginning nobody can tell a thought from an answer until it ends.
            return _before_marks(text, regex.escape(end)) if body.startswith(begin) else ""
        rest = text.index(end) + len(end)
    elif begin.startswith(body):
        return ""
    return text[:rest] + _before_marks(text[rest:], syntax.open, whole=not syntax.close)


def _before_marks(text: str, pattern: str, *, whole: bool = False) -> str:
    """Return a text without a mark that may have begun at its end, or, `whole`, its last mark."""
    end = len(text)
    for mark in _compiled(pattern).finditer(text, partial=True):
        if mark.partial:
            end = min(end, mark.start())
        elif whole:
            end = mark.start()
    return text[:end]


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    return regex.compile(pattern)
