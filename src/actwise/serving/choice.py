"""One completion on its way to a client: tokens in, text, thought, answer and calls out."""

from collections.abc import Sequence
from typing import Literal

from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt
from actwise.engine.writing import Writing
from actwise.template.parse import ParsedCompletion
from actwise.template.streaming import Delta

FinishReason = Literal["stop", "length", "tool_calls"]


class Choice:
    """What has been written of one completion."""

    def __init__(
        self,
        prompt: Prompt,
        request: Request,
        stops: Sequence[str],
        budget: int | None = None,
        most_calls: int | None = None,
    ) -> None:
        """Begin.

        Args:
            prompt: What is completed.
            request: The request that is decoded.
            stops: Texts before which the completion ends; they are looked for behind the thought,
                from the first character on that is not white space.
            budget: Tokens that the thought may have; as many as it has where None.
            most_calls: How many of its calls are told; all of them where None.
        """
        self._writing = Writing(prompt, request, budget)
        self.parsed: ParsedCompletion | None = None
        """The whole completion, when it is complete."""
        self.num_taken = 0
        """Tokens that have come, those that a cut took away again included."""
        self._prompt = prompt
        self._stops = stops
        self._reader = prompt.reader(most_calls)
        self._text = ""
        self._stopped = False
        self._searched = 0
        """Characters of the text in which no stop ends, whatever follows."""

    @property
    def complete(self) -> bool:
        """Whether nothing follows."""
        return self._stopped or (bool(self.tokens) and self.tokens[-1].stop_reason is not None)

    @property
    def request(self) -> Request:
        """The request that is decoded now."""
        return self._writing.request

    @property
    def tokens(self) -> list[Token]:
        """Those that count: with the stop token, and up to the end of a stop text."""
        return self._writing.tokens

    @property
    def num_settled(self) -> int:
        """How many of the tokens are certain to stay."""
        return len(self.tokens) if self._writing.settled or self.complete else 0

    def add(self, token: Token) -> Request | None:
        """Take one more token; those after a stop text are not counted.

        Returns:
            The request that goes on instead, where the thought was cut.
        """
        if self.complete:
            return None
        self.num_taken += 1
        instead = self._writing.add(token)
        if self._stops:
            self._decode()
            self._cut()
        return instead

    def read(self) -> Delta:
        """Return what has become certain since the last time."""
        if not self._stopped:
            self._decode()
        if self.complete:
            self.parsed, delta = self._reader.finish(self._text)
            return delta
        held = max((len(stop) for stop in self._stops), default=1) - 1
        certain = min(len(self._writing.certain), len(self._text) - held)
        return self._reader.read(self._text[: max(0, certain)])

    @property
    def finish_reason(self) -> FinishReason:
        """Why it ended; when it has been read to its end."""
        assert self.parsed is not None
        if not self._stopped and self.tokens[-1].stop_reason == "length":
            return "length"
        return "tool_calls" if self.parsed.calls else "stop"

    def _decode(self) -> None:
        self._text = self._writing.text

    def _cut(self) -> None:
        longest = max(len(stop) for stop in self._stops)
        begin = max(self._answer_begin(), self._searched - longest)
        self._searched = self._writing.num_fixed
        found = [at for stop in self._stops if (at := self._text.find(stop, begin)) >= 0]
        if found:
            self._text = self._text[: min(found)]
            self._stopped = True

    def _answer_begin(self) -> int:
        behind = self._after_thought()
        return len(self._text) - len(self._text[behind:].lstrip())

    def _after_thought(self) -> int:
        begin, end = (mark.strip() for mark in self._prompt.template.syntax.think)
        body = self._text.lstrip()
        if not self._prompt.opened and not body.startswith(begin):
            return len(self._text) if begin.startswith(body) else 0
        at = self._text.find(end)
        return len(self._text) if at < 0 else at + len(end)
