"""The text of tokens that come one after another, of which only the last few are decoded again."""

from collections.abc import Sequence

import regex

from actwise.template.render import Template

_KEPT = 16
"""Tokens that are decoded again with the next one, at least; twice as many at most."""
_BYTE = regex.compile("<0x[0-9A-F]{2}>")
"""A token for one byte, in vocabularies that have some for what they lack. A run of them is read as
a whole: where it is no UTF-8, none of its bytes is a character."""


class GrowingText:
    """Tokens and their text."""

    def __init__(self, template: Template, token_ids: Sequence[int] = ()) -> None:
        """Begin with the text of some tokens."""
        self._template = template
        self._head = ""
        self._tail = list(token_ids)
        self.text = template.decode(self._tail)
        """What `Template.decode` makes of all tokens."""

    @property
    def num_fixed(self) -> int:
        """Characters at the beginning of the text that no further token changes."""
        return len(self._head)

    def add(self, token_id: int) -> None:
        """Take one more token."""
        self._tail.append(token_id)
        text = self._template.decode(self._tail)
        self.text = self._head + text
        if len(self._tail) >= 2 * _KEPT:
            self._fix(text, len(self._tail) - _KEPT)

    def _fix(self, text: str, first: int) -> None:
        """Decode the tokens before this one no more, if what is behind has a text of its own."""
        kept = self._template.decode(self._tail[first:])
        if kept and text.endswith(kept) and not self._in_bytes(first):
            self._head += text.removesuffix(kept)
            self._tail = self._tail[first:]

    def _in_bytes(self, first: int) -> bool:
        names = self._template.tokenizer.convert_ids_to_tokens(self._tail[first - 1 : first + 1])
        return all(_BYTE.fullmatch(name or "") for name in names)
