"""The mended copy."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message, ToolCall
from actwise.doctor.mend import Mending, mend, mend_all, write_mended
from actwise.formats import Rejected, read_files
from talks import says, talk, user

TOOL = {
    "type": "function",
    "function": {
        "name": "get_order",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "integer"}, "note": {"type": "string"}},
            "required": ["number"],
        },
    },
}

SEVEN = '{"number": 7}'


def record(*messages: dict[str, Any]) -> str:
    first = {"role": "user", "content": "Where is order 7?"}
    return json.dumps({"messages": [first, *messages], "tools": [TOOL]})


def calling(arguments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    function = {"name": "get_order", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"function": function, **fields}]}


def read(file: Path) -> list[Conversation | Rejected]:
    return list(read_files([file]))


def test_a_mended_copy(tmp_path: Path) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "mended.jsonl"
    lines = [
        record(calling({"number": 7, "note": None, "zip": None}, id="a")),
        record({"role": "assistant", "content": "On its way."}),
        record({"role": "assistant", "content": "On its way."}),
        record(
            {
                "role": "assistant",
                "function_call": {"name": "get_order", "arguments": '{"number":7}'},
            },
            {"role": "function", "name": "get_order", "content": "{}"},
        ),
        record(calling({"number": None})),
        record(calling({"number": "7"})),
        "no JSON",
        record(calling({"number": 7}, id="b")),
    ]
    log.write_text("\n".join(lines))
    before = log.read_bytes()
    mending = write_mended(read_files([log]), out)
    assert mending.written == 3
    # The call of line 1 has no optional argument left, so line 8 is the same but for its id.
    assert mending.mends == {"stray_null": 2, "saved": 1, "missing_id": 2}
    assert mending.left_out == {"duplicate_conversation": 2, "bad_arguments": 2, "broken_json": 1}
    assert log.read_bytes() == before
    mended = read(out)
    assert [type(item) for item in mended] == [Conversation] * 3
    first, _, legacy = (item.messages for item in mended if isinstance(item, Conversation))
    assert first[1].tool_calls == (ToolCall(name="get_order", arguments={"number": 7}, id="a"),)
    assert [m.tool_calls[0].id for m in legacy if m.tool_calls] == ["call_1"]
    assert legacy[-1].tool_call_id == "call_1"


def test_a_call_at_the_end_is_a_decision_and_stays(tmp_path: Path) -> None:
    log, out = tmp_path / "log.jsonl", tmp_path / "mended.jsonl"
    log.write_text(record(calling({"number": 7}, id="a")))
    write_mended(read_files([log]), out)
    assert [len(item.messages) for item in read(out) if isinstance(item, Conversation)] == [2]


def test_zipped(tmp_path: Path) -> None:
    out = tmp_path / "mended.jsonl.gz"
    write_mended([talk(user("a"), says("b"))], out)
    assert out.read_bytes()[:2] == b"\x1f\x8b"
    assert len(read(out)) == 1


def test_nothing_is_written_when_reading_fails(tmp_path: Path) -> None:
    out = tmp_path / "mended.jsonl"
    out.write_text("precious")

    def broken() -> Any:
        yield talk(user("a"), says("b"))
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="gone"):
        write_mended(broken(), out)
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


def test_a_mending_says_in_one_line_what_it_did() -> None:
    mending = Mending(written=2)
    mending.mends["missing_id"] = 3
    mending.left_out["broken_json"] = 1
    assert str(mending) == (
        "2 conversations written, 3 ids of calls and results filled in, 1 left out (broken_json)"
    )


IDS = st.sampled_from([None, "call_1", "call_2", "x"])
CALLS = st.lists(IDS, min_size=1, max_size=3).filter(
    lambda ids: len({i for i in ids if i}) == len([i for i in ids if i])
)


@given(rounds=st.lists(CALLS, max_size=3))
def test_ids_are_filled_in_and_belong_together(rounds: list[list[str | None]]) -> None:
    messages = [user("hi")]
    for ids in rounds:
        made = tuple(ToolCall(name="lookup", arguments={"n": n}, id=i) for n, i in enumerate(ids))
        messages.append(Message(role="assistant", tool_calls=made))
        # Results say which call they answer by id, or by their order where it has none.
        messages += [
            Message(role="tool", content=str(n), tool_call_id=i)
            for n, i in enumerate(ids)
            if i is not None
        ]
        messages += [
            Message(role="tool", content=str(n), tool_call_id=None)
            for n, i in enumerate(ids)
            if i is None
        ]
    original = talk(*messages, says("done"))
    mended, mends = mend(original)
    pending: dict[str, int] = {}
    for message in mended.messages:
        for call in message.tool_calls:
            assert call.id is not None and call.id not in pending
            pending[call.id] = call.arguments["n"]
        if message.role == "tool":
            assert message.tool_call_id is not None
            assert pending.pop(message.tool_call_id) == int(message.content)
    missing = sum(i is None for ids in rounds for i in ids)
    assert mends["missing_id"] == 2 * missing
    assert mend(mended) == (mended, {})


def test_every_record_is_written_or_counted() -> None:
    items = [
        talk(user("a"), says("b"), id="1"),
        talk(user("a"), says("b"), id="2"),
        Rejected("log.jsonl", 3, "broken_json", "cut"),
    ]
    mending = Mending()
    written = list(mend_all(items, mending))
    assert len(written) == mending.written == 1
    assert mending.written + mending.left_out.total() == len(items)
