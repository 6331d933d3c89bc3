"""Find the names in an answer: values of the conversation so far that it quotes.

No list of names is needed: what a tool returned, or was asked for, under some field is a candidate
for what an answer may name there. A field counts where the conversation holds several values of
it, so that naming one is a choice ("the corner room is cheaper", after two rooms were looked up).
Values with digits are left to the facts of `facts.py`, long ones are text and not names.

Besides, a word with a capital inside a sentence is a name wherever it comes from.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from actwise.rewards.facts import Reading, read
from actwise.rewards.lexicon import SOCIAL, words
from actwise.rewards.readings import Fact
from actwise.rewards.typography import plain

_MIN_LETTERS, _MAX_LETTERS, _MAX_WORDS = 3, 60, 6
# Values of this kind ("Here" of "here or to go") stand in answers without being meant as names.
_COMMON = words("""
    all any both each else every here its more most none not now only other same than that the them
    then there these they this those with yes you your
""")
_ASIDE = re.compile(r"\([^()]*\)")
_LONGEST = 200
"""Characters of a value that may hold a name and an aside."""
_WORD = re.compile(r"[^\W\d_]+")
# After a letter or comma and one space: inside a sentence. Not after "Dear" and the like. A single
# letter is one ("option B"), but for "I", the answers Y and N, and an initial.
_PROPER = re.compile(
    r"(?<![Hh]i )(?<!ello )(?<!ear )(?<!hanks )(?<!hank you )(?<!orry )"
    r"(?<=[^\W\d_A-Z] |, )(?:[A-Z][^\W\d_A-Z]+(?!')|(?![INY])[A-Z](?![\w'/&$-]|\.\w|\.\s[A-Z]))"
)
_NO_NAMES = SOCIAL | words("""
    monday tuesday wednesday thursday friday saturday sunday january february march april may june
    july august september october november december english german french spanish rs
""")
_CAPITALISING = frozenset((None, "de"))
"""Languages in which a capital says nothing of names; None is one that is not known here."""
_SPACE = re.compile(r"[\s_]+")


class _Candidates(NamedTuple):
    fields: dict[str, tuple[str, ...]]
    """For each value the fields that hold it."""
    quote: re.Pattern[str] | None
    """Finds the values in folded text, the longest of those that begin at one place."""


def names(text: str, context: tuple[str, ...]) -> tuple[Fact, ...]:
    """Return the names that a text quotes, each as a fact whose kind is its field.

    Args:
        text: An answer.
        context: The texts before it; those that are JSON objects or arrays hold the candidates.
    """
    candidates = _candidates(context)
    if candidates.quote is None:
        return ()
    quoted = dict.fromkeys(candidates.quote.findall(_folded(text)))
    return tuple(
        Fact(f"{field}:", value, None, value)
        for value in quoted
        for field in candidates.fields[value]
    )


class ProperNames(NamedTuple):
    """Names by their capitals that two answers do not share."""

    missing: tuple[str, ...]
    """Those of the record that the prediction does not hold."""
    foreign: list[Fact]
    """Those that the prediction has in their place."""


def proper_names(ours: Reading, theirs: Reading, asked: str) -> ProperNames:
    """Find the names with a capital in which an answer differs from the record.

    Args:
        ours: The prediction.
        theirs: The record.
        asked: What the customer said last; names in it need not be repeated.
    """
    words, known = set(folded_words(ours.plain)), set(folded_words(asked))
    missing = [name for name in proper(theirs) if name not in words]
    if not missing:
        return ProperNames((), [])
    recorded = set(folded_words(theirs.plain))
    foreign = [Fact("name", n, None, n) for n in proper(ours) if n not in recorded]
    return ProperNames(tuple(name for name in missing if name not in known), foreign)


def proper(reading: Reading) -> tuple[str, ...]:
    """Return the words of a text, in one case, that are names by their capital."""
    return _proper(reading.plain, reading.language)


@lru_cache(maxsize=4096)
def _proper(text: str, language: str | None) -> tuple[str, ...]:
    if language in _CAPITALISING:
        return ()
    after_the_first = _WORD.findall(text)[1:]
    if 2 * sum(word[0].isupper() for word in after_the_first) > len(after_the_first):
        return ()  # a headline
    found = dict.fromkeys(word.casefold() for word in _PROPER.findall(text))
    return tuple(word for word in found if word not in _NO_NAMES)


def folded_words(text: str) -> list[str]:
    """Return the words of a text in one case."""
    return _WORD.findall(text.casefold())


@lru_cache(maxsize=256)
def _candidates(context: tuple[str, ...]) -> _Candidates:
    by_field: dict[str, dict[str, None]] = {}
    for text in context:
        for field, value in _values(text):
            by_field.setdefault(field, {})[value] = None
    fields: dict[str, tuple[str, ...]] = {}
    for field, values in by_field.items():
        if len(values) > 1:
            for value in values:
                fields[value] = (*fields.get(value, ()), field)
    if not fields:
        return _Candidates({}, None)
    longest_first = sorted(fields, key=len, reverse=True)
    alternatives = "|".join(re.escape(value) for value in longest_first)
    return _Candidates(fields, re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)"))


@lru_cache(maxsize=4096)
def _values(text: str) -> tuple[tuple[str, str], ...]:
    if not text.lstrip().startswith(("{", "[")):
        return ()
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    found = (
        (field, _folded(_ASIDE.sub("", value)))
        for field, value in _walk(record)
        if len(value) <= _LONGEST
    )
    return tuple((field, value) for field, value in found if _is_name(value))


def _walk(value: Any) -> Iterator[tuple[str, str]]:
    """Yield every string under the key that is nearest above it, in the order of the text."""
    parts = [("", value)]
    while parts:
        field, part = parts.pop()
        if isinstance(part, str):
            yield field, part
        elif isinstance(part, dict):
            parts += reversed(part.items())
        elif isinstance(part, list):
            parts += [(field, item) for item in reversed(part)]


def _folded(text: str) -> str:
    return _SPACE.sub(" ", plain(text)).strip().casefold()


def _is_name(value: str) -> bool:
    return (
        _MIN_LETTERS <= len(value) <= _MAX_LETTERS
        and len(value.split()) <= _MAX_WORDS
        and value not in _COMMON
        and any(letter.isalpha() for letter in value)
        and not read(value).facts
    )
