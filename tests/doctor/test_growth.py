"""Findings about conversations that are logged in several records, and what readers remarked."""

import json
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation, Message, Remark
from actwise.doctor import examine
from actwise.doctor.remarks import MEANINGS
from actwise.doctor.table import render
from actwise.formats import Rejected, read_files
from data.test_fingerprint import ASKED
from data.test_grown import long_talk, requests
from talks import calls, finding, result, says, talk, user

WORDS = ["alpha", "beta", "gamma", "delta"]


def codes(diagnosis: Any) -> set[str]:
    return {f.code for f in diagnosis.findings}


def test_a_log_of_requests() -> None:
    records = [r for word in WORDS for r in requests(long_talk(word, 2))]
    found = finding(examine(records), "growing_record")
    assert found is not None
    assert (found.severity, found.count) == ("warning", 12)
    assert "there are 4 conversations" in found.sentence
    assert found.examples[0] == "log.jsonl:alpha.1: the beginning of log.jsonl:alpha.7"
    assert "near_duplicate" not in codes(examine(records))
    whole = [r for word in WORDS for r in requests(long_talk(word, 2))[-1:]]
    assert "growing_record" not in codes(examine(whole))


@pytest.mark.parametrize("ours_is_longer", [True, False])
def test_a_record_of_a_held_out_conversation_is_a_leak(ours_is_longer: bool) -> None:
    system = Message(role="system", content="It is 2026-01-05 now.")
    short, long = (requests(long_talk("alpha", 2))[n] for n in (1, 3))
    short = short.model_copy(update={"messages": (system, *short.messages)})
    ours, theirs = (long, short) if ours_is_longer else (short, long)
    diagnosis = examine([ours, long_talk("beta", 1)], held_out=[theirs])
    found = finding(diagnosis, "leaked_beginning")
    assert found is not None
    assert (found.severity, found.count) == ("error", 1)
    assert found.examples == [f"{ours.source}: another record of {theirs.source}"]


def test_another_try_at_a_held_out_request_is_told() -> None:
    ours = talk(user(ASKED), calls(item="rake"), result("7"), says("Seven."), id="ours")
    theirs = talk(user(ASKED), says("I do not know."), id="theirs")
    diagnosis = examine([ours], held_out=[theirs])
    found = finding(diagnosis, "held_out_opening")
    assert found is not None
    assert (found.severity, found.examples) == (
        "warning",
        ["log.jsonl:ours: opens like log.jsonl:theirs"],
    )
    assert "leaked_beginning" not in codes(diagnosis)
    tries = finding(examine([theirs, ours]), "same_opening")
    assert tries is not None
    assert (tries.severity, tries.count) == ("note", 1)


def test_equal_conversations_are_one_finding() -> None:
    one = long_talk("alpha", 2)
    assert codes(examine([one], held_out=[one])) & {"leaked_conversation", "leaked_beginning"} == {
        "leaked_conversation"
    }


def test_greetings_are_no_leak() -> None:
    first = talk(user("Hi"), says("Hello!"), user("How many rakes are there?"), says("7"), id="1")
    other = talk(user("Hi"), says("Hello!"), id="2")
    assert codes(examine([first], held_out=[other])).isdisjoint(
        {"leaked_beginning", "held_out_opening"}
    )


# --- Remarks ------------------------------------------------------------------------------------


def remarked(*remarks: tuple[str, str], id: str) -> Conversation:
    made = talk(user(f"I ask for {id}"), says("Yes."), id=id)
    return made.model_copy(update={"remarks": tuple(Remark(*r) for r in remarks)})


def test_every_remark_is_a_finding_with_its_count() -> None:
    for code, meaning in MEANINGS.items():
        logs = [remarked((code, "thing"), id="1"), remarked((code, "thing"), id="2")]
        found = finding(examine(logs), code)
        assert found is not None
        assert (found.severity, found.count) == (meaning.severity, 2)
        assert found.examples == ["log.jsonl:1: thing", "log.jsonl:2: thing"]


def test_keys_and_tools_are_counted_by_their_names() -> None:
    logs = [remarked(("unread_key", "tone"), ("unread_key", "mood"), id=str(n)) for n in range(4)]
    logs += [remarked(("unread_key", "tone"), id="9")]
    found = finding(examine(logs), "unread_key")
    assert found is not None
    assert found.sentence == (
        "5 record(s) with keys that their reader does not know: tone (5), mood (4)"
    )


def test_rejections_are_counted_by_tool(tmp_path: Path) -> None:
    tools = [{"name": name, "parameters": {"type": "object", "required": ["x"]}} for name in "fg"]

    def record(name: str) -> str:
        function = {"name": name, "arguments": "{}"}
        called = {"role": "assistant", "tool_calls": [{"function": function}]}
        return json.dumps({"messages": [{"role": "user", "content": "x"}, called], "tools": tools})

    (tmp_path / "log.jsonl").write_text("\n".join(map(record, "ffffgg")))
    found = finding(examine(read_files([tmp_path / "log.jsonl"])), "bad_arguments")
    assert found is not None
    assert found.sentence.endswith("are left out; by tool: f (4), g (2)")
    assert len(found.examples) == 3


def test_a_call_inside_an_answer_is_flagged() -> None:
    text = 'I call it: {"name": "lookup", "arguments": {"order": 1}} and wait.'
    found = finding(
        examine([talk(user("x"), says(text)), talk(user("y"), says("Yes."))]), "call_as_text"
    )
    assert found is not None
    assert (found.count, found.examples) == (1, ["log.jsonl:x: messages[1] names 'lookup'"])


def test_a_conversation_that_breaks_a_finding_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Panic(BaseException):
        """As extensions raise it."""

    from actwise.doctor import diagnosis

    examination = diagnosis.Examination()
    sizes = examination.sizes.look

    def look(case: Any) -> Any:
        if case.conversation.id == "2":
            raise Panic("index out\nof bounds")
        return sizes(case)

    monkeypatch.setattr(examination.sizes, "look", look)
    for number in range(4):
        examination.note(
            examination.look(talk(user(f"I ask for {number}"), says("Yes."), id=str(number)))
        )
    found = finding(examination.diagnosis(), "not_examined")
    assert found is not None
    assert found.examples == ["log.jsonl:2: Panic: index out of bounds"]


def test_nothing_in_a_log_steers_the_terminal() -> None:
    from io import StringIO

    from rich.console import Console

    hostile = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e"
    logs = [
        talk(user("I ask for it"), says(hostile), id=hostile),
        Rejected(hostile, 1, "broken_json", hostile),
    ]
    console = Console(file=StringIO(), force_terminal=False, width=200)
    console.print(render(examine(logs)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert not set(shown) & set("\x1b\x07\x9b\u202e")
    assert "\\x1b[2J" in shown
