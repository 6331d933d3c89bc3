"""Which words a fact or a name belongs to: "rake 20, hoe 30" is not "rake 30, hoe 20"."""

import re
from functools import lru_cache
from itertools import combinations
from operator import itemgetter

from actwise.rewards.facts import Reading, read
from actwise.rewards.grammar import FACT
from actwise.rewards.names import folded_words, proper
from actwise.rewards.readings import Fact
from actwise.rewards.stance import stem

_PART_END = re.compile(r"(?<=[.!?])\s+|,\s|[;\n]|\s(?:and|und|et|y|e|en|while|but)\s")


def swapped(ours: Reading, theirs: Reading) -> set[Fact]:
    """Return the facts of a record that stand in each other's place.

    Two facts of one kind are swapped where each stands with words that in the record are those of
    the other alone, and with none of its own.
    """
    if _in_another_order(ours, theirs):
        return set(theirs.facts)
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


def _in_another_order(ours: Reading, theirs: Reading) -> bool:
    """Whether two lists are paired, in the same words, with facts of one kind in another order.

    "The rake and the hoe cost 20 and 30": the one "and" joins what the other one counts.
    """
    words = theirs.words
    if ours.words != words or words.count("and") < 2 or set(words) == {"and"}:
        return False
    recorded = [(fact.kind, fact.value) for fact in theirs.facts]
    known = set(recorded)
    said = [key for fact in ours.facts if (key := (fact.kind, fact.value)) in known]
    # Sorting keeps the order within a kind; those of two kinds are not taken for each other.
    kind = itemgetter(0)
    return set(said) == known and sorted(said, key=kind) != sorted(recorded, key=kind)


def names_exchanged(ours: Reading, theirs: Reading) -> str | None:
    """Return two names that stand in each other's place, by the word before them."""
    known = sorted({*proper(ours), *proper(theirs)})[:_MANY]
    said, recorded = _before(ours.plain, known), _before(theirs.plain, known)
    shared = [name for name in known if name in said and name in recorded]
    for one, other in combinations(shared, 2):
        same_place = said[one] == recorded[other] and said[other] == recorded[one]
        places = {said[one], said[other]}
        if same_place and len(places) == 2 and places.isdisjoint(_JOINING):
            return f"{one} and {other} in each other's place"
    return None


_JOINING = frozenset(("and", "or", "nor"))
"""After these the order of names says nothing."""


def _before(text: str, known: list[str]) -> dict[str, str]:
    """Return the word before each name that stands in a text once; "" for the first."""
    if len(known) < 2:
        return {}
    words = ["", *folded_words(text)]
    return {n: words[words.index(n, 1) - 1] for n in known if words[1:].count(n) == 1}


def ends_exchanged(ours: Reading, theirs: Reading) -> str | None:
    """Return what one text takes from where the other one takes it to, if both ends are exchanged.

    "From checking to savings" is not "from savings to checking".
    """
    (source, target), (recorded_source, recorded_target) = _ends(ours.plain), _ends(theirs.plain)
    from_target, to_source = source & recorded_target, target & recorded_source
    if from_target and to_source and not source & recorded_source:
        return f"goes from {min(from_target)} where the record goes to it"
    return None


_END = re.compile(
    r"\b(from|to|into|onto)\s(?:(?:your|the|an?|my|our|their)\s)?([^\W\d_]{2,})(?!\w)", re.I
)


@lru_cache(maxsize=4096)
def _ends(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words after "from", and those after "to"."""
    ends = [(end.casefold(), word.casefold()) for end, word in _END.findall(text)]
    source = frozenset(word for end, word in ends if end == "from")
    return source, frozenset(word for end, word in ends if end != "from")


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
            words = set(map(stem, left + right if len(matches) == 1 else left or right))
            if len(matches) == 2:  # "room 5 at 9:00": each belongs to the other
                words |= {f"{f.kind} {f.value}" for f in read(matches[1 - index][0]).facts}
            for fact in read(match[0]).facts:
                owners.setdefault((fact.kind, fact.value), set()).update(words)
    return {key: frozenset(words) for key, words in owners.items()}
