"""What must hold of every verdict: the record scores 1, every corruption less, nothing hacks it."""

import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from actwise.conversation import Message, ToolCall
from actwise.rewards.judge import Verdict, judge
from actwise.rewards.settings import ArgumentConfig, JudgeConfig, ToolConfig
from actwise.template.parse import parse_completion

NAMES = ("search", "book", "cancel")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "count": {"type": "integer"},
                    "amount": {"type": "number"},
                    "urgent": {"type": "boolean"},
                    "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                    "place": {"type": "object"},
                },
                # Required, so that null and a dropped argument are real corruptions.
                "required": ["id", "count", "amount", "urgent", "tags", "place"],
            },
        },
    }
    for name in NAMES
]
CODES = st.from_regex(r"[A-Z]{1,2}[0-9]{1,3}", fullmatch=True)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": CODES,
        "count": st.integers(),
        "amount": st.floats(-1e6, 1e6),
        "urgent": st.booleans(),
        "tags": st.lists(CODES, max_size=3),
        "place": st.dictionaries(st.sampled_from("xyz"), st.integers(), max_size=2),
    },
)
CALLS = st.builds(ToolCall, name=st.sampled_from(["search", "book", "cancel"]), arguments=ARGUMENTS)
GOLD_CALLS = st.lists(CALLS, min_size=1, max_size=4)
SETTINGS = st.builds(
    JudgeConfig,
    tool_accuracy=st.sampled_from(["binary", "graded"]),
    format_weight=st.floats(0, 1),
    tool_weight=st.floats(0.1, 2),
    answer_weight=st.floats(0.1, 2),
    answer_facts=st.floats(0.1, 1),
    text_match=st.sampled_from(["exact", "normalised", "similar"]),
    coerce_types=st.booleans(),
)
WORDS = ["your", "refund", "order", "ships", "on", "is", "ready", "please", "wait", "Anna"]
FACTS = ["$20", "W123", "June 12", "5 pm", "15%", "3", "a@b.org", "2024-05-01", "$7.50"]
SENTENCES = st.lists(st.sampled_from(WORDS + FACTS), min_size=1, max_size=8).map(" and ".join)
ANSWERS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "Yes, ", "Unfortunately I cannot: "]),
    SENTENCES,
    st.sampled_from([".", "?", ""]),
)
# None of these agrees with any of FACTS, and each has the same kind as one of them.
FOREIGN = ["$21", "W124", "June 13", "6 pm", "16%", "4", "c@d.org", "2024-05-02", "999"]


def said(calls: list[ToolCall], content: str = "") -> str:
    blocks = [
        f"<tool_call>\n{json.dumps({'name': c.name, 'arguments': c.arguments})}\n</tool_call>"
        for c in calls
    ]
    return "<think>\nso\n</think>\n\n" + "\n".join([*([content] if content else []), *blocks])


def verdict(text: str, gold: Message, settings: JudgeConfig, context: str = "") -> Verdict:
    parsed = parse_completion(text, thinking=True)
    history = (Message(role="user", content=context),)
    return judge(parsed, gold, TOOLS, thinking=True, settings=settings, context=history)


def calling(calls: list[ToolCall]) -> Message:
    return Message(role="assistant", tool_calls=tuple(calls))


def answering(content: str) -> Message:
    return Message(role="assistant", content=content)


@given(GOLD_CALLS, SETTINGS, st.data())
def test_recorded_calls_score_one_in_any_order(
    calls: list[ToolCall], settings: JudgeConfig, data: st.DataObject
) -> None:
    found = verdict(said(data.draw(st.permutations(calls))), calling(calls), settings)
    assert found.right
    assert (found.reward, found.tool_accuracy, found.arguments, found.recall) == (1, 1, 1, 1)
    assert found.tool_names
    assert not found.notes


@given(GOLD_CALLS, GOLD_CALLS, SETTINGS, st.data())
def test_the_order_of_calls_is_irrelevant_unless_declared(
    gold: list[ToolCall], predicted: list[ToolCall], settings: JudgeConfig, data: st.DataObject
) -> None:
    record, ordered = calling(gold), settings.model_copy(update={"call_order": "recorded"})
    shuffled = data.draw(st.permutations(predicted))
    here, there = (verdict(said(calls), record, settings) for calls in (predicted, shuffled))
    assert (here.reward, here.right) == (pytest.approx(there.reward), there.right)
    in_order = verdict(said(predicted), record, ordered)
    assert in_order.reward <= here.reward + 1e-12
    assert verdict(said(gold), record, ordered).reward == 1
    moved = data.draw(st.permutations(gold))
    if moved != gold:
        assert not verdict(said(moved), record, ordered).right
        assert verdict(said(moved), record, ordered).reward < 1


@given(ANSWERS, SETTINGS)
def test_recorded_answers_score_one(answer: str, settings: JudgeConfig) -> None:
    found = verdict(said([], answer), answering(answer), settings)
    assert found.right
    assert (found.reward, found.answer_correctness, found.recall) == (1, 1, 1)
    assert not found.notes


def changed(value: Any) -> Any:
    """Return a value that a tool would take for another one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + max(1, abs(value))
    if isinstance(value, str):
        return value + "9"
    if isinstance(value, list):
        return [*value, "Z9"]
    return {**value, "w": 1}


@st.composite
def corruptions(draw: st.DrawFn, calls: list[ToolCall]) -> list[ToolCall]:
    """Change one thing in a list of calls."""
    index = draw(st.integers(0, len(calls) - 1))
    call, rest = calls[index], [*calls[:index], *calls[index + 1 :]]
    kinds = ["rename", "extra argument", "drop call", "extra call", "duplicate", "foreign tool"]
    kind = draw(st.sampled_from(kinds + ["change", "drop argument"] * bool(call.arguments)))
    if kind == "drop call":
        return rest
    if kind in ("extra call", "duplicate"):
        return [*calls, draw(CALLS) if kind == "extra call" else call]
    if kind in ("rename", "foreign tool"):
        others = {"search", "book", "cancel"} - {call.name}
        name = draw(st.sampled_from(sorted(others))) if kind == "rename" else "hack"
        new = ToolCall(name=name, arguments=call.arguments)
        # Renaming may turn the calls into the recorded ones in another order; then nothing changed.
        assume(sorted(map(repr, [*rest, new])) != sorted(map(repr, calls)))
        return [*rest, new]
    arguments = dict(call.arguments)
    if kind == "extra argument":
        arguments["surprise"] = draw(st.integers() | st.none() | CODES)
    else:
        name = draw(st.sampled_from(sorted(arguments)))
        value = arguments.pop(name)
        if kind == "change":
            arguments[name] = changed(value)
    return [*rest, ToolCall(name=call.name, arguments=arguments)]


@given(GOLD_CALLS, SETTINGS, st.data())
def test_every_corruption_of_calls_scores_less(
    calls: list[ToolCall], settings: JudgeConfig, data: st.DataObject
) -> None:
    wrong = data.draw(corruptions(calls))
    found = verdict(said(wrong, "" if wrong else "Done."), calling(calls), settings)
    assert not found.right
    assert found.reward < 1
    assert found.tool_accuracy is not None
    assert found.tool_accuracy < 1
    assert found.notes


@given(GOLD_CALLS, ANSWERS, SETTINGS)
def test_the_wrong_kind_scores_zero(
    calls: list[ToolCall], answer: str, settings: JudgeConfig
) -> None:
    assert verdict(said([], answer), calling(calls), settings).reward == 0
    assert verdict(said(calls), answering(answer), settings).reward == 0
    assert verdict(said(calls, answer), answering(answer), settings).reward == 0


JUNK = st.builds(ToolCall, name=st.sampled_from(["hack", "echo"]), arguments=ARGUMENTS)


@given(GOLD_CALLS, GOLD_CALLS, st.lists(JUNK, min_size=1, max_size=5), SETTINGS)
def test_junk_calls_never_help(
    gold: list[ToolCall], predicted: list[ToolCall], junk: list[ToolCall], settings: JudgeConfig
) -> None:
    record = calling(gold)
    with_junk = verdict(said(predicted + junk), record, settings)
    assert with_junk.reward <= verdict(said(predicted), record, settings).reward
    assert not with_junk.right


@given(GOLD_CALLS, GOLD_CALLS, SETTINGS, st.sampled_from(["any", "recorded"]), st.data())
def test_repeating_calls_never_helps(
    gold: list[ToolCall],
    predicted: list[ToolCall],
    settings: JudgeConfig,
    order: str,
    data: st.DataObject,
) -> None:
    settings = settings.model_copy(update={"call_order": order})
    again = data.draw(st.lists(st.sampled_from(predicted), min_size=1, max_size=3))
    # A call that the record repeats may be repeated as often.
    assume(all(gold.count(call) <= predicted.count(call) for call in again))
    before = verdict(said(predicted), calling(gold), settings)
    after = verdict(said(predicted + again), calling(gold), settings)
    assert after.reward <= before.reward + 1e-12
    assert not after.right


@given(GOLD_CALLS, GOLD_CALLS, st.sampled_from(["id", "count", "tags"]), SETTINGS, st.data())
def test_an_ignored_argument_neither_helps_nor_costs(
    gold: list[ToolCall],
    predicted: list[ToolCall],
    name: str,
    settings: JudgeConfig,
    data: st.DataObject,
) -> None:
    ignore = ToolConfig(arguments={name: ArgumentConfig(ignore=True)})
    settings = settings.model_copy(update={"tools": dict.fromkeys(NAMES, ignore)})

    def without(calls: list[ToolCall]) -> list[ToolCall]:
        return [
            ToolCall(name=c.name, arguments={n: v for n, v in c.arguments.items() if n != name})
            for c in calls
        ]

    found = verdict(said(predicted), calling(gold), settings)
    bare = verdict(said(without(predicted)), calling(without(gold)), settings)
    assert (found.reward, found.right) == (pytest.approx(bare.reward), bare.right)
    assert found.arguments == pytest.approx(bare.arguments)


@given(CALLS, st.lists(CALLS, max_size=5), SETTINGS)
def test_listing_candidate_calls_earns_a_share_at_most(
    call: ToolCall, others: list[ToolCall], settings: JudgeConfig
) -> None:
    found = verdict(said([*others, call]), calling([call]), settings)
    assert found.tool_accuracy is not None
    assert found.tool_accuracy <= 1 / (1 + len(others))


@given(ANSWERS, ANSWERS, st.sampled_from(FOREIGN), st.lists(st.sampled_from(FACTS)), SETTINGS)
@example("$20 and $20 and W123.", "W123 and $20 and $20.", "$21", [], JudgeConfig(answer_facts=1))
@example("is and 3 and $20.", "is and $20 and 3.", "$21", [], JudgeConfig(answer_facts=1))
def test_listing_facts_with_a_foreign_one_never_helps(
    gold: str, predicted: str, foreign: str, facts: list[str], settings: JudgeConfig
) -> None:
    candidates = " | ".join([*facts, foreign])
    # The candidates stand in the conversation: quoting them is no excuse.
    context, record = candidates, answering(gold)
    before = verdict(said([], predicted), record, settings, context)
    after = verdict(said([], f"{predicted} | {foreign}"), record, settings, context)
    assert after.reward <= before.reward + 1e-12
    listed = verdict(said([], f"{gold} | {candidates}"), record, settings)
    assert listed.reward < 1
    assert not listed.right


@given(
    ANSWERS, ANSWERS, st.lists(st.sampled_from(["$20", "3", "$7.50", "5"]), max_size=5), SETTINGS
)
def test_a_wrong_number_never_pays_whatever_right_ones_come_with_it(
    gold: str, predicted: str, right_ones: list[str], settings: JudgeConfig
) -> None:
    record, candidates = answering(gold), " | ".join([*right_ones, "$21"])
    for context in ("", candidates):
        before = verdict(said([], predicted), record, settings, context)
        after = verdict(said([], f"{predicted} | {candidates}"), record, settings, context)
        assert after.reward <= before.reward + 1e-12


@given(ANSWERS, SETTINGS, st.lists(st.sampled_from(["well", "then", "indeed"]), min_size=1))
def test_padding_the_record_never_helps(
    gold: str, settings: JudgeConfig, padding: list[str]
) -> None:
    record = answering(gold)
    short = verdict(said([], f"{gold} {padding[0]}"), record, settings)
    longer = verdict(said([], f"{gold} {' '.join(padding)}"), record, settings)
    assert longer.reward <= short.reward <= 1
    copied = verdict(said([], f"{gold} {gold}"), record, settings)
    assert copied.reward <= 1


@given(ANSWERS, st.lists(st.sampled_from(WORDS + FOREIGN), min_size=3).map(" or ".join), SETTINGS)
def test_copying_the_context_scores_below_the_record(
    gold: str, context: str, settings: JudgeConfig
) -> None:
    assume(any(fact in context for fact in FOREIGN))
    found = verdict(said([], f"{gold} {context}"), answering(gold), settings)
    assert found.reward < 1
    assert not found.right


ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["1 2 3 4", "I cannot", "<tool_call>", "999%", "2024-99-99", "25:99", "12/12/12", "0 am"]
)


@given(ANY_TEXT, GOLD_CALLS | ANSWERS | st.text(), SETTINGS, st.text())
def test_any_completion_gets_a_verdict_in_bounds(
    text: str, gold: list[ToolCall] | str, settings: JudgeConfig, context: str
) -> None:
    record = answering(gold) if isinstance(gold, str) else calling(gold)
    found = verdict(text, record, settings, context)
    scores = [found.reward, found.recall, found.arguments, *found.components().values()]
    assert all(0 <= score <= 1 for score in scores if score is not None)
    json.dumps(found.to_dict())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", 3]).map(
        lambda kind: {"type": kind}
    )
    | st.fixed_dictionaries({"enum": JSON})
    | st.just({"$ref": "#/properties/a"})
    | JSON,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "properties": st.dictionaries(st.text(), inner, max_size=2),
            "anyOf": st.lists(inner, max_size=2),
            "allOf": st.lists(inner, max_size=2),
            "uniqueItems": st.booleans(),
            "default": JSON,
        },
    ),
    max_leaves=6,
)


@given(SCHEMAS, st.dictionaries(st.sampled_from("ab"), JSON), JSON)
def test_any_value_under_any_schema(schema: Any, arguments: dict[str, Any], other: Any) -> None:
    parameters = {"type": "object", "properties": {"a": schema, "b": schema}}
    tools = [{"type": "function", "function": {"name": "t", "parameters": parameters}}]
    gold = calling([ToolCall(name="t", arguments=arguments)])
    for predicted, same in ((arguments, True), ({**arguments, "a": other}, None)):
        text = said([ToolCall(name="t", arguments=predicted)])
        parsed = parse_completion(text, thinking=True)
        if parsed.errors:  # the text of an argument may be a tag
            continue
        found = judge(parsed, gold, tools, thinking=True, settings=JudgeConfig())
        assert found.right or same is None
