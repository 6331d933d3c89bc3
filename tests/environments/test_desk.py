"""The desk as an environment."""

import json
import random

import pytest

from actwise.conversation import Conversation, ToolCall, tool_name
from actwise.data.rename import rename
from actwise.desk import generate
from actwise.environments import Broken
from actwise.environments.desk import DeskEnvironment
from actwise.environments.script import Turn, turns_of, with_results

CONVERSATIONS = generate("test", 40) + generate("shifted", 20)


def opened(conversation: Conversation, *, questions: int = 2) -> DeskEnvironment:
    return DeskEnvironment(conversation, call_seconds=5, questions=questions)


def acting_turn() -> Turn:
    """Return a turn in which something is done at the desk."""
    return next(
        turn
        for conversation in CONVERSATIONS
        for turn in turns_of(conversation)
        if any("act" in message.labels for message in turn.messages)
    )


def renamed(conversation: Conversation) -> Conversation:
    return rename(conversation, ["apple", "bridge", "candle", "dune"], random.Random(1))


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda c: c.id)
def test_recorded_calls_return_what_was_recorded(conversation: Conversation) -> None:
    for version in (conversation, renamed(conversation)):
        environment = opened(version)
        environment.reset(0)
        for call, recorded in with_results(version.messages):
            result = environment.call(call)
            assert (result.text, result.failed) == (recorded, False)
        environment.close()


def test_the_state_at_a_turn_is_that_after_the_calls_before_it() -> None:
    turn = acting_turn()
    environment = opened(turn.conversation)
    environment.reset(turn.number)
    before = environment.state()
    for call in turn.calls:
        environment.call(call)
    after = environment.state()
    assert before != after
    environment.reset(turn.number, turn.messages)
    assert environment.state() == after
    environment.reset(turn.number + 1)
    assert environment.state() == after
    environment.reset(turn.number)
    assert environment.state() == before


def test_environments_share_nothing() -> None:
    turn = acting_turn()
    one, other = opened(turn.conversation), opened(turn.conversation)
    one.reset(turn.number)
    other.reset(turn.number)
    before = other.state()
    for call in turn.calls:
        one.call(call)
    assert other.state() == before
    one.close()
    other.close()


def test_looking_up_changes_nothing_and_doing_twice_is_seen() -> None:
    turn = acting_turn()
    environment = opened(turn.conversation)
    environment.reset(turn.number)
    before = environment.state()
    *lookups, act = turn.calls
    for call in lookups:
        environment.call(call)
    assert environment.state() == before
    environment.call(act)
    once = environment.state()
    environment.call(act)
    assert environment.state() != once


def test_an_act_with_another_amount_leaves_another_state() -> None:
    """A refund's amount stands in no row, but it was paid all the same."""
    conversation = next(
        c
        for c in CONVERSATIONS
        for call, _ in with_results(c.messages)
        if any(key in call.arguments for key in ("amount", "dollars", "refund_sum", "payback"))
    )
    (call, key) = next(
        (call, key)
        for call, _ in with_results(conversation.messages)
        for key in ("amount", "dollars", "refund_sum", "payback")
        if key in call.arguments
    )
    states = []
    for more in (0, 1):
        environment = opened(conversation)
        environment.reset(0)
        arguments = {**call.arguments, key: call.arguments[key] + more}
        environment.call(ToolCall(name=call.name, arguments=arguments))
        states.append(environment.state())
    assert states[0] != states[1]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"nothing": 1}, {"order_id": "x"}, {"order_id": {}}, {"order_id": 1, "more": 2}],
)
def test_calls_against_the_schema_are_refused_in_words(arguments: dict[str, object]) -> None:
    conversation = CONVERSATIONS[0]
    environment = opened(conversation)
    environment.reset(0)
    before = environment.state()
    for name in (*map(tool_name, conversation.tools), "drop_table"):
        result = environment.call(ToolCall(name=name, arguments=dict(arguments)))
        if result.failed:
            assert json.loads(result.text).keys() == {"error"}
        else:  # by chance it is the tool's own argument
            assert name in map(tool_name, conversation.tools)
    assert environment.state() == before


def test_a_number_that_no_row_can_hold_is_refused() -> None:
    conversation = CONVERSATIONS[0]
    environment = opened(conversation)
    environment.reset(0)
    for tool in conversation.tools:
        properties = tool["function"]["parameters"]["properties"]
        arguments = {
            name: 2**70 if schema["type"] == "integer" else "x"
            for name, schema in properties.items()
        }
        if 2**70 in arguments.values():
            assert environment.call(ToolCall(name=tool_name(tool), arguments=arguments)).failed


def test_a_call_that_takes_too_long_is_broken_off() -> None:
    turn = acting_turn()
    environment = DeskEnvironment(turn.conversation, call_seconds=0.05, questions=0)
    environment.reset(turn.number)
    database = environment.world.database
    database.execute(
        "CREATE TABLE many AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "LIMIT 100000) SELECT i FROM n"
    )
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        database.execute(
            f"CREATE TRIGGER slow_{table} BEFORE UPDATE ON {table} "
            "BEGIN SELECT count(*) FROM many a, many b; END"
        )
    result = environment.call(turn.calls[-1])
    assert result.failed
    assert "interrupted" in result.text


def test_a_customer_tells_the_number_when_asked_for_it() -> None:
    """She has it, though she has not been asked in the record."""
    conversation, turn, number = next(
        (c, turn, next(iter(turn.calls[0].arguments.values())))
        for c in CONVERSATIONS
        for turn in turns_of(c)
        if turn.answer is not None
        and "?" not in turn.answer.content
        and len(turn.calls) == 1
        and isinstance(next(iter(turn.calls[0].arguments.values())), int)
        and "error" not in turn.messages[1].content
    )
    environment = opened(conversation, questions=1)
    environment.reset(turn.number)
    said = environment.reply("What is the number, please?")
    assert said is not None
    assert str(number) in said
    assert environment.turn == turn.number
    # She answers no second time, but goes on.
    environment.reply("What is the number, please?")
    assert environment.turn == turn.number + 1


def test_the_customer_says_what_is_recorded() -> None:
    for conversation in CONVERSATIONS:
        environment = opened(conversation)
        environment.reset(0)
        turns = turns_of(conversation)
        for turn in turns:
            assert turn.answer is not None
            said = environment.reply(turn.answer.content)
            if turn is turns[-1]:
                assert said is None
            else:
                assert said == conversation.messages[turn.end].content


def test_other_conversations_are_refused() -> None:
    with pytest.raises(Broken, match="x"):
        opened(CONVERSATIONS[0].model_copy(update={"id": "x"}))
