"""Which thoughts the cold start begins with."""

from collections.abc import Callable

from actwise.conversation import Decision
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.training.recipes.think import (
    recorded_thoughts,
    self_generated_thoughts,
    with_direct_share,
)
from finding import CONVERSATIONS, RIGHT_CALL, context, conversation, scripted


def own_thoughts(
    policy: Policy, run: Run, script: Callable[[Decision, int], str], max_tokens: int = 200
) -> dict[str, str | None]:
    engine = scripted(policy, script)
    given = context(policy, run, engine=engine, max_tokens=max_tokens, think={"attempts": 5})
    found = self_generated_thoughts(given, CONVERSATIONS[:1])
    return {t.decision.key: t.thought for of_conversation in found for t in of_conversation}


def test_the_shortest_thought_before_a_right_action_is_kept(policy: Policy, run: Run) -> None:
    completions = {
        "W1#1": [
            "<think>\nA long thought that is right.\n</think>\n\n" + RIGHT_CALL,
            "<think>\nShort.\n</think>\n\n" + RIGHT_CALL.replace("W1", "W2"),  # wrong
            "<think>\nRight and shorter.\n</think>\n\n" + RIGHT_CALL,
            "<think>\nTidy?\n</think>\n\n" + RIGHT_CALL + "\nDone!",  # a fault of format
            RIGHT_CALL,  # no thought
        ],
        "W1#3": ["<think>\nNo.\n</think>\n\nIt is 13 km away."] * 5,
        "W1#5": [f"<think>\n{'so ' * (5 - i)}\n</think>\n\nGoodbye." for i in range(4)]
        + ["<think>\n\n</think>\n\nGoodbye."],  # an empty thought
    }
    found = own_thoughts(policy, run, lambda d, number: completions[d.key][number])
    assert found == {"W1#1": "Right and shorter.", "W1#5": "so so"}


def test_a_thought_whose_completion_was_cut_is_not_kept(policy: Policy, run: Run) -> None:
    # All but the stop token fits: what was written is right, but the model had not stopped.
    text = "<think>\nBye.\n</think>\n\nGoodbye."
    budget = len(policy.template.encode(text))
    script = {"W1#5": text}
    found = own_thoughts(policy, run, lambda d, _: script.get(d.key, ""), max_tokens=budget)
    assert found == {}
    found = own_thoughts(policy, run, lambda d, _: script.get(d.key, ""), max_tokens=budget + 1)
    assert found == {"W1#5": "Bye."}


def test_recorded_thoughts_are_taken_as_they_are() -> None:
    first, *others = recorded_thoughts(CONVERSATIONS)
    assert [(t.decision.key, t.thought) for t in first] == [("W1#1", "Find W1."), ("W1#3", "Say.")]
    assert [len(of_conversation) for of_conversation in others] == [2, 2]


def test_a_share_of_the_thoughts_can_be_trained_without() -> None:
    recorded = recorded_thoughts([conversation(str(i)) for i in range(500)])
    for share, low, high in ((0.0, 0, 0), (0.3, 250, 350), (1.0, 1000, 1000)):
        mixed_targets = with_direct_share(recorded, share, seed=0)
        flat = [t for of_conversation in mixed_targets for t in of_conversation]
        assert [t.decision for t in flat] == [t.decision for of in recorded for t in of]
        assert low <= sum(t.thought is None for t in flat) <= high
        assert mixed_targets == with_direct_share(recorded, share, seed=0)
