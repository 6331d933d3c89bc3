"""What a match of the grammar of facts states, in a normal form."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from actwise.rewards.grammar import ELSEWHERE, HOURS, MONTHS, PARTS_OF_DAYS, WEEKDAYS
from actwise.rewards.units import CURRENCIES, unit_after, with_rate

_POWERS = {"k": 3, "thousand": 3, "million": 6, "mio": 6, "m": 6, "billion": 9, "bn": 9, "b": 9}
_ABOUT = re.compile(
    r"(?:\b(?:about|around|approximately|approx\.?|roughly|nearly|almost|circa|ca\.)|[~≈])\s{0,2}$",
    re.I,
)
_DAYS = {day[:3]: day for day in WEEKDAYS.values()}
_AT = re.compile(r"\b(?:at|from|until|till|by|since|um|ab|bis|a las?|às|alle)\s$", re.I)
_RANGE = r"(?:\s?-\s?|\s(?:to|until|till|through|bis|à|às|a|alle)\s)"
_RANGE_BEFORE = re.compile(rf"(?<![\w.,:$€£-])[0-9]{{1,2}}{_RANGE}$")
_RANGE_AFTER = re.compile(rf"{_RANGE}[0-9]{{1,2}}(?::[0-5][0-9])?(?:\s?h)?(?![\w:])")
_PRODUCT = re.compile(
    r"(?:[^\s.!?:]\s[A-Z][\w+#]*|\b[a-z]{1,3}[A-Z]\w*|\b(?i:python|node|java|ruby|php|rust|perl|django"
    r"|ubuntu|debian|windows|android|linux|kernel|chrome|firefox|postgres|mysql|openssl|cuda|usb"
    r"|bluetooth|tls|firmware|app))\s$"
)


@dataclass(frozen=True)
class Fact:
    """One checkable statement of an answer, in a normal form."""

    kind: str
    """number, percentage, date, weekday, time, identifier, ordinal, or the field of a name."""
    value: str
    """Such as "20.5", "06-12" (a date without its year), "17:00", "w123"."""
    qualifier: str | None
    """The year of a date; the currency or unit of a number, with what it is for ("$/month");
    None where the text leaves it open."""
    text: str
    """As it was written."""
    also: frozenset[tuple[str, str]] = frozenset()
    """Kinds and values that it may stand for as well: 01/05 for two dates, "7:00" for 19:00."""
    decimals: int | None = None
    """The decimals to which it is said to be rounded ("about 3.1"); None where it is exact."""


Reader = Callable[[re.Match[str]], Iterator[Fact]]


def facts_of(match: re.Match[str], before: str, *, decimal_comma: bool) -> Iterable[Fact]:
    """Return what a match of `FACT` states.

    Args:
        match: A match of the expression.
        before: The text before it, or the last few words of that.
        decimal_comma: Whether the text's language writes 1,5 for one and a half.
    """
    kind = match.lastgroup or ""  # the outermost group is closed last
    if kind == "number":
        return (_number(match, before, decimal_comma),)
    if kind == "percent":
        return (_percentage(match, decimal_comma),)
    return _READERS[kind](match)


def _number(match: re.Match[str], before: str, decimal_comma: bool) -> Fact:
    text = match[0].strip()
    amount, currency = match["amount"], (match["before"] or match["after"] or "").casefold()
    if len(amount) > 1 and amount.startswith("0") and amount.isdigit() and not currency:
        return Fact("identifier", amount, None, text)  # leading zeros: a code, not an amount
    value = _plain_amount(amount, decimal_comma or (bool(match["after"]) and "€" in match[0]))
    if match["power"]:
        value = _times(value, _POWERS[match["power"].strip().casefold()])
    also: list[tuple[str, str]] = []
    if match.string.startswith("M", match.end("amount")) and not match["power"]:
        also.append(("number", _times(value, 6)))  # 5M: metres, or millions
    if text[-2:].casefold() in ("st", "nd", "rd", "th"):
        also.append(("ordinal", value))
    if text[-1:].casefold() == "h" and value.isdigit() and int(value) <= 24:
        also.append(("time", f"{int(value):02d}:00"))
    if re.fullmatch(r"[0-9]+\.[0-9]+", text):
        # A number after a name (Python 3.10) is a version, of which every digit counts.
        if _PRODUCT.search(before[-40:]):
            return Fact("number", f"v{amount}", None, text)
        also.append(("number", f"v{amount}"))
    is_short = text.isdigit() and len(text) <= 2 and int(text) <= 24
    if is_short and _may_be_hour(match, before):
        also += [("time", f"{int(text):02d}:00"), ("time", f"{int(text) % 12 + 12:02d}:00")]
    sign = "-" if match["sign"] or match["inner_sign"] else ""
    decimals = len(value.partition(".")[2]) if _ABOUT.search(before[-20:]) else None
    qualifier = CURRENCIES.get(currency)
    if qualifier:
        qualifier = with_rate(qualifier, match.string, match.end())
    else:
        qualifier = unit_after(match.string, match.end("power" if match["power"] else "amount"))
    return Fact("number", sign + value, qualifier, text, frozenset(also), decimals)


def _may_be_hour(match: re.Match[str], before: str) -> bool:
    """Whether a bare number stands where an hour may stand: "at 9", "9-5"."""
    return bool(
        _AT.search(before[-12:])
        or _RANGE_BEFORE.search(before[-12:])
        or (_RANGE_AFTER.match(match.string, match.end()) and not before.endswith("-"))
    )


def _percentage(match: re.Match[str], decimal_comma: bool) -> Fact:
    value = _plain_amount(match["percentage"], decimal_comma)
    sign = "-" if match["percent_sign"] else ""
    also = frozenset((("number", sign + value), ("number", sign + _times(value, -2))))
    qualifier = with_rate("%", match.string, match.end())
    return Fact("percentage", sign + value, qualifier, match[0].strip(), also)


def _plain_amount(amount: str, decimal_comma: bool) -> str:
    """Return an amount with a decimal point, without separators and needless zeros."""
    amount = re.sub(r"[\s']", "", amount)
    dots, commas = amount.count("."), amount.count(",")
    if dots and commas:
        point = max(amount.rfind("."), amount.rfind(","))  # the last sign begins the decimals
    elif dots + commas != 1:
        point = -1
    else:
        point = max(amount.rfind("."), amount.rfind(","))
        # Three digits after it: thousands, where the language's decimals begin with the other sign.
        grouped = len(amount) - point == 4 and 1 <= point <= 3 and amount[0] != "0"
        if grouped and (amount[point] == ",") is not decimal_comma:
            point = -1
    digits = re.sub(r"[.,]", "", amount)
    if point < 0:
        return digits.lstrip("0") or "0"
    decimals = len(amount) - point - 1
    whole, fraction = digits[:-decimals].lstrip("0") or "0", digits[-decimals:].rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _times(value: str, power: int) -> str:
    """Return a plain amount times a power of ten."""
    whole, _, fraction = value.partition(".")
    if power < 0:
        whole = whole.zfill(-power + 1)
        whole, fraction = whole[:power], whole[power:] + fraction
    else:
        fraction = fraction.ljust(power, "0")
        whole, fraction = whole + fraction[:power], fraction[power:]
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole


def _identifier(match: re.Match[str]) -> Iterator[Fact]:
    value = match[0].strip().lstrip("#").rstrip(".,;:!?").casefold()
    yield Fact("identifier", value.rstrip("/"), None, match[0].strip())


def _dotted(match: re.Match[str]) -> Iterator[Fact]:
    value = match[0].lstrip("vV")
    parts = value.split(".")
    if len(parts) != 4 and all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3:
        yield Fact("number", "".join(parts).lstrip("0") or "0", None, match[0])
    elif len(parts) == 3 and all(len(part) >= 3 for part in parts):
        yield Fact("identifier", "".join(parts), None, match[0])  # a telephone number
    else:
        yield Fact("identifier", value, None, match[0])


def _version(match: re.Match[str]) -> Iterator[Fact]:
    yield Fact("number", f"v{match['v_number']}", None, match[0].strip())


def _cents(match: re.Match[str]) -> Iterator[Fact]:
    value = _times(_plain_amount(match["cent_amount"], False), -2)
    yield Fact("number", value, None, match[0])


def _phone(match: re.Match[str]) -> Iterator[Fact]:
    digits = "".join(filter(str.isdigit, match[0]))
    if len(digits) >= 7:
        abroad = match[0].startswith("+") or (len(digits) == 11 and digits[0] == "1")
        national = [("identifier", digits[-10:])] if abroad else []
        # A country's code, of one to three digits, stands for a zero.
        national += [("identifier", f"0{digits[n:]}") for n in (1, 2, 3)] if abroad else []
        yield Fact("identifier", digits, None, match[0].strip(), frozenset(national))
        return
    for amount in re.findall("[0-9]+", match[0]):
        yield Fact("number", amount.lstrip("0") or "0", None, amount)


def _clock(match: re.Match[str]) -> Iterator[Fact]:
    hour = int(match["hour"])
    minutes = ("minute", "minute_dot", "minute24", "minute_of", "minute_h", "minute_uhr")
    minute = next((match[m] for m in minutes if match[m]), "00")
    second = match["second"] or match["second24"] or "00"
    half, part = (match["half"] or "").casefold(), (match["part"] or "").casefold()
    if match["part_of"]:
        part = PARTS_OF_DAYS[match["part_of"].casefold()]
    if part:
        late = part != "morning" and not (part == "night" and (hour < 5 or hour == 12))
        half = "p" if late else "a"
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    tail = f":{minute}" + (f":{second}" if second != "00" else "")
    # Without am or pm "7:00" may be 19:00; "07:00" may not.
    is_open = not half and 1 <= hour <= 12 and not match["hour"].startswith("0")
    is_open = is_open and not match["second24"]
    also = [("time", f"{hour % 12 + 12:02d}{tail}")] if is_open and hour < 12 else []
    if is_open and hour == 12:
        also = [("time", f"00{tail}")]
    yield Fact("time", f"{hour:02d}{tail}", None, match[0].strip(), frozenset(also))


def _range_from(match: re.Match[str]) -> Iterator[Fact]:
    hour, minute = int(match["rf_hour"]), match["rf_minute"] or "00"
    also = frozenset((("time", f"{hour % 12 + 12:02d}:{minute}"),)) if hour <= 12 else frozenset()
    yield Fact("time", f"{hour % 12 if hour == 12 else hour:02d}:{minute}", None, match[0], also)


def _quarters(match: re.Match[str]) -> Iterator[Fact]:
    name = match["q_hour"].casefold()
    hour = int(name) if name.isdigit() else HOURS.index(name) + 1
    minutes = 30 if match["q_part"].casefold() == "half" else 15
    if match["q_side"].casefold() == "to":
        hour, minutes = hour - 1, 60 - minutes
    early, late = f"{hour % 12:02d}:{minutes}", f"{hour % 12 + 12:02d}:{minutes}"
    yield Fact("time", early, None, match[0], frozenset((("time", late),)))


def _daytime(match: re.Match[str]) -> Iterator[Fact]:
    value = "00:00" if match[0].casefold().endswith("midnight") else "12:00"
    yield Fact("time", value, None, match[0])


def _date(prefix: str, *days: str) -> Reader:
    def read(match: re.Match[str]) -> Iterator[Fact]:
        year = match[f"{prefix}_year"]
        year = f"20{year}" if year and len(year) == 2 else year
        month = _month_number(match[f"{prefix}_month"])
        for day in filter(None, (match[f"{prefix}_{name}"] for name in days)):
            yield Fact("date", f"{month:02d}-{int(day):02d}", year, match[0].strip())

    return read


def _month_number(month: str) -> int:
    if month.isdigit():
        return int(month)
    month = month.casefold()
    return ELSEWHERE[month] if month in ELSEWHERE else MONTHS.index(month[:3]) + 1


def _month(prefix: str) -> Reader:
    def read(match: re.Match[str]) -> Iterator[Fact]:
        number, year = _month_number(match[f"{prefix}_month"]), match[f"{prefix}_year"]
        # 08/27 may be the month of a year.
        also = frozenset((("date", f"{number}/{int(year) % 100}"),)) if year else frozenset()
        yield Fact("month", f"{number:02d}", year, match[0], also)

    return read


def _weekday(match: re.Match[str]) -> Iterator[Fact]:
    name = match[0].casefold()
    yield Fact("weekday", WEEKDAYS.get(name) or _DAYS[name[:3]], None, match[0])


def _weekdays(match: re.Match[str]) -> Iterator[Fact]:
    for name in re.findall(r"[a-z]+", match[0].casefold()):
        if name[:3] in _DAYS:
            yield Fact("weekday", _DAYS[name[:3]], None, match[0])


def _ambiguous_date(prefix: str) -> Reader:
    def read(match: re.Match[str]) -> Iterator[Fact]:
        """12/06 is June or December, or a score: only the same digits or one of those agree."""
        first, second = int(match[f"{prefix}_first"]), int(match[f"{prefix}_second"])
        year = match[f"{prefix}_year"]
        pairs = ((first, second), (second, first))
        also = [("date", f"{month:02d}-{day:02d}") for month, day in pairs if month <= 12]
        if year is None:
            also.append(("ratio", f"{first}/{second}"))
            if second and not first * 10**6 % second:
                also.append(("number", _times(str(first * 10**6 // second), -6)))
        year = f"20{year}" if year and len(year) == 2 else year
        yield Fact("date", f"{first}/{second}", year, match[0], frozenset(also))

    return read


def _ratio(match: re.Match[str]) -> Iterator[Fact]:
    part, whole = int(match["r_of"]), int(match["r_all"])
    yield Fact("ratio", f"{part}/{whole}", None, match[0], frozenset((("number", str(part)),)))


_READERS: dict[str, Reader] = {
    "url": _identifier,
    "email": _identifier,
    "iso": _date("iso", "day"),
    "dotted_date": _date("dd", "day"),
    "month_first": _date("mf", "day", "last"),
    "day_first": _date("df", "first", "day"),
    "month": _month("m"),
    "month_number": _month("n"),
    "weekdays": _weekdays,
    "weekday": _weekday,
    "slash": _ambiguous_date("s"),
    "dashed": _ambiguous_date("d"),
    "ratio": _ratio,
    "quarters": _quarters,
    "daytime": _daytime,
    "range_from": _range_from,
    "clock": _clock,
    "phone": _phone,
    "dotted": _dotted,
    "version": _version,
    "cents": _cents,
    "mixed": _identifier,
}
