"""The desk's expert does what is right, by an oracle that shares no code with it."""

import json
import re
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, Decision, Message, tool_name
from actwise.desk import SPLITS, generate, open_world
from actwise.desk.world import World
from actwise.rewards.judge import Verdict, judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion
from desk_oracle import RULES, Expected, Reader, follow, numbers

KINDS = {"lookup", "ask", "refuse", "act", "inform"}


@pytest.fixture(scope="module")
def logs() -> list[Conversation]:
    return [conversation for split in SPLITS for conversation in generate(split, 250)]


def decisions(logs: list[Conversation]) -> list[Decision]:
    return [decision for conversation in logs for decision in conversation.decisions()]


def kind(message: Message) -> str:
    (found,) = KINDS & set(message.labels)
    return found


def written(message: Message) -> str:
    """What a message shows: its text and its calls, without its thought."""
    calls = [json.dumps({"name": c.name, "arguments": c.arguments}) for c in message.tool_calls]
    return "\n".join([message.content, *calls])


# Against the oracle


def check(conversation: Conversation) -> None:
    for (_, expected), decision in zip(follow(conversation), conversation.decisions(), strict=True):
        gold = decision.gold
        assert [(call.name, call.arguments) for call in gold.tool_calls] == [*expected.calls]
        assert kind(gold) == expected.kind, decision.key
        assert ("reasoning" in gold.labels) == expected.reasoning, decision.key
        if not gold.tool_calls:
            assert set(numbers(gold.content)) == expected.numbers, decision.key
            assert expected.word in gold.content, decision.key
            assert gold.content.endswith("?") == (expected.kind == "ask"), decision.key
            assert ("cannot" in gold.content) == (expected.kind == "refuse"), decision.key


@settings(max_examples=200, deadline=None)
@given(split=st.sampled_from(SPLITS), seed=st.integers(0, 10**9))
def test_decisions_and_labels_are_right_at_any_seed(split: str, seed: int) -> None:
    check(*generate(split, 1, seed))


def test_decisions_and_labels_are_right(logs: list[Conversation]) -> None:
    """Enough of them that every limit is met exactly, and missed by one."""
    for conversation in logs:
        check(conversation)


@pytest.mark.parametrize(
    ("delivered", "right"),
    [
        ("May 16", Expected("act", True, calls=(("send", {"id": 7001, "sum": 34}),))),
        (
            "May 15",
            Expected("refuse", True, numbers=frozenset({7001, 9, 8}), word="cannot"),
        ),
    ],
)
def test_the_oracle_is_right_about_a_case_worked_out_by_hand(
    delivered: str, right: Expected
) -> None:
    values = {"window": 8, "fee": 6, "shipping": 5}
    tools = {"Look up an order": ("get", ["id"]), "Refund an order": ("send", ["id", "sum"])}
    reader = Reader("shop", values, "May", 24, tools)
    reader.hear("Hello! Plaese refund order 7001. Thanks!")
    assert reader.expect() == Expected("lookup", calls=(("get", {"id": 7001}),))
    reader.rows[7001] = {"price": 40, "status": "delivered", "delivered": delivered}
    assert reader.expect() == right


def test_everything_that_can_happen_happens(logs: list[Conversation]) -> None:
    messages = [message for conversation in logs for message in conversation.messages]
    requests, asked = set(), set()
    for conversation in logs:
        found = follow(conversation)
        requests |= {request for request, _ in found}
        for (request, expected), decision in zip(found, conversation.decisions(), strict=True):
            if expected.kind == "ask":
                asked.add((request.split()[0], decision.history[-1].role, bool(expected.numbers)))
    assert {f"{domain} {intent}" for domain, intent in RULES} <= requests
    for domain in ("shop", "hotel", "phone"):
        assert {f"{domain} {i}" for i in ("CHEAPER", "TOGETHER", "DIFFERENCE", "BOTH")} <= requests
        assert f"{domain} EXCEPTION" in requests
        # A number is missing or unknown, goods are unknown.
        assert {(domain, *how) for how in (("user", 0), ("tool", 1), ("tool", 0))} <= asked
    assert {("shop", "user", 0), ("hotel", "user", 1), ("phone", "user", 1)} <= asked
    assert {"shop DISCOUNT", "hotel UPGRADE", "phone STRANGER"} <= requests
    assert sum(len(message.tool_calls) == 2 for message in messages) > 100
    # Tool errors are there, and rare.
    errors = sum(message.content == '{"error": "not found"}' for message in messages)
    assert 0.03 < errors / sum(message.role == "user" for message in messages) < 0.07


def test_refusals_and_fees_are_as_likely_as_not(logs: list[Conversation]) -> None:
    outcomes: dict[str, Counter[str]] = {}
    for conversation in logs:
        for request, expected in follow(conversation):
            if expected.reasoning and expected.kind in ("act", "refuse"):
                outcomes.setdefault(request, Counter())[expected.kind] += 1
    always = {"hotel CANCEL", "phone PAY"}
    assert len(outcomes) == 9 and always < outcomes.keys()
    for request, counts in outcomes.items():
        refused = counts["refuse"] / counts.total()
        assert refused == 0 if request in always else 0.36 < refused < 0.64, (request, counts)
    thoughts = [d.gold.reasoning_content or "" for d in decisions(logs)]
    for late, in_time in ((": late, refund", ": free, refund"), (": late, pay", ": no fee, pay")):
        taken, left = (sum(word in thought for thought in thoughts) for word in (late, in_time))
        assert taken + left > 50 and 0.36 < taken / (taken + left) < 0.64


# What the model can know


def test_arguments_are_in_the_context_or_computed_in_the_thought(
    logs: list[Conversation],
) -> None:
    for decision in decisions(logs):
        context = "\n".join(written(message) for message in decision.history)
        thought = decision.gold.reasoning_content or ""
        for call in decision.gold.tool_calls:
            for value in call.arguments.values():
                seen = re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", context, re.IGNORECASE)
                assert seen or f"= {value}." in thought, decision.key


def test_thoughts_end_with_what_the_tools_are_for(logs: list[Conversation]) -> None:
    for conversation in logs:
        purposes = {tool_name(t): t["function"]["description"] for t in conversation.tools}
        for decision in conversation.decisions():
            names = dict.fromkeys(call.name for call in decision.gold.tool_calls)
            end = "".join(f" {purposes[name]}." for name in names)
            assert (decision.gold.reasoning_content or "").endswith(end), decision.key


def test_numbers_of_thoughts_and_answers_are_seen_or_computed(logs: list[Conversation]) -> None:
    for decision in decisions(logs):
        seen = {n for m in decision.history for n in numbers(written(m))}
        thought = decision.gold.reasoning_content or ""
        computed = {int(n) for n in re.findall(r"[-+] \d+ = (\d+)", thought)}
        assert set(numbers(thought)) <= seen | computed, decision.key
        assert set(numbers(decision.gold.content)) <= seen | computed, decision.key


def test_thoughts_calculate_rightly(logs: list[Conversation]) -> None:
    compare = {"<": int.__lt__, ">": int.__gt__, "=": int.__eq__}
    for decision in decisions(logs):
        thought = decision.gold.reasoning_content or ""
        for a, sign, b, result in re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", thought):
            assert int(a) + (int(b) if sign == "+" else -int(b)) == int(result), thought
        rest = re.sub(r"\d+ [+-] \d+ = \d+", "", thought)
        relations = re.findall(r"(\d+) ([<>=]) (\d+)", rest)
        assert all(compare[sign](int(a), int(b)) for a, sign, b in relations), thought


# The database


def _table(world: World, name: str) -> dict[object, tuple[object, ...]]:
    rows = world.database.execute(f"SELECT * FROM {name}").fetchall()
    return {row[0]: row for row in rows}


@settings(max_examples=100, deadline=None)
@given(split=st.sampled_from(SPLITS), seed=st.integers(0, 10**9))
def test_acts_change_what_they_name_and_nothing_else(split: str, seed: int) -> None:
    (conversation,) = generate(split, 1, seed)
    gold = [m for m in conversation.messages if m.role == "assistant"]
    acted = [call for m in gold if kind(m) == "act" for call in m.tool_calls]
    named = {value for call in acted for value in call.arguments.values()}
    with (
        closing(open_world(conversation.id)) as before,
        closing(open_world(conversation.id)) as after,
    ):
        tables = [row[0] for row in before.database.execute("SELECT name FROM sqlite_schema")]
        for call in (call for m in gold for call in m.tool_calls):
            results = json.loads(after.run(call))
            named |= {results["order_id"]} if "order_id" in results else set()
        changed = set()
        for table in (name for name in tables if not name.startswith("sqlite_")):
            old, new = _table(before, table), _table(after, table)
            assert old.keys() <= new.keys()
            changed |= {key for key, row in new.items() if old.get(key) != row}
        assert changed <= named
        assert bool(changed) == bool(acted)


# The judge


def verdict(answer: Message, decision: Decision) -> Verdict:
    return judge(
        ParsedCompletion(answer.reasoning_content, answer.tool_calls, answer.content, ()),
        decision.gold,
        decision.conversation.tools,
        thinking=True,
        settings=JudgeConfig(),
        context=decision.history,
    )


def test_the_expert_is_judged_right(logs: list[Conversation]) -> None:
    for decision in decisions(logs[::4]):
        found = verdict(decision.gold, decision)
        assert found.right and found.reward == 1.0, (decision.key, found.notes)


def test_refusals_are_told_from_everything_else(logs: list[Conversation]) -> None:
    compared = 0
    for conversation in logs[::4]:
        for decision in conversation.decisions():
            for other in conversation.decisions():
                if (kind(decision.gold) == "refuse") != (kind(other.gold) == "refuse"):
                    compared += 1
                    assert not verdict(other.gold, decision).right, (decision.key, other.key)
    assert compared > 500


def test_answers_from_tool_results_state_what_the_customer_did_not(
    logs: list[Conversation],
) -> None:
    """Otherwise the judge would take any echo of the request for a right answer."""
    for decision in decisions(logs):
        gold, last = decision.gold, decision.history[-1]
        looked_up = "lookup" in next(
            m.labels for m in reversed((*decision.history, gold)) if m.role == "assistant"
        )
        if kind(gold) == "inform" and last.role == "tool" and looked_up:
            said = {n for m in decision.history if m.role == "user" for n in numbers(m.content)}
            assert set(numbers(gold.content)) - said, decision.key
