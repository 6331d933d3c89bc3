"""Rollouts that equal their record are confirmed, however tools are named and calls written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from actwise.audit import Audit, audit_run
from actwise.audit.reading import has_stray_tag, independent_verdict, read
from actwise.config import RunConfig
from actwise.conversation import Decision, Message, ToolCall, all_decisions
from actwise.data.prepare import Prepared, prepare
from actwise.desk.splits import prepare_desk
from actwise.errors import InputError
from actwise.template.syntaxes import SYNTAXES, Syntax
from reported import write_lines

FIND = ToolCall(name="find", arguments={"id": "W1", "n": 2})
TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
        },
    },
}
# By hand, as each family's model card has it.
WRITTEN = {
    "qwen": '<tool_call>\n{"name": "find", "arguments": {"n": 2, "id": "W1"}}\n</tool_call>',
    "qwen-xml": "<tool_call>\n<function=find>\n<parameter=id>\nW1\n</parameter>\n"
    "<parameter=n>\n2\n</parameter>\n</function>\n</tool_call>",
    "minicpm": '<function name="find"><param name="id">W1</param><param name="n">2</param>'
    "</function>",
    "lfm": '<|tool_call_start|>[find(id="W1", n=2)]<|tool_call_end|>',
    "gemma": '<|tool_call>call:find{id:<|"|>W1<|"|>,n:2}<tool_call|>',
    "phi-list": '<|tool_call|>[{"name": "find", "arguments": {"id": "W1", "n": 2}}]<|/tool_call|>',
    "mistral": '[TOOL_CALLS]find[ARGS]{"id": "W1", "n": 2}',
    "mistral-list": '[TOOL_CALLS] [{"name": "find", "arguments": {"id": "W1", "n": 2}}]',
    "llama": '{"name": "find", "parameters": {"id": "W1", "n": 2}}',
}


def syntax(name: str) -> Syntax:
    return next(row for row in SYNTAXES if row.name == name)


def thought(name: str) -> str:
    begin, end = (
        ("<|channel>thought\n", "<channel|>") if name == "gemma" else ("<think>", "</think>")
    )
    return f"{begin}Look it up.{end}"


@pytest.mark.parametrize("name", WRITTEN)
def test_calls_are_read_as_their_family_writes_them(name: str) -> None:
    gold = Message(role="assistant", tool_calls=(FIND,))
    reading = read(thought(name) + WRITTEN[name], syntax(name), (TOOL,))
    assert reading.thought_words == ["look", "it", "up"]
    assert (reading.answer, reading.after_call, len(reading.calls)) == ("", "", 1)
    assert not has_stray_tag(reading)
    assert independent_verdict(reading, gold, stopped=True) == 1
    other = read(thought(name) + WRITTEN[name].replace("W1", "W2"), syntax(name), (TOOL,))
    assert independent_verdict(other, gold, stopped=True) == 0


@pytest.mark.parametrize("name", ["qwen", "lfm", "gemma"])
def test_words_after_a_call_and_stray_tags_are_seen_in_each(name: str) -> None:
    reading = read(f"{thought(name)}{WRITTEN[name]}Done.", syntax(name))
    assert (reading.after_call, reading.answer) == ("Done.", "Done.")
    end = thought(name).removeprefix("<think>").partition("Look it up.")[2]
    assert has_stray_tag(read(f"{thought(name)}Well.{end}", syntax(name)))
    assert read(thought(name).replace(end, ""), syntax(name)).unclosed


def qwen(decision: Decision) -> str:
    calls = [{"name": c.name, "arguments": c.arguments} for c in decision.gold.tool_calls]
    blocks = "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)
    return f"<think>\nLook.\n</think>\n\n{decision.gold.content}{blocks}"


def gemma(decision: Decision) -> str:
    def value(given: object) -> str:
        return f'<|"|>{given}<|"|>' if isinstance(given, str) else json.dumps(given)

    def written(call: ToolCall) -> str:
        given = ",".join(f"{key}:{value(part)}" for key, part in call.arguments.items())
        return f"<|tool_call>call:{call.name}{{{given}}}<tool_call|>"

    calls = "".join(map(written, decision.gold.tool_calls))
    return f"<|channel>thought\nLook.<channel|>{decision.gold.content}{calls}"


def audited(
    folder: Path, config: RunConfig, prepared: Prepared, name: str, write: Callable[[Decision], str]
) -> Audit:
    """Audit a run that has sampled what is recorded, and nothing else."""
    record = {
        "actwise": "0",
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
        "data": prepared.fingerprints,
    }
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(record))
    said = {"stop": "stop", "reward": 1.0, "right": True, "advantage": 0.0, "syntax": name}
    decisions = list(all_decisions(prepared.splits.train))
    lines = [
        said | {"step": 1 + n * 3 // len(decisions), "decision": d.key, "text": write(d)}
        for n, d in enumerate(decisions)
    ]
    write_lines(folder / "rollouts" / "rl.jsonl", lines)
    return audit_run(folder)


def check_confirmed(audit: Audit) -> None:
    assert audit.not_examined == []
    assert audit.suspects == []
    for window in audit.windows:
        assert {name: window.figures[name].value for name in CONFIRMED} == CONFIRMED
    assert not {finding.code for finding in audit.findings} & {"unconfirmed_calls", "stray_tags"}


CONFIRMED = {
    "independent": 1.0,
    "unconfirmed_calls": 0.0,
    "missed_calls": 0.0,
    "extra_calls": 0.0,
    "extra_values": 0.0,
    "thought_words": 1.0,
    "text_after_call": 0.0,
    "calls_in_thought": 0.0,
}


@pytest.mark.parametrize(("name", "write"), [("qwen", qwen), ("gemma", gemma)])
@pytest.mark.parametrize("renamed", [0.0, 0.5])
def test_what_equals_its_record_at_the_desk_is_confirmed(
    tmp_path: Path, renamed: float, name: str, write: Callable[[Decision], str]
) -> None:
    sizes = {"train": 18, "dev": 2, "test": 2, "shifted": 2}
    config = RunConfig.model_validate({"desk": sizes, "data": {"renamed": renamed}, "seed": 3})
    check_confirmed(audited(tmp_path / "run", config, prepare_desk(config), name, write))


@pytest.mark.parametrize("renamed", [0.0, 1.0])
def test_what_equals_its_record_in_logs_is_confirmed(tmp_path: Path, renamed: float) -> None:
    """Also of logs in another than the canonical form, whose bytes are not what is read of them."""
    call = {"id": "c", "type": "function", "function": {"name": "find", "arguments": '{"id":"W1"}'}}
    lines = [
        {
            "messages": [
                {"content": f"Where is my order number {n}?", "role": "user"},
                {"tool_calls": [call], "role": "assistant", "content": None},
                {"content": "shelf", "tool_call_id": "c", "role": "tool"},
                {"content": f"Order {n} is on its shelf.", "role": "assistant"},
            ],
            "tools": [TOOL],
            "parallel_tool_calls": False,
        }
        for n in range(20)
    ]
    write_lines(tmp_path / "log.jsonl", lines)
    config = RunConfig.model_validate({"data": {"renamed": renamed, "test_fraction": 0.2}})
    prepared = prepare([tmp_path / "log.jsonl"], config)
    names = {c.name for d in all_decisions(prepared.splits.train) for c in d.gold.tool_calls}
    assert ("find" in names) == (not renamed)
    check_confirmed(audited(tmp_path / "run", config, prepared, "qwen", qwen))


def test_rollouts_of_a_syntax_that_is_not_known_are_refused(tmp_path: Path) -> None:
    config = RunConfig.model_validate({"desk": {"train": 4, "dev": 1, "test": 1, "shifted": 1}})
    with pytest.raises(InputError, match=r"rl.jsonl:1: no rollout: syntax .*elvish is not known"):
        audited(tmp_path / "run", config, prepare_desk(config), "elvish", qwen)
