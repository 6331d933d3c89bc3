"""Which words a fact belongs to: "rake 20, hoe 30" is not "rake 30, hoe 20"."""

import re
from functools import lru_cache
from itertools import combinations

from actwise.rewards.facts import Reading, read
from actwise.rewards.grammar import FACT, Fact
from actwise.rewards.names import folded_words

_PART_END = re.compile(r"(?<=[.!?])\s+|,\s|[;\n|]|\s(?:and|und|et|y|e|en|while|but)\s")


def swapped(ours: Reading, theirs: Reading) -> set[Fact]:
    """Return the facts of a record that stand in each other's place.

    Two facts of one kind are swapped where each stands with words that in the record are those of
    the other alone, and with none of its own.
    """
    found: set[Fact] = set()
    by_kind: dict[str, list[Fact]] = {}
    for fact in theirs.facts:
        by_kind.setdefault(fact.kind, []).append(fact)
    for facts in by_kind.values():
        if 1 < len(facts) <= _MANY and sum(f.kind == facts[0].kind for f in ours.facts) > 1:
            recorded, said = _owners(theirs.plain), _owners(ours.plain)
            for one, other in combinations(facts, 2):
                if _exchanged(one, other, recorded, said):
                    found |= {one, other}
    return found


_MANY = 30
"""Facts of one kind from which on pairs are no longer looked at."""
_Owners = dict[tuple[str, str], frozenset[str]]


def _exchanged(one: Fact, other: Fact, recorded: _Owners, said: _Owners) -> bool:
    keys = ((one.kind, one.value), (other.kind, other.value))
    if not all(key in recorded and key in said for key in keys):
        return False
    first, second = (recorded[key] for key in keys)
    first, second = first - second, second - first
    ours, theirs = (said[key] for key in keys)
    exchanged = bool(ours & second) and bool(theirs & first)
    return exchanged and not ours & first and not theirs & second


@lru_cache(maxsize=4096)
def _owners(text: str) -> _Owners:
    owners: dict[tuple[str, str], set[str]] = {}
    for part in _PART_END.split(text):
        matches = list(FACT.finditer(part))
        for index, match in enumerate(matches):
            end = matches[index + 1].start() if index + 1 < len(matches) else len(part)
            left = folded_words(part[matches[index - 1].end() if index else 0 : match.start()])
            right = folded_words(part[match.end() : end])
            # Of several facts in one part each belongs to the words before it.
            words = left + right if len(matches) == 1 else left or right
            for fact in read(match[0]).facts:
                owners.setdefault((fact.kind, fact.value), set()).update(words)
    return {key: frozenset(words) for key, words in owners.items()}
