"""The ways in which families of models write thoughts and calls, one row each.

Which row is a model's is found out by writing a call with its chat template and reading it back
(`actwise.template.probe`), never by the model's name. A new family is one more row here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from actwise.conversation import CONTROL_TAG
from actwise.template.calls import (
    Read,
    braces,
    json_after_name,
    json_call,
    json_list,
    python_calls,
    tagged,
)


@dataclass(frozen=True)
class Syntax:
    """How a model writes what it does."""

    name: str
    open: str
    """Expression of the mark before a call, or before a list of them."""
    close: str
    """The mark after it; empty where it lasts to the next one or to the end."""
    read: Read
    """Reads what stands between the marks."""
    think: tuple[str, str] = ("<think>", "</think>")
    """The marks around a thought."""
    tags: tuple[str, ...] = ()
    """What else structures a rendered conversation, and so cannot stand in words to the user."""
    write: str = ""
    """Jinja that writes `tool_calls`, for templates that write no thought beside them."""

    @cached_property
    def opening(self) -> re.Pattern[str]:
        """The mark before a call."""
        return re.compile(self.open)

    @cached_property
    def control(self) -> re.Pattern[str]:
        """All tags that cannot stand in words to the user."""
        tags = sorted({*self.think, *self.tags} - {""}, key=len, reverse=True)
        return re.compile("|".join([CONTROL_TAG.pattern, *map(re.escape, tags)]))

    def with_tags(self, tags: Sequence[str]) -> "Syntax":
        """Return the same with a tokenizer's own control tokens."""
        return replace(self, tags=(*self.tags, *tags))


QWEN = Syntax("qwen", "<tool_call>", "</tool_call>", json_call())
"""JSON between tags: Qwen2.5 and 3, Hammer, Granite 4, SmolLM3, and the shipped template."""

SYNTAXES = (
    QWEN,
    Syntax(
        "qwen-xml",
        "<tool_call>",
        "</tool_call>",
        tagged(
            r"<function=([^\n>]+)>\s*",
            r"<parameter=([^\n>]+)>\n?(.*?)\n?</parameter>\s*",
            end="</function>",
        ),
    ),
    Syntax(
        "minicpm",
        r'<function name="',
        "</function>",
        tagged(
            r'([^"\n]+)">\s*',
            r'<param name="([^"\n]+)">(?:<!\[CDATA\[(.*?)\]\]>|(.*?))</param>\s*',
        ),
        tags=('<function name="', "</function>"),
    ),
    Syntax(
        "lfm",
        r"<\|tool_call_start\|>",
        "<|tool_call_end|>",
        python_calls(escaped=False),
        tags=("<|tool_call_start|>", "<|tool_call_end|>"),
    ),
    Syntax(
        "lfm-escaped",
        r"<\|tool_call_start\|>",
        "<|tool_call_end|>",
        python_calls(escaped=True),
        tags=("<|tool_call_start|>", "<|tool_call_end|>"),
    ),
    Syntax(
        "gemma",
        r"<\|tool_call>",
        "<tool_call|>",
        braces('<|"|>'),
        think=("<|channel>thought\n", "<channel|>"),
        tags=("<|tool_call>", "<tool_call|>", "<|channel>", "<|tool_response>"),
    ),
    Syntax(
        "functiongemma",
        "<start_function_call>",
        "<end_function_call>",
        braces("<escape>"),
        tags=("<start_function_call>", "<end_function_call>", "<escape>"),
    ),
    Syntax(
        "phi",
        r"<\|tool_call\|>(?=\s*\{)",
        "<|/tool_call|>",
        json_call(),
        tags=("<|tool_call|>", "<|/tool_call|>"),
    ),
    Syntax(
        "phi-list",
        r"<\|tool_call\|>(?=\s*\[)",
        "<|/tool_call|>",
        json_list,
        tags=("<|tool_call|>", "<|/tool_call|>"),
    ),
    Syntax(
        "mistral",
        r"\[TOOL_CALLS\](?!\s*\[)",
        "",
        json_after_name("[ARGS]"),
        tags=("[TOOL_CALLS]", "[ARGS]"),
    ),
    Syntax("mistral-list", r"\[TOOL_CALLS\](?=\s*\[)", "", json_list, tags=("[TOOL_CALLS]",)),
    Syntax(
        "llama",
        r'\A\s*(?=\{\s*"name")',
        "",
        json_call("parameters"),
        write=(
            '{"name": "{{ calls[0].function.name }}", '
            '"parameters": {{ calls[0].function.arguments | tojson }}}'
        ),
    ),
    Syntax(
        "list",
        r'\A\s*(?=\[\s*\{\s*"name")',
        "",
        json_list,
        write=(
            "[{%- for call in calls -%}"
            '{"name": "{{ call.function.name }}", '
            '"arguments": {{ call.function.arguments | tojson }}}'
            '{{ "" if loop.last else ", " }}{%- endfor -%}]'
        ),
    ),
)
"""All rows, in the order in which they are tried."""
