"""Completions that are held to a form: calls of offered tools, or JSON of a schema.

Whatever token would leave the form is not drawn. The thought before the action stays free, up to
its end. What the texts around calls and answers are is found out from the model's chat template
(`actwise.template.shape`); the library llguidance says which tokens go on within a grammar.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import llguidance.hf
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from actwise.conversation import Tool, tool_name, tool_parameters
from actwise.errors import InputError
from actwise.template.render import Template
from actwise.template.shape import CallShape, find_shape

_SEPARATORS = (": ", ", ")
_UNMARKED = re.compile(r"\s*(\[\s*)?\{")


@dataclass(frozen=True)
class Form:
    """What a completion is held to; some tool or an answer's schema is given."""

    tools: Sequence[Tool] = ()
    """Of which one is called."""
    several: bool = True
    """Whether there may be several calls."""
    answer: Mapping[str, Any] | None = None
    """The JSON schema of an answer, which there may be instead of calls."""


@dataclass(frozen=True)
class Grammar:
    """What one completion may be."""

    start: LLMatcher
    """Has taken what is given of the completion."""
    stop_token_ids: tuple[int, ...]

    def behind(self, token_ids: Sequence[int]) -> "Grammar":
        """Return what may follow a beginning of the completion."""
        start = self.start.deep_copy()
        start.consume_tokens(list(token_ids))
        return replace(self, start=start)

    def matcher(self) -> "Matcher":
        """Return what follows one completion."""
        return Matcher(self.start.deep_copy(), self.stop_token_ids)


class Matcher:
    """Follows one completion and says what may come next."""

    def __init__(self, matcher: LLMatcher, stop_token_ids: Sequence[int]) -> None:
        self._matcher = matcher
        self._stops = list(stop_token_ids)

    def follow(self, token: int) -> None:
        """Take the next token."""
        self._matcher.consume_token(token)

    def forbidden(self, size: int) -> Tensor:
        """Return which of so many tokens may not come next, as booleans.

        Of a grammar that has become too much for the library nothing comes but the end.
        """
        forbidden_V = torch.ones(size, dtype=torch.bool)
        if self._matcher.is_error():
            forbidden_V[self._stops] = False
            return forbidden_V
        bits = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.uint8)
        allowed = (bits[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
        allowed_V = allowed.flatten()[:size].bool()
        forbidden_V[: len(allowed_V)] = ~allowed_V
        return forbidden_V


class Grammars:
    """Makes the grammars of one model's completions."""

    def __init__(self, template: Template) -> None:
        """Take the model's template; nothing is computed before a grammar is asked for."""
        self._template = template
        self._shape = cache(lambda thinking: find_shape(template, thinking=thinking))

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        stops = list(self._template.stop_token_ids)
        return llguidance.hf.from_tokenizer(self._template.tokenizer, eos_token=stops)

    def make(self, form: Form, *, thinking: bool) -> Grammar:
        """Return the grammar of a form.

        Args:
            form: What completions are held to.
            thinking: Whether there is a thought before, which begins behind the prompt.

        Raises:
            InputError: The model's calls have no JSON for arguments, or are nothing but JSON where
                answers are, too, or a schema has what the library does not know.
        """
        shape = self._shape(thinking)
        rules = {"start": "action"}
        if shape.thought is not None:
            rules = {"start": "thought action", **self._thought(shape.thought[0])}
        actions = []
        if form.tools:
            actions.append("calls")
            rules |= self._calls(form, _known(shape.calls, beside_answer=form.answer is not None))
        if form.answer is not None:
            before, behind = map(self._text, shape.answer)
            actions.append("answer")
            rules["answer"] = f"{before} {_json(form.answer, _SEPARATORS)} {behind}"
        rules["action"] = " | ".join(actions)
        grammar = "\n".join(f"{name}: {rule}" for name, rule in rules.items())
        start = LLMatcher(self._tokenizer, grammar, log_level=0)
        if start.is_error():
            raise self._refusal(form, start)
        return Grammar(start, self._template.stop_token_ids)

    def _refusal(self, form: Form, whole: LLMatcher) -> InputError:
        """Return which schema cannot be kept to: the first tool's at fault, or the answer's."""
        for tool in form.tools:
            grammar = f"start: {_json(tool_parameters(tool), _SEPARATORS)}"
            alone = LLMatcher(self._tokenizer, grammar, log_level=0)
            if alone.is_error():
                return _cannot_keep(f"{tool_name(tool)}: its", alone, "tools")
        return _cannot_keep("the", whole, "tools" if form.answer is None else "response_format")

    def _thought(self, before: str) -> dict[str, str]:
        mark = self._template.syntax.think[1].strip()
        if self._special.fullmatch(mark):
            return {"thought": f"{self._text(before)} /(?s:.*)/ {self._text(mark)}"}
        end = re.escape(mark).replace("/", r"\/")
        return {
            "thought": f"{self._text(before)} free_thought",
            "free_thought[lazy]": f"/(?s:.*){end}/",
        }

    def _calls(self, form: Form, shape: CallShape) -> dict[str, str]:
        texts = (shape.begin, shape.middle, shape.end, shape.between or "")
        begin, middle, end, between = map(self._text, texts)
        rules = {}
        for number, tool in enumerate(form.tools):
            arguments = _json(tool_parameters(tool), shape.separators)
            rules[f"call_{number}"] = f"{self._text(tool_name(tool))} {middle} {arguments}"
        more = f"({between} call)*" if form.several and shape.between is not None else ""
        return {"calls": f"{begin} call {more} {end}", "call": " | ".join(rules), **rules}

    def _text(self, text: str) -> str:
        """Return a text as the grammar has it: some tokens have no text there, but a number."""
        number = self._template.tokenizer.convert_tokens_to_ids
        return " ".join(
            f"<[{number(piece)}]>" if self._special.fullmatch(piece) else json.dumps(piece)
            for piece in filter(None, self._special.split(text))
        )

    @cached_property
    def _special(self) -> re.Pattern[str]:
        added = self._template.tokenizer.added_tokens_decoder
        special = [t.content for i, t in added.items() if self._tokenizer.is_special_token(i)]
        longest_first = sorted(special, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")


def _cannot_keep(whose: str, matcher: LLMatcher, file: str) -> InputError:
    problem = matcher.get_error().partition("\n")[0]
    return InputError(
        f"{whose} schema cannot be kept to: {problem}", file=file, remedy="simplify it"
    )


def _known(shape: CallShape | None, *, beside_answer: bool) -> CallShape:
    if shape is None:
        raise InputError(
            "no call can be demanded of a model that writes arguments otherwise than as JSON",
            file="tool_choice",
            remedy="set it to none" if beside_answer else "use auto",
        )
    if beside_answer and _UNMARKED.match(shape.begin):
        raise InputError(
            "this model's calls are JSON without a mark, as the answer would be",
            file="response_format",
            remedy="set tool_choice to none, or to required",
        )
    return shape


def _json(schema: Mapping[str, Any], separators: tuple[str, str]) -> str:
    key, item = separators
    written = {"whitespace_flexible": False, "key_separator": key, "item_separator": item}
    return f"%json {json.dumps({**schema, 'x-guidance': written})}"
