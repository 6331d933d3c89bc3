"""Signs that look alike or cannot be seen: keyboards and models write them at random.

Folded are compatibility forms (NFKC: full-width digits, ligatures, composed letters), quotation
marks, apostrophes, dashes, kinds of spaces, digits of other scripts, and marks without a width.
"½" is 0.5. Letter case is kept.
"""

import re
import unicodedata

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʼ´＇", "'"),
        **dict.fromkeys("“”„‟″«»＂", '"'),
        **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),
    }
)
# Format characters (Unicode's Cf) of texts, variation selectors and the keycap's frame.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\u20e3\ufe00-\ufe0f\ufeff\U000e0001-\U000e007f]"
)
_DECIMALS = {
    "¼": "25",
    "½": "5",
    "¾": "75",
    "⅛": "125",
    "⅜": "375",
    "⅝": "625",
    "⅞": "875",
}
_FRACTION = re.compile(r"(?:([0-9]+)\s?)?([¼½¾⅛⅜⅝⅞])")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")


def plain(text: str) -> str:
    """Return a text in plain signs; an ASCII text as it is."""
    if text.isascii():
        return text
    # NFKC makes "11⁄2" of "1½".
    text = _FRACTION.sub(lambda found: f"{found[1] or 0}.{_DECIMALS[found[2]]}", text)
    # Signs before NFKC, which makes a space and a combining mark of some of them.
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text.translate(_ALIKE)))
    return _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
