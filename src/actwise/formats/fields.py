"""Members of foreign records, taken by the kind they have to have."""

from typing import Any

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
