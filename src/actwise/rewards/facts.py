"""Find in an answer what a customer would check: numbers, dates, times, identifiers.

A number written as a word ("twenty") can stand for the digits of the other answer, but is not a
fact that has to be repeated ("the two of them"), unless a unit follows ("twenty dollars"). Names
are found by `names.py`, with the help of the conversation; how facts are written stands in
`grammar.py`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from actwise.rewards import spelled
from actwise.rewards.grammar import FACT
from actwise.rewards.languages import LANGUAGES, language_of
from actwise.rewards.readings import Fact, facts_of
from actwise.rewards.typography import plain
from actwise.rewards.units import same_unit, unit_after

_UNIT_FOLLOWS = re.compile(
    r"\s(?:dollars?|bucks|cents?|euros?|pounds?|yen|rupees|francs|percent|per cent|o'clock"
    r"|[ap]\.?m\b|(?:in the|at) (?:morning|afternoon|evening|night))",
    re.IGNORECASE,
)
# In "$10 an hour", where a mark stands for the amount, and "twice a day" it is no length of time.
_ONE_OF_TIME = re.compile(
    r"(?<![\w|])(?<!\|\s)(?<!\|\s\s)(?<!half )(?<!of )(?<!once )(?<!twice )(?<!times )"
    r"(?:an?\s(?=(?:hour|day|week|month|year)(?!\w))|(?:einen?|eine[mr]|une?|una|um|uma)\s)"
    r"(?!\w+\s(?:and\sa|or|oder|ou|o)\s)"
)
_TIMES = frozenset(("hour", "day", "week", "month", "year"))
_LIST_MARKER = re.compile(r"(?m)^[ \t]{0,8}[0-9]{1,2}[.)](?=[ \t])")
# Letters only (facts have gone before); a Han or kana character is a word of its own.
_WORD = re.compile(
    r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W\d_\u3040-\u30ff\u4e00-\u9fff]+(?:'[^\W\d_]+)?"
)
_MANY = 200
"""Facts of a text beyond which rounded ones are not looked for."""
_MARK = " | "
"""Stands where a fact stood, so that the words around it do not meet."""


@dataclass(frozen=True)
class Reading:
    """What one text states."""

    facts: tuple[Fact, ...]
    spelled: tuple[Fact, ...]
    """The numbers and ordinals that are written as words."""
    words: tuple[str, ...]
    """The wording: letters only, case folded, without the facts."""
    plain: str
    """The text in plain signs, without the numbers of lists."""
    language: str | None
    """See `languages.language_of`."""

    def with_facts(self, more: tuple[Fact, ...]) -> "Reading":
        """Return the same reading with further facts."""
        return replace(self, facts=self.facts + more) if more else self

    def states(self, fact: Fact) -> bool:
        """Whether the text states a fact; an open year, currency or unit agrees with any.

        What may be meant in several ways (01/05, "7:00") agrees with what is meant in one of them,
        and a number that is said to be rounded with one that it is rounded from.
        """
        key = (fact.kind, fact.value)
        values, possible = self._qualifiers
        found = [values.get(key), possible.get(key), *(values.get(other) for other in fact.also)]
        if any(q is not None and _agree(fact.qualifier, q) for q in found):
            return True
        return any(_rounded(one, fact) or _rounded(fact, one) for one in self._near(fact))

    def _near(self, fact: Fact) -> Iterable[Fact]:
        if (fact.decimals is None and not self._has_rounded) or len(self.facts) > _MANY:
            return ()
        return (one for one in self.facts if one.kind == fact.kind)

    @cached_property
    def _has_rounded(self) -> bool:
        return any(fact.decimals is not None for fact in self.facts)

    @cached_property
    def _qualifiers(self) -> tuple["_Qualifiers", "_Qualifiers"]:
        """The qualifiers of all values, and of what they may mean as well."""
        values: _Qualifiers = {}
        possible: _Qualifiers = {}
        for fact in (*self.facts, *self.spelled):
            values.setdefault((fact.kind, fact.value), set()).add(fact.qualifier)
            for other in fact.also:
                possible.setdefault(other, set()).add(fact.qualifier)
        return values, possible


_Qualifiers = dict[tuple[str, str], set[str | None]]


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read what a text states; a text read before is remembered."""
    signs = _LIST_MARKER.sub("", plain(text))
    language = language_of(signs)
    comma = language is not None and LANGUAGES[language].decimal_comma
    with_digits = spelled.AND_A_PART.sub(spelled.and_a_part, signs)
    with_digits = spelled.CARDINAL.sub(_in_digits, with_digits)
    facts: list[Fact] = []

    def take(match: re.Match[str]) -> str:
        before = match.string[max(0, match.start() - 40) : match.start()]
        facts.extend(facts_of(match, before, decimal_comma=comma))
        return _MARK

    without_facts = FACT.sub(take, with_digits).casefold()
    words = tuple(_WORD.findall(without_facts))
    return Reading(
        facts=_distinct(facts),
        spelled=_distinct(_spelled(without_facts)),
        words=words,
        plain=signs,
        # Of the words alone, so that no fact that is added to a text changes it.
        language=language_of(" ".join(words)),
    )


def _in_digits(match: re.Match[str]) -> str:
    """Write a number in digits where a unit follows."""
    numbers = spelled.values(match)
    follows = _UNIT_FOLLOWS.match(match.string, match.end())
    return str(numbers[0]) if follows and len(numbers) == 1 else match[0]


def _spelled(text: str) -> Iterable[Fact]:
    for match in spelled.CARDINAL.finditer(text):
        for number in spelled.values(match):
            yield Fact("number", str(number), unit_after(text, match.end()), match[0])
    for match in _ONE_OF_TIME.finditer(text):
        if (unit := unit_after(text, match.end() - 1)) in _TIMES:
            yield Fact("number", "1", unit, match[0])
    for match in spelled.ORDINAL.finditer(text):
        yield Fact("ordinal", str(spelled.ordinal(match)), None, match[0])


def _distinct(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple({(f.kind, f.value, f.qualifier): f for f in facts}.values())


def _agree(qualifier: str | None, found: set[str | None]) -> bool:
    """Whether one of several agrees, the unit and what follows its stroke each by itself."""
    ours = _unit_and_rate(qualifier)
    return any(
        all(
            not one or not other or same_unit(one, other)
            for one, other in zip(ours, theirs, strict=True)
        )
        for theirs in map(_unit_and_rate, found)
    )


def _unit_and_rate(qualifier: str | None) -> tuple[str, str]:
    unit, _, rate = (qualifier or "").partition("/")
    return unit, rate


def _rounded(one: Fact, exact: Fact) -> bool:
    """Whether one number is said to be another one, rounded."""
    if one.decimals is None or not _agree(one.qualifier, {exact.qualifier}):
        return False
    try:
        return round(float(exact.value), one.decimals) == float(one.value)
    except (ValueError, OverflowError):  # a version, or too large for a fraction
        return False
