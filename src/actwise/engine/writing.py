"""A completion while it is written: its tokens, and the end that a budget puts to its thought.

A thought of more tokens than the budget is cut there and closed, and another request goes on behind
it. That is what `actwise.evaluation.given.at_budget` measures, so with temperature 0 a completion
under a budget is the one that was measured under it.
"""

from dataclasses import replace

import regex

from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt
from actwise.engine.text import GrowingText

_WORDS_END = regex.compile(r"(?r)\w(?=(?!_)[\s\p{P}])")
"""The last letter of the last whole word; the word behind may yet grow, and be divided into other
tokens. An underscore is a sign of punctuation that belongs to the word before it."""
_MOST = 11
"""Tokens that a character has at most for each of its bytes, if it is not ASCII: Unicode's normal
forms make no text longer than that."""
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
        self._text = GrowingText(prompt.template)
        self._counted = (0, 0)
        """Up to which character of the text a thought was counted, and how many tokens it had."""

    @property
    def text(self) -> str:
        """All of it, without its stop token."""
        return self._text.text

    @property
    def num_fixed(self) -> int:
        """Characters at the beginning of the text that no token changes, if no budget does."""
        return self._text.num_fixed

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
        self._text.add(token.id)
        if self._budget is None:
            return None
        end = self.prompt.template.syntax.think[1].strip()
        if token.stop_reason is None and end not in self.text:
            return self._go_on(self._budget)
        thought = self.prompt.parse_written(self.text).thought
        ids = self.prompt.template.encode(thought or "")
        if len(ids) > self._budget:
            return self._cut(ids[: self._budget])
        if thought is not None:
            self._budget = None
        return None

    def _go_on(self, budget: int) -> Request | None:
        """Look whether the whole words of a thought that has not ended are too many."""
        text = self.text.rstrip()
        begin = self._thought_begin(text)
        word = None if begin is None else _WORDS_END.search(text, begin)
        if word is None:
            return None
        counted, count = self._counted
        new = text[counted : word.end()]
        # To count takes as long as the thought, so it is done when there may be too many.
        if count + (len(new) if new.isascii() else _MOST * len(new.encode())) >= budget:
            ids = self.prompt.template.encode(text[begin : word.end()])
            if len(ids) > budget:
                return self._cut(ids[:budget])
            self._counted = word.end(), len(ids)
        self._told = text[: word.end()]
        return None

    def _thought_begin(self, text: str) -> int | None:
        mark = self.prompt.template.syntax.think[0].strip()
        body = text.lstrip()
        written = body.startswith(mark)
        if not written and not self.prompt.opened:
            return None
        return len(text) - len(body.removeprefix(mark).lstrip())

    def _cut(self, ids: list[int]) -> Request | None:
        """End the thought behind these tokens, and go on behind it if there is room for more."""
        self._budget = None
        given = self.prompt.closed_thought(self.prompt.template.decode(ids))
        room = self.request.params.max_tokens - len(given)
        if room < 1:
            return None
        drawn = [token.id for token in self.tokens]
        same = next((i for i, t in enumerate(given) if drawn[i : i + 1] != [t]), len(given))
        forced = [Token(self.request, token, 0.0) for token in given[same:]]
        self.tokens = [replace(t, stop_reason=None) for t in self.tokens[:same]] + forced
        self._text = GrowingText(self.prompt.template, given)
        grammar = self.request.grammar
        self.request = replace(
            self.request,
            prompt=(*self.request.prompt, *given),
            params=replace(self.request.params, max_tokens=room),
            seed=self.request.seed + _AFTER_CUT,
            grammar=None if grammar is None else grammar.behind(given),
        )
        return self.request
