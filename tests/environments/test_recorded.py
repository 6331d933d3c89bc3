"""Recorded logs replayed."""

import pytest

from actwise.conversation import ToolCall
from actwise.environments import Diverged
from actwise.environments.recorded import RecordedEnvironment
from actwise.rewards.settings import JudgeConfig
from talks import calls, result, says, talk, user

CONVERSATION = talk(
    user("What about 1 and 2?"),
    calls("a", number=1),
    result("one", "a"),
    calls("b", number=2),
    result("two", "b"),
    says("They are one and two."),
    user("And 1 now?"),
    calls("c", number=1),
    result("uno", "c"),
    says("It is 3 dollars."),
    user("Bye."),
    calls("d", number=9),
    result("nine", "d"),
    says("Bye."),
)


def call(**arguments: object) -> ToolCall:
    return ToolCall(name="lookup", arguments=dict(arguments))


@pytest.fixture
def environment() -> RecordedEnvironment:
    return RecordedEnvironment(CONVERSATION, JudgeConfig())


def test_recorded_results_are_replayed_in_any_order(environment: RecordedEnvironment) -> None:
    environment.reset(0)
    assert environment.call(call(number=2)).text == "two"
    assert environment.call(call(number=1)).text == "one"
    assert environment.call(call(number=1)).text == "one"


def test_the_latest_result_is_the_one_that_holds(environment: RecordedEnvironment) -> None:
    environment.reset(1)
    assert environment.call(call(number=1)).text == "uno"
    assert environment.call(call(number=1)).text == "uno"
    assert environment.call(call(number=2)).text == "two"


def test_another_call_diverges_and_so_does_one_of_a_later_turn(
    environment: RecordedEnvironment,
) -> None:
    environment.reset(1)
    with pytest.raises(Diverged, match="lookup"):
        environment.call(call(number=3))
    with pytest.raises(Diverged):
        environment.call(call(number=9))
    with pytest.raises(Diverged):
        environment.call(ToolCall(name="refund", arguments={"number": 1}))


def test_the_customer_goes_on_unless_the_answer_is_wrong(environment: RecordedEnvironment) -> None:
    environment.reset(1)
    assert environment.reply("That makes 3 dollars.") == "Bye."
    assert environment.turn == 2
    environment.reset(1)
    with pytest.raises(Diverged):
        environment.reply("It is 4 dollars.")
    environment.reset(2)
    assert environment.reply("Bye.") is None


def test_calls_of_a_turn_that_were_made_already_are_run_again(
    environment: RecordedEnvironment,
) -> None:
    environment.reset(0, CONVERSATION.messages[1:3])
    assert environment.call(call(number=2)).text == "two"
    with pytest.raises(Diverged):
        environment.reset(0, [calls("x", number=7)])
