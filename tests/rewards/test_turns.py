"""What a whole turn earns."""

import pytest

from actwise.conversation import ToolCall
from actwise.rewards.settings import JudgeConfig
from actwise.rewards.turns import FAILED, TurnVerdict, calls_score, judge_turn, turn_reward
from actwise.template.parse import parse_completion
from talks import TOOLS, calls, result, says, user

SETTINGS = JudgeConfig()
RECORDED = [calls("a", number=1), result("7", "a"), says("It is 7.")]
CONTEXT = [user("What is it?"), *RECORDED[:2]]


def lookup(number: int) -> ToolCall:
    return ToolCall(name="lookup", arguments={"number": number})


def judged(
    made: list[ToolCall],
    answer: str,
    states: tuple[str | None, str | None] = (None, None),
    recorded: list = RECORDED,  # type: ignore[type-arg]
) -> TurnVerdict:
    return judge_turn(
        made,
        parse_completion(answer, thinking=False),
        recorded,
        TOOLS,
        states=states,
        settings=SETTINGS,
        context=CONTEXT,
    )


@pytest.mark.parametrize(
    ("made", "answer", "success"),
    [
        ([1], "It is 7.", True),
        ([1], "It is 8.", False),
        ([], "It is 7.", False),
        ([2], "It is 7.", False),
        ([1, 1], "It is 7.", False),
    ],
)
def test_without_a_state_the_calls_have_to_be_the_recorded_ones(
    made: list[int], answer: str, success: bool
) -> None:
    assert judged([lookup(number) for number in made], answer).success is success


def test_with_a_state_only_that_and_the_answer_count() -> None:
    assert judged([], "It is 7.", ("same", "same")).success is True
    assert judged([lookup(1)], "It is 7.", ("one", "other")) == TurnVerdict(False, False, 1.0)


def test_a_record_that_ends_with_calls_asks_for_no_answer() -> None:
    assert judged([lookup(1)], "Anything.", recorded=RECORDED[:2]).success is True


def test_an_answer_that_cannot_be_checked_leaves_the_turn_open() -> None:
    recorded = [says("The trail follows the old railway.")]
    found = judged([], "It runs along where trains once went.", recorded=recorded)
    assert found.success is None
    wording = TurnVerdict(None, True, 0.4)
    assert turn_reward(wording, in_form=True, calls_score=1, calls_weight=0) == 0.4


@pytest.mark.parametrize(
    ("success", "in_form", "score", "weight", "reward"),
    [
        (True, True, 0.0, 0.0, 1.0),
        (True, False, 1.0, 0.5, 0.0),
        (False, True, 1.0, 0.5, 0.0),
        (True, True, 1.0, 0.5, 1.0),
        (True, True, 0.0, 0.5, 1 / 1.5),
        (True, True, 0.6, 0.5, 1.3 / 1.5),
    ],
)
def test_success_is_gated_by_form_and_calls_add_to_success_alone(
    success: bool, in_form: bool, score: float, weight: float, reward: float
) -> None:
    verdict = TurnVerdict(success, success, float(success))
    assert turn_reward(
        verdict, in_form=in_form, calls_score=score, calls_weight=weight
    ) == pytest.approx(reward)


@pytest.mark.parametrize(
    ("steps", "all_", "share", "discounted"),
    [
        ([[1, 2, 3, 4]], 1.0, 1.0, 1.0),
        ([[1], [2], [3], [4]], 1.0, 1.0, 1.0),
        # Of four, one in the first completion and one in the third: (1 + 1/3) / 4.
        ([[1], [9], [3]], 0.0, 0.5, (1 + 1 / 3) / 4),
        ([[9], [4, 4]], 0.0, 0.25, 1 / 2 / 4),
        ([], 0.0, 0.0, 0.0),
    ],
)
def test_calls_are_paid_by_share_or_sooner_for_more(
    steps: list[list[int]], all_: float, share: float, discounted: float
) -> None:
    recorded = [lookup(number) for number in (1, 2, 3, 4)]
    made = [[lookup(number) for number in step] for step in steps]
    for how, expected in (("all", all_), ("share", share), ("discounted", discounted)):
        found = calls_score(made, recorded, TOOLS, SETTINGS, how)  # type: ignore[arg-type]
        assert found == pytest.approx(expected), how
    assert calls_score(made, [], TOOLS, SETTINGS, "discounted") == 1


def test_a_turn_without_an_answer_has_failed() -> None:
    assert turn_reward(FAILED, in_form=True, calls_score=1, calls_weight=1) == 0


def test_without_the_gate_calls_are_paid_for_wherever_they_are_made() -> None:
    """A weight of a half beside success, which is missing: 0.5 of 1.5."""
    for verdict, in_form in ((FAILED, True), (FAILED, False)):
        paid = turn_reward(verdict, in_form=in_form, calls_score=1, calls_weight=0.5, gated=False)
        assert paid == pytest.approx(1 / 3)
