"""Files of tools, as `--tools` takes them."""

from pathlib import Path
from typing import Any

from actwise.conversation import Tool
from actwise.errors import InputError
from actwise.formats import openapi
from actwise.formats.readers import sgd, star
from actwise.formats.record import Unusable, strict_json
from actwise.formats.remarks import collected
from actwise.formats.source import read_text
from actwise.formats.tools import read_tools

_UNUSABLE = {
    "unusable_schema": "the parameters of a tool are no JSON schema",
    "unread_tool": "only functions can be learned, and a tool is none",
}


def load_tools(path: Path) -> tuple[Tool, ...]:
    """Read the tools of a file, plain or gzip, or of a folder of them.

    It may be a JSON array of tools; the answer of an MCP server to `tools/list`, with or without
    its JSON-RPC envelope; an OpenAPI 3 document; the schema of Schema-Guided Dialogue; or an API of
    STAR, whose name is the file's.

    Raises:
        InputError: When it holds something else.
    """
    if not path.is_dir():
        return _read_file(path)
    files = sorted(p for p in path.iterdir() if ".json" in p.suffixes)
    if not files:
        raise InputError("holds no JSON file", file=str(path), remedy="name the tools' file")
    tools = [tool for file in files for tool in _read_file(file)]
    return _checked(tools, path)


def _read_file(path: Path) -> tuple[Tool, ...]:
    text = read_text(path)
    try:
        value = strict_json(text)
    except ValueError as error:
        raise InputError(
            f"is not JSON ({error})", file=str(path), remedy="write a JSON array of tools"
        ) from error
    return _checked(value, path)


def _checked(value: Any, path: Path) -> tuple[Tool, ...]:
    try:
        with collected() as remarks:
            tools = read_tools(_listed(value, path))
        for code, detail in remarks:
            if code != "schema_dialect":
                raise Unusable("bad_tools", f"{_UNUSABLE[code]}: {detail}; mend it")
        return tools
    except Unusable as error:
        problem, _, remedy = error.detail.rpartition("; ")
        raise InputError(problem, file=str(path), remedy=remedy) from error
    except RecursionError as error:
        raise InputError(
            "refers too deeply", file=str(path), remedy="write the tools as a JSON array"
        ) from error


def _listed(value: Any, path: Path) -> Any:
    """Return the list of tools in the JSON of a file, or what stands there instead of one."""
    if isinstance(value, dict) and "jsonrpc" in value:
        value = value.get("result")
    if openapi.recognises(value):
        return openapi.tools_of(value)
    if star.is_api(value):
        return [star.read_api(value, name=path.name.partition(".")[0])]
    if sgd.is_schema(value):
        return sgd.read_schema(value)
    if not isinstance(value, dict) or "tools" not in value:
        return value
    if value.get("nextCursor"):
        raise Unusable(
            "bad_tools",
            "the answer of `tools/list` is one page of several, for it has a `nextCursor`; "
            "join the tools of all pages",
        )
    return value["tools"]
