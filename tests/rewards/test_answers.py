"""Answers: which facts are found, and how answers compare, worked out by hand."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Decision, Message, ToolCall, all_decisions
from actwise.desk.conversations import generate
from actwise.rewards.answers import match_answer
from actwise.rewards.facts import read
from actwise.rewards.judge import judge, texts
from actwise.rewards.names import names
from actwise.rewards.settings import JudgeConfig
from actwise.rewards.stance import stance
from actwise.template.parse import ParsedCompletion, parse_completion

SETTINGS = JudgeConfig()


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("$20.00, 20 dollars", {("number", "20", "$")}),
        ("USD 20, US$20, USD20", {("number", "20", "USD")}),
        ("20", {("number", "20", None)}),
        (
            "1,020.50 and -5 and -$7",
            {("number", "1020.5", None), ("number", "-5", None), ("number", "-7", "$")},
        ),
        ("3-5 days", {("number", "3", None), ("number", "5", "day")}),
        (
            "a 24-hour wait, 5kg, the 2nd",
            {("number", "24", "hour"), ("number", "5", "kg"), ("number", "2", None)},
        ),
        ("20%", {("percentage", "20", "%")}),
        ("20.0 percent", {("percentage", "20", "%")}),
        ("on 2024-06-12", {("date", "06-12", "2024")}),
        ("June 12th, 2024", {("date", "06-12", "2024")}),
        ("12 June", {("date", "06-12", None)}),
        ("the 12th of Jun", {("date", "06-12", None)}),
        ("12/06", {("date", "12/6", None)}),
        ("order 12 may be late", {("number", "12", None)}),
        ("5 pm, 17:00, 5:00 p.m.", {("time", "17:00", None)}),
        ("12 am", {("time", "00:00", None)}),
        ("2024-06-12T10:30:00Z", {("date", "06-12", "2024"), ("time", "10:30", None)}),
        ("I am 5", {("number", "5", None)}),
        ("#W123 and w123", {("identifier", "w123", None)}),
        ("#123", {("number", "123", None)}),
        ("ORD-12-a", {("identifier", "ord-12-a", None)}),
        ("00123", {("identifier", "00123", None)}),
        ("A.B@x.org.", {("identifier", "a.b@x.org", None)}),
        ("see https://x.org/a?b=1.", {("identifier", "https://x.org/a?b=1", None)}),
        ("1. tea\n2. milk", set()),
        ("Hello, Mary!", set()),
        ("２０", {("number", "20", None)}),
    ],
)
def test_facts_in_their_normal_form(text: str, facts: set[tuple[str, str, str | None]]) -> None:
    assert {(f.kind, f.value, f.qualifier) for f in read(text).facts} == facts


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I can't do that.", True),
        ("I can’t do that.", True),
        ("Unfortunately it is sold.", True),
        ("It isn't refundable.", True),
        ("I'm sorry, there are no seats.", True),
        ("I'm sorry for the delay. It ships today.", False),
        ("Sorry, no problem!", False),
        ("If you cannot find it, write to us.", False),
        ("It is done, you won't be charged.", False),
    ],
)
def test_refusals(text: str, refuses: bool) -> None:
    assert stance(text).refuses is refuses


@pytest.mark.parametrize(
    ("predicted", "gold", "right"),
    [
        ("You get 20 dollars back.", "Your refund is $20.00.", True),
        ("You get €20 back.", "Your refund is $20.00.", False),
        ("You get 25 dollars back.", "Your refund is $20.00.", False),
        ("You get money back.", "Your refund is $20.00.", False),
        ("It is 20, 25 or 30.", "Your refund is $20.00.", False),
        ("It comes on 2024-06-12 at 17:00.", "It comes on June 12 at 5 pm.", True),
        ("It comes on 12 June 2023.", "It comes on June 12, 2024.", False),
        ("I cannot refund it.", "Sorry, it is not refundable.", True),
        ("I refunded it.", "Sorry, it is not refundable.", False),
        ("I cannot refund it.", "I refunded it.", False),
        ("No, it is open.", "Yes, it is.", False),
        ("It is open.", "Yes, it is.", None),
        ("Which order do you mean?", "What is the order number?", True),
        ("Tell me the order.", "What is the order number?", False),
        ("See W99 for more.", "Glad to help.", False),
        ("", "Glad to help.", False),
    ],
)
def test_right_answers(predicted: str, gold: str, right: bool | None) -> None:
    assert match_answer(predicted, gold, [], SETTINGS).right is right


PLANS = ['{"name": "family"}', '{"name": "basic", "note": "no contract"}', '{"price": 43}']
CHEAPER = "The family plan is cheaper by 24 dollars."


@pytest.mark.parametrize(
    ("predicted", "asked", "right"),
    [
        ("Family costs $24 less.", "", True),
        ("The basic plan is cheaper by 24 dollars.", "", False),
        ("It is cheaper by 24 dollars.", "", False),
        ("Family or basic, cheaper by 24 dollars.", "", False),
        ("The families are cheaper by 24 dollars.", "", False),
        # A choice between two: naming one is the answer.
        ("It is cheaper by 24 dollars.", "Which costs less, family or basic?", False),
        # The customer has named it: no need to repeat it, but no leave to name another.
        ("It is cheaper by 24 dollars.", "How much less is family?", True),
        ("Basic is cheaper by 24 dollars.", "How much less is family?", False),
    ],
)
def test_names_are_values_of_the_conversation(predicted: str, asked: str, right: bool) -> None:
    assert match_answer(predicted, CHEAPER, PLANS, SETTINGS, asked=asked).right is right
    # What one tool returned under another key, or what stands in no result, is no candidate.
    for context in (PLANS[:1], [], ["family or basic?"], ['{"name": "family"}', '{"n": "basic"}']):
        assert match_answer("It is 24 dollars.", CHEAPER, context, SETTINGS).right


def test_names_by_their_fields() -> None:
    context = (
        '{"films": ["Nope (R)", "Top Gun", "A1", "12", "", "of", "both"], "status": "sold_out"}',
        '{"status": "open", "guest": {"name": "Ann"}, "host": {"name": "Bob Lee"}}',
        "not JSON {",
    )
    text = "Top Gun and NOPE are both sold out for Ann; Bob is not Bob  Lee. A1, 12 of them open"
    assert {(f.kind, f.value) for f in names(text, context)} == {
        ("films:", "top gun"),
        ("films:", "nope"),
        ("status:", "sold out"),
        ("status:", "open"),
        ("name:", "ann"),
        ("name:", "bob lee"),
    }
    # Of values that begin at one place, the longest.
    sizes = ('["hot chocolate", "hot", "chocolate"]',)
    assert [f.value for f in names("hot chocolate", sizes)] == ["hot chocolate"]


def test_a_name_weighs_like_any_other_fact() -> None:
    # One fact of two, words {the, family, plan, is, cheaper, by} vs. {it, is, cheaper, by}:
    # F1 = 2 * 3 / (6 + 4)
    match = match_answer("It is cheaper by 24 dollars.", CHEAPER, PLANS, SETTINGS)
    assert match.correctness == pytest.approx(0.8 / 2 + 0.2 * 6 / 10)
    assert match.notes == ("missing: name: family",)
    match = match_answer("Basic is cheaper by 24 dollars.", CHEAPER, PLANS, SETTINGS)
    assert match.correctness == pytest.approx((0.8 / 2 + 0.2 * 6 / 10) / 2)
    assert match.notes == ("not in the record: basic", "missing: name: family")


@pytest.mark.parametrize(
    ("predicted", "gold", "right"),
    [
        ("Two shots.", "2 shots.", True),
        ("2 shots.", "Two shots.", True),
        ("Twenty-one days.", "21 days.", True),
        ("One shot.", "1 shot.", True),
        ("Three shots.", "2 shots.", False),
        ("Two or three shots.", "2 shots.", False),
        ("This one has 2 shots.", "2 shots.", True),
        ("The two of them are here.", "They are here.", None),
        ("Shots.", "Two shots.", None),
        ("Two hundred shots.", "2 shots.", False),
        ("Attwo shots.", "2 shots.", False),
    ],
)
def test_numbers_in_words(predicted: str, gold: str, right: bool | None) -> None:
    assert match_answer(predicted, gold, ["2"], SETTINGS).right is right


CANDIDATES = ["Garden", "Corner", "Tower room", "Garden suite", "sold"]
RESULTS = st.lists(st.sampled_from(CANDIDATES), unique=True, min_size=2).map(
    lambda values: [json.dumps({"room": value, "price": i}) for i, value in enumerate(values, 7)]
)
PHRASES = st.lists(
    st.sampled_from([*CANDIDATES, "is", "the", "$20", "two", "cheaper", "not"]), min_size=1
).map(" ".join)


@given(PHRASES, RESULTS, PHRASES)
def test_the_record_scores_one_whatever_names_it_holds(
    gold: str, context: list[str], asked: str
) -> None:
    match = match_answer(gold, gold, context, SETTINGS, asked=asked)
    assert (match.correctness, match.right, match.notes) == (1.0, True, ())


FILLERS = st.lists(st.sampled_from(["is", "the", "$20", "two", "cheaper"])).map(" ".join)
# The names in the record, and one of the same field that shares no word with them.
OTHERS = st.sampled_from(
    [
        ("Garden", "Corner"),
        ("Garden suite", "sold"),
        ("Tower room", "Garden suite"),
        ("Corner Garden", "Tower room"),
        ("sold", "Garden"),
    ]
)


@given(OTHERS, FILLERS, PHRASES, st.permutations(CANDIDATES), PHRASES)
def test_another_name_never_pays(
    pair: tuple[str, str], filler: str, predicted: str, rooms: list[str], asked: str
) -> None:
    gold, other = f"{pair[0]} {filler}", pair[1]
    context = [json.dumps({"room": room}) for room in rooms]
    before = match_answer(predicted, gold, context, SETTINGS, asked=asked)
    after = match_answer(f"{predicted} | {other}", gold, context, SETTINGS, asked=asked)
    assert after.correctness <= before.correctness + 1e-12
    assert not after.right
    # Neither does a list of all of them, nor the results themselves.
    for listing in (" | ".join(CANDIDATES), " ".join(context)):
        listed = match_answer(f"{gold} | {listing}", gold, context, SETTINGS, asked=asked)
        assert listed.correctness < 1
        assert not listed.right


def test_on_the_desk_every_record_is_right_and_another_name_in_it_is_not() -> None:
    swaps = 0
    for decision in all_decisions(generate("test", 40, 0)):
        if decision.kind == "call":
            continue

        def right(text: str, decision: Decision = decision) -> bool:
            parsed = ParsedCompletion(None, (), text, ())
            return judge(
                parsed,
                decision.gold,
                [],
                thinking=False,
                settings=SETTINGS,
                context=decision.history,
            ).right

        assert right(decision.gold.content)
        context = tuple(texts(decision.history))
        given = names(decision.gold.content, context)
        known = names(" | ".join(context), context)
        for name in given:
            here = {other.value for other in given}
            others = [o for o in known if o.kind == name.kind and o.value not in here]
            for other in others[:1]:
                wrong = re.sub(rf"(?i)\b{name.value}\b", other.value, decision.gold.content)
                assert not right(wrong)
                swaps += 1
    assert swaps > 10


def test_correctness_by_hand() -> None:
    # Facts 1 of 2; words {refund, of, on, card} vs. {refund, of, is, on}: F1 = 2*3/(4+4) = 3/4
    gold, predicted = "Refund of $20 is 5 on", "refund of $20 on card"
    assert match_answer(predicted, gold, [], SETTINGS).correctness == pytest.approx(
        0.8 * 1 / 2 + 0.2 * 3 / 4
    )
    # A number of the customer's own voids the numbers and is a contradiction: 0.2 * 3/4 / 2
    assert match_answer(predicted + " 7", gold, ["7"], SETTINGS).correctness == pytest.approx(0.075)
    # Nothing but words: F1 alone.
    assert match_answer("glad to", "Glad to help!", [], SETTINGS).correctness == pytest.approx(0.8)
    # Nothing but facts: the wording has no part.
    assert match_answer("It is 20.", "20", [], SETTINGS).correctness == 1.0
    # The other way round entirely.
    assert match_answer("I cannot.", "I can.", [], SETTINGS).correctness == 0.0


def test_the_conversation_may_be_quoted_but_nothing_invented() -> None:
    history = (
        Message(role="user", content="Cancel W123 please."),
        Message(role="assistant", tool_calls=(ToolCall(name="x", arguments={"id": "Z9"}),)),
    )
    gold = Message(role="assistant", content="It is cancelled; you get $20.")

    def right(text: str) -> bool:
        parsed = parse_completion(text, thinking=False)
        return judge(parsed, gold, [], thinking=False, settings=SETTINGS, context=history).right

    assert right("W123 is cancelled, $20 comes back.")
    assert right("W123 (Z9) is cancelled, $20 comes back.")
    assert not right("W124 is cancelled, $20 comes back.")


def test_notes_name_the_facts() -> None:
    match = match_answer("I can't pay $25.", "You get $20.", [], SETTINGS)
    assert match.notes == (
        "refuses where the record does not",
        "not in the record: $25",
        "missing: number $20",
    )


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "1" * 200_000,
        "a-" * 100_000,
        "1-a" * 60_000,
        "a@" * 100_000,
        "1," * 100_000,
        "not " * 50_000,
        "1:" * 100_000,
        " " * 200_000,
        "(" * 200_000,
        "www." * 50_000,
        "June " * 40_000,
        "12/" * 60_000,
        "# " * 100_000,
        "-" * 200_000,
        "x@y." * 50_000,
        "1a" * 100_000,
        "\n" * 200_000,
        "\ud800" * 1000,
    ],
)
def test_hostile_texts_end(text: str) -> None:
    # Quadratic search on 200,000 characters would take minutes.
    assert match_answer(text, text[:50], [], SETTINGS).correctness <= 1.0


@pytest.mark.parametrize(
    "piece",
    [
        "no a{i}. ",
        "A{i}B1 ",
        "about {i}.{i} ",
        "Kim{i} is ",
        "rake {i}, ",
        "x{i}x, but ",
        "12{i}34 ",
    ],
)
def test_long_texts_of_many_pieces_end(piece: str) -> None:
    # All pieces of one text against all of the other would take minutes.
    ours, theirs = ("".join(piece.format(i=i) for i in range(n, n + 5000)) for n in (0, 5000))
    assert match_answer(ours, theirs, [], SETTINGS).right is not True
    assert match_answer(theirs, theirs, [], SETTINGS).right
