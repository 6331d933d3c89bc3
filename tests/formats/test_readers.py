"""What one record of every foreign format means."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, tool_name
from actwise.formats import FORMATS, Rejected, read_files
from actwise.formats.record import Unusable
from actwise.formats.schema import json_schema
from formats.reading import one, outline, places, read_sample, refused, replaced
from formats.samples import (
    RLLA_OUTPUT,
    RLLA_SYSTEM,
    SAMPLES,
    SGD_TOOLS,
    STAR_API,
    WEATHER,
    star_query,
)


def test_every_format_has_a_sample() -> None:
    assert SAMPLES.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_exactly_one_reader_recognises_a_record(name: str) -> None:
    assert [key for key, reader in FORMATS.items() if reader.recognises(SAMPLES[name])] == [name]


def test_toolrl(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["toolrl"])
    assert outline(item) == [
        ("system", "You help."),
        ("user", "Rain in Bonn?"),
        ("assistant", "", ("weather", {"city": "Bonn"}), ("sun", {"day": "today"})),
        ("tool", '{"name": "weather", "results": "rain"}'),
        ("tool", '{"name": "sun", "results": 6}'),
        ("assistant", "Rain."),
        ("user", "And in Ulm?"),
        ("assistant", "", ("weather", {"city": "Ulm"})),
    ]
    # The canned thought of the history is none; the distilled one of the action is kept.
    assert [m.reasoning_content for m in item.messages if m.role == "assistant"] == [
        None,
        None,
        "Ulm, then.",
    ]
    assert [tool_name(tool) for tool in item.tools] == ["weather", "sun"]
    assert item.tools[0]["function"]["description"] == "Tell the weather.\nTwo lines of it."
    assert item.tools[1]["function"]["parameters"]["properties"] == {"day": {"type": "string"}}


def test_the_three_spellings_of_toolrl(tmp_path: Path) -> None:
    system, user = RLLA_SYSTEM, "**Dialogue Records History**\n<user> Rain in Ulm? </user>"
    prompt = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    call = {"name": "weather", "parameters": {"city": "Ulm"}}
    rows = [
        {"instruction": system, "input": user, "output": RLLA_OUTPUT},
        {"prompt": prompt, "reward_model": {"style": "rule", "ground_truth": RLLA_OUTPUT}},
        {"system": system, "user": user, "answer": call},
        {"system": system, "user": user, "answer": [call]},
    ]
    for item in [one(tmp_path, row) for row in rows]:
        assert outline(item) == [
            ("system", "You help."),
            ("user", "Rain in Ulm?"),
            ("assistant", "", ("weather", {"city": "Ulm"})),
        ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"output": "<think> So: <tool_call> </think>\n<response> x </response>"}, "control_tag"),
        ({"output": "Rain."}, "unread_text"),
        ({"output": "<tool_call>\n{weather}\n</tool_call>"}, "broken_json"),
        ({"input": "<obs> 1 </obs>"}, "unpaired_results"),
        ({"instruction": RLLA_SYSTEM.replace("{'day'", "{day")}, "bad_tools"),
    ],
)
def test_unusable_rows_of_toolrl(tmp_path: Path, change: dict[str, str], reason: str) -> None:
    assert refused(tmp_path, SAMPLES["toolrl"] | change).reason == reason


def test_sgd(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["sgd"], SGD_TOOLS)
    assert item.id == "d1"
    assert outline(item) == [
        ("user", "Rain in Bonn?"),
        ("assistant", "", ("Weather_1_Get", {"city": "Bonn", "unit": "C"})),
        ("tool", '[{"sky": "rain"}]'),
        ("assistant", "Rain."),
    ]
    # Weather_11 is another service, and not one of the dialogue's.
    (tool,) = item.tools
    assert tool["function"]["name"] == "Weather_1_Get"
    assert tool["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "unit": {"type": "string", "enum": ["C", "F", "dontcare"], "default": "dontcare"},
        },
        "required": ["city"],
        "additionalProperties": False,
    }


def test_star(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["star"], STAR_API)
    arguments = {
        "City": "Bonn",
        "Pin": "0314",
        "Exact": True,
        "Days": {"is_at_least": 2, "is_less_than": 5},
    }
    assert outline(item) == [
        ("system", "Help."),
        ("user", "Rain in Bonn?"),
        ("assistant", "One moment.", ("weather", arguments)),
        ("tool", '{"Item": {"Sky": "rain"}, "TotalItems": 1}'),
        ("assistant", "Rain."),
    ]
    assert [tool_name(tool) for tool in item.tools] == ["weather"]


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ([{"City": 'api.is_equal_to("Ulm")'}], {"City": "Ulm"}),
        ([{"City": 'api.is_one_of(["Ulm","Bonn"])'}], {"City": {"is_one_of": ["Ulm", "Bonn"]}}),
        ([{"City": '"Ulm"'}, {"Days": "api.is_equal_to()"}, {"Pin": "null"}], {"City": "Ulm"}),
        ([{"City": '"Ulm"'}, {"City": '"Bonn"'}], "conflicting_arguments"),
        ([{"City": '"Rome"'}], "bad_arguments"),
        ([{"City": '"Ulm"'}, {"Days": "two"}], "bad_call"),
        ([{"Pin": '"1"'}], "bad_arguments"),
    ],
)
def test_constraints_of_star(tmp_path: Path, constraints: list[Any], expected: Any) -> None:
    record = copy.deepcopy(SAMPLES["star"])
    record["Events"][4] = star_query(*constraints)
    (item,) = read_sample(tmp_path, record, STAR_API)
    if isinstance(item, Rejected):
        assert item.reason == expected
    else:
        assert item.messages[2].tool_calls[0].arguments == expected


def test_api_bank(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["api_bank"])
    assert item.id == "level-1/x"
    assert outline(item) == [
        ("user", "What day is it?"),
        ("assistant", "Let me see.", ("GetToday", {})),
        ("tool", '{"output": "2023", "exception": null}'),
        ("assistant", "2023."),
    ]


def test_functionchat(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["functionchat"])
    assert outline(item) == [
        ("user", "비?"),
        ("assistant", "어디?"),
        ("user", "본"),
        ("assistant", "", ("weather", {"city": "본"})),
    ]
    assert [m.labels for m in item.messages] == [(), ("slot",), (), ("call",)]


def test_every_wording_and_list_of_tools_of_functionchat_is_a_conversation(tmp_path: Path) -> None:
    tool = WEATHER | {"parameters": {"type": "object"}}
    queries = [{"serial_num": n, "content": f"q{n}"} for n in (5, 6)]
    gold = json.dumps({"name": "weather", "arguments": "{}"})
    record = {
        "function_num": 2,
        "query": queries,
        "ground_truth": [{"serial_num": n, "content": gold} for n in (5, 6)],
        "tools": [{"type": "exact", "content": [tool]}, {"type": "close", "content": [tool]}],
    }
    items = [i for i in read_sample(tmp_path, record) if isinstance(i, Conversation)]
    assert [(i.id, i.group, i.messages[0].content, i.messages[1].labels) for i in items] == [
        ("singlecall-5-exact", "singlecall-2", "q5", ("exact",)),
        ("singlecall-5-close", "singlecall-2", "q5", ("close",)),
        ("singlecall-6-exact", "singlecall-2", "q6", ("exact",)),
        ("singlecall-6-close", "singlecall-2", "q6", ("close",)),
    ]
    assert refused(tmp_path, record | {"query": queries[:1]}).reason == "bad_field"


def test_bfcl(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["bfcl"])
    # "one" is no integer; the empty text stands for leaving out what is not required; of an
    # array of strings, the array is the value.
    arguments = {
        "city": "Bonn",
        "days": 1,
        "exact": 1,
        "spots": [{"name": "Rhein"}],
        "options": {"lang": "en"},
        "raw": ["a", "b"],
    }
    assert outline(item) == [("user", "Rain in Bonn?"), ("assistant", "", ("weather", arguments))]
    assert item.messages[-1].labels == ("live_multiple",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ground_truth": None}, "no_gold"),
        ({"ground_truth": [{"weather": {"city": []}}]}, "no_gold"),
        ({"question": [[], []]}, "needs_execution"),
        ({"function": None}, "needs_execution"),
    ],
)
def test_items_of_bfcl_without_a_recorded_call(
    tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    assert refused(tmp_path, SAMPLES["bfcl"] | change).reason == reason


@pytest.mark.parametrize("name", ["bfcl", "acebench"])
def test_answers_beside_the_file_are_joined_by_id(tmp_path: Path, name: str) -> None:
    record = dict(SAMPLES[name])
    gold = {"id": record["id"], "ground_truth": record.pop("ground_truth")}
    path = tmp_path / "items.json.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode()))
    (tmp_path / "possible_answer").mkdir()
    (without,) = read_files([path])
    assert isinstance(without, Rejected)
    assert without.reason == "no_gold"
    beside = tmp_path / "possible_answer" / path.name
    beside.write_bytes(gzip.compress(json.dumps(gold).encode()))
    (item,) = read_files([path])
    assert isinstance(item, Conversation)
    assert item.messages == one(tmp_path, SAMPLES[name]).messages


def test_acebench(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["acebench"])
    assert outline(item) == [
        ("system", "Today is Friday."),
        ("user", "Rain?"),
        ("assistant", "Where?"),
        ("user", "In Bonn,\nand in Ulm."),
        ("assistant", "", ("weather", {"city": "Bonn"}), ("weather", {"city": "Ulm"})),
    ]
    assert item.group == "normal_multi_turn_user_adjust_4"
    assert item.messages[-1].labels == ("normal_multi_turn_user_adjust",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ground_truth": "It cannot be done."}, ("assistant", "It cannot be done.")),
        (
            {"ground_truth": [{"weather": {"city": "Bonn"}}, {"weather": {"city": "Ulm"}}]},
            ("assistant", "", ("weather", {"city": "Bonn"})),
        ),
        ({"id": "special_incomplete_1", "ground_truth": {"weather": ["city"]}}, "no_gold"),
        ({"question": 'user: a\nsystem: [weather(city="x")]\nuser: b'}, "no_results"),
        ({"question": "Rain?"}, "unknown_role"),
        ({"initial_config": {}}, "needs_execution"),
    ],
)
def test_kinds_of_acebench(tmp_path: Path, change: dict[str, Any], expected: Any) -> None:
    (item,) = read_sample(tmp_path, SAMPLES["acebench"] | change)
    got = item.reason if isinstance(item, Rejected) else outline(item)[-1]
    assert got == expected


def test_when2call(tmp_path: Path) -> None:
    item = one(tmp_path, SAMPLES["when2call"])
    assert outline(item) == [("user", "Rain?"), ("assistant", "Where?")]
    assert (item.id, item.messages[1].labels) == ("u1", ("request_for_info",))
    call = {"name": "weather", "arguments": {"city": "Bonn"}}
    change = {"correct_answer": "tool_call", "answers": {"tool_call": json.dumps(call)}}
    item = one(tmp_path, SAMPLES["when2call"] | change)
    assert outline(item)[1] == ("assistant", "", ("weather", {"city": "Bonn"}))


def test_every_instruction_of_toolalpaca_is_a_conversation(tmp_path: Path) -> None:
    item, rejected = read_sample(tmp_path, SAMPLES["toolalpaca"])
    assert isinstance(item, Conversation)
    assert isinstance(rejected, Rejected)
    assert outline(item) == [
        ("user", "Rain in Bonn?"),
        ("assistant", "", ("weather", {"city": "Bonn"})),
    ]
    assert (item.id, item.group, rejected.reason) == ("log-1.1", "Sky", "no_results")


def test_foreign_types() -> None:
    assert json_schema(
        {
            "type": "dict",
            "properties": {
                "type": {"type": "str"},
                "rows": {"type": "ArrayList", "items": {"type": "long"}},
                "any": {"type": "any", "required": True},
            },
            "required": ["type"],
        }
    ) == {
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "rows": {"type": "array", "items": {"type": "integer"}},
            "any": {},
        },
        "required": ["type", "any"],
    }


# --- Whatever else a record holds -------------------------------------------------------------

JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "x", "{}", "[1]", [], [None], [[]], {}, {"id": 1}]
)


@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_damaged_record_is_read_or_refused_in_words(name: str, data: st.DataObject) -> None:
    """No reader fails otherwise than by `Unusable`, whatever stands anywhere in a record."""
    sample, reader = SAMPLES[name], FORMATS[name]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(places(sample)))
        sample = replaced(sample, path, data.draw(JUNK))
    reader.recognises(sample)
    try:
        for part in reader.parts(sample) if reader.parts else [sample]:
            reader.read(part, default_id="x", tools=())
    except Unusable as error:
        assert error.detail
