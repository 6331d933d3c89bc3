"""Whatever the format: what is read is written again, and no key is dropped in silence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation
from actwise.formats import FORMATS, Rejected, read_files, write_conversations
from formats.reading import codes, one, outline, read_sample, refused
from formats.samples import ASKED, BLOCKS, CALL, CALLING, CHOICE, SAMPLES, TOOLS

LOGS = [
    "anthropic",
    "bedrock",
    "responses",
    "gemini",
    "vercel",
    "langchain",
    "swift",
    "gateway",
    "litellm",
    "langfuse",
    "langsmith",
    "otel",
    "trl",
    "xlam",
]


def test_formats_may_change_from_record_to_record(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    records = [{"messages": [*ASKED, CALLING], "tools": TOOLS}, BLOCKS, SAMPLES["gateway"]]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    items = [item for item in read_files([path]) if isinstance(item, Conversation)]
    assert [len(item.messages) for item in items] == [3, 6, 3]


@pytest.mark.parametrize("name", LOGS)
def test_what_is_read_is_written_and_read_again(tmp_path: Path, name: str) -> None:
    item = one(tmp_path, SAMPLES[name])
    out = tmp_path / "out.jsonl"
    write_conversations([item], out)
    (again,) = read_files([out])
    assert isinstance(again, Conversation)
    forgotten = {"source": "", "remarks": ()}
    assert again.model_copy(update=forgotten) == item.model_copy(update=forgotten)
    assert again.remarks == ()


def test_no_sample_has_a_key_that_its_reader_does_not_know(tmp_path: Path) -> None:
    for name in LOGS:
        assert "unread_key" not in codes(one(tmp_path, SAMPLES[name])), name


@pytest.mark.parametrize("name", FORMATS)
def test_no_key_is_dropped_in_silence(tmp_path: Path, name: str) -> None:
    """Every known key of a record is read or refused; one that is not known is remarked."""
    from actwise.formats.read import _usable

    sample, reader = SAMPLES[name], FORMATS[name]

    def read(record: dict[str, Any]) -> Conversation | str:
        from actwise.formats.record import Unusable

        try:
            part = (reader.parts(record) if reader.parts else [record])[0]
            item = _usable(
                tmp_path,
                1,
                part | {k: v for k, v in record.items() if k == "surprise"},
                "x",
                reader,
                (),
            )
        except Unusable as error:
            return error.detail
        return item if isinstance(item, Conversation) else item.detail

    assert isinstance(reader.keys, dict)
    for key in reader.keys.keys() - sample.keys():
        found = read(sample | {key: "known"})
        if isinstance(found, Conversation):
            assert [r for r in found.remarks if r == ("unread_key", key)] == []
    found = read(sample | {"surprise": {"meaning": 1}})
    if isinstance(found, Conversation):
        assert ("unread_key", "surprise") in found.remarks
    else:
        # These samples cannot be used without further files.
        assert name in ("sgd", "star", "tau_bench", "bfcl")


@pytest.mark.parametrize(
    ("record", "path"),
    [
        ({"messages": [*ASKED, {**CALLING, "verdict": "good"}]}, "messages[].verdict"),
        (
            {"messages": [*ASKED, {**CALLING, "tool_calls": [CALL | {"note": "x"}]}]},
            "messages[].tool_calls[].note",
        ),
        (
            {
                "messages": [
                    ASKED[0],
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": "Rain?", "tone": "angry"}],
                    },
                    CALLING,
                ]
            },
            "messages[1].content.tone",
        ),
        ({"request": {"messages": ASKED, "policy": "x"}, "response": CHOICE}, "policy"),
        (
            {"request": {"messages": ASKED}, "response": {**CHOICE, "verdict": "x"}},
            "response.verdict",
        ),
    ],
)
def test_an_unknown_key_is_named_wherever_it_stands(
    tmp_path: Path, record: dict[str, Any], path: str
) -> None:
    inner = record.get("request", record)
    inner["tools"] = TOOLS
    item = one(tmp_path, record)
    assert ("unread_key", path) in item.remarks


@pytest.mark.parametrize("key", ["weight", "loss", "train"])
def test_a_message_that_is_not_to_be_learned_is_context(tmp_path: Path, key: str) -> None:
    first = {"role": "assistant", "content": "One moment, please.", key: 0}
    asked_again = {"role": "user", "content": "Well?"}
    item = one(tmp_path, {"messages": [*ASKED, first, asked_again, CALLING], "tools": TOOLS})
    assert [d.index for d in item.decisions()] == [4]
    (tmp_path / "log.json").write_text(f"[{item.to_json()}]")
    (again,) = read_files([tmp_path / "log.json"])
    assert isinstance(again, Conversation)
    assert [d.index for d in again.decisions()] == [4]


def test_layouts_of_files(tmp_path: Path) -> None:
    record = {"messages": [*ASKED, {"role": "assistant", "content": "Rain."}]}
    messages, lines = record["messages"], json.dumps(record)
    pretty = json.dumps(record, indent=2)
    files: dict[str, tuple[str, list[int]]] = {
        "pretty.json": (pretty, [1]),
        "pretty.jsonl": (f"{pretty}\n{pretty}\n", [1, 1 + len(pretty.splitlines())]),
        "wrapped.json": (json.dumps({"data": [record, record], "total": 2}), [1, 1]),
        "indented.json": (json.dumps({"items": [record]}, indent=1), [3]),
        "messages.json": (json.dumps(messages), [1]),
        "arrays.json": (json.dumps([messages, messages]), [1, 1]),
        "arrays.jsonl": (f"{json.dumps(messages)}\n{json.dumps(messages)}", [1, 2]),
        "records.jsonl": (json.dumps([record, record]), [1, 1]),
        "commas.jsonl": (f"{lines},\n{lines},\n", [1, 2]),
        "bracket.jsonl": (f"[\n{lines},\n{lines}\n]", [2, 3]),
        "comma.json": (f"[{lines},\n{lines},\n]", [1, 2]),
    }
    for name, (text, places) in files.items():
        path = tmp_path / name
        for encoding in ("utf-8", "utf-8-sig", "utf-16"):
            path.write_text(text, encoding=encoding)
            items = list(read_files([path]))
            found = [i.source for i in items if isinstance(i, Conversation)]
            assert found == [f"{path}:{line}" for line in places], (name, encoding)


@pytest.mark.parametrize("written", [json.dumps, str], ids=["JSON", "Python's"])
def test_cells_of_a_table_hold_messages_as_text(
    tmp_path: Path, written: Callable[[Any], str]
) -> None:
    """A table with a column of messages, as data frames write it, exported as JSON lines."""
    messages = [*ASKED, {**CALLING, "content": None}]
    expected = one(tmp_path, {"id": "7", "messages": messages, "tools": TOOLS})
    row = {"id": 7, "messages": written(messages), "tools": written(TOOLS)}
    assert one(tmp_path, row) == expected
    said = [{"from": "human", "value": 'Say "[1]"'}, {"from": "gpt", "value": "it's [1]"}]
    item = one(tmp_path, {"conversations": written(said)})
    assert outline(item) == [("user", 'Say "[1]"'), ("assistant", "it's [1]")]
    for text in ("[{", "[array({'role': 'user'})]", "hello"):
        assert refused(tmp_path, {"messages": text}).reason == "no_messages"


@pytest.mark.parametrize("name", ["log.csv", "log.tsv", "log.csv.gz"])
def test_a_table_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("id,messages\n1,[]\n")
    with pytest.raises(Exception, match="table of values, not of JSON"):
        list(read_files([tmp_path / name]))


def test_a_rejected_call_names_its_tool(tmp_path: Path) -> None:
    bad = {**CALLING, "tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]}
    rejected = refused(tmp_path, {"messages": [*ASKED, bad], "tools": TOOLS})
    assert (rejected.reason, rejected.about) == ("bad_arguments", "weather")


def test_every_log_that_is_damaged_in_its_bodies_is_read_or_refused(tmp_path: Path) -> None:
    """Bodies inside JSON texts, which the damage of whole records does not reach."""
    for cut in range(0, len(SAMPLES["langfuse"]["input"]) - 1, 7):
        record = dict(SAMPLES["langfuse"])
        record["input"] = record["input"][:cut]
        (item,) = read_sample(tmp_path, record)
        assert isinstance(item, Rejected), cut
        assert item.reason != "unreadable", item.detail
