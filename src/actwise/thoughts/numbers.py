"""Whole numbers that a conversation states, from which others may follow."""

import re

from actwise.conversation import Decision

WHOLE_NUMBER = re.compile(r"(?<![\w.])\d+(?!\w|\.\d)")


def numbers_before(decision: Decision) -> list[int]:
    """Return the whole numbers of a decision's history, in order, each as often as it occurs."""
    return [
        int(n)
        for message in decision.history
        for text in (message.content, *(str(c.arguments) for c in message.tool_calls))
        for n in WHOLE_NUMBER.findall(text)
    ]
