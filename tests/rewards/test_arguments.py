"""Comparing argument values by JSON schema, value by value."""

from typing import Any

import pytest

from actwise.rewards.arguments import SchemaComparer
from actwise.rewards.settings import JudgeConfig

INTEGER, NUMBER, TEXT = {"type": "integer"}, {"type": "number"}, {"type": "string"}
ENUM = {"type": "string", "enum": ["Economy", "economy plus", "FIRST", "first "]}
POINT = {
    "type": "object",
    "properties": {"x": NUMBER, "y": {**NUMBER, "default": 0}},
    "required": ["x"],
}
ROOT = {"$defs": {"day": {"type": "string", "format": "date"}, "loop": {"$ref": "#/$defs/loop"}}}


def equal(predicted: Any, gold: Any, schema: Any, **settings: Any) -> bool:
    root = {**ROOT, "type": "object", "properties": {"v": schema}, "required": ["v"]}
    comparer = SchemaComparer(root, JudgeConfig(**settings))
    (found,) = comparer.compare({"v": predicted}, {"v": gold})
    return found.equal


@pytest.mark.parametrize(
    ("predicted", "gold", "schema", "same"),
    [
        # numbers
        ("7", 7, INTEGER, True),
        (7, "7", INTEGER, True),
        (7.0, 7, INTEGER, True),
        (" 7.50 ", 7.5, NUMBER, True),
        ("7", 7, TEXT, False),
        (7, "7", TEXT, False),
        ("7", 7, {"type": ["integer", "string"]}, False),
        ("7", 7, {}, False),
        ("seven", 7, INTEGER, False),
        ("1,000", 1000, INTEGER, True),
        (0.1 + 0.2, 0.3, NUMBER, True),
        (20.01, 20, NUMBER, False),
        (123456790, 123456789, INTEGER, False),  # closer than the tolerance, but another order
        (1e300, 10**4000, NUMBER, False),
        (0.5, 10**4000, NUMBER, False),
        ("9" * 5000, 7, INTEGER, False),
        (0, -0.0, NUMBER, True),
        # booleans and null
        ("true", True, {"type": "boolean"}, True),
        ("False", False, {"type": "boolean"}, True),
        (1, True, {"type": "boolean"}, False),
        (True, 1, INTEGER, False),
        (None, None, {"type": ["string", "null"]}, True),
        (None, "", {"type": ["string", "null"]}, False),
        # enums
        ("economy", "Economy", ENUM, True),
        ("ECONOMY PLUS", "economy plus", ENUM, True),
        ("First", "FIRST", ENUM, False),  # two members differ only in case and spaces
        ("first ", "FIRST", ENUM, False),
        ("business", "Economy", ENUM, False),
        ("2", 2, {"type": "integer", "enum": [1, 2]}, True),
        # moments
        ("2024-06-12", "20240612", {**TEXT, "format": "date"}, True),
        ("2024-06-12", "2024-06-13", {**TEXT, "format": "date"}, False),
        ("12 June", "2024-06-12", {**TEXT, "format": "date"}, False),
        ("2024-06-12T10:00:00Z", "2024-06-12T12:00+02:00", {**TEXT, "format": "date-time"}, True),
        ("2024-06-12T10:00:00", "2024-06-12T10:00Z", {**TEXT, "format": "date-time"}, False),
        ("10:00", "10:00:00", {**TEXT, "format": "time"}, True),
        # free text and identifiers
        ("new  york.", "New York", TEXT, True),
        ("New York", "New York City", TEXT, False),
        ("w123", "W123", TEXT, False),
        ("Mary@x.org", "mary@x.org", TEXT, True),
        ("user_name", "User_Name", TEXT, False),
        ("abc", "ABC", {**TEXT, "pattern": "^[A-Z]+$"}, False),
        ("abc", "ABC", {**TEXT, "format": "uuid"}, False),
        ("!", "?", TEXT, False),
        ("C", "C++", TEXT, False),
        # arrays
        ([1, 2], [1, 2], {"type": "array", "items": INTEGER}, True),
        ([2, 1], [1, 2], {"type": "array", "items": INTEGER}, False),
        (["2", 1], [1, 2], {"type": "array", "items": INTEGER, "uniqueItems": True}, True),
        (["b", "a"], ["a", "b"], {"type": "array", "x-unordered": True}, True),
        ([1, 1, 2], [1, 2, 2], {"type": "array", "uniqueItems": True}, False),
        ([1], [1, 1], {"type": "array", "uniqueItems": True}, False),
        (1, [1], {"type": "array", "items": INTEGER}, False),
        # objects
        ({"y": 2, "x": "1"}, {"x": 1, "y": 2}, POINT, True),
        ({"x": 1}, {"x": 1, "y": 0}, POINT, True),
        ({"x": 1, "y": 0}, {"x": 1}, POINT, True),
        ({"y": 0}, {"x": 0, "y": 0}, POINT, False),
        ({"x": 1, "z": 3}, {"x": 1}, POINT, False),
        ({"a": "1"}, {"a": 1}, {"type": "object", "additionalProperties": INTEGER}, True),
        ('{"x": 1}', {"x": 1}, POINT, True),
        # references and alternatives
        ("20240612", "2024-06-12", {"$ref": "#/$defs/day"}, True),
        ("20240612", "2024-06-12", {"allOf": [{"$ref": "#/$defs/day"}]}, True),
        ("a b", "A b", {"$ref": "#/$defs/loop"}, True),
        ("a b", "A b", {"$ref": "#/$defs/nowhere"}, True),
        ("7", 7, {"anyOf": [INTEGER, {"type": "null"}]}, True),
        ("7", 7, {"anyOf": [INTEGER, TEXT]}, False),
        ({"x": "1"}, {"x": 1}, {"oneOf": [{"type": "null"}, POINT]}, True),
        # schemas that are not well formed constrain nothing
        ("a b", "A b", {"type": 3, "enum": "x", "anyOf": "y", "$ref": 4, "allOf": [1]}, True),
        ([1], [1], {"type": "array", "items": [INTEGER]}, True),
    ],
)
def test_values(predicted: Any, gold: Any, schema: Any, same: bool) -> None:
    assert equal(predicted, gold, schema) is same


def test_text_may_be_compared_exactly() -> None:
    assert not equal("new york", "New York", TEXT, text_match="exact")
    assert equal("New York", "New York", TEXT, text_match="exact")


def test_tolerance_is_a_setting() -> None:
    assert equal(20.5, 20.4, NUMBER, number_tolerance=0.01)
    assert not equal(21, 20, INTEGER, number_tolerance=0.5)


@pytest.mark.parametrize(
    ("predicted", "gold", "different"),
    [
        ({}, {"a": 5}, []),
        ({"a": 5}, {}, []),
        ({"a": 6}, {}, ["a"]),
        ({}, {"a": 6}, ["a"]),
        ({"b": None}, {}, []),
        ({}, {"b": None}, []),
        ({"b": "x"}, {}, ["b"]),
        ({"z": None}, {}, ["z"]),  # not an argument of the tool
        ({"a": None}, {}, ["a"]),  # null is not the default
    ],
)
def test_an_absent_argument_is_its_default(
    predicted: dict[str, Any], gold: dict[str, Any], different: list[str]
) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer", "default": 5}, "b": TEXT}}
    found = SchemaComparer(schema, JudgeConfig()).compare(predicted, gold)
    assert [part.name for part in found if not part.equal] == different


def test_a_default_within_itself_ends() -> None:
    part = {"default": {"v": {}}, "properties": {"v": {"$ref": "#/properties/v"}}}
    comparer = SchemaComparer({"properties": {"v": part}}, JudgeConfig())
    assert comparer.compare({"v": {"v": {}}}, {})[0].equal
    assert not comparer.compare({"v": {}}, {})[0].equal


def test_a_required_argument_cannot_be_absent() -> None:
    schema = {"properties": {"a": {"type": "integer", "default": 5}}, "required": ["a"]}
    (found,) = SchemaComparer(schema, JudgeConfig()).compare({}, {"a": 5})
    assert (found.equal, found.gold, found.decided_by) == (False, 5, "absent")
