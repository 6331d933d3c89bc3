"""Episodes: a model on its own history."""

import json
from collections.abc import Sequence

import pytest
import torch
from jsonschema import Draft202012Validator

from acting import (
    LIMITS,
    Fake,
    actor,
    called,
    desk,
    golden,
    opens,
    shipped_template,
    start,
    text_of,
)
from actwise.api.acting import Model
from actwise.conversation import Conversation, Message, ToolCall
from actwise.desk import MODEL, generate, open_world
from actwise.engine import SamplingParams
from actwise.engine.episodes import End, EpisodeRunner, Start, starts_of
from actwise.engine.local import LocalEngine
from actwise.environments import Broken, Environment, Finished, Result
from actwise.environments.script import turns_of
from actwise.model.policy import Policy
from talks import TOOLS, says, talk, user

CONVERSATIONS = generate("test", 12)
ASKING = talk(user("What is it?"), says("It is 1."), user("Thanks."), says("Bye."))
CALL = called(ToolCall(name="lookup", arguments={"number": 1}))


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(str(MODEL))


def by_hand(
    policy: Policy, conversation: Conversation, history: Sequence[Message], thinking: bool
) -> list[str]:
    """Return what the model writes in a turn: one completion after the other, calls run by hand."""
    model = Model(policy)
    world = open_world(conversation.id)
    for message in history:
        for call in message.tool_calls:
            world.run(call)
    tools = [{**t} for t in conversation.tools]
    messages = [message.to_dict(thought=False) for message in history]
    texts: list[str] = []
    while len(texts) < LIMITS.steps:
        action = model.act(messages, conversation.tools, thinking=thinking, max_tokens=80)
        texts.append(action.text)
        parsed = action.parsed
        if action.truncated or parsed.broken_calls or not parsed.calls:
            break
        own = action.message
        own.pop("reasoning_content", None)
        messages.append(own)
        for call, written in zip(parsed.calls, own["tool_calls"], strict=True):
            schemas = {t["function"]["name"]: t["function"]["parameters"] for t in tools}
            if not Draft202012Validator(schemas.get(call.name, False)).is_valid(call.arguments):
                return texts  # what is refused in words is not compared
            content = world.run(call)
            messages.append({"role": "tool", "content": content, "tool_call_id": written["id"]})
    return texts


@pytest.mark.parametrize("thinking", [False, True])
def test_greedy_episodes_are_step_by_step_what_the_model_does_alone(
    policy: Policy, thinking: bool
) -> None:
    template = policy.template
    params = SamplingParams(80, template.stop_token_ids, temperature=0)
    together = EpisodeRunner(LocalEngine(policy), template, thinking, params, policy.context_length)
    starts = [s for c in CONVERSATIONS[:4] for s in starts_of(c, whole=False)]
    steps = 0
    for begun, (episode,) in zip(starts, together.run(starts, desk, LIMITS), strict=True):
        (turn,) = episode.turns
        expected = by_hand(policy, begun.turn.conversation, begun.turn.history, thinking)
        found = [step.text for step in turn.steps]
        assert found[: len(expected)] == expected
        for step in turn.steps:
            assert step.text == template.decode(list(step.sample.token_ids))
        steps += len(expected)
    assert steps > len(starts)


def test_who_acts_as_recorded_sees_the_record() -> None:
    for whole in (False, True):
        starts = [s for c in CONVERSATIONS for s in starts_of(c, whole=whole)]
        for begun, (episode,) in zip(
            starts, golden(*CONVERSATIONS).run(starts, desk, LIMITS), strict=True
        ):
            turns = turns_of(begun.turn.conversation)
            assert episode.end is End.ANSWERED
            assert len(episode.turns) == (len(turns) if whole else 1)
            for taken in episode.turns:
                assert [step.text for step in taken.steps] == [
                    text_of(m) for m in taken.recorded.messages if m.role == "assistant"
                ]
                results = [r.text for step in taken.steps for r in step.results]
                assert results == [m.content for m in taken.recorded.messages if m.role == "tool"]


def test_a_thought_is_no_part_of_the_history() -> None:
    template = shipped_template()
    (conversation,) = CONVERSATIONS[:1]
    first = conversation.decisions()[0]
    seen: list[str] = []

    def script(prompt: str) -> str:
        seen.append(prompt)
        thought = "<think>\nSecret.\n</think>\n\n"
        return thought + (text_of(first.gold) if len(seen) == 1 else "Bye.")

    thinking = actor(script)
    thinking = EpisodeRunner(thinking.engine, template, True, thinking.params, 8192)
    thinking.run([start(conversation, whole=False)], desk, LIMITS)
    assert seen[1] == template.prompt_text(conversation.decisions()[1], thinking=True)


def test_several_episodes_of_one_turn_go_their_own_ways() -> None:
    answers = iter(["One.", CALL, "Three.", "Two."])
    environments: list[Fake] = []

    def open_one(conversation: Conversation) -> Environment:
        environments.append(Fake())
        return environments[-1]

    turn = turns_of(ASKING)[0]
    told = actor(lambda prompt: next(answers))
    ((one, two, three),) = told.run([Start(turn)], open_one, LIMITS, num_generations=3)
    assert [len(e.turns[0].steps) for e in (one, two, three)] == [1, 2, 1]
    assert two.turns[0].steps[1].text == "Two."
    assert len(environments) == 3
    assert all(environment.closed for environment in environments)


def test_who_calls_for_ever_is_stopped() -> None:
    (((episode),),) = actor(lambda prompt: CALL).run([start(ASKING)], opens(Fake()), LIMITS)
    assert episode.end is End.STEPS
    assert len(episode.turns[0].steps) == LIMITS.steps


def test_a_customer_who_never_ends_is_left() -> None:
    limits = LIMITS.model_copy(update={"turns": 3})
    ((episode,),) = actor(lambda prompt: "Well.").run([start(ASKING)], opens(Fake()), limits)
    assert episode.end is End.TURNS
    assert len(episode.turns) == 3


def test_a_result_of_a_megabyte_is_cut() -> None:
    answers = iter([CALL, "Well."])
    seen: list[str] = []

    def script(prompt: str) -> str:
        seen.append(prompt)
        return next(answers)

    limits = LIMITS.model_copy(update={"result_characters": 100})
    ((episode,),) = actor(script).run(
        [start(ASKING, whole=False)], opens(Fake("x" * 1_000_000)), limits
    )
    (result,) = episode.turns[0].steps[0].results
    assert result.text == "x" * 100 + " ... (999900 more characters)"
    assert result.text in seen[1]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("<tool_call>\n{broken\n</tool_call>", End.MALFORMED),
        ("", End.MALFORMED),
        ("word " * 400, End.TRUNCATED),
    ],
)
def test_what_cannot_be_done_ends_the_episode(text: str, end: End) -> None:
    ((episode,),) = actor(lambda prompt: text).run([start(ASKING)], opens(Fake()), LIMITS)
    assert episode.end is end


def test_a_history_that_leaves_no_room_ends_the_episode() -> None:
    told = actor(lambda prompt: CALL)
    short = EpisodeRunner(told.engine, told.template, False, told.params, context_length=600)
    ((episode,),) = short.run([start(ASKING)], opens(Fake("word " * 300)), LIMITS)
    assert episode.end is End.CONTEXT
    assert len(episode.turns[0].steps) == 1


class Falling(Fake):
    """Breaks where it is told to."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def reset(self, turn: int, own: object = ()) -> None:
        if self.where == "reset":
            raise Broken("no reset")

    def call(self, call: ToolCall) -> None:  # type: ignore[override]
        raise Broken("no call")


@pytest.mark.parametrize("where", ["open", "reset", "call"])
def test_an_environment_that_fails_ends_its_own_episode_alone(where: str) -> None:
    def open_one(conversation: Conversation) -> Environment:
        if conversation.id != "broken":
            return Fake()
        if where == "open":
            raise Broken("no start")
        return Falling(where)  # type: ignore[return-value]

    broken = ASKING.model_copy(update={"id": "broken"})
    told = actor(lambda prompt: "Well." if "tool_response" in prompt else CALL)
    found = told.run([start(c, whole=False) for c in (broken, ASKING)], open_one, LIMITS)
    (failed,), (other,) = found
    assert failed.end is End.BROKEN
    assert failed.problem.startswith("no ")
    assert other.end is End.ANSWERED


def test_a_call_can_end_the_conversation() -> None:
    class HandingOver(Fake):
        def call(self, call: ToolCall) -> Result:
            raise Finished

    ((episode,),) = actor(lambda prompt: CALL).run([start(ASKING)], opens(HandingOver()), LIMITS)
    assert episode.end is End.FINISHED
    assert [len(turn.steps) for turn in episode.turns] == [1]


def test_as_many_are_under_way_as_may_be() -> None:
    going = 0
    most = 0

    class Counted(Fake):
        def __init__(self) -> None:
            nonlocal going, most
            super().__init__()
            going += 1
            most = max(most, going)

        def close(self) -> None:
            nonlocal going
            going -= 1

    limits = LIMITS.model_copy(update={"at_once": 4})
    conversations = [ASKING.model_copy(update={"id": str(i)}) for i in range(10)]
    actor(lambda prompt: "Well.").run(
        [start(c, whole=False) for c in conversations],
        lambda conversation: Counted(),
        limits,
        num_generations=2,
    )
    assert (most, going) == (4, 0)


def test_sampled_episodes_have_the_log_probabilities_of_the_policy(policy: Policy) -> None:
    template = policy.template
    params = SamplingParams(40, template.stop_token_ids, temperature=1.0)
    sampling = EpisodeRunner(LocalEngine(policy), template, False, params, policy.context_length)
    starts = [s for c in CONVERSATIONS[:2] for s in starts_of(c, whole=False)]
    found = sampling.run(
        starts, desk, LIMITS, num_generations=3, generator=torch.Generator().manual_seed(0)
    )
    from finding import logprobs_of, ordinary

    model = ordinary(policy)
    steps = [s for of_one in found for e in of_one for t in e.turns for s in t.steps]
    assert max(len(t.steps) for of_one in found for e in of_one for t in e.turns) > 1
    for step in steps[:: max(1, len(steps) // 12)]:
        with torch.no_grad():
            expected = logprobs_of(model, step.prompt, step.sample.token_ids)
        torch.testing.assert_close(
            torch.tensor(step.sample.logprobs), expected, rtol=1e-3, atol=1e-4
        )


def test_calls_are_written_anew_as_a_server_would() -> None:
    """However the model spaces a call, the next prompt holds what the template makes of it."""
    answers = iter(
        ['<tool_call>\n{"arguments":   {"number": 1},  "name": "lookup"}\n</tool_call>', "Well."]
    )
    seen: list[str] = []

    def script(prompt: str) -> str:
        seen.append(prompt)
        return next(answers)

    actor(script).run([start(ASKING, whole=False)], opens(Fake()), LIMITS)
    history = talk(
        user("What is it?"),
        Message(
            role="assistant", tool_calls=(ToolCall(name="lookup", arguments={"number": 1}, id="c"),)
        ),
        Message(role="tool", content="found", tool_call_id="c"),
        says("x"),
    )
    assert history.tools == TOOLS
    assert seen[1] == shipped_template().prompt_text(history.decisions()[1], thinking=False)
    assert json.dumps({"number": 1}) in seen[1]
