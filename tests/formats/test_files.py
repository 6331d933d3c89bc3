"""Files, folders and streams of logs, files of tools, and what is written again."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actwise.conversation import CONTROL_TAG, Conversation, Message, ToolCall
from actwise.errors import ConfigError, InputError
from actwise.formats import Rejected, read_files
from formats.chats import ANSWER, chat, write_lines


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
                reasoning_content=draw(st.none() | texts.map(lambda t: t if t.strip() else "")),
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
