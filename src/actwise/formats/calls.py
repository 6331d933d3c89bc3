"""Tool calls and the results of tools, as the many interfaces write them."""

import json
import re
from typing import Any

from actwise.conversation import ToolCall
from actwise.formats.fields import word
from actwise.formats.literal import read_literal
from actwise.formats.record import Unusable, clip, kind_of, strict_json
from actwise.formats.remarks import remark

_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n?```", re.DOTALL)


def read_call(value: Any, place: str) -> ToolCall:
    """Read a call: in OpenAI's shape, or flat with its name and arguments.

    Raises:
        Unusable: When it is no such call.
    """
    if isinstance(value, dict) and value.get("type") == "custom":
        raise Unusable(
            "bad_call", f"{place} calls a custom tool, which takes no JSON; leave it out"
        )
    function = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(function, dict) or not function.keys() & {"name", "arguments", "args"}:
        raise Unusable("bad_call", f"{place} has no `function`; write its name and arguments")
    arguments = next(
        (function[k] for k in ("arguments", "args", "parameters", "input") if k in function), None
    )
    return made_call(function.get("name"), arguments, word(value, "id", place), place)


def made_call(name: Any, arguments: Any, call_id: str | None, place: str) -> ToolCall:
    """Return a call of the name, arguments and id that a record gives, each checked.

    Raises:
        Unusable: When there is no name, or the arguments are no object.
    """
    if not isinstance(name, str) or not name:
        raise Unusable("bad_call", f"{place} has no name; write function.name")
    return ToolCall(
        name=name, arguments=read_arguments(arguments, f"{place} ({clip(name, 60)})"), id=call_id
    )


def read_arguments(value: Any, place: str) -> dict[str, Any]:
    """Return the arguments of a call: an object, or the text of one.

    What is meant without doubt is mended and remarked: nothing at all is `{}`; JSON of JSON is
    decoded twice; Python's spelling, a fence around JSON and a bare line break are accepted.

    Raises:
        Unusable: When they are no object.
    """
    # A PHP program writes an empty object as an empty array.
    if value in (None, []) or (isinstance(value, str) and value.strip() in ("", "null", "[]")):
        remark("empty_arguments", place)
        return {}
    if isinstance(value, str):
        value = _parsed(value, place)
        if isinstance(value, str):
            remark("double_encoded_arguments", place)
            value = _parsed(value, place)
    if not isinstance(value, dict):
        raise Unusable(
            "arguments_not_object",
            f"the arguments of {place} are {kind_of(value)}; write a JSON object",
        )
    return value


def _parsed(text: str, place: str) -> Any:
    try:
        return strict_json(text)
    except ValueError as error:
        reason = error
    fenced = _FENCED.fullmatch(text.strip())
    inner = fenced[1] if fenced else text
    # JSON has no bare line break inside a string; which one is meant is beyond doubt.
    for spelling in (inner, inner.replace("\r", "\\r").replace("\n", "\\n")):
        try:
            value = read_literal(spelling)
        except ValueError:
            continue
        remark("repaired_arguments", place)
        return value
    raise Unusable(
        "arguments_not_json",
        f"the arguments of {place} are not JSON ({clip(str(reason))}); mend them "
        'or write "{}" for none',
    )


def result_text(value: Any, place: str) -> str:
    """Return what a tool returned as text: itself, the text of its parts, or else its JSON.

    Raises:
        Unusable: When it holds an image or the like.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        texts = [_part_text(part, f"{place}[{index}]") for index, part in enumerate(value)]
        found = [text for text in texts if text is not None]
        if len(found) == len(texts):
            return "".join(found)
    remark("object_result", place)
    return json.dumps(value, ensure_ascii=False)


def failed_text(text: str) -> str:
    """Return what a tool returned that failed, so that the text says so."""
    return text if "error" in text.lower() else f"Error: {text}"


_MEDIA = {
    "image",
    "image_url",
    "input_image",
    "audio",
    "input_audio",
    "file",
    "input_file",
    "document",
    "video",
    "media",
    "image-data",
    "file-data",
    "image-url",
    "file-url",
    "blob",
    "uri",
}


def _part_text(part: Any, place: str) -> str | None:
    """Return the text of a part of a result, or None for what is no part."""
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind in _MEDIA and len(part) > 1:
        raise Unusable(
            "non_text_content",
            f"{place} holds {kind!r}, which is no text; leave the conversation out",
        )
    text = part.get("text") if kind in ("text", "input_text", "output_text") else None
    return text if isinstance(text, str) else None
