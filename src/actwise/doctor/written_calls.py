"""Answers in which a call is written as text."""

import re
from collections.abc import Iterator

from actwise.conversation import tool_name
from actwise.findings.finding import Case, Finding, Tally

_SIGNS = re.compile(
    r"<function=|\[TOOL_CALLS\]|<\|python_tag\|>|<\|tool_call|<｜tool|<invoke name=|<function_call>"
    r'|"(?:arguments|parameters)"\s{0,4}:\s{0,4}\{|^\s{0,4}Action Input:',
    re.MULTILINE,
)


class WrittenCalls:
    """Answers that hold a call of a declared tool and more than that, so that none is read."""

    def __init__(self, max_examples: int) -> None:
        self._found = Tally(max_examples)

    def look(self, case: Case) -> list[str]:
        """See `Family.look`."""
        found = []
        names = [tool_name(tool) for tool in case.conversation.tools]
        for index, message in enumerate(case.conversation.messages):
            if message.role != "assistant" or message.tool_calls or not (names and message.weight):
                continue
            if _SIGNS.search(message.content):
                name = next((name for name in names if name in message.content), None)
                if name is not None:
                    found.append(f"{case.at(index)} names {name!r}")
        return found

    def note(self, seen: list[str]) -> None:
        """Count the answers."""
        self._found.extend(seen)

    def findings(self) -> Iterator[Finding]:
        """Yield the answers."""
        yield from self._found.finding(
            "warning",
            "call_as_text",
            "answer(s) in which a call of a declared tool is written as text",
            effect="The model learns to print calls to the user in place of calling.",
            remedy="Log them with a server that parses calls, or leave them out.",
        )
