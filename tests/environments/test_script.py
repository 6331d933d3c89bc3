"""Recorded conversations as turns."""

from actwise.environments.script import opening, turns_of, with_results
from talks import calls, result, says, talk, user

CONVERSATION = talk(
    says("Hello, how can I help?"),
    user("Two things."),
    calls("a", number=1),
    result("one", "a"),
    calls("a", number=2),
    result("two", "a"),
    says("One and two."),
    user("Thanks."),
    user("And bye."),
    says("Bye."),
)


def test_turns_lie_between_the_customers_messages() -> None:
    first, second = turns_of(CONVERSATION)
    assert (first.begin, first.end, second.begin, second.end) == (2, 7, 9, 10)
    assert [call.arguments["number"] for call in first.calls] == [1, 2]
    assert first.answer == says("One and two.")
    assert [m.content for m in opening([first, second], 1)] == ["Thanks.", "And bye."]
    assert opening([first, second], 2) == ()


def test_results_belong_to_the_calls_of_their_own_message() -> None:
    found = [(call.arguments["number"], text) for call, text in with_results(CONVERSATION.messages)]
    assert found == [(1, "one"), (2, "two")]


def test_a_turn_may_end_with_calls_and_a_conversation_may_have_no_customer() -> None:
    (turn,) = turns_of(talk(calls("a", number=1), result("one", "a")))
    assert turn.answer is None
    assert turn.history == ()
