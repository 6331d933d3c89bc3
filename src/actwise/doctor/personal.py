"""Personal data of a checkable form in logs: mail addresses, phone, card, account and tax numbers.

Phone numbers are found by phonenumbers (international ones, and American ones in their usual
grouping), card numbers, IBANs and American social security numbers are checked by python-stdnum;
so an order number is seldom taken for one. Names and postal addresses are not looked for: what
finds them well is heavy, and patterns do not.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec

from actwise.doctor.exposed import Detect, Exposed

# Begun only where a word begins, and no longer than addresses are: a long line of letters without
# an @ would take quadratic time otherwise.
_MAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.([a-z]{2,})\b", re.IGNORECASE
)
_RESERVED = re.compile(r"[.@](example|test|invalid|localhost)(\.(com|net|org))?$", re.IGNORECASE)
"""Domains that belong to nobody (RFC 2606): made-up addresses."""
_LONG_NUMBER = re.compile(r"\d(?:[ .()/-]{0,2}\d){6}")
_CARD = re.compile(r"(?<![\w-])(?:\d[ -]?){12,18}\d(?![\w-])")
_ISSUED = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|(?:5[1-5]|2[2-7]|35)\d{14}|3[47]\d{13}|3[0689]\d{12}"
    r"|(?:6\d|5[06-9])\d{14,17}"
)
"""Numbers that networks give to cards: of any others, such as times in milliseconds, one in ten
has a right check digit."""
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

    def card(written: str) -> bool:
        number = re.sub(r"\D", "", written)
        return bool(_ISSUED.fullmatch(number) and luhn.is_valid(number))

    def checked(pattern: re.Pattern[str], valid: Callable[[str], bool]) -> Detect:
        return lambda text: any(valid(match.group()) for match in pattern.finditer(text))

    return {
        "mail address": checked(_MAIL, lambda address: not _RESERVED.search(address)),
        "phone number": phone,
        "card number": checked(_CARD, card),
        "account number (IBAN)": checked(_IBAN, iban.is_valid),
        "social security number": checked(_SOCIAL_SECURITY, ssn.is_valid),
    }


def family(max_examples: int, detectors: dict[str, Detect] | None) -> Exposed:
    """Return what looks for personal data."""
    return Exposed(
        max_examples,
        detectors or {},
        code="personal_data",
        message="message(s) with personal data",
        remedy="Replace it in the log by made-up data of the same shape.",
    )
