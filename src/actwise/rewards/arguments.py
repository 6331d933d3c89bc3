"""Compare the arguments of two calls by the tool's JSON schema.

What counts as equal:

* A string is read as a number or a boolean only where the schema asks for one and allows no
  string; a number is never read as a string (a tool that wants "00123" would get 123).
* Whole numbers compare exactly, since identifiers are often whole numbers; others within the
  relative tolerance. A boolean is not a number.
* A value of an enum equals the same member; another case is forgiven where one member only can
  be meant. A `date`, `time` or `date-time` equals the same moment. Free text as `text_match` says.
* An absent argument equals the schema's default, or null; a required one cannot be absent.
* Objects compare by key. Arrays compare in order unless the schema says `uniqueItems` or
  `x-unordered`.

Schemas are read leniently: a part that is not well formed constrains nothing.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from actwise.rewards.settings import JudgeSettings

_MAX_REFS = 16
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}
_IDENTIFIER_SIGNS = re.compile(r"[0-9@_/:]")
_OUTER = " \t\n\r.,;:!?\"'“”‘’"
_MOMENTS: dict[str, Callable[[str], date | time | datetime]] = {
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "date-time": datetime.fromisoformat,
}
ABSENT: Any = object()
"""Stands for an argument that was not given."""


@dataclass(frozen=True)
class Difference:
    """One argument in which two calls differ; either value may be `ABSENT`."""

    name: str
    predicted: Any
    gold: Any


@dataclass(frozen=True)
class SchemaComparer:
    """Compares values under the schema of one tool's arguments."""

    root: Mapping[str, Any]
    """The schema of the arguments; local `$ref`s are looked up in it."""
    settings: JudgeSettings

    def differences(
        self, predicted: Mapping[str, Any], gold: Mapping[str, Any]
    ) -> tuple[Difference, ...]:
        """Return the arguments that differ, the recorded ones first."""
        return self._object_differences(predicted, gold, self._alternatives(self.root))

    def _object_differences(
        self,
        predicted: Mapping[str, Any],
        gold: Mapping[str, Any],
        alternatives: list[dict[str, Any]],
    ) -> tuple[Difference, ...]:
        # Of several alternatives (anyOf), the one under which the two are most alike decides.
        return min(
            (self._differences_under(predicted, gold, schema) for schema in alternatives), key=len
        )

    def _differences_under(
        self, predicted: Mapping[str, Any], gold: Mapping[str, Any], schema: Mapping[str, Any]
    ) -> tuple[Difference, ...]:
        properties = _mapping(schema.get("properties"))
        others = _mapping(schema.get("additionalProperties"))
        found = []
        for name in dict.fromkeys([*gold, *predicted]):
            part = _mapping(properties.get(name, others))
            ours, theirs = predicted.get(name, ABSENT), gold.get(name, ABSENT)
            if ours is ABSENT or theirs is ABSENT:
                standing = self._standing_value(name, properties, schema)
                given = theirs if ours is ABSENT else ours
                # A default compares as it stands: in a schema that refers to itself, defaults
                # within a default would never end.
                same = self._same(
                    given, standing, {} if isinstance(standing, dict | list) else part
                )
            else:
                same = self._same(ours, theirs, part)
            if not same:
                found.append(Difference(name, ours, theirs))
        return tuple(found)

    def _standing_value(
        self, name: str, properties: Mapping[str, Any], schema: Mapping[str, Any]
    ) -> Any:
        """Return the value that an argument has when it is not given."""
        required = schema.get("required")
        if name not in properties or (isinstance(required, list) and name in required):
            return ABSENT
        for alternative in self._alternatives(properties[name]):
            if "default" in alternative:
                return alternative["default"]
        return None

    def _same(self, predicted: Any, gold: Any, schema: Mapping[str, Any]) -> bool:
        if gold is ABSENT:
            return False
        alternatives = self._alternatives(schema)
        types = set().union(*(_types(alternative) for alternative in alternatives))
        predicted, gold = _coerce(predicted, types), _coerce(gold, types)
        if type(predicted) is not type(gold) and not (_is_number(predicted) and _is_number(gold)):
            return False
        fitting = [a for a in alternatives if not _types(a) or _json_types(gold) & _types(a)]
        if isinstance(gold, dict):
            return not self._object_differences(predicted, gold, fitting or [{}])
        return any(self._same_under(predicted, gold, schema) for schema in fitting or [{}])

    def _same_under(self, predicted: Any, gold: Any, schema: Mapping[str, Any]) -> bool:
        if isinstance(gold, list):
            return self._same_array(predicted, gold, schema)
        if isinstance(gold, str):
            return self._same_text(predicted, gold, schema)
        if _is_number(gold):
            return _same_number(predicted, gold, self.settings.number_tolerance)
        return bool(predicted == gold)

    def _same_array(self, predicted: list[Any], gold: list[Any], schema: Mapping[str, Any]) -> bool:
        if len(predicted) != len(gold):
            return False
        items = _mapping(schema.get("items"))
        if not (schema.get("uniqueItems") is True or schema.get("x-unordered") is True):
            return all(self._same(p, g, items) for p, g in zip(predicted, gold, strict=True))
        left = list(predicted)
        for wanted in gold:
            place = next((i for i, p in enumerate(left) if self._same(p, wanted, items)), None)
            if place is None:
                return False
            del left[place]
        return True

    def _same_text(self, predicted: str, gold: str, schema: Mapping[str, Any]) -> bool:
        if predicted == gold:
            return True
        members = schema.get("enum")
        if isinstance(members, list):
            member = _enum_member(gold, members)
            return member is not None and _enum_member(predicted, members) == member
        form = schema.get("format")
        if isinstance(form, str) and form in _MOMENTS:
            return _same_moment(predicted, gold, _MOMENTS[form])
        free = self.settings.text_match == "normalised" and not (
            {"const", "pattern", "format"} & schema.keys()
        )
        if not free or _looks_like_identifier(gold) or _looks_like_identifier(predicted):
            return False
        return bool(_normalise(gold)) and _normalise(predicted) == _normalise(gold)

    def _alternatives(self, schema: Any, refs: int = _MAX_REFS) -> list[dict[str, Any]]:
        """Resolve `$ref`, `allOf`, `anyOf` and `oneOf` into plain schemas, at least one."""
        plain = dict(_mapping(schema))
        if isinstance(ref := plain.pop("$ref", None), str):
            target = self._look_up(ref) if refs else {}
            return self._alternatives({**target, **plain}, refs - 1) if refs else [plain]
        for part in _sequence(plain.pop("allOf", None)):
            plain = {**_mapping(part), **plain}
        if "$ref" in plain:
            return self._alternatives(plain, refs)
        branches = [*_sequence(plain.pop("anyOf", None)), *_sequence(plain.pop("oneOf", None))]
        if not branches or not refs:
            return [plain]
        merged = ({**plain, **_mapping(branch)} for branch in branches)
        return [found for part in merged for found in self._alternatives(part, refs - 1)]

    def _look_up(self, ref: str) -> Mapping[str, Any]:
        node: Any = self.root
        for step in ref.removeprefix("#").strip("/").split("/"):
            node = _mapping(node).get(step.replace("~1", "/").replace("~0", "~"))
        return _mapping(node)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _types(schema: Mapping[str, Any]) -> set[str]:
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    return {item for item in _sequence(declared) if isinstance(item, str)}


def _json_types(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return {"integer", "number"}
    names = {float: "number", str: "string", list: "array", dict: "object", type(None): "null"}
    return {names.get(type(value), "")}


def _coerce(value: Any, types: set[str]) -> Any:
    """Read a string as what the schema asks for, unless it allows strings."""
    if not isinstance(value, str) or not types or "string" in types:
        return value
    text = value.strip()
    if types & {"integer", "number"} and _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    if "boolean" in types:
        return _BOOLEANS.get(text.lower(), value)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same_number(predicted: float, gold: float, tolerance: float) -> bool:
    if predicted == gold:
        return True
    if all(isinstance(n, int) or n.is_integer() for n in (predicted, gold)):
        return False
    try:
        return math.isclose(predicted, gold, rel_tol=tolerance)
    except OverflowError:  # a whole number beyond a double's range is not close to a fraction
        return False


def _enum_member(value: str, members: list[Any]) -> str | None:
    if value in members:
        return value
    folded = value.strip().casefold()
    alike = [m for m in members if isinstance(m, str) and m.strip().casefold() == folded]
    return alike[0] if len(alike) == 1 else None


def _same_moment(predicted: str, gold: str, read: Callable[[str], date | time | datetime]) -> bool:
    try:
        return read(predicted.strip()) == read(gold.strip())
    except ValueError:
        return False


def _looks_like_identifier(text: str) -> bool:
    return not any(c.isspace() for c in text.strip()) and bool(_IDENTIFIER_SIGNS.search(text))


def _normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_OUTER)
