"""What the sentences of a thought do: carry something out, look back at it, or change course.

By the words of SEAL (arXiv:2504.07986), in English alone. They are a sign of what a sentence does
and no proof of it: arXiv:2604.02113 finds that most boundaries found by such words do not bring
the behaviour about when the model goes on from them.
"""

import re
from itertools import pairwise
from typing import Literal

Kind = Literal["execution", "reflection", "transition"]

_TRANSITION = re.compile(
    r"\balternatively\b|\bthink differently\b"
    r"|\banother (?:way|approach|method|solution|strategy|technique)\b",
    re.IGNORECASE,
)
_REFLECTION = re.compile(
    r"\bwait\b|\bverify\b|\bmake sure\b|\bhold on\b|\bthink again\b|'s (?:in)?correct\b"
    r"|\blet me check\b|\bseems right\b|\bnot known yet\b",
    re.IGNORECASE,
)
_END = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")


def sentences(thought: str) -> list[str]:
    """Return the sentences of a thought, and its lines where they have no full stop."""
    return [sentence for _, sentence in placed_sentences(thought)]


def placed_sentences(thought: str) -> list[tuple[int, str]]:
    """Return each sentence with the character at which it begins."""
    edges = [0, *(end.end() for end in _END.finditer(thought)), len(thought)]
    found = [(begin, thought[begin:end].strip()) for begin, end in pairwise(edges)]
    return [(begin, sentence) for begin, sentence in found if sentence]


def kind_of(sentence: str) -> Kind:
    """Return what a sentence does, by its words."""
    if _TRANSITION.search(sentence):
        return "transition"
    return "reflection" if _REFLECTION.search(sentence) else "execution"


def share_not_executing(thought: str) -> float | None:
    """Return the share of sentences that reflect or change course; None of an empty thought."""
    kinds = [kind_of(sentence) for sentence in sentences(thought)]
    return sum(kind != "execution" for kind in kinds) / len(kinds) if kinds else None
