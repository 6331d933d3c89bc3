"""On which side of a fact an answer lies: "until 5 pm" is not "from 5 pm"."""

import re
from functools import lru_cache

from actwise.rewards.facts import Reading, read
from actwise.rewards.grammar import FACT
from actwise.rewards.stance import stance

_LOWER = (
    r"from|since|after|starting(?: at| on| from)?|at least|a minimum of|no less than"
    r"|no fewer than|no earlier than|no sooner than|not until|more than"
    r"|ab|seit|mindestens|desde|a partir de|à partir (?:de|du)"
)
_UPPER = (
    r"to|until|till|through|before|up to|at most|a maximum of|no more than|no later than"
    r"|less than|fewer than|within|bis(?: zu)?|höchstens|hasta|jusqu'(?:à|au)"
)
_BEFORE = re.compile(
    rf"\b(?:(?P<lower>{_LOWER})|(?P<upper>{_UPPER}))\s(?:about |around |the |als )?$", re.I
)
_AFTER = re.compile(
    r"(?:\s[^\W\d_]+)?,?\s"
    r"(?:(?P<lower>or more|minimum|and up|onwards?|or later|at the earliest)"
    r"|(?P<upper>or less|or fewer|maximum|or earlier|at the latest))\b",
    re.I,
)
_LONGEST = 40
"""Signs before a fact that are searched."""
_PART_END = re.compile(r"(?<=[.!?])\s+|,\s|[;\n]")

_Bounds = dict[tuple[str, str], frozenset[str]]


def bound_exchanged(ours: Reading, theirs: Reading) -> str | None:
    """Return what is a lower bound of one text and an upper one of the other, if anything is.

    A fact that bounds nothing ("at 5 pm") agrees with both, and so does every fact of a text that
    denies or restricts: "not open until 5 pm" is "open from 5 pm", and so is "only from 5 pm".
    """
    said, recorded = _bounds(ours.plain), _bounds(theirs.plain)
    for key in said.keys() & recorded.keys():
        if said[key].isdisjoint(recorded[key]):
            side = "the least" if "lower" in said[key] else "the most"
            return f"says {key[1]} is {side} where the record says the opposite"
    return None


@lru_cache(maxsize=4096)
def _bounds(text: str) -> _Bounds:
    said = stance(text)
    if said.denies or said.refuses or re.search(r"\bonly\b", text, re.I):
        return {}
    found: dict[tuple[str, str], set[str]] = {}
    for part in _PART_END.split(text):
        for match in FACT.finditer(part):
            before = _BEFORE.search(part, max(0, match.start() - _LONGEST), match.start())
            bound = before or _AFTER.match(part, match.end())
            if bound is None:
                continue
            for fact in read(match[0]).facts:
                found.setdefault((fact.kind, fact.value), set()).add(bound.lastgroup or "")
    return {key: frozenset(sides) for key, sides in found.items()}
