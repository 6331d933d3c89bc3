"""Personal data of a checkable form in logs: mail addresses, phone, card, account and tax numbers.

Phone numbers are found by phonenumbers (international ones, and American ones in their usual
grouping), card numbers, IBANs and American social security numbers are checked by python-stdnum;
so an order number is seldom taken for one. Names and postal addresses are not looked for: what
finds them well is heavy, and patterns do not.
"""

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from actwise.findings.finding import Case, Finding, Tally, written

Detect = Callable[[str], bool]
"""Tells whether a text holds data of one kind."""

# Begun only where a word begins, and no longer than addresses are: a long line of letters without
# an @ would take quadratic time otherwise.
_MAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.([a-z]{2,})\b", re.IGNORECASE
)
_RESERVED = re.compile(r"[.@](example|test|invalid|localhost)(\.(com|net|org))?$", re.IGNORECASE)
"""Domains that belong to nobody (RFC 2606): made-up addresses."""
_LONG_NUMBER = re.compile(r"\d(?:[ .()/-]{0,2}\d){6}")
_CARD = re.compile(r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SOCIAL_SECURITY = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")


def installed_detectors() -> dict[str, Detect] | None:
    """Return what finds each kind, or None where the libraries for it are not installed."""
    if find_spec("phonenumbers") is None or find_spec("stdnum") is None:
        return None
    from phonenumbers import Leniency, PhoneNumberMatcher
    from stdnum import iban, luhn
    from stdnum.us import ssn

    def phone(text: str) -> bool:
        # The matcher is slow, and most texts hold no number that is long enough.
        return bool(_LONG_NUMBER.search(text)) and any(
            PhoneNumberMatcher(text, "US", leniency=Leniency.STRICT_GROUPING)
        )

    def checked(pattern: re.Pattern[str], valid: Callable[[str], bool]) -> Detect:
        return lambda text: any(valid(match.group()) for match in pattern.finditer(text))

    return {
        "mail address": checked(_MAIL, lambda address: not _RESERVED.search(address)),
        "phone number": phone,
        "card number": checked(_CARD, lambda number: luhn.is_valid(re.sub(r"\D", "", number))),
        "account number (IBAN)": checked(_IBAN, iban.is_valid),
        "social security number": checked(_SOCIAL_SECURITY, ssn.is_valid),
    }


class Personal:
    """Messages with personal data; what kind it is, not how it reads, is kept."""

    def __init__(self, max_examples: int, detectors: dict[str, Detect] | None) -> None:
        self._detectors = detectors or {}
        self._found = Tally(max_examples)

    def look(self, case: Case) -> list[str]:
        """See `Family.look`."""
        found = []
        for index, message in enumerate(case.conversation.messages):
            text = written(message)
            kinds = [kind for kind, holds in self._detectors.items() if holds(text)]
            if kinds:
                found.append(f"{case.at(index)} holds: {', '.join(kinds)}")
        return found

    def note(self, seen: list[str]) -> None:
        """Count the messages."""
        self._found.extend(seen)

    def findings(self) -> Iterator[Finding]:
        """Yield the messages."""
        yield from self._found.finding(
            "warning",
            "personal_data",
            "message(s) with personal data",
            effect="The model can learn it by heart and tell it to anybody.",
            remedy="Replace it in the log by made-up data of the same shape.",
        )
