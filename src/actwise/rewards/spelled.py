"""Numbers in words: "two hundred and five", "a dozen", "third"."""

import re

_ONES = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
WORDS = {word: number for number, word in enumerate(_ONES.split(), 1)}
WORDS |= {word: 10 * number for number, word in enumerate(_TENS.split(), 2)}
"""Number words from one to ninety, in rising order, with their values."""
_POWERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}
_SMALL = "|".join(sorted(WORDS, key=len, reverse=True))
_POWER = "|".join(_POWERS)
CARDINAL = re.compile(
    rf"(?<![\w-])(?:(?P<dozen>half\sa\sdozen|(?:a|one)\sdozen)"
    rf"|(?:(?:{_SMALL})|a(?=\s(?:{_POWER})\b))"
    rf"(?:(?:-|\s|\sand\s)(?:{_SMALL}|{_POWER})(?![\w])){{0,12}})(?![\w-])",
    re.IGNORECASE,
)
"""Finds a number in words; `value` reads it."""

AND_A_PART = re.compile(
    rf"(?:(?<![\w.,/-])(?P<digits>[0-9]{{1,4}})|{CARDINAL.pattern})"
    r"\sand\sa\s(?P<part>half|quarter)(?![\w-])",
    re.IGNORECASE,
)
"""Finds "two and a half"; `and_a_part` writes it in digits."""

_ORDINALS = {f"{word}th": value for word, value in WORDS.items() if value < 20}
_ORDINALS |= {f"{word[:-1]}ieth": value for word, value in WORDS.items() if value >= 20}
_ORDINALS |= {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9}
_ORDINALS |= {"twelfth": 12}
ORDINAL = re.compile(rf"(?<![\w-])(?:{'|'.join(_ORDINALS)})(?![\w-])", re.IGNORECASE)
"""Finds an ordinal in words; `ordinal` reads it."""


def values(match: re.Match[str]) -> list[int]:
    """Return the numbers in a match of `CARDINAL`: several where words stand side by side."""
    if match["dozen"]:
        return [6 if match["dozen"].lower().startswith("half") else 12]
    numbers, total, current, last = [], 0, 0, 0
    for word in re.findall(rf"{_SMALL}|{_POWER}", match[0].lower()):
        if word in _POWERS:
            power = _POWERS[word]
            if power == 100:
                current = max(current, 1) * 100
            else:
                total, current = total + max(current, 1) * power, 0
        else:
            # "twenty one" is 21, "four five" are two numbers.
            if last and last != 100 and not last >= 20 > 10 > WORDS[word]:
                numbers.append(total + current)
                total = current = 0
            current += WORDS[word]
        last = 100 if word in _POWERS else WORDS[word]
    return [*numbers, total + current]


def and_a_part(match: re.Match[str]) -> str:
    """Return a match of `AND_A_PART` in digits."""
    numbers = [int(match["digits"])] if match["digits"] else values(match)
    part = ".5" if match["part"].lower() == "half" else ".25"
    return f"{numbers[0]}{part}" if len(numbers) == 1 else match[0]


def ordinal(match: re.Match[str]) -> int:
    """Return the number of a match of `ORDINAL`."""
    return _ORDINALS[match[0].lower()]
