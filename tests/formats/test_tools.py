"""Files of tools: an MCP server's answer, OpenAPI documents, folders."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from actwise.conversation import Tool, tool_name
from actwise.errors import InputError
from actwise.formats import openapi
from actwise.formats.record import Unusable
from actwise.formats.tool_files import load_tools
from actwise.formats.tools import read_tools

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
MCP = {
    "tools": [
        {
            "name": "weather",
            "title": "Weather",
            "description": "Tell the weather.",
            "inputSchema": CITY,
            "outputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": True},
        },
        {"name": "sun", "inputSchema": {"type": "object"}},
    ]
}

DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1"},
    "paths": {
        "/orders/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "operationId": "getOrder",
                "summary": "Look up an order.",
                "description": "Needs its number.",
                "parameters": [
                    {
                        "name": "fields",
                        "in": "query",
                        "description": "Which fields.",
                        "schema": {"type": "array", "items": {"type": "string"}},
                    },
                ],
            },
            "put": {
                "operationId": "changeOrder",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Order"}}
                    },
                },
            },
            "delete": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
                ]
            },
        },
        "/tags": {
            "post": {
                "operationId": "tag",
                "requestBody": {
                    "content": {
                        "text/csv": {"schema": {"type": "array", "items": {"type": "string"}}}
                    }
                },
            },
        },
    },
    "components": {
        "parameters": {
            "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
        },
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["items", "created"],
                "properties": {
                    "created": {"type": "string", "readOnly": True},
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                    "note": {"type": "string", "nullable": True},
                    "total": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                },
            },
            "Item": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                },
            },
        },
    },
}


def load(folder: Path, value: Any, name: str = "tools.json") -> tuple[Tool, ...]:
    path = folder / name
    path.write_text(json.dumps(value), encoding="utf-8")
    return load_tools(path)


@pytest.mark.parametrize("value", [MCP, {"jsonrpc": "2.0", "id": 1, "result": MCP}, MCP["tools"]])
def test_tools_of_an_mcp_server(tmp_path: Path, value: Any) -> None:
    assert load(tmp_path, value) == (
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tell the weather.",
                "parameters": CITY,
            },
        },
        {"type": "function", "function": {"name": "sun", "parameters": {"type": "object"}}},
    )


def test_tools_of_a_namespace_of_openai_s_responses() -> None:
    inner = {"type": "function", "name": "weather", "parameters": CITY}
    space = {"type": "namespace", "name": "sky", "description": "d", "tools": [inner]}
    assert read_tools([space]) == read_tools([inner])


def test_operations_of_an_openapi_document(tmp_path: Path) -> None:
    by_name = {tool_name(tool): tool["function"] for tool in load(tmp_path, DOCUMENT)}
    assert by_name["getOrder"] == {
        "name": "getOrder",
        "description": "Look up an order.\nNeeds its number.",
        "parameters": {
            "type": "object",
            "properties": {
                "id": {"type": "integer"},
                "fields": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Which fields.",
                },
            },
            "required": ["id"],
        },
    }
    assert by_name["changeOrder"]["parameters"] == {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
            "note": {"type": ["string", "null"]},
            "total": {"type": "number", "exclusiveMinimum": 0},
        },
        # `created` is only ever answered, so it is no argument.
        "required": ["id", "items"],
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "parts": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
                },
            }
        },
    }
    # Without an operationId: path and method. The operation's own `id` replaces the path's.
    assert by_name["_orders_id_delete".strip("_")]["parameters"]["properties"] == {
        "id": {"type": "string"}
    }
    assert by_name["tag"]["parameters"] == {
        "type": "object",
        "properties": {"body": {"type": "array", "items": {"type": "string"}}},
        "required": [],
    }
    assert len(by_name) == 4


def test_a_body_with_a_member_called_like_a_parameter_stays_whole() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["components"]["schemas"]["Order"]["properties"]["id"] = {"type": "string"}
    change = next(t for t in openapi.tools_of(document) if tool_name(t) == "changeOrder")
    parameters = change["function"]["parameters"]
    assert parameters["properties"].keys() == {"id", "body"}
    assert parameters["required"] == ["id", "body"]


def test_parts_of_all_of_are_joined() -> None:
    document = copy.deepcopy(DOCUMENT)
    schemas = document["components"]["schemas"]
    more = {"type": "object", "properties": {"gift": {"type": "boolean"}}, "required": ["gift"]}
    schemas["Gift"] = {"allOf": [{"$ref": "#/components/schemas/Item"}, more]}
    body = document["paths"]["/orders/{id}"]["put"]["requestBody"]
    body["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/Gift"}
    change = next(t for t in openapi.tools_of(document) if tool_name(t) == "changeOrder")
    parameters = change["function"]["parameters"]
    assert list(parameters["properties"]) == ["id", "name", "parts", "gift"]
    assert parameters["required"] == ["id", "gift"]


def test_a_folder_of_tools(tmp_path: Path) -> None:
    folder = tmp_path / "tools"
    folder.mkdir()
    api = {
        "input": [{"Name": "Code", "Type": "ShortString", "ReadableName": "Code"}],
        "output": [],
        "required": [],
    }
    (folder / "unlock.json").write_text(json.dumps(api))
    (folder / "mcp.json").write_text(json.dumps(MCP))
    assert [tool_name(tool) for tool in load_tools(folder)] == ["weather", "sun", "unlock"]
    other = {"name": "weather", "parameters": {"type": "object"}}
    (folder / "again.json").write_text(json.dumps([other]))
    with pytest.raises(InputError, match="'weather' is declared twice"):
        load_tools(folder)


def test_what_is_nullable_and_of_several_parts_takes_null(tmp_path: Path) -> None:
    """As documents of OpenAPI 3.0 have to write it, for beside `$ref` nothing counts."""
    item = {"$ref": "#/components/schemas/Item"}
    members = {
        "item": {"nullable": True, "allOf": [item]},
        "either": {"nullable": True, "oneOf": [item, {"type": "string"}]},
    }
    body = {"content": {"application/json": {"schema": {"properties": members}}}}
    operation = {"operationId": "give", "requestBody": body}
    document = {
        "openapi": "3.0.3",
        "paths": {"/give": {"post": operation}},
        "components": DOCUMENT["components"],
    }
    (tool,) = load(tmp_path, document)
    valid = Draft202012Validator(tool["function"]["parameters"]).is_valid
    assert valid({"item": None, "either": None}) and valid({"item": {"name": "a"}, "either": "a"})
    assert not valid({"item": 3}) and not valid({"either": 3})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (MCP | {"nextCursor": "abc"}, "one page of several"),
        ({"jsonrpc": "2.0", "error": {"code": 1}}, "`tools` is null"),
        ({"tools": {}}, "`tools` is an object"),
        ({"swagger": "2.0", "paths": {}}, "has version 2.0; convert it to version 3"),
        ({"openapi": "3.1.0"}, "`paths` is null"),
        (
            {"openapi": "3.1.0", "paths": {"/x": {"$ref": "other.yaml#/x"}}},
            "another document; bundle them",
        ),
        (
            {"openapi": "3.1.0", "paths": {"/x": {"$ref": "#/components/x"}}},
            "'#/components/x' refers to nothing",
        ),
        (
            {"openapi": "3.1.0", "paths": {"/x": {"$ref": "#/paths/~1x"}}},
            "refers to itself",
        ),
        ([{"service_name": "A", "slots": [], "intents": [{}]}], "`name` of service 0 is null"),
    ],
)
def test_unusable_files_of_tools(tmp_path: Path, value: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, value)
    assert words in str(caught.value)
    assert caught.value.remedy


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no JSON file"):
        load_tools(tmp_path)


JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "x", [], [None], [[]], {}, {"$ref": "#/paths"}, {"allOf": [1]}]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a JSON value."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(p for key, member in inner for p in places(member, (*path, key)))]


@settings(deadline=None, max_examples=300)
@given(path=st.sampled_from([path for path in places(DOCUMENT) if path]), junk=JUNK)
def test_a_damaged_document_gives_tools_or_a_reason(path: tuple[Any, ...], junk: Any) -> None:
    document = copy.deepcopy(DOCUMENT)
    holder = document
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    try:
        read_tools(openapi.tools_of(document))
    except Unusable as error:
        assert error.reason in ("bad_tools", "bad_field")


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ({"name": "f", "parameters": {"properties": {"n": {"minimum": "1"}}}}, "no JSON schema: f"),
        ({"type": "web_search"}, "a tool is none: web_search"),
    ],
)
def test_a_file_of_tools_holds_only_usable_ones(tmp_path: Path, tool: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load(tmp_path, [tool])
