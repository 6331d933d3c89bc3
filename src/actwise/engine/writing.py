"""A completion while it is written: its tokens, and the end that a budget puts to its thought.

A thought of more tokens than the budget is cut there and closed, and another request goes on behind
it. That is what `actwise.evaluation.given.at_budget` measures, so with temperature 0 a completion
under a budget is the one that was measured under it.
"""

from dataclasses import replace

import regex

from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt
from actwise.template.calls import FormatError

_WORDS = regex.compile(r".*\w(?=[\s\p{P}])", regex.DOTALL)
"""Whole words. The last word of a text may yet grow, and be divided into other tokens."""
_AFTER_CUT = 1 << 32
"""Added to the seed of what goes on, which would else be drawn by the same numbers again."""


class Writing:
    """What has been written of one completion."""

    def __init__(self, prompt: Prompt, request: Request, budget: int | None = None) -> None:
        """Begin.

        Args:
            prompt: What is completed.
            request: The request that is decoded.
            budget: Tokens that the thought may have; as many as it has where None.
        """
        self.prompt = prompt
        self.request = request
        """The one that is decoded now."""
        self.tokens: list[Token] = []
        """Those that count, with the stop token; those that were put in rather than drawn, at the
        end of a thought that was cut, have a log-prob of 0."""
        self._budget = budget if prompt.thinking else None
        self._told = ""

    @property
    def text(self) -> str:
        """All of it, without its stop token."""
        return self.prompt.template.decode([token.id for token in self.tokens])

    @property
    def settled(self) -> bool:
        """Whether no budget cuts anything off any more."""
        return self._budget is None

    @property
    def certain(self) -> str:
        """The beginning of it that no budget cuts off."""
        return self.text if self.settled else self._told

    def add(self, token: Token) -> Request | None:
        """Take one more token; return the request that goes on instead, where one does."""
        self.tokens.append(token)
        if self._budget is None:
            return None
        template, text = self.prompt.template, self.text
        parsed = self.prompt.parse_written(text)
        thought = parsed.thought or ""
        whole = token.stop_reason is not None or FormatError.UNCLOSED_THOUGHT not in parsed.errors
        if not whole:
            words = _WORDS.match(thought)
            thought = "" if words is None else words[0]
        ids = template.encode(thought)
        if len(ids) > self._budget:
            return self._cut(template.decode(ids[: self._budget]))
        if parsed.thought is not None and whole:
            self._budget = None
        elif thought:
            self._told = text[: text.index(thought) + len(thought)]
        return None

    def _cut(self, thought: str) -> Request | None:
        """Close the thought, and go on behind it if there is room for more."""
        self._budget = None
        given = self.prompt.closed_thought(thought)
        room = self.request.params.max_tokens - len(given)
        if room < 1:
            return None
        drawn = [token.id for token in self.tokens]
        same = next((i for i, t in enumerate(given) if drawn[i : i + 1] != [t]), len(given))
        forced = [Token(self.request, token, 0.0) for token in given[same:]]
        self.tokens = [replace(t, stop_reason=None) for t in self.tokens[:same]] + forced
        self.request = replace(
            self.request,
            prompt=(*self.request.prompt, *given),
            params=replace(self.request.params, max_tokens=room),
            seed=self.request.seed + _AFTER_CUT,
        )
        return self.request
