"""Compare the arguments of two calls by the tool's JSON schema.

What counts as equal:

* A string is read as a number or a boolean only where the schema asks for one and allows no
  string; a number is never read as a string (a tool that wants "00123" would get 123).
* Whole numbers compare exactly, since identifiers are often whole numbers; others within the
  relative tolerance. A boolean is not a number.
* A value of an enum equals the same member; another case is forgiven where one member only can
  be meant. A `date`, `time` or `date-time` equals the same moment, and so does a text that is one
  where the schema names no format.
* Code, commands, queries, paths, patterns and secrets (by the argument's name or the text's form)
  are equal to the letter, and so are identifiers but for typographic signs. Free text as
  `text_match` says.
* An absent argument equals the schema's default, or else null or an empty text, array or object; a
  required one cannot be absent.
* Objects compare by key. Arrays compare in order unless the schema says `uniqueItems` or
  `x-unordered`.

`JudgeConfig.tools` overrides this for single tools and arguments. Schemas are read leniently: a
part that is not well formed constrains nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

from actwise.rewards.exact import has_exact_form, named_exact
from actwise.rewards.scalars import (
    MOMENTS,
    coerce,
    enum_member,
    is_number,
    looks_like_identifier,
    same_identifier,
    same_json,
    same_moment,
    same_number,
    same_text,
    same_undeclared,
)
from actwise.rewards.settings import ArgumentConfig, JudgeConfig, TextMatch, ToolConfig
from actwise.template.schema import alternatives, json_types, mapping, types_of

T = TypeVar("T")

_MAX_DEPTH = 40
"""Nesting from which on values are compared as plain JSON."""
_MAX_UNORDERED = 200
"""Unequal items of two arrays from which on no partners are looked for."""
ABSENT: Any = object()
"""Stands for an argument that was not given."""

Deciding = Literal[
    "identical",
    "type",
    "number",
    "boolean",
    "json",
    "enum",
    "moment",
    "phone",
    "exact",
    "normalised",
    "similar",
    "length",
    "unordered",
    "default",
    "absent",
    "ignored",
    "deep",
]
"""What decided that two values are equal or not.

They are identical, or of different JSON types; else as numbers, as booleans, as the JSON that a
text holds, members of an enum, moments, telephone numbers, or texts by one of the policies; arrays
by their length, or equal in another order; an argument that only one call gives is its default, or
absent; some are ignored by declaration, and some are nested too deeply to be looked into. For an
object or array that is not identical, the first part that is not decides.
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
    depth: int = 0
    ignore: bool = False
    unordered: bool | None = None


@dataclass(frozen=True)
class SchemaComparer:
    """Compares values under the schema of one tool's arguments."""

    root: Mapping[str, Any]
    """The schema of the arguments; local `$ref`s are looked up in it."""
    settings: JudgeConfig
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

    def _overrides(self) -> ToolConfig:
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
            depth=rule.depth + 1,
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
        # Of several alternatives (anyOf) that the record fits, the one under which the two are most
        # alike decides.
        fitting = [schema for schema in alternatives if self._fits(gold, schema)]
        found = (
            self._compare_members(predicted, gold, schema, rule)
            for schema in fitting or alternatives
        )
        return min(found, key=lambda members: sum(not member.equal for member in members))

    def _fits(self, gold: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
        """Whether the types of an object's members are those of a schema."""
        properties = mapping(schema.get("properties"))
        for name in gold.keys() & properties.keys():
            types = self._types(self._alternatives(properties[name]))
            if types and not json_types(gold[name]) & types:
                return False
        return True

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
        properties = mapping(schema.get("properties"))
        part = mapping(properties.get(name, mapping(schema.get("additionalProperties"))))
        if predicted is not ABSENT and gold is not ABSENT:
            return self._compare(predicted, gold, part, rule)
        standing = self._standing_value(name, properties, schema)
        if standing is ABSENT:
            return _ABSENT
        given = gold if predicted is ABSENT else predicted
        if standing is None and given in ("", [], {}):
            return _Outcome(True, "default")
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
        if rule.depth > _MAX_DEPTH:
            return _Outcome(same_json(predicted, gold), "deep")
        alternatives = self._alternatives(schema)
        if self.settings.coerce_types:
            types = self._types(alternatives)
            read, recorded = coerce(predicted, types), coerce(gold, types)
            if read is not predicted or recorded is not gold:
                outcome = self._compare_typed(read, recorded, alternatives, rule)
                return _Outcome(True, _read_as(recorded)) if outcome.equal else outcome
        return self._compare_typed(predicted, gold, alternatives, rule)

    def _types(self, alternatives: list[dict[str, Any]]) -> set[str]:
        """Return the types that some alternative allows; none where one of them allows all."""
        found = [types_of(alternative) for alternative in alternatives]
        return set().union(*found) if all(found) else set()

    def _compare_typed(
        self, predicted: Any, gold: Any, alternatives: list[dict[str, Any]], rule: _Rule
    ) -> _Outcome:
        if type(predicted) is not type(gold) and not (is_number(predicted) and is_number(gold)):
            return _Outcome(False, "type")
        fitting = [a for a in alternatives if not types_of(a) or json_types(gold) & types_of(a)]
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
        items, inner = mapping(schema.get("items")), self._within(rule, "[]")
        pairs = zip(predicted, gold, strict=True)
        in_order = _deciding(self._compare(p, g, items, inner) for p, g in pairs)
        free = schema.get("uniqueItems") is True or schema.get("x-unordered") is True
        if in_order.equal or not _given(rule.unordered, free):
            return in_order
        predicted, gold = _without_common(predicted, gold)
        if not gold or len(gold) > _MAX_UNORDERED:
            return _Outcome(not gold, "unordered")
        # Likeness is not transitive: taking the first like item can leave another without one.
        alike = np.array(
            [[self._compare(p, g, items, inner).equal for p in predicted] for g in gold]
        )
        rows, columns = linear_sum_assignment(alike, maximize=True)
        return _Outcome(bool(alike[rows, columns].all()), "unordered")

    def _alternatives(self, schema: Any) -> list[dict[str, Any]]:
        return alternatives(schema, self.root)


_NO_TOOL_SETTINGS = ToolConfig()
_NO_ARGUMENT_SETTINGS = ArgumentConfig()


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
    if rule.declared:
        return _Outcome(same_text(predicted, gold, rule.match, rule.similarity), rule.match)
    name = re.split(r"[.\[]", rule.place.rstrip("[]"))[-1]
    if rule.match == "exact" or {"const", "pattern", "format"} & schema.keys():
        return _Outcome(False, "exact")  # identical texts have been told before
    if named_exact(name):
        return _Outcome(False, "exact")
    if as_what := same_undeclared(predicted, gold):
        return _Outcome(True, as_what)
    if has_exact_form(predicted) or has_exact_form(gold):
        return _Outcome(False, "exact")
    if looks_like_identifier(gold) or looks_like_identifier(predicted):
        return _Outcome(same_identifier(predicted, gold), "exact")
    return _Outcome(same_text(predicted, gold, rule.match, rule.similarity), rule.match)


def _read_as(recorded: Any) -> Deciding:
    if isinstance(recorded, dict | list):
        return "json"
    return "boolean" if isinstance(recorded, bool) else "number"


def _without_common(predicted: list[Any], gold: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return what two arrays do not have in common, item by item, as JSON texts."""
    ours, theirs = (
        [json.dumps(item, sort_keys=True) for item in array] for array in (predicted, gold)
    )
    common = Counter(ours) & Counter(theirs)
    return _less(predicted, ours, common.copy()), _less(gold, theirs, common)


def _less(array: list[Any], texts: list[str], common: Counter[str]) -> list[Any]:
    rest = []
    for item, text in zip(array, texts, strict=True):
        if common[text]:
            common[text] -= 1
        else:
            rest.append(item)
    return rest
