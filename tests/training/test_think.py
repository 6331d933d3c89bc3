"""Which thoughts the model begins with, and what is learned beside them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from actwise.config import SftConfig
from actwise.conversation import Decision
from actwise.engine import SamplingParams
from actwise.engine.rollouts import groups_of
from actwise.errors import RunError
from actwise.evaluation.judging import judge_groups
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from actwise.run.folder import Run
from actwise.training.stage import Context
from actwise.training.stages import THINK, Stage, think
from actwise.training.stages.sft import Batch, Target
from actwise.training.stages.think import recorded_thoughts, self_generated_thoughts
from finding import CONVERSATIONS, RIGHT_CALL, context, gold_text, scripted


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


def begun(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> list[list[Target]]:
    """Return what each of three steps of the stage learns, conversation after conversation."""
    learned: list[list[Target]] = []

    def watch(context: Any, stage: Any, config: Any, batch: Callable[[int], Any]) -> Any:
        learned.extend(of_one for step in range(3) for of_one in batch(step))

    monkeypatch.setattr(think, "supervised", watch)
    given = {"conversations_per_step": 5, **settings.pop("think", {})}
    think.begin(context(policy, run, think=given, **settings))
    return learned


def test_a_share_of_each_step_is_thinking_and_the_rest_direct(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = begun(
        policy, run, monkeypatch, think={"share": 0.4, "conversations": 2, "source": "recorded"}
    )
    modes = [{t.thought is None for t in of_one} for of_one in learned]
    assert modes == [{True}, {True}, {True}, {False}, {False}] * 3
    thinking = [of_one[0].decision.conversation.id for of_one in learned if of_one[0].thought]
    assert len(set(thinking)) == 2  # two are annotated, over and over
    direct = [of_one[0].decision.conversation.id for of_one in learned if not of_one[0].thought]
    assert {direct.count(c.id) for c in CONVERSATIONS} == {3}  # all of them in turn
    assert all(len(of_one) == 3 for of_one in learned if not of_one[0].thought)


def test_recorded_and_derived_thoughts_are_learned_in_equal_parts(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = begun(policy, run, monkeypatch, think={"share": 0.6, "conversations": 1})
    # Of three conversations with thoughts in each step one or two have those of the annotated one.
    derived = ("W1: find.", "It says 12.", "It is done.")
    of_three = [
        [tuple(t.thought for t in of_one) for of_one in learned[i : i + 5] if of_one[0].thought]
        for i in (0, 5, 10)
    ]
    recorded = ("Find W1.", "Say.")
    assert [step.count(recorded) for step in of_three] == [2, 1, 2]
    assert any(derived in step for step in of_three)


def test_annotated_conversations_come_in_versions_with_other_names(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"share": 1.0, "conversations": 1, "renamings": 15, "source": "recorded"}
    learned = begun(policy, run, monkeypatch, think=settings, data={"renamed": 1.0})
    names = [of_one[0].decision.gold.tool_calls[0].name for of_one in learned]
    # All fifteen versions in three steps of five. There are few words to make names of here.
    assert names.count("find") == 1
    assert len(set(names)) > 2
    assert {of_one[0].thought for of_one in learned} == {"Find W1."}


def test_behaviours_are_put_into_thoughts_before_they_are_learned(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"share": 1.0, "source": "recorded", "injection": {"exploitation": 1.0}}
    # Results that are no JSON have no fields to gather; here they are "12 km".
    learned = begun(policy, run, monkeypatch, think=given)
    assert {t.thought for of_one in learned for t in of_one} == {
        "Find W1.",
        "Find W22.",
        "Find X9.",
        "Say.",
    }
    fields = [
        c.model_copy(
            update={
                "messages": tuple(
                    m.model_copy(update={"content": '{"way": "12 km"}'}) if m.role == "tool" else m
                    for m in c.messages
                )
            }
        )
        for c in CONVERSATIONS
    ]
    learned = begun(policy, run, monkeypatch, train=fields, think=given)
    assert {of_one[1].thought for of_one in learned} == {"Known: way 12 km. Say."}


def test_where_no_thoughts_are_recorded_they_are_derived(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = [
        c.model_copy(
            update={
                "messages": tuple(
                    m.model_copy(update={"reasoning_content": None}) for m in c.messages
                )
            }
        )
        for c in CONVERSATIONS
    ]
    learned = begun(policy, run, monkeypatch, train=bare, think={"share": 1.0})
    thoughts = {tuple(t.thought for t in of_one) for of_one in learned}
    assert thoughts == {
        (f"{name}: find.", "It says 12.", "It is done.") for name in ("W1", "W22", "X9")
    }
    with pytest.raises(RunError, match=r"think\.source=derived"):
        begun(policy, run, monkeypatch, train=bare, think={"source": "recorded"})
    for source in ("recorded", "both"):  # before anything is paid
        asked = context(policy, run, think={"source": source}).config
        with pytest.raises(RunError, match=r"think\.source=derived"):
            THINK.check(policy.template, bare, asked)


@pytest.mark.parametrize("asked", [{}, {"conversations_per_step": 3}, {"share": 0.1}])
def test_both_sources_have_an_equal_part_however_few_think_in_a_step(
    policy: Policy, run: Run, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    batches: list[Batch] = []

    def keep(context: Context, stage: Stage, config: SftConfig, batch: Batch) -> Any:
        batches.append(batch)

    monkeypatch.setattr(think, "supervised", keep)
    think.begin(context(policy, run, think={"source": "both", **asked}))
    (batch,) = batches
    targets = [of_one[0] for step in range(40) for of_one in batch(step)]
    thoughts = [(t.thought, t.decision.gold.reasoning_content) for t in targets if t.thought]
    recorded = sum(own == record for own, record in thoughts)
    assert thoughts
    assert abs(2 * recorded - len(thoughts)) <= 1


@pytest.mark.parametrize(("begin", "starts_at"), [("base", 7.0), ("previous", None)])
def test_the_stage_begins_from_the_base_or_from_what_sft_left(
    policy: Policy,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    begin: str,
    starts_at: float | None,
) -> None:
    before = policy.weights()

    def base() -> dict[str, Tensor]:
        return {name: torch.full_like(w, 7.0) for name, w in before.items()}

    begun(policy, run, monkeypatch, base=base, think={"begin": begin})
    for name, weight in policy.weights().items():
        expected = before[name] if starts_at is None else torch.full_like(weight, starts_at)
        assert torch.equal(weight, expected)


@pytest.mark.parametrize(
    ("thoughts", "shortest", "next_longest"),
    [
        (["aaa", "bb", "c", "bb"], "c", "bb"),  # one that occurs twice counts once
        (["aaa", "bb"], "bb", "bb"),
        (["aaa"], "aaa", "aaa"),
        ([], None, None),
    ],
)
def test_which_of_the_thoughts_before_a_right_action_is_kept(
    policy: Policy,
    thoughts: list[str],
    shortest: str | None,
    next_longest: str | None,
) -> None:
    decision = CONVERSATIONS[0].decisions()[0]
    texts = [gold_text(decision, thought) for thought in thoughts]
    texts.append("<think>\nlongest of all\n</think>\n\nNo.")  # wrong
    engine = scripted(policy, lambda d, number: texts[number])
    groups = engine.generate(
        groups_of(policy.template, [decision], thinking=True),
        num_generations=len(texts),
        params=SamplingParams(200, policy.template.stop_token_ids),
    )
    (group,) = judge_groups(policy.template, groups, thinking=True, settings=JudgeConfig())
    assert think.chosen_thought(group, "shortest") == shortest
    assert think.chosen_thought(group, "next_longest") == next_longest
