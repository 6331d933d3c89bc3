"""Other names for tools and arguments: everywhere, consistently, and of nothing else."""

import json
import random

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message, ToolCall, tool_name, tool_parameters
from actwise.data.rename import rename, rename_share, vocabulary
from actwise.desk import generate
from actwise.desk.domains import DOMAINS

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord"]

ORDER = {
    "type": "function",
    "function": {
        "name": "get_order",
        "description": "By its order_id",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": {"type": "integer", "description": "The id"},
                "options": {"type": "object", "properties": {"fast": {"type": "boolean"}}},
            },
            "required": ["order_id"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
    },
}
BARE = {"type": "function", "function": {"name": "ping"}}

CONVERSATION = Conversation(
    id="c",
    tools=(ORDER, SEARCH, BARE),
    messages=(
        Message(role="system", content="Call get_order first; search only then."),
        Message(role="user", content="I search for order 7."),
        Message(
            role="assistant",
            reasoning_content="get_order with order_id 7.",
            tool_calls=(
                ToolCall(
                    name="get_order", arguments={"options": {"fast": True}, "order_id": 7}, id="x"
                ),
                ToolCall(name="search", arguments={"a": "search"}),
                ToolCall(name="unknown", arguments={"order_id": 1}),
            ),
        ),
        Message(role="tool", content="{}", name="get_order", tool_call_id="x"),
        Message(role="assistant", content="Done."),
    ),
)


def test_new_names_share_parts_as_real_ones_do() -> None:
    words = [f"{first}{second}xyz" for first in "abcdefgh" for second in "ijklmnop"]
    for conversation in generate("train", 30):
        renamed = rename(conversation, words, random.Random(conversation.id))
        names = {
            name
            for tool in renamed.tools
            for name in (tool_name(tool), *tool_parameters(tool)["properties"])
        }
        # Each of two or three parts; independent ones of 64 words would hardly repeat.
        assert len({part for name in names for part in name.split("_")}) <= len(names) + 1


def test_a_renamed_conversation_by_hand() -> None:
    renamed = rename(CONVERSATION, WORDS, random.Random(0))
    order, search, ping = (tool_name(tool) for tool in renamed.tools)
    order_id, options = tool_parameters(renamed.tools[0])["properties"]
    names = [order, search, ping, order_id, options]
    assert len(set(names)) == 5
    halves = {a[: len(a) // 2] + b[len(b) // 2 :] for a in WORDS for b in WORDS}  # or whole, a = b
    assert all(set(name.split("_")) <= halves for name in names)
    assert renamed.tools[0]["function"] == {
        "name": order,
        "description": f"By its {order_id}",
        "parameters": {
            "type": "object",
            "properties": {
                order_id: {"type": "integer", "description": "The id"},
                options: {"type": "object", "properties": {"fast": {"type": "boolean"}}},
            },
            "required": [order_id],
        },
    }
    # A schema that speaks of its arguments in further places keeps their names.
    assert tool_parameters(renamed.tools[1]) == tool_parameters(SEARCH)
    system, user, action, result, answer = renamed.messages
    assert system.content == f"Call {order} first; search only then."  # "search" is a word, too
    assert user == CONVERSATION.messages[1]
    assert action.reasoning_content == f"{order} with {order_id} 7."
    assert [(c.name, c.arguments, c.id) for c in action.tool_calls] == [
        (order, {options: {"fast": True}, order_id: 7}, "x"),
        (search, {"a": "search"}, None),  # a value is data
        ("unknown", {"order_id": 1}, None),
    ]
    assert result.name == order
    assert answer == CONVERSATION.messages[4]


LIST = {
    "type": "function",
    "function": {
        "name": "list_rows",
        "parameters": {
            "type": "object",
            "properties": {"sort_by": {"type": "string"}, "created_at": {"type": "string"}},
        },
    },
}


@pytest.mark.parametrize(
    "value",
    ["created_at", ["-created_at"], {"created_at": 1}, "SELECT\ncreated_at", "按created_at"],
)
def test_a_name_that_calls_pass_is_kept_where_it_has_to_be_read(value: object) -> None:
    asked = Message(role="user", content="Sort them by created_at with list_rows.")
    call = ToolCall(name="list_rows", arguments={"sort_by": value, "created_at": "2026"})
    chat = Conversation(
        id="c", tools=(LIST,), messages=(asked, Message(role="assistant", tool_calls=(call,)))
    )
    renamed = rename(chat, WORDS, random.Random(0))
    name = tool_name(renamed.tools[0])
    sort_by, created_at = tool_parameters(renamed.tools[0])["properties"]
    assert name != "list_rows" and sort_by != "sort_by" and created_at == "created_at"
    assert renamed.messages[0].content == f"Sort them by created_at with {name}."
    (made,) = renamed.messages[1].tool_calls
    assert (made.name, made.arguments) == (name, {sort_by: value, created_at: "2026"})


def test_a_tool_whose_name_calls_pass_is_kept_and_its_arguments_are_not() -> None:
    call = ToolCall(name="list_rows", arguments={"sort_by": "list_rows"})
    acted = Message(role="assistant", tool_calls=(call,))
    chat = Conversation(id="c", tools=(LIST,), messages=(acted,))
    renamed = rename(chat, WORDS, random.Random(0))
    sort_by, _ = tool_parameters(renamed.tools[0])["properties"]
    assert tool_name(renamed.tools[0]) == "list_rows" and sort_by != "sort_by"
    (made,) = renamed.messages[0].tool_calls
    assert (made.name, made.arguments) == ("list_rows", {sort_by: "list_rows"})


def test_a_name_is_found_among_letters_that_are_not_spaced() -> None:
    asked = Message(role="system", content="先调用get_order查询,不是get_orders")
    chat = Conversation(id="c", tools=(ORDER,), messages=(asked,))
    renamed = rename(chat, WORDS, random.Random(0))
    name = tool_name(renamed.tools[0])
    assert renamed.messages[0].content == f"先调用{name}查询,不是get_orders"


@pytest.mark.parametrize(
    "more",
    [
        {"properties": {"a": {"type": "string"}, "b": {"$ref": "#/properties/a"}}},
        {"properties": {"a": {"type": "object", "items": {"$ref": "#"}}}},
        {"propertyNames": {"maxLength": 1}},
        {"enum": [{"a": "x"}]},
        {"$ref": "#/$defs/d", "$defs": {"d": {"required": ["a"]}}},
    ],
)
def test_arguments_that_their_schema_names_in_other_places_keep_their_names(
    more: dict[str, object],
) -> None:
    schema = {"type": "object", "properties": {"a": {}}, **more}
    tool = {"type": "function", "function": {"name": "get", "parameters": schema}}
    renamed = rename(Conversation(id="c", tools=(tool,), messages=()), WORDS, random.Random(0))
    assert tool_name(renamed.tools[0]) != "get"
    assert tool_parameters(renamed.tools[0]) == schema


def test_tools_with_settings_keep_their_names() -> None:
    renamed = rename(CONVERSATION, WORDS, random.Random(0), keep=["get_order"])
    assert renamed.tools[0] == ORDER
    assert renamed.messages[2].tool_calls[0] == CONVERSATION.messages[2].tool_calls[0]
    assert tool_name(renamed.tools[2]) != "ping"


def test_one_word_is_enough() -> None:
    renamed = rename(CONVERSATION, ["amber"], random.Random(0))
    assert len({tool_name(tool) for tool in renamed.tools}) == 3


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.randoms(use_true_random=False))
def test_calls_fit_the_renamed_schemas_and_keep_their_values(
    seed: int, draw: random.Random
) -> None:
    (conversation,) = generate("train", 1, seed)
    renamed = rename(conversation, WORDS, draw)
    schemas = {tool_name(tool): tool_parameters(tool) for tool in renamed.tools}
    old = {tool_name(tool) for tool in conversation.tools}
    assert not old & set(schemas)
    calls = [c for m in renamed.messages for c in m.tool_calls]
    before = [c for m in conversation.messages for c in m.tool_calls]
    for call, original in zip(calls, before, strict=True):
        jsonschema.validate(call.arguments, {**schemas[call.name], "additionalProperties": False})
        assert list(call.arguments.values()) == list(original.arguments.values())
    # One name stands for one name throughout.
    pairs = {(a.name, b.name) for a, b in zip(before, calls, strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert not any(name in renamed.to_json() for name in old)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_is_renamed_by_the_seed(share: float) -> None:
    conversations = generate("train", 200)
    renamed = rename_share(conversations, share, 3)
    changed = sum(a != b for a, b in zip(conversations, renamed, strict=True))
    # Three standard deviations of a binomial count.
    assert abs(changed - 200 * share) <= 3 * (200 * share * (1 - share)) ** 0.5
    assert renamed == rename_share(conversations, share, 3)
    assert [c.id for c in renamed] == [c.id for c in conversations]


def test_words_come_from_texts_and_descriptions() -> None:
    found = ["first", "for", "its", "only", "order", "search", "then"]
    assert (
        vocabulary([CONVERSATION]) == found
    )  # in small letters, three at least, no part of an identifier


@pytest.mark.parametrize(
    ("name", "words"), [("getWeather_2", ["get", "weather", "city"]), ("f", [*"abcxyz"])]
)
def test_logs_in_other_letters_are_renamed(name: str, words: list[str]) -> None:
    argument = "city" if name != "f" else "x"
    parameters = {"type": "object", "properties": {argument: {"type": "string"}}}
    tool = {
        "type": "function",
        "function": {"name": name, "description": "查询天气", "parameters": parameters},
    }
    call = ToolCall(name=name, arguments={argument: "Осло"}, id="x")
    asked = Message(role="user", content="奥斯陆的天气怎么样? Какая погода?")
    chat = Conversation(
        id="c", tools=(tool,), messages=(asked, Message(role="assistant", tool_calls=(call,)))
    )
    assert set(words) <= set(vocabulary([chat]))
    (renamed,) = rename_share([chat], 1.0, 0)
    (made,) = renamed.messages[1].tool_calls
    assert (made.name, [*made.arguments]) == (
        tool_name(renamed.tools[0]),
        [*tool_parameters(renamed.tools[0])["properties"]],
    )
    assert made.name != name and made.arguments != call.arguments
    assert [*made.arguments.values()] == ["Осло"]
    without_tools = chat.model_copy(update={"tools": (), "messages": (asked,)})
    assert rename_share([without_tools], 1.0, 0) == [without_tools]


def test_renaming_gives_away_no_name_of_the_shifted_desk() -> None:
    """With the seeds of the experiment no new name is one that is kept for `shifted`."""
    specs = [s for d in DOMAINS for s in (*d.business.lookups.values(), *d.business.acts.values())]
    kept = {name for spec in specs for name in spec.names.shifted}
    kept |= {n for d in DOMAINS for p in d.business.parameters.values() for n in p.names.shifted}
    for seed in range(5):
        for conversation in rename_share(generate("train", 300, seed), 0.5, seed):
            shown = {tool_name(tool) for tool in conversation.tools}
            shown |= {n for t in conversation.tools for n in tool_parameters(t)["properties"]}
            assert not shown & kept, json.dumps(sorted(shown & kept))
