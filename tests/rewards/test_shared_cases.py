"""Cases after public reports: what a user expects, and where the judge says less."""

import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Message, ToolCall
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

OTHERWISE: dict[str, tuple[bool | None, str]] = {
    "false-vs-missing": (False, "nothing says that a flag which is left out is off"),
    "gibberish": (None, "without an embedding model nonsense is not told from a free paraphrase"),
    "status-synonym": (False, "a value that a tool returned has to be named where it is a choice"),
    "emoji": (None, "a sign of assent may mean seen, agreed or done"),
}
"""Ids at which the judge and the user differ: the verdict, and why."""


def cases(shared_data: Path) -> list[dict[str, Any]]:
    path = shared_data.parent / "cases" / "judge.jsonl"
    if not path.is_file():
        pytest.skip(f"the shared cases are not at {path}")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def calls(given: Any) -> tuple[ToolCall, ...]:
    named = given if isinstance(given, list) else [["t", given]]
    return tuple(ToolCall(name=name, arguments=arguments) for name, arguments in named)


def verdict(case: dict[str, Any]) -> bool | None:
    tools: list[dict[str, Any]] = []
    if case["kind"] == "call":
        parameters = {"type": "object"} | {k: case[k] for k in ("properties", "required")}
        tools = [{"type": "function", "function": {"name": "t", "parameters": parameters}}]
        completion = ParsedCompletion(None, calls(case["predicted"]), "", ())
        record = Message(role="assistant", tool_calls=calls(case["recorded"]))
    else:
        completion = ParsedCompletion(None, (), case["predicted"], ())
        record = Message(role="assistant", content=case["recorded"])
    return judge(
        completion,
        record,
        tools,
        thinking=False,
        settings=JudgeConfig(),
        context=[Message(role=role, content=text) for role, text in case.get("context", [])],
    ).right


def test_every_case_is_as_a_user_expects_or_has_a_reason(shared_data: Path) -> None:
    found = cases(shared_data)
    assert len(found) == 193
    expected = {c["id"]: OTHERWISE.get(c["id"], (c["right"], ""))[0] for c in found}
    assert {case["id"]: verdict(case) for case in found} == expected
