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

`JudgeSettings.tools` overrides this for single tools and arguments. Schemas are read leniently: a
part that is not well formed constrains nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from actwise.rewards.scalars import (
    MOMENTS,
    coerce,
    enum_member,
    is_number,
    looks_like_identifier,
    same_moment,
    same_number,
    same_text,
)
from actwise.rewards.settings import ArgumentSettings, JudgeSettings, TextMatch, ToolSettings

T = TypeVar("T")

_MAX_REFS = 16
ABSENT: Any = object()
"""Stands for an argument that was not given."""

Deciding = Literal[
    "identical", "type", "number", "boolean", "enum", "moment", "exact", "normalised", "similar",
    "length", "unordered", "default", "absent", "ignored",
]  # fmt: skip
"""What decided that two values are equal or not.

They are identical, or of different JSON types; else as numbers, as booleans, members of an enum,
moments, or texts by one of the policies; arrays by their length, or equal in another order; an
argument that only one call gives is its default, or absent; some are ignored by declaration. For
an object or array that is not identical, the first part that is not decides.
"""


@dataclass(frozen=True)
class Compared:
    """One argument of two calls; either value may be `ABSENT`."""

    name: str
    predicted: Any
    gold: Any
    equal: bool
    decided_by: Deciding


@dataclass(frozen=True)
class _Outcome:
    equal: bool
    by: Deciding


_IDENTICAL = _Outcome(True, "identical")
_ABSENT = _Outcome(False, "absent")


@dataclass(frozen=True)
class _Rule:
    """How the values at one place of the arguments are compared."""

    place: str
    match: TextMatch
    declared: bool
    """The argument's own settings say how its text compares: its looks do not matter."""
    similarity: float
    tolerance: float
    ignore: bool = False
    unordered: bool | None = None


@dataclass(frozen=True)
class SchemaComparer:
    """Compares values under the schema of one tool's arguments."""

    root: Mapping[str, Any]
    """The schema of the arguments; local `$ref`s are looked up in it."""
    settings: JudgeSettings
    tool: str = ""
    """Name of the tool, by which overrides are looked up in the settings."""

    def compare(
        self, predicted: Mapping[str, Any], gold: Mapping[str, Any]
    ) -> tuple[Compared, ...]:
        """Compare every argument that is given, the recorded ones first."""
        return self._compare_objects(predicted, gold, self._alternatives(self.root), self._rule())

    def _rule(self) -> _Rule:
        settings, tool = self.settings, self._overrides()
        return _Rule(
            place="",
            match=_given(tool.match, settings.text_match),
            declared=False,
            similarity=_given(tool.similarity, settings.text_similarity),
            tolerance=_given(tool.tolerance, settings.number_tolerance),
        )

    def _overrides(self) -> ToolSettings:
        return self.settings.tools.get(self.tool, _NO_TOOL_SETTINGS)

    def _within(self, rule: _Rule, step: str) -> _Rule:
        """Return the rule for a part of a value, `step` being ".name" or "[]"."""
        place = (rule.place + step).removeprefix(".")
        own = self._overrides().arguments.get(place, _NO_ARGUMENT_SETTINGS)
        return _Rule(
            place=place,
            match=_given(own.match, rule.match),
            declared=rule.declared or own.match is not None,
            similarity=_given(own.similarity, rule.similarity),
            tolerance=_given(own.tolerance, rule.tolerance),
            ignore=own.ignore,
            unordered=own.unordered,
        )

    def _compare_objects(
        self,
        predicted: Mapping[str, Any],
        gold: Mapping[str, Any],
        alternatives: list[dict[str, Any]],
        rule: _Rule,
    ) -> tuple[Compared, ...]:
        # Of several alternatives (anyOf), the one under which the two are most alike decides.
        found = (self._compare_members(predicted, gold, schema, rule) for schema in alternatives)
        return min(found, key=lambda members: sum(not member.equal for member in members))

    def _compare_members(
        self,
        predicted: Mapping[str, Any],
        gold: Mapping[str, Any],
        schema: Mapping[str, Any],
        rule: _Rule,
    ) -> tuple[Compared, ...]:
        found = []
        for name in dict.fromkeys([*gold, *predicted]):
            ours, theirs = predicted.get(name, ABSENT), gold.get(name, ABSENT)
            outcome = self._compare_member(name, ours, theirs, schema, rule)
            found.append(Compared(name, ours, theirs, outcome.equal, outcome.by))
        return tuple(found)

    def _compare_member(
        self, name: str, predicted: Any, gold: Any, schema: Mapping[str, Any], outer: _Rule
    ) -> _Outcome:
        rule = self._within(outer, f".{name}")
        if rule.ignore:
            return _Outcome(True, "ignored")
        properties = _mapping(schema.get("properties"))
        part = _mapping(properties.get(name, _mapping(schema.get("additionalProperties"))))
        if predicted is not ABSENT and gold is not ABSENT:
            return self._compare(predicted, gold, part, rule)
        standing = self._standing_value(name, properties, schema)
        if standing is ABSENT:
            return _ABSENT
        given = gold if predicted is ABSENT else predicted
        # A default compares as it stands: in a schema that refers to itself, defaults within a
        # default would never end.
        plain = {} if isinstance(standing, dict | list) else part
        same = self._compare(given, standing, plain, rule).equal
        return _Outcome(True, "default") if same else _ABSENT

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

    def _compare(
        self, predicted: Any, gold: Any, schema: Mapping[str, Any], rule: _Rule
    ) -> _Outcome:
        alternatives = self._alternatives(schema)
        types = set().union(*(_types(alternative) for alternative in alternatives))
        if self.settings.coerce_types:
            read, recorded = coerce(predicted, types), coerce(gold, types)
            if read is not predicted or recorded is not gold:
                outcome = self._compare_typed(read, recorded, alternatives, rule)
                kind: Deciding = "boolean" if isinstance(recorded, bool) else "number"
                return _Outcome(True, kind) if outcome.equal else outcome
        return self._compare_typed(predicted, gold, alternatives, rule)

    def _compare_typed(
        self, predicted: Any, gold: Any, alternatives: list[dict[str, Any]], rule: _Rule
    ) -> _Outcome:
        if type(predicted) is not type(gold) and not (is_number(predicted) and is_number(gold)):
            return _Outcome(False, "type")
        fitting = [a for a in alternatives if not _types(a) or _json_types(gold) & _types(a)]
        if isinstance(gold, dict):
            members = self._compare_objects(predicted, gold, fitting or [{}], rule)
            return _deciding(_Outcome(member.equal, member.decided_by) for member in members)
        outcomes = [self._compare_under(predicted, gold, s, rule) for s in fitting or [{}]]
        return next((outcome for outcome in outcomes if outcome.equal), outcomes[0])

    def _compare_under(
        self, predicted: Any, gold: Any, schema: Mapping[str, Any], rule: _Rule
    ) -> _Outcome:
        if isinstance(gold, list):
            return self._compare_arrays(predicted, gold, schema, rule)
        if type(predicted) is type(gold) and predicted == gold:
            return _IDENTICAL
        if isinstance(gold, str):
            return _compare_texts(predicted, gold, schema, rule)
        if is_number(gold):
            return _Outcome(same_number(predicted, gold, rule.tolerance), "number")
        return _Outcome(False, "boolean")  # null is identical to null

    def _compare_arrays(
        self, predicted: list[Any], gold: list[Any], schema: Mapping[str, Any], rule: _Rule
    ) -> _Outcome:
        if len(predicted) != len(gold):
            return _Outcome(False, "length")
        items, inner = _mapping(schema.get("items")), self._within(rule, "[]")
        pairs = zip(predicted, gold, strict=True)
        in_order = _deciding(self._compare(p, g, items, inner) for p, g in pairs)
        free = schema.get("uniqueItems") is True or schema.get("x-unordered") is True
        if in_order.equal or not _given(rule.unordered, free):
            return in_order
        # Likeness is not transitive: taking the first like item can leave another without one.
        alike = np.array(
            [[self._compare(p, g, items, inner).equal for p in predicted] for g in gold]
        )
        rows, columns = linear_sum_assignment(alike, maximize=True)
        return _Outcome(bool(alike[rows, columns].all()), "unordered")

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


_NO_TOOL_SETTINGS = ToolSettings()
_NO_ARGUMENT_SETTINGS = ArgumentSettings()


def _given(own: T | None, otherwise: T) -> T:
    return otherwise if own is None else own


def _deciding(outcomes: Iterable[_Outcome]) -> _Outcome:
    """Return the first difference, or else the first comparison that had to bridge one."""
    bridged = _IDENTICAL
    for outcome in outcomes:
        if not outcome.equal:
            return outcome
        if bridged is _IDENTICAL:
            bridged = outcome
    return bridged


def _compare_texts(predicted: str, gold: str, schema: Mapping[str, Any], rule: _Rule) -> _Outcome:
    members = schema.get("enum")
    if isinstance(members, list):
        member = enum_member(gold, members)
        return _Outcome(member is not None and enum_member(predicted, members) == member, "enum")
    form = schema.get("format")
    if isinstance(form, str) and form in MOMENTS:
        same = same_moment(predicted, gold, form)
        if same or not rule.declared:
            return _Outcome(same, "moment")
    free = not ({"const", "pattern", "format"} & schema.keys()) and not (
        looks_like_identifier(gold) or looks_like_identifier(predicted)
    )
    match = rule.match if free or rule.declared else "exact"
    return _Outcome(same_text(predicted, gold, match, rule.similarity), match)


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
