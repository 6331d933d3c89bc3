"""Whole numbers that a conversation states, from which others may follow."""

import re

from actwise.conversation import Decision
from actwise.rewards.grammar import FACT

_UNSPACED = "\u0e01-\u0e4e\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters that stand beside a number without a space: Thai, Japanese, Chinese, Korean."""
BEGINS = rf"(?<!\.)(?<![^\W{_UNSPACED}])"
ENDS = rf"(?![^\W{_UNSPACED}]|\.\d)"
WHOLE_NUMBER = re.compile(rf"{BEGINS}\d{{1,15}}{ENDS}")
"""Longer ones are ids."""


def numbers_before(decision: Decision) -> list[int]:
    """Return the whole numbers of a decision's history, in order, each as often as it occurs."""
    return [
        int(n)
        for message in decision.history
        for text in (message.content, *(str(c.arguments) for c in message.tool_calls))
        for n in WHOLE_NUMBER.findall(text)
    ]


def amounts_in(text: str) -> list[int]:
    """Return the different whole numbers of a text that say how much or how many, in order.

    No parts of dates, times, phone numbers or codes, and no bare numbers of four digits or more,
    which are years or ids.
    """
    found = dict[int, None]()
    for match in FACT.finditer(text):
        amount = match["amount"] or match["percentage"]
        priced = match["before"] or match["after"] or match["percentage"]
        if amount and amount.isdigit() and ((priced and len(amount) < 16) or len(amount) < 4):
            found[int(amount)] = None
    return list(found)
