"""The judge as a whole: verdicts on whole completions, worked out by hand."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from actwise.conversation import Conversation, Message, ToolCall
from actwise.rewards.floors import floors
from actwise.rewards.judge import Verdict, judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import parse_completion

BINARY = JudgeConfig()
GRADED = JudgeConfig(tool_accuracy="graded")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "refund",
            "parameters": {
                "type": "object",
                "properties": {
                    "order": {"type": "string"},
                    "amount": {"type": "number"},
                    "notify": {"type": "boolean", "default": True},
                },
                "required": ["order", "amount"],
            },
        },
    },
    {"type": "function", "function": {"name": "ping"}},
]
REFUND = ("refund", {"order": "W1", "amount": 20})
PING: tuple[str, dict[str, Any]] = ("ping", {})


def gold(*calls: tuple[str, dict[str, Any]], content: str = "") -> Message:
    tool_calls = tuple(ToolCall(name=name, arguments=arguments) for name, arguments in calls)
    return Message(role="assistant", content=content, tool_calls=tool_calls)


def said(*calls: tuple[str, dict[str, Any]], content: str = "", thought: str = "hm") -> str:
    blocks = [
        f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"
        for name, arguments in calls
    ]
    return f"<think>\n{thought}\n</think>\n\n" + "\n".join(filter(None, [content, *blocks]))


def verdict(text: str, record: Message, settings: JudgeConfig = GRADED, **more: Any) -> Verdict:
    parsed = parse_completion(text, thinking=True)
    return judge(parsed, record, TOOLS, thinking=True, settings=settings, **more)


def test_the_record_itself_is_right() -> None:
    found = verdict(said(REFUND, PING, content="One moment."), gold(REFUND, PING))
    assert found.right
    assert (found.reward, found.format, found.tool_accuracy) == (1.0, 1.0, 1.0)
    assert (found.tool_names, found.arguments, found.recall) == (True, 1.0, 1.0)
    assert found.answer_correctness is None
    assert not found.notes


@pytest.mark.parametrize(
    ("calls", "graded", "arguments", "recall"),
    [
        # one of two arguments wrong: (1 + 1) / (1 + 2)
        ([("refund", {"order": "W1", "amount": 25})], 2 / 3, 1 / 2, 0.0),
        ([("refund", {"order": "W1"})], 2 / 3, 1 / 2, 0.0),
        # both equal and one too many: (1 + 2) / (1 + 2 + 1)
        ([("refund", {"order": "W1", "amount": 20, "why": "x"})], 3 / 4, 1.0, 0.0),
        ([("refund", {"order": "W1", "amount": 20, "notify": False})], 3 / 4, 1.0, 0.0),
        ([("repay", {"order": "W1", "amount": 20})], 0.0, 0.0, 0.0),
        # right, and a call too many: 1 / 2
        ([REFUND, PING], 1 / 2, 1.0, 1.0),
        ([REFUND, REFUND], 1 / 2, 1.0, 1.0),
    ],
)
def test_every_corruption_of_a_call_costs(
    calls: list[Any], graded: float, arguments: float, recall: float
) -> None:
    found = verdict(said(*calls), gold(REFUND))
    assert found.tool_accuracy == pytest.approx(graded)
    assert found.arguments == pytest.approx(arguments)
    assert found.recall == recall
    assert found.reward == pytest.approx((0.1 + graded) / 1.1)
    assert not found.right
    assert found.notes
    assert verdict(said(*calls), gold(REFUND), BINARY).tool_accuracy == 0.0


def test_default_arguments_are_neither_asked_for_nor_paid() -> None:
    default = {"notify": True}
    assert verdict(said(("refund", REFUND[1] | default)), gold(REFUND)).reward == 1.0
    assert verdict(said(REFUND), gold(("refund", REFUND[1] | default))).reward == 1.0
    wrong = {"order": "W2", "amount": 20}
    with_default = verdict(said(("refund", wrong | default)), gold(REFUND))
    assert (
        with_default.tool_accuracy == verdict(said(("refund", wrong)), gold(REFUND)).tool_accuracy
    )


def test_matching_is_optimal_not_greedy() -> None:
    first = ("refund", {"order": "W1", "amount": 20})
    second = ("refund", {"order": "W1", "amount": 30})
    # A greedy matcher gives the first recorded call the tie and leaves the second with nothing.
    found = verdict(said(("refund", {"order": "W1", "amount": 30}), first), gold(first, second))
    assert found.right
    swapped = verdict(said(second, ("refund", {"order": "W9", "amount": 20})), gold(first, second))
    assert swapped.tool_accuracy == pytest.approx((2 / 3 + 1) / 2)


def test_missing_call_costs_its_share() -> None:
    found = verdict(said(REFUND), gold(REFUND, PING))
    assert (found.tool_accuracy, found.recall, found.arguments) == (0.5, 0.5, 2 / 3)
    assert found.notes == ("missing call: ping",)


def test_broken_call_beside_a_good_one_costs_one_call() -> None:
    text = said(REFUND) + "\n<tool_call>\n{broken\n</tool_call>"
    found = verdict(text, gold(REFUND, PING))
    assert (found.tool_accuracy, found.recall, found.format) == (0.5, 0.5, 0.0)
    # two unreadable calls beside the right one: one right of three
    found = verdict(text + "\n<tool_call>\n{broken\n</tool_call>", gold(REFUND))
    assert found.tool_accuracy == pytest.approx(1 / 3)
    assert not found.right
    assert found.tool_names is False


def test_calls_that_cannot_be_read_were_tried() -> None:
    found = verdict("<think>x</think><tool_call>{</tool_call>", gold(REFUND))
    assert not found.missed_call
    assert found.reward == 0.0
    assert verdict("<think>x</think><tool_call>{</tool_call>", gold(content="Hi.")).needless_call


def test_wrong_kind_earns_nothing_however_tidy() -> None:
    answered = verdict(said(content="Done, $20 refunded."), gold(REFUND))
    assert answered.missed_call
    called = verdict(said(PING, content="Hi."), gold(content="Hi."))
    assert called.needless_call
    for found in (answered, called):
        assert (found.reward, found.right, found.recall, found.format) == (0.0, False, 0.0, 1.0)
        assert set(found.components().values()) == {0.0}


@pytest.mark.parametrize(
    ("thought", "error"),
    [("", "missing_thought"), ("<think>\n\n</think>\n\n", "empty_thought")],
)
def test_without_a_thought_nothing_is_earned_unless_none_is_required(
    thought: str, error: str
) -> None:
    bare = thought + said(REFUND).split("</think>\n\n")[1]
    found = verdict(bare, gold(REFUND))
    assert found.right
    assert (found.format, found.errors) == (0.0, (error,))
    assert found.thoughtless
    assert found.reward == 0.0
    assert set(found.components().values()) == {0.0}
    free = verdict(bare, gold(REFUND), JudgeConfig(require_thought=False))
    assert not free.thoughtless
    assert free.reward == pytest.approx(1.0 / 1.1)
    direct = parse_completion(bare.removeprefix(thought), thinking=False)
    found = judge(direct, gold(REFUND), TOOLS, thinking=False, settings=JudgeConfig())
    assert (found.thoughtless, found.reward) == (False, 1.0)


@pytest.mark.parametrize(
    ("text", "record", "settings", "reward"),
    [
        (said(REFUND, PING), gold(REFUND, PING), {}, 1.0),
        (said(REFUND), gold(REFUND, PING), {}, 0.0),
        (said(REFUND) + "\nDone.", gold(REFUND), {}, 0.0),  # words after a call: form
        (said(REFUND) + "\nDone.", gold(REFUND), {"format_weight": 0}, 1.0),
        # Right in other words, which in the mean costs wording.
        (said(content="You get 20 dollars."), gold(content="It will be 20 dollars."), {}, 1.0),
        (said(content="You get 30 dollars."), gold(content="It will be 20 dollars."), {}, 0.0),
        (said(REFUND, thought="a b c"), gold(REFUND), {"thought_length_weight": 1}, 0.0),
        (said(REFUND, thought=""), gold(REFUND), {}, 0.0),
    ],
)
def test_all_or_nothing(text: str, record: Message, settings: Any, reward: float) -> None:
    assert verdict(text, record, JudgeConfig(combine="all", **settings)).reward == reward


@pytest.mark.parametrize(
    ("thought", "share"),
    [
        ("one two three", 0.0),
        ("one two three four five six", 0.0),  # three runs, all different
        ("a b c d a b c d", 0.2),  # abcd bcda cdab dabc abcd: one of five occurred before
        ("so " * 10, 6 / 7),  # seven runs, all the same
    ],
)
def test_repetition_costs_the_share_of_runs_that_occurred_before(
    thought: str, share: float
) -> None:
    for penalty in (0.0, 0.5, 1.0):
        found = verdict(said(PING, thought=thought), gold(PING), JudgeConfig(repetition=penalty))
        assert found.reward == pytest.approx(1 - penalty * share)
        assert found.right


def test_unclosed_thought_holds_no_action() -> None:
    found = verdict("<think>" + said(REFUND).replace("</think>", ""), gold(REFUND))
    assert found.missed_call
    assert not found.right


def test_thought_length_pays_only_beside_the_right_kind() -> None:
    settings = JudgeConfig(thought_length_weight=1.0, thought_length_target=4)
    found = verdict(said(REFUND, thought="one two"), gold(REFUND), settings)
    assert found.thought_length == 0.5
    assert found.reward == pytest.approx((0.1 + 1.0 + 0.5) / 2.1)
    assert verdict(said(REFUND, thought="a " * 900), gold(REFUND), settings).reward == 1.0
    assert verdict(said(content="a", thought="a " * 9), gold(REFUND), settings).reward == 0.0
    direct = parse_completion(said(REFUND).split("</think>\n\n")[1], thinking=False)
    assert judge(direct, gold(REFUND), TOOLS, thinking=False, settings=settings).reward == 1.0


def test_components_carry_the_names_of_the_weights() -> None:
    call_parts = verdict(said(REFUND), gold(REFUND)).components()
    assert call_parts == {"format": 1.0, "tool_accuracy": 1.0, "thought_length": 0.01}
    answer_parts = verdict(said(content="Hi."), gold(content="Hi.")).components()
    assert answer_parts == {"format": 1.0, "answer_correctness": 1.0, "thought_length": 0.01}
    assert (call_parts | answer_parts).keys() == BINARY.weights().keys()


def test_verdict_is_json() -> None:
    found = verdict(said(("refund", {"order": "W1", "amount": 25})), gold(REFUND))
    record = json.loads(json.dumps(found.to_dict()))
    assert record["notes"] == ["amount: 25 instead of 20"]
    assert record["tool_accuracy"] == pytest.approx(2 / 3)


def test_notes_name_what_differs() -> None:
    found = verdict(
        said(("refund", {"amount": 20, "x": "y" * 99}), ("hack", {})), gold(REFUND, PING)
    )
    assert found.notes == (
        "order missing: W1",
        "x not in the record: " + "y" * 57 + "...",
        "missing call: ping",
        "wrong or extra call: hack (not on offer)",
    )
    many = verdict(said(*[PING] * 50), gold(REFUND))
    assert len(many.notes) == 21
    assert many.notes[-1] == "and 31 more"


@pytest.mark.parametrize(
    "bad",
    [
        {"tool_weight": 0},
        {"answer_facts": 0},
        {"format_weight": -1},
        {"colour": 1},
        {"tool_accuracy": "fuzzy"},
        {"repetition": 0.5, "combine": "normalize_each"},
    ],
)
def test_impossible_settings_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JudgeConfig(**bad)


def test_floors_are_the_share_each_trivial_policy_gets_right() -> None:
    def conversation(name: str, *actions: Message) -> Conversation:
        user = Message(role="user", content="hello")
        messages = tuple(part for action in actions for part in (user, action))
        return Conversation(id=name, messages=messages, tools=tuple(TOOLS))

    train = conversation(
        "train",
        gold(PING),
        gold(REFUND),
        gold(REFUND),
        gold(content="It is $5."),
        gold(content="It is $5."),
        gold(content="Bye."),
    )
    test = conversation(
        "test",
        gold(REFUND),
        gold(PING),
        gold(content="That costs 5 dollars."),
        gold(content="Glad to help."),
        gold(content="Goodbye."),
    )
    found = floors(test.decisions(), [train], BINARY)
    # The last two records claim nothing. A neutral answer is neither right nor wrong there, and so
    # is "It is $5.", whose amount has been said by then; a call is wrong.
    assert found == {"neutral_answer": 0, "commonest_answer": 1 / 3, "commonest_call": 1 / 5}
    only_calls = [conversation("calls", gold(PING))]
    assert floors(test.decisions(), only_calls, BINARY).keys() == {
        "neutral_answer",
        "commonest_call",
    }
