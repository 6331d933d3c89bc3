"""Text of conversations and tools that never becomes a control token.

A rendered prompt is one text, in which the template's own `<|im_end|>` and a customer's look alike.
So those of the data are broken before the template sees them, wherever they stand: a mark is put
behind their first character, and where the mark is the text is cut before it is tokenised.
"""

import re
from typing import Any

BREAK = "\ufdd0\ufdd1"
"""Where text is cut: two code points that Unicode keeps out of all text."""


class Guard:
    """Breaks the control tokens of one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        """Find the control tokens: special ones, and added ones that the template writes.

        Other added tokens, such as runs of spaces, are text like any other.
        """
        template = str(tokenizer.chat_template)
        tokens = [
            token.content
            for token in tokenizer.added_tokens_decoder.values()
            if (token.special or token.content in template) and not token.content.isspace()
        ]
        longest_first = sorted(filter(None, tokens), key=len, reverse=True)
        found = "|".join(map(re.escape, longest_first))
        # The first is several times faster, and finds nothing in nearly all texts.
        self._any = re.compile(found) if found else None
        self._begin = re.compile(rf"(?=(?:{found}))[\s\S]")

    def __call__(self, value: Any) -> Any:
        """Return a JSON value whose texts, those of keys too, hold no whole control token."""
        if isinstance(value, str):
            harmless = self._any is None or not self._any.search(value)
            return value if harmless else self._begin.sub(_broken, value)
        if isinstance(value, dict):
            return {self(key): self(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self(part) for part in value]
        return value


def _broken(begin: re.Match[str]) -> str:
    return begin[0] + BREAK


def plain(text: str) -> str:
    """Return a rendered text for people, without the marks."""
    return text.replace(BREAK, "")
