"""Find in an answer what a customer would check: numbers, dates, times, identifiers, its stance.

Written for English. A number written as a word ("twenty") can stand for the digits of the other
answer, but is not a fact that has to be repeated ("the two of them"). Names are found by
`names.py`, with the help of the conversation.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# "May" only with a capital: "order 12 may be late" names no date.
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|(?-i:May)|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_CURRENCIES = {
    "us$": "USD", "$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD",
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR",
    "£": "GBP", "gbp": "GBP", "pound": "GBP", "pounds": "GBP",
    "¥": "JPY", "jpy": "JPY", "yen": "JPY", "₹": "INR", "inr": "INR", "rupees": "INR",
}  # fmt: skip
_CODES = r"(?:USD|EUR|GBP|JPY|INR)"
_UNITS = r"(?:st|nd|rd|th|kg|g|lbs?|oz|km|cm|mm|m|ml|l|kb|mb|gb|tb|ms|s|mins?|hrs?|h|x)"
_AMOUNT = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?"
_ORDINAL = r"(?:st|nd|rd|th)?"

# One pass, leftmost first; of several readings that begin at one place the first below wins.
# Every alternative is anchored by a look-behind or a bounded look-ahead, so that no text makes the
# search quadratic.
_FACT = re.compile(
    rf"""
    (?P<url> https?://[^\s<>"')\]]+ | www\.[^\s<>"')\]]+ )
  | (?P<email> (?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+ )
  | (?P<iso> (?<![\w-])(?P<iso_year>[0-9]{{4}})[-/](?P<iso_month>[0-9]{{1,2}})
        [-/](?P<iso_day>[0-9]{{1,2}})(?![0-9])(?:T(?=[0-9]{{2}}:))? )
  | (?P<month_first> (?<!\w)(?P<mf_month>{_MONTH})\.?\s{{1,3}}(?P<mf_day>[0-9]{{1,2}}){_ORDINAL}
        (?!\w)(?:,?\s{{1,3}}(?P<mf_year>[0-9]{{4}})(?!\w))? )
  | (?P<day_first> (?<!\w)(?P<df_day>[0-9]{{1,2}}){_ORDINAL}\s{{1,3}}(?:of\s)?
        (?P<df_month>{_MONTH})(?!\w)\.?(?:,?\s{{1,3}}(?P<df_year>[0-9]{{4}})(?!\w))? )
  | (?P<slash> (?<![\w/])[0-9]{{1,2}}/[0-9]{{1,2}}(?:/[0-9]{{2,4}})?(?![\w/]) )
  | (?P<clock> (?<![0-9:.])(?P<hour>[0-9]{{1,2}})
        (?: (?::(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}))?)?
            \s{{0,3}}(?P<half>[ap])\.?m(?![a-z])\.?
          | :(?P<minute24>[0-9]{{2}})(?::(?P<second24>[0-9]{{2}})(?:\.[0-9]+)?)?(?![0-9:]) ) )
  | (?P<percent> (?P<percent_sign>(?<![\w)])-)?(?P<percentage>{_AMOUNT})
        \s{{0,3}}(?:%|percent(?!\w)|per\scent(?!\w)) )
  | (?P<mixed> \#?(?<![A-Z0-9])(?![0-9]+(?:{_UNITS}|{_CODES})(?![\w-]))
        (?![0-9]+(?:-(?-i:[a-z])+)+(?!\w))
        (?=[0-9_-]{{0,40}}[A-Z])(?=[A-Z_-]{{0,40}}[0-9])[A-Z0-9]+(?:[-_][A-Z0-9]+)* )
  | (?P<number> (?P<sign>(?<![\w)])-)?
        (?:(?P<before>US\$|[$€£¥₹]|(?<!\w){_CODES})\s{{0,2}}(?P<inner_sign>-)?)?
        (?P<amount>{_AMOUNT})
        (?:\s{{0,2}}(?P<after>€|£|(?:{_CODES}|dollars?|euros?|pounds?|yen|rupees)(?!\w))
          |{_UNITS}(?!\w))? )
    """,
    re.IGNORECASE | re.VERBOSE,
)
_UNITS_SPELLED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
          "eighteen", "nineteen")  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SPELLED_VALUES = {
    **{word: i for i, word in enumerate((*_UNITS_SPELLED, *_TEENS), 1)},
    **{word: 10 * i for i, word in enumerate(_TENS, 2)},
}
# "two hundred" is not read at all, rather than as 2.
_SPELLED = re.compile(
    rf"(?<![\w-])(?:({'|'.join(_TENS)})(?:[ -]({'|'.join(_UNITS_SPELLED)}))?"
    rf"|({'|'.join((*_UNITS_SPELLED, *_TEENS))}))(?![\w-]| hundred| thousand| million)"
)
_LIST_MARKER = re.compile(r"(?m)^[ \t]{0,8}[0-9]{1,2}[.)](?=[ \t])")
# Letters only (facts have gone before); a Han or kana character is a word of its own.
_WORD = re.compile(
    r"[\u3040-\u30ff\u4e00-\u9fff]|[^\W\d_\u3040-\u30ff\u4e00-\u9fff]+(?:'[^\W\d_]+)?"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_REFUSES = re.compile(
    r"\b(?<!if you )(?:cannot|can not|can't|couldn't|could not|unable|not able|won't be able|"
    r"non-refundable|impossible|ineligible|unavailable|unfortunately|declined?|denied)\b|"
    r"(?:\bnot|n't) (?:\w+ )?(?:possible|allowed|permitted|eligible|available|refundable)\b"
)
_REGRETS = re.compile(r"\b(?:sorry|apologi[sz]e|apologies|regret)\b")
_NEGATES = re.compile(r"\bnot\b|n't\b|\bno\b(?! (?:problem|worries))")
_OPENING = re.compile(r"\W*(yes|no)\b(?! (?:problem|worries))")


@dataclass(frozen=True)
class Fact:
    """One checkable statement of an answer, in a normal form."""

    kind: str
    """number, percentage, date, time, identifier, or the field of a name."""
    value: str
    """Such as "20.5", "06-12" (a date without its year), "17:00", "w123"."""
    qualifier: str | None
    """The year of a date, the currency of a number; None where the text leaves it open."""
    text: str
    """As it was written."""


@dataclass(frozen=True)
class Reading:
    """What one text states."""

    facts: tuple[Fact, ...]
    spelled: tuple[Fact, ...]
    """The numbers below 100 that are written as words."""
    words: tuple[str, ...]
    """The wording: letters only, case folded, without the facts."""
    refuses: bool
    """It refuses or says that something cannot be had or done."""
    opening: str | None
    """ "yes" or "no", where the text begins with it."""
    asks: bool
    """It holds a question mark."""
    only_asks: bool
    """Every sentence is a question."""

    def with_facts(self, more: tuple[Fact, ...]) -> "Reading":
        """Return the same reading with further facts."""
        return replace(self, facts=self.facts + more) if more else self

    def states(self, fact: Fact) -> bool:
        """Whether the text states a fact; an open year or currency agrees with any."""
        found = self._qualifiers.get((fact.kind, fact.value))
        return found is not None and (
            fact.qualifier is None or None in found or fact.qualifier in found
        )

    @cached_property
    def _qualifiers(self) -> dict[tuple[str, str], set[str | None]]:
        out: dict[tuple[str, str], set[str | None]] = {}
        for fact in (*self.facts, *self.spelled):
            out.setdefault((fact.kind, fact.value), set()).add(fact.qualifier)
        return out


@lru_cache(maxsize=4096)
def read(text: str) -> Reading:
    """Read what a text states; a text read before is remembered."""
    plain = unicodedata.normalize("NFKC", text).replace("’", "'").replace("−", "-")
    plain = _LIST_MARKER.sub("", plain)
    facts: list[Fact] = []

    def take(match: re.Match[str]) -> str:
        facts.append(_fact(match))
        return " | "

    without_facts = _FACT.sub(take, plain).casefold()
    folded = plain.casefold()
    sentences = [part for part in map(str.strip, _SENTENCE_END.split(plain)) if part]
    opening = _OPENING.match(folded)
    return Reading(
        facts=_distinct(facts),
        spelled=_distinct(map(_spelled, _SPELLED.finditer(without_facts))),
        words=tuple(_WORD.findall(without_facts)),
        refuses=any(_sentence_refuses(sentence.casefold()) for sentence in sentences),
        opening=opening[1] if opening else None,
        asks="?" in plain,
        only_asks=bool(sentences) and all(part.endswith("?") for part in sentences),
    )


def _sentence_refuses(sentence: str) -> bool:
    if _REFUSES.search(sentence):
        return True
    return bool(_REGRETS.search(sentence) and _NEGATES.search(sentence))


def _distinct(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    return tuple({(f.kind, f.value, f.qualifier): f for f in facts}.values())


def _fact(match: re.Match[str]) -> Fact:
    text = match[0].strip()
    if match["number"]:
        return _number(match, text)
    if match["percent"]:
        sign = match["percent_sign"] or ""
        return Fact("percentage", sign + _plain_amount(match["percentage"]), None, text)
    if match["clock"]:
        return _clock(match, text)
    for form, prefix in (("iso", "iso"), ("month_first", "mf"), ("day_first", "df")):
        if match[form]:
            year, month, day = (match[f"{prefix}_{part}"] for part in ("year", "month", "day"))
            return _date(year, month, day, text)
    if match["slash"]:  # 12/06 is June or December: only the very same digits agree
        return Fact("date", text, None, text)
    value = text.lstrip("#").rstrip(".,;:!?").casefold()
    return Fact("identifier", value, None, text)


def _number(match: re.Match[str], text: str) -> Fact:
    amount, currency = match["amount"], (match["before"] or match["after"] or "").casefold()
    if len(amount) > 1 and amount.startswith("0") and amount.isdigit() and not currency:
        return Fact("identifier", amount, None, text)  # leading zeros: a code, not an amount
    sign = "-" if match["sign"] or match["inner_sign"] else ""
    return Fact("number", sign + _plain_amount(amount), _CURRENCIES.get(currency), text)


def _spelled(match: re.Match[str]) -> Fact:
    value = sum(_SPELLED_VALUES[word] for word in match.groups() if word)
    return Fact("number", str(value), None, match[0])


def _plain_amount(amount: str) -> str:
    whole, _, fraction = amount.replace(",", "").partition(".")
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _clock(match: re.Match[str], text: str) -> Fact:
    hour = int(match["hour"])
    minute = match["minute"] or match["minute24"] or "00"
    second = match["second"] or match["second24"] or "00"
    if match["half"] and 1 <= hour <= 12:
        hour = hour % 12 + (12 if match["half"].casefold() == "p" else 0)
    value = f"{hour:02d}:{minute}" + (f":{second}" if second != "00" else "")
    return Fact("time", value, None, text)


def _date(year: str | None, month: str, day: str, text: str) -> Fact:
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3].casefold()) + 1
    return Fact("date", f"{number:02d}-{int(day):02d}", year, text)
