"""Members of foreign records, taken by the kind they have to have."""

from contextlib import suppress
from typing import Any

from actwise.formats.literal import read_literal
from actwise.formats.record import Unusable, clip, kind_of, strict_json


def text_at(holder: Any, key: str, place: str) -> str:
    """Return the text that an object holds under a key.

    Args:
        holder: The object; `place` names it in errors.
        key: Where in the object.
        place: Such as "the record".

    Raises:
        Unusable: When it is no object, or holds no text there.
    """
    value = _member(holder, key, place)
    if not isinstance(value, str):
        raise Unusable("bad_field", f"`{key}` of {place} is {kind_of(value)}; write a string")
    return value


def list_at(holder: Any, key: str, place: str) -> list[Any]:
    """Return the array that an object holds under a key. See `text_at`."""
    value = _member(holder, key, place)
    if not isinstance(value, list):
        raise Unusable("bad_field", f"`{key}` of {place} is {kind_of(value)}; write an array")
    return value


def object_at(holder: Any, key: str, place: str) -> dict[str, Any]:
    """Return the object that an object holds under a key. See `text_at`."""
    value = _member(holder, key, place)
    if not isinstance(value, dict):
        raise Unusable("bad_field", f"`{key}` of {place} is {kind_of(value)}; write an object")
    return value


def json_at(holder: Any, key: str, place: str) -> Any:
    """Return the JSON value of the text that an object holds under a key. See `text_at`."""
    try:
        return strict_json(text_at(holder, key, place))
    except ValueError as error:
        raise Unusable(
            "broken_json", f"`{key}` of {place} is not JSON ({clip(str(error))}); mend it"
        ) from None


def _member(holder: Any, key: str, place: str) -> Any:
    if not isinstance(holder, dict):
        raise Unusable("bad_field", f"{place} is {kind_of(holder)}; write an object")
    return holder.get(key)


def word(record: dict[str, Any], key: str, place: str) -> str | None:
    """Return an optional id or name; whole numbers are taken as their digits.

    Raises:
        Unusable: When it is neither.
    """
    value = record.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise Unusable("bad_field", f"`{key}` of {place} is {kind_of(value)}; write a string")


def list_in(holder: Any, key: str) -> list[Any]:
    """Return the array that an object may hold under a key, or an empty one."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def decoded(value: Any) -> Any:
    """Return the JSON value of a text that holds one, or the value itself."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[", '"')):
        try:
            return strict_json(value)
        except ValueError:
            return value
    return value


def opened(record: Any) -> Any:
    """Return a record with the messages that it holds as a text, as the cell of a table does."""
    for key in ("messages", "conversations") if isinstance(record, dict) else ():
        text = record.get(key)
        if isinstance(text, str) and text.lstrip().startswith("["):
            with suppress(ValueError):
                record = {**record, key: read_literal(text)}
    return record
