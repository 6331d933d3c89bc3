"""The key of an endpoint: checked before it is sent, and never shown."""

import os
import re

from actwise.errors import ConfigError

_PIECE = 8
"""Letters of a key in a row that nobody may see."""


def read_key(variable: str) -> str:
    """Return the key that an environment variable holds, without white space around it.

    Raises:
        ConfigError: There is none, or it cannot be one; the message does not quote it.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise ConfigError(f"api_key_env: set the environment variable {variable}")
    return checked_key(key, f"api_key_env: the environment variable {variable}")


def checked_key(key: str, place: str) -> str:
    """Return a key that can be sent, without white space around it.

    Raises:
        ConfigError: It cannot be one; the message says the place and does not quote the key.
    """
    key = key.strip()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        what = "white space, control or non-ASCII characters, which no key has" if key else "no key"
        raise ConfigError(f"{place} holds {what}; copy the key anew")
    return key


def redacted(text: str, key: str | None) -> str:
    """Return a text in which every piece of the key is replaced by "***".

    A server may quote the key it was sent, whole or cut.
    """
    if not key:
        return text
    size = min(_PIECE, len(key))
    pieces = {key[i : i + size].lower() for i in range(len(key) - size + 1)}
    lower = text.lower()
    if len(lower) != len(text):  # a few letters become two
        lower = text
    hidden = [False] * len(text)
    for i in range(len(text) - size + 1):
        if lower[i : i + size] in pieces:
            hidden[i : i + size] = [True] * size
    shown = "".join("\0" if hide else letter for hide, letter in zip(hidden, text, strict=True))
    return re.sub("\0+", "***", shown)
