"""How other servers read what a model writes: by the way in which it writes calls and thoughts.

The names are those of vLLM's documentation; hermes and qwen3 were run here. A `response_template`,
which transformers reads from the tokenizer's configuration, is written only where transformers
reads with it exactly what was rendered: calls and answers, with a thought and without.
"""

from dataclasses import dataclass
from typing import Any

from actwise.conversation import Decision
from actwise.template.probe import ANSWER, CALL, THOUGHT
from actwise.template.render import Template
from actwise.tree.forest import common_prefix

_TOOL_PARSERS = {
    "qwen": "hermes",
    "qwen-xml": "qwen3_coder",
    "gemma": "gemma4",
    "functiongemma": "functiongemma",
    "mistral": "mistral",
    "mistral-list": "mistral",
    "llama": "llama3_json",
    "list": "xlam",
    "phi-list": "phi4_mini_json",
}
"""vLLM's, by the name of the syntax."""
_REASONING_PARSERS = {"<think>": "qwen3", "<|channel>thought": "gemma4"}
"""vLLM's, by the mark that begins a thought."""

_TRANSFORM = {"type": "function", "function": {"name": "{name}", "arguments": "{content}"}}
_CALLS: dict[str, dict[str, Any]] = {
    "qwen": {
        "open_pattern": r"\s*<tool_call>",
        "close": "</tool_call>",
        "content": "json",
        "transform": {"type": "function", "function": "{content}"},
    },
    "qwen-xml": {
        "open_pattern": r"\s*<tool_call>\s*<function=(?P<name>[^>\n]+)>",
        "close_pattern": r"</function>\s*</tool_call>",
        "content": "xml-inline",
        "content_args": {
            "tag_pattern": r"<parameter=(?P<key>[^>\n]+)>\n?(?P<value>.*?)\n?</parameter>"
        },
        "transform": _TRANSFORM,
    },
    "gemma": {
        "open_pattern": r"<\|tool_call>call:(?P<name>\w+)",
        "close": "<tool_call|>",
        "content": "json",
        "content_args": {"unquoted_keys": True, "string_delims": [['<|"|>', '<|"|>']]},
        "transform": _TRANSFORM,
    },
}
"""Field "tool_calls" of a `response_template`, by the name of the syntax."""
_RESULT_ENDS = {"gemma": ["<tool_response|>"]}
"""Where a turn goes on after a result instead of beginning again: what stands before it."""


@dataclass(frozen=True)
class Parsers:
    """What to tell a server."""

    tool: str | None
    """Name of vLLM's parser of calls; None where it has none that is known here."""
    reasoning: str | None
    """Name of vLLM's parser of thoughts."""
    response_template: dict[str, Any] | None
    """For transformers; None where it could not be shown to read all that is written."""


def parsers_of(template: Template) -> Parsers:
    """Return how others read a model's completions."""
    syntax = template.syntax
    candidate = _response_template(template)
    return Parsers(
        _TOOL_PARSERS.get(syntax.name),
        _reasoning_parser(template),
        candidate if candidate is not None and _reads_all(template, candidate) else None,
    )


def _reasoning_parser(template: Template) -> str | None:
    """Return the name of a parser that vLLM can use: it looks for marks that are one token."""
    marks = [mark.strip() for mark in template.syntax.think]
    known = template.tokenizer.get_vocab()
    return _REASONING_PARSERS.get(marks[0]) if marks[1] in known else None


def _response_template(template: Template) -> dict[str, Any] | None:
    syntax = template.syntax
    if syntax.name not in _CALLS:
        return None
    direct, thinking = (_generation_prompt(template, thinking=mode) for mode in (False, True))
    shared = direct[: common_prefix([*map(ord, direct)], [*map(ord, thinking)])]
    anchor = shared.partition(syntax.think[0].strip())[0]
    stops = template.tokenizer.convert_ids_to_tokens(list(template.stop_token_ids))
    return {
        "defaults": {"role": "assistant"},
        "start_anchor": [anchor, *_RESULT_ENDS.get(syntax.name, [])],
        "fields": {
            "reasoning_content": {
                "open": syntax.think[0].strip(),
                "close": syntax.think[1].strip(),
                "content": "text",
            },
            "tool_calls": {**_CALLS[syntax.name], "repeats": True},
            "content": {"close": stops, "content": "text"},
        },
    }


def _generation_prompt(template: Template, *, thinking: bool) -> str:
    """Return what a prompt adds to the history."""
    options = {"enable_thinking": thinking}
    history = template.render(template.tokenizer.chat_template, CALL, **options)
    return template.prompt_text(CALL, thinking=thinking).removeprefix(history)


def _reads_all(template: Template, candidate: dict[str, Any]) -> bool:
    return all(
        _reads(template, candidate, decision, thought)
        for decision in (CALL, ANSWER)
        for thought in (None, THOUGHT)
    )


def _reads(
    template: Template, candidate: dict[str, Any], decision: Decision, thought: str | None
) -> bool:
    found = template.tokenizer.parse_response(
        template.completion_text(decision, thought=thought),
        candidate,
        prefix=template.prompt_text(decision, thinking=thought is not None),
        tools=list(decision.conversation.tools),
    )
    calls = [
        {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in decision.gold.tool_calls
    ]
    return (
        (found.get("reasoning_content") or "").strip() == (thought or "")
        and (found.get("content") or "").strip() == decision.gold.content
        and (found.get("tool_calls") or []) == calls
    )
