"""Control tokens of chat models that stand in logs or tools as text.

Which a model has, its tokenizer tells; here are the shapes in which families write them.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache

from actwise.findings.finding import Case, Finding, Tally, clipped, digest

_TOKEN = re.compile(
    r"<\|[\w./ -]{1,40}\|>"  # Qwen, Llama 3, Phi, OLMo, Granite
    r"|<\uff5c[\w\u2581 -]{1,40}\uff5c>"  # DeepSeek
    r"|</?s>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"  # Mistral
    r"|<(?:bos|eos|pad|unk|start_of_turn|end_of_turn)>"  # Gemma
    r"|</?(?:think|tool_call|tool_response)>"  # Qwen, Hermes
)


class Control:
    """Messages and tools in which text looks like a control token."""

    def __init__(self, max_examples: int) -> None:
        self._messages = Tally(max_examples)
        self._tools = Tally(max_examples)
        self._seen: set[int] = set()

    def look(self, case: Case) -> tuple[list[str], int, list[str]]:
        """See `Family.look`."""
        found = []
        for index, message in enumerate(case.conversation.messages):
            text = json.dumps(message.to_dict(), ensure_ascii=False)
            if token := _TOKEN.search(text):
                found.append(f"{case.at(index)} holds {clipped(token[0])}")
        in_tools = _in_tools(json.dumps(case.conversation.tools, ensure_ascii=False))
        places = [f"{case.place}: tools hold {clipped(token)}" for token in in_tools]
        return found, digest(case.tools_line), places

    def note(self, seen: tuple[list[str], int, list[str]]) -> None:
        """Count the messages; equal tools count once."""
        messages, tools, places = seen
        self._messages.extend(messages)
        if tools not in self._seen:
            self._seen.add(tools)
            self._tools.extend(places)

    def findings(self) -> Iterator[Finding]:
        """Yield the messages and the tools."""
        for tally, code, what in (
            (self._messages, "control_token", "message(s)"),
            (self._tools, "control_token_in_tools", "list(s) of tools"),
        ):
            yield from tally.finding(
                "warning",
                code,
                f"{what} with text that looks like a control token of a chat model",
                effect="In training it is text and never acts; where the model is served it may "
                "end a turn or begin another's.",
                remedy="Find out who wrote it; take it out of the logs unless customers need it.",
            )


@lru_cache(maxsize=64)
def _in_tools(text: str) -> list[str]:
    """Return the first token in tools, if there is one; logs have the same tools in all records."""
    return [token[0] for token in [_TOKEN.search(text)] if token]
