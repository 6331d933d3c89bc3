import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actwise.conversation import CONTROL_TAG, Conversation, Message, ToolCall
from actwise.errors import ConfigError, InputError
from actwise.formats import FORMATS, Rejected, read_files
from actwise.formats.readers import taskmaster4 as tm4
from actwise.formats.record import strict_json

DATA = Path(__file__).parents[3] / "shared" / "data"
AIRLINE = DATA / "tau-bench-v1"

LOOKUP = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look up an order.",
        "parameters": {
            "type": "object",
            "properties": {"order": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["order"],
        },
    },
}
HELLO = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]


def write_lines(path: Path, *records: Any) -> Path:
    lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def call(arguments: Any, name: str = "lookup", call_id: str = "c1") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def calling(*calls: dict[str, Any], content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(call_id: str = "c1", content: Any = "{}") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": [HELLO[0], *messages], "tools": [LOOKUP], **fields}


def read_one(tmp_path: Path, record: Any, **options: Any) -> Conversation | Rejected:
    (item,) = read_files([write_lines(tmp_path / "log.jsonl", record)], **options)
    return item


def conversation(tmp_path: Path, record: Any, **options: Any) -> Conversation:
    item = read_one(tmp_path, record, **options)
    assert isinstance(item, Conversation), item
    return item


# --- OpenAI records ---------------------------------------------------------------------------


def test_parallel_calls_with_object_and_string_arguments(tmp_path: Path) -> None:
    item = conversation(
        tmp_path,
        chat(
            calling(call({"order": "A1"}), call('{"order": "B2", "limit": 3}', call_id="c2")),
            result("c2", "two"),
            result("c1", "one"),
            {"role": "assistant", "content": "done", "refusal": None},
            id="x",
            group="customer-7",
        ),
    )
    assert (item.id, item.group) == ("x", "customer-7")
    assert item.source == f"{tmp_path / 'log.jsonl'}:1"
    assert item.messages[1] == Message(
        role="assistant",
        tool_calls=(
            ToolCall(name="lookup", arguments={"order": "A1"}, id="c1"),
            ToolCall(name="lookup", arguments={"order": "B2", "limit": 3}, id="c2"),
        ),
    )
    assert [m.role for m in item.messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert item.tools == (LOOKUP,)


def test_content_parts_developer_role_and_default_id(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    record = {"messages": [{"role": "developer", "content": parts}, *HELLO]}
    item = conversation(tmp_path, record)
    assert item.messages[0] == Message(role="system", content="one two")
    assert (item.id, item.group, item.tools) == ("log-1", None, ())


def test_legacy_functions(tmp_path: Path) -> None:
    item = conversation(
        tmp_path,
        {
            "functions": [LOOKUP["function"]],
            "messages": [
                HELLO[0],
                {
                    "role": "assistant",
                    "content": None,
                    "function_call": {"name": "lookup", "arguments": '{"order": "A1"}'},
                },
                {"role": "function", "name": "lookup", "content": "found"},
            ],
        },
    )
    assert item.tools == (LOOKUP,)
    assert item.messages[1].tool_calls == (ToolCall(name="lookup", arguments={"order": "A1"}),)
    assert item.messages[2] == Message(role="tool", content="found", name="lookup")


def test_tools_as_a_string_and_tools_from_a_file(tmp_path: Path) -> None:
    record = chat(calling(call({"order": "A1"})))
    record["tools"] = json.dumps([LOOKUP])
    assert conversation(tmp_path, record).tools == (LOOKUP,)
    del record["tools"]
    rejected = read_one(tmp_path, record)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "undeclared_tool"
    tools = tmp_path / "tools.json.gz"
    tools.write_bytes(gzip.compress(json.dumps([LOOKUP]).encode()))
    assert conversation(tmp_path, record, tools=tools).tools == (LOOKUP,)


def test_logged_request_and_response(tmp_path: Path) -> None:
    answer = {"message": calling(call('{"order": "A1"}')), "finish_reason": "tool_calls"}
    record = {
        "id": 17,
        "request": {"model": "m", "messages": HELLO[:1], "tools": [LOOKUP]},
        "response": {"id": "r", "choices": [answer]},
    }
    item = conversation(tmp_path, record)
    assert item.id == "17"
    assert [m.role for m in item.messages] == ["user", "assistant"]
    record["response"] = {"error": "overloaded"}
    rejected = read_one(tmp_path, record)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "no_response"


@pytest.mark.parametrize(
    ("message", "thought", "content"),
    [
        ({"content": "<think>\nwhy\n</think>\n\nhello"}, "why", "hello"),
        ({"content": "<think>\n\n</think>\n\nhello"}, None, "hello"),
        ({"content": "hello", "reasoning_content": "why"}, "why", "hello"),
        ({"content": "hello", "reasoning": "why"}, "why", "hello"),
        ({"content": "hello", "reasoning": None}, None, "hello"),
        ({"content": "a <thought> tag"}, None, "a <thought> tag"),
    ],
)
def test_thoughts(
    tmp_path: Path, message: dict[str, Any], thought: str | None, content: str
) -> None:
    item = conversation(tmp_path, chat({"role": "assistant", **message}))
    assert (item.messages[1].reasoning_content, item.messages[1].content) == (thought, content)


ANSWER = {"role": "assistant", "content": "hello"}
DEEP = {"name": "lookup", "parameters": {"$ref": "http://localhost:9/schema.json"}}


@pytest.mark.parametrize(
    ("reason", "record", "words"),
    [
        ("broken_json", '{"messages": [', "mend the line"),
        ("broken_json", '{"messages": [], "x": NaN}', "NaN"),
        ("broken_json", '{"messages": [], "x": 1e999}', "too large"),
        ("broken_json", '{"messages": [], "x": "\\ud800"}', "half"),
        ("broken_json", '{"messages": 1, "messages": 2}', "'messages' occurs twice"),
        ("broken_json", "[" * 100_000, "nested too deeply"),
        ("no_messages", {"messages": "hi"}, "`messages` is a string"),
        ("no_messages", {"messages": []}, "no messages"),
        ("no_messages", [1], "the record is an array"),
        ("no_messages", {"id": "x"}, "neither `messages`"),
        ("bad_message", chat("hi"), "messages[1] is a string"),
        ("unknown_role", chat({"role": "agent", "content": "x"}), "'agent'"),
        ("non_text_content", chat({"role": "user", "content": {"a": 1}}), "an object"),
        (
            "non_text_content",
            chat({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
            "messages[1].content[0] is no text part ('image_url')",
        ),
        ("no_assistant", chat(), "no assistant message"),
        ("bad_start", {"messages": [ANSWER]}, "begins with role 'assistant'"),
        ("empty_assistant", chat({"role": "assistant", "content": " "}), "messages[1]"),
        ("unclosed_thought", chat({"role": "assistant", "content": "<think>x"}), "close it"),
        (
            "two_thoughts",
            chat({"role": "assistant", "content": "<think>x</think>y", "reasoning": "z"}),
            "leave one",
        ),
        ("bad_call", chat(calling({"id": "c1"})), "tool_calls[0] has no `function`"),
        ("bad_call", chat({"role": "assistant", "tool_calls": {}}), "an object"),
        ("undeclared_tool", chat(calling(call({}, name="refund"))), "declared is lookup"),
        ("arguments_not_json", chat(calling(call("{order: 1}"))), "not JSON"),
        ("arguments_not_json", chat(calling(call('{"order": "A1"'))), 'write "{}" for none'),
        ("arguments_not_object", chat(calling(call("[1]"))), "an array"),
        ("arguments_not_object", chat(calling(call(3))), "a number"),
        ("arguments_not_object", chat(calling(call(json.dumps(json.dumps("x"))))), "a string"),
        ("bad_arguments", chat(calling(call({}))), "'order' is a required property"),
        (
            "bad_arguments",
            chat(calling(call({"order": "A1", "limit": "3"}))),
            "argument 'limit': '3' is not of type 'integer'",
        ),
        ("orphan_result", chat(ANSWER, result("c9")), "'c9'"),
        ("orphan_result", chat(calling(call({"order": "1"})), result(), result()), "messages[3]"),
        (
            "misplaced_calls",
            chat({"role": "user", "tool_calls": [call({"order": "1"})]}, ANSWER),
            "only the assistant",
        ),
        ("bad_field", chat(ANSWER, id={}), "`id` of the record is an object"),
        ("bad_tools", chat(ANSWER, tools=[3]), "a number"),
        (
            "bad_tools",
            chat(ANSWER, tools=[LOOKUP, {"name": "lookup", "parameters": {"type": "object"}}]),
            "declared twice",
        ),
        (
            "bad_tools",
            chat(
                calling(call({}, name="f")),
                tools=[{"name": "f", "parameters": {"properties": {"n": {"minimum": "1"}}}}],
            ),
            "no JSON schema",
        ),
        # Must not be fetched: reading logs stays off the network.
        ("bad_tools", chat(calling(call({})), tools=[DEEP]), "cannot be applied"),
    ],
)
def test_unusable_records_are_rejected_with_place_and_remedy(
    tmp_path: Path, reason: str, record: Any, words: str
) -> None:
    path = write_lines(tmp_path / "log.jsonl", chat(ANSWER), record, chat(ANSWER))
    first, rejected, last = read_files([path])
    assert isinstance(first, Conversation)
    assert isinstance(last, Conversation)
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.line, rejected.count) == (reason, 2, 1)
    assert words in rejected.detail
    assert str(rejected) == f"{path}:2: {rejected.detail}"


# --- Files ------------------------------------------------------------------------------------


def test_equal_doubled_key_is_accepted() -> None:
    assert strict_json('{"a": 1, "a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="'a' occurs twice"):
        strict_json('{"a": 1, "a": true}')


def test_ids_are_unique_over_files(tmp_path: Path) -> None:
    names = ["x", "x", "x~2", "x"]
    one = write_lines(tmp_path / "one.jsonl", *[chat(ANSWER, id=name) for name in names])
    two = write_lines(tmp_path / "two.jsonl", chat(ANSWER, id="x"))
    ids = [item.id for item in read_files([one, two]) if isinstance(item, Conversation)]
    assert ids == ["x", "x~2", "x~2~2", "x~3", "x~4"]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.log"])
def test_array_records_carry_the_line_on_which_they_begin(tmp_path: Path, name: str) -> None:
    text = f"[\n{json.dumps(chat(ANSWER), indent=1)},\n\n{{\n}} ]\n"
    raw = text.encode("utf-8-sig")
    path = tmp_path / name
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    good, bad = read_files([path])
    assert isinstance(good, Conversation)
    assert isinstance(bad, Rejected)
    assert good.source == f"{path}:2"
    assert text.splitlines()[bad.line - 1] == "{"
    assert bad.line == len(text.splitlines()) - 1


def test_lines_are_streamed_and_blank_or_undecodable_ones_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    good = json.dumps(chat(ANSWER)).encode()
    path.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n\n  \n" + b'{"x": "\xff"}\n' + good)
    first, bad, last = read_files([path])
    assert isinstance(first, Conversation)
    assert isinstance(last, Conversation)
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.line, last.id) == ("not_utf8", 4, "log-5")


def test_broken_records_before_the_first_readable_one_are_kept(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", "{x", "}", chat(ANSWER))
    assert [type(item) for item in read_files([path])] == [Rejected, Rejected, Conversation]


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", chat(ANSWER))
    items = read_files([path, tmp_path / "absent.jsonl"])
    assert isinstance(next(items), Conversation)
    with pytest.raises(InputError, match=r"absent\.jsonl: cannot be read: No such file"):
        next(items)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("empty.jsonl", b"", "holds no record"),
        ("blank.jsonl", b"\n \n", "holds no record"),
        ("none.json", b"[]", "holds no record"),
        ("binary.jsonl", b"\x00\x01", "is not UTF-8 text"),
        ("cut.jsonl.gz", gzip.compress(b"x" * 100, mtime=0)[:-6], "damaged gzip"),
        ("plain.jsonl.gz", b"{}\n", "damaged gzip"),
        ("cut.json", b'[{"messages": []},\n{"a"', "cut.json:2: is not a JSON array"),
        ("more.json", b"[{}] {}", "Extra data"),
        ("words.jsonl", b"hello\nworld\n", "words.jsonl:1: the format is not recognised"),
        ("other.jsonl", b'{"b": 1, "a": 2}', "an object with the keys a, b"),
        ("other.jsonl", b'{"b": 1}', "tried openai, anthropic, responses"),
    ],
)
def test_unusable_files(tmp_path: Path, name: str, raw: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        list(read_files([path]))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_directories_and_unknown_formats(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        list(read_files([tmp_path]))
    with pytest.raises(ConfigError, match="choose one of openai, anthropic, responses"):
        read_files([], format="csv")


def test_format_overrides_recognition(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "log.jsonl", {"dialog": 1}, "{")
    items = list(read_files([path], format="openai"))
    reasons = [item.reason for item in items if isinstance(item, Rejected)]
    assert reasons == ["no_messages", "broken_json"]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{", "is not JSON"),
        (b"{}", "`tools` is an object"),
        (b'[{"function": {}}]', "`tools[0]` has no name"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_unusable_tools_files(tmp_path: Path, raw: bytes, words: str) -> None:
    tools = tmp_path / "tools.json"
    tools.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        read_files([], tools=tools)
    assert words in str(caught.value)
    assert str(tools) in str(caught.value)


# --- Round trip -------------------------------------------------------------------------------

# Texts that hold a tag of the chat template are refused.
texts = st.text(max_size=20).filter(lambda text: not CONTROL_TAG.search(text))
words = texts.filter(lambda text: bool(text.strip()))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
labels = st.lists(words, max_size=2).map(tuple)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    names = draw(st.lists(words, min_size=1, max_size=3, unique=True))
    messages = [Message(role=draw(st.sampled_from(["system", "user"])), content=draw(texts))]
    for turn in range(draw(st.integers(1, 3))):
        messages.append(Message(role="user", content=draw(texts), labels=draw(labels)))
        calls = tuple(
            ToolCall(
                name=draw(st.sampled_from(names)),
                arguments=draw(st.dictionaries(texts, values, max_size=3)),
                id=f"call_{turn}_{index}",
            )
            for index in range(draw(st.integers(0, 2)))
        )
        messages.append(
            Message(
                role="assistant",
                content=draw(texts if calls else words),
                tool_calls=calls,
                reasoning_content=draw(st.none() | texts),
                labels=draw(labels),
            )
        )
        messages += [
            Message(role="tool", content=draw(texts), tool_call_id=call.id, name=call.name)
            for call in calls
        ]
    tools = tuple({"type": "function", "function": {"name": name}} for name in names)
    return Conversation(
        id=draw(words), messages=tuple(messages), tools=tools, group=draw(st.none() | texts)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(written=st.lists(conversations(), min_size=1, max_size=3, unique_by=lambda c: c.id))
def test_the_canonical_form_is_read_back_as_it_was_written(
    tmp_path: Path, written: list[Conversation]
) -> None:
    path = write_lines(tmp_path / "canonical.jsonl", *[item.to_json() for item in written])
    items = list(read_files([path]))
    assert all(isinstance(item, Conversation) for item in items), items
    assert [item.model_copy(update={"source": ""}) for item in items] == written  # type: ignore[union-attr]


# --- Taskmaster-4 -----------------------------------------------------------------------------


def annotations(name: str, request: str | None, response: str, number: int = 0) -> list[Any]:
    call_context, response_context = f"api_call_{number}", f"api_response_{number}"
    out = [{"name": "api_call", "value": name, "context": call_context}]
    if request is not None:
        out.append({"name": "request", "value": request, "context": call_context})
    out.append({"name": "api_response", "value": name, "context": response_context})
    out.append({"name": "response", "value": response, "context": response_context})
    return out


def said(speaker: str, text: str, *calls: list[Any]) -> dict[str, Any]:
    return {
        "speaker": speaker,
        "text": text,
        "annotations": [part for call in calls for part in call],
    }


def test_taskmaster_calls_come_between_utterances(tmp_path: Path) -> None:
    first = annotations("show_menu", None, '{"success":true}', 0)
    second = annotations("get_menu_items", '{"query": "té"}', '{"menu_items":["té"]}', 1)
    record = {
        "conversation_id": "dlg-1",
        "utterances": [
            said("user", "Hello"),
            said("user", "tea?", first, second),
            said("assistant", "Yes."),
            said("assistant", "Which one?"),
        ],
    }
    item = conversation(tmp_path, record)
    assert (item.id, item.tools) == ("dlg-1", tm4.TOOLS)
    system, *messages = item.messages
    assert system == Message(role="system", content=tm4.SYSTEM_PROMPT)
    assert [m.to_dict() for m in messages] == [
        {"role": "user", "content": "Hello\ntea?"},
        calling(call({}, "show_menu", "api_call_0"), content=""),
        {**result("api_call_0", '{"success": true}'), "name": "show_menu"},
        calling(call({"query": "té"}, "get_menu_items", "api_call_1"), content=""),
        {**result("api_call_1", '{"menu_items": ["té"]}'), "name": "get_menu_items"},
        {"role": "assistant", "content": "Yes.\nWhich one?"},
    ]


def test_all_broken_texts_of_a_dialog_are_named(tmp_path: Path) -> None:
    first = annotations("get_menu_items", '{"query": ""x""}', "{", 0)
    second = annotations("finish_order", '{"order_id": "1"}', "oops", 1)
    rejected = read_one(tmp_path, {"utterances": [said("user", "x", first, second)]})
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.count) == ("broken_json", 3)
    assert "request of get_menu_items (api_call_0, utterance 0)" in rejected.detail
    assert "response of get_menu_items (api_call_0, utterance 0)" in rejected.detail
    assert "response of finish_order (api_call_1, utterance 0)" in rejected.detail


MENU = annotations("get_menu_items", '{"query": "x"}', "{}")


@pytest.mark.parametrize(
    ("reason", "utterance"),
    [
        ("unknown_role", said("waiter", "x")),
        ("non_text_content", {"speaker": "user", "text": None}),
        ("misplaced_calls", said("assistant", "x", MENU)),
        ("bad_annotations", said("user", "x", MENU[1:])),
        ("bad_annotations", said("user", "x", MENU[:3])),
        ("bad_annotations", said("user", "x", MENU[:2] + annotations("show_menu", None, "{}")[1:])),
        ("undeclared_tool", said("user", "x", annotations("refund", "{}", "{}"))),
        ("arguments_not_object", said("user", "x", annotations("show_menu", "[]", "{}"))),
        ("bad_arguments", said("user", "x", annotations("get_menu_items", '{"query": 1}', "{}"))),
        ("bad_arguments", said("user", "x", annotations("show_menu", '{"page": 1}', "{}"))),
        ("no_assistant", said("user", "x")),
    ],
)
def test_unusable_taskmaster_dialogs(
    tmp_path: Path, reason: str, utterance: dict[str, Any]
) -> None:
    rejected = read_one(tmp_path, {"utterances": [utterance]})
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


def test_all_of_taskmaster() -> None:
    path = DATA / "taskmaster4" / "dialogs.jsonl.gz"
    if not path.exists():
        pytest.skip("the Taskmaster-4 dialogs are not beside the checkout")
    items = list(read_files([path]))
    rejected = [item for item in items if isinstance(item, Rejected)]
    kept = [item for item in items if isinstance(item, Conversation)]
    assert (len(items), len(kept), len(rejected)) == (3040, 3025, 15)
    # Counted with json.loads alone: 34 responses and 21 requests are not JSON.
    assert {item.reason for item in rejected} == {"broken_json"}
    assert sum(item.count for item in rejected) == 55
    kinds = Counter(decision.kind for item in kept for decision in item.decisions())
    # 12,064 calls and 5,601 answers stand in the file; the rest is in the 15 rejected dialogs.
    assert kinds == {"call": 11988, "answer": 5567}


# --- tau-bench --------------------------------------------------------------------------------


def test_tau_bench_runs_form_groups_by_task(tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([LOOKUP]))
    run = {"task_id": 4, "trial": 1, "reward": 0.0, "traj": [*HELLO, calling(call("{}"))]}
    path = write_lines(tmp_path / "runs.jsonl", {**run, "traj": HELLO}, run, {**run, "trial": "1"})
    good, bad_call, bad_trial = read_files([path], tools=tools)
    assert isinstance(good, Conversation)
    assert (good.id, good.group, good.tools) == ("task-4-trial-1", "task-4", (LOOKUP,))
    assert isinstance(bad_call, Rejected)
    assert isinstance(bad_trial, Rejected)
    assert (bad_call.reason, bad_trial.reason) == ("bad_arguments", "bad_field")
    with pytest.raises(InputError, match="--tools"):
        list(read_files([path]))


def test_all_of_tau_bench_airline() -> None:
    path = AIRLINE / "historical_trajectories" / "gpt-4o-airline.json.gz"
    if not path.exists():
        pytest.skip("the tau-bench runs are not beside the checkout")
    items = list(read_files([path], tools=AIRLINE / "airline" / "tools.json.gz"))
    kept = [item for item in items if isinstance(item, Conversation)]
    assert len(items) == len(kept) == 200
    assert Counter(item.group for item in kept) == {f"task-{task}": 4 for task in range(50)}
    kinds = Counter(decision.kind for item in kept for decision in item.decisions())
    assert kinds == {"call": 1164, "answer": 1290}


def test_every_format_is_listed() -> None:
    assert " ".join(FORMATS) == (
        "openai anthropic responses gemini bedrock vercel langchain swift gateway litellm langfuse "
        "langsmith otel trl xlam sharegpt taskmaster4 tau_bench toolrl sgd star api_bank "
        "functionchat bfcl acebench when2call toolalpaca"
    )


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_control_tag_inside_a_message_is_refused(tmp_path: Path, role: str) -> None:
    texts = {"user": "Hi.", "assistant": "Hello."} | {role: "So <|im_end|> it ends."}
    messages = [{"role": r, "content": text} for r, text in texts.items()]
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"messages": messages}))
    (item,) = read_files([path])
    assert isinstance(item, Rejected)
    assert item.reason == "control_tag"
    assert "<|im_end|>" in item.detail
