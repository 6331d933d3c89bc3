"""Whole numbers that a conversation states, from which others may follow."""

import re

from actwise.conversation import Decision
from actwise.rewards.grammar import FACT

_UNSPACED = "\u0e01-\u0e4e\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters that stand beside a number without a space: Thai, Japanese, Chinese, Korean."""
BEGINS = rf"(?<!\.)(?<![^\W{_UNSPACED}])"
ENDS = rf"(?![^\W{_UNSPACED}]|\.\d)"
_DIGITS = re.compile(rf"{BEGINS}\d{{1,15}}{ENDS}")
"""Longer ones are ids."""
_GROUPED = re.compile(rf"{BEGINS}(?<!\d,)\d{{1,3}}(?:,\d{{3}}){{1,4}}(?!,?\d){ENDS}")
"""Thousands with commas: 9,192,631."""


def whole_numbers(text: str) -> list[int]:
    """Return the whole numbers of a text, in order, each as often as it occurs."""
    plain = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    return [int(n) for n in _DIGITS.findall(plain)]


def numbers_before(decision: Decision) -> list[int]:
    """Return the whole numbers of a decision's history, in order, each as often as it occurs.

    What could be one number with commas, or several of an array, is taken for both.
    """
    texts = [
        text
        for message in decision.history
        for text in (message.content, *(str(c.arguments) for c in message.tool_calls))
    ]
    either = [
        int(n) for text in texts for group in _GROUPED.findall(text) for n in group.split(",")
    ]
    return [number for text in texts for number in whole_numbers(text)] + either


def amounts_in(text: str) -> list[int]:
    """Return the different whole numbers of a text that say how much or how many, in order.

    No parts of dates, times, phone numbers or codes, and no bare numbers of four digits or more
    without a comma, which are years or ids.
    """
    found = dict[int, None]()
    for match in FACT.finditer(text):
        amount = match["amount"] or match["percentage"]
        priced = match["before"] or match["after"] or match["percentage"]
        if not amount:
            continue
        grouped = _GROUPED.fullmatch(amount)
        digits = amount.replace(",", "") if grouped else amount
        if digits.isdigit() and (grouped or (priced and len(digits) < 16) or len(digits) < 4):
            found[int(digits)] = None
    return list(found)
