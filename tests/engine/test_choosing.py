"""Choosing among sampled completions, against states computed row by row."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from acting import LIMITS, called, desk, golden, start, text_of
from actwise.desk import generate
from actwise.engine.choosing import Choice, states_after
from actwise.engine.rollouts import Group, Rollout, Sample
from actwise.engine.scripted import ScriptedEngine
from actwise.model.policy import Policy
from actwise.model.value import ValueModel
from finding import CONVERSATIONS, ordinary


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    return Policy.load(str(tiny_model_dir))


def groups(policy: Policy, texts: list[str]) -> list[Group]:
    """Return groups with these completions of two decisions in each conversation."""
    encode = policy.template.encode
    samples = [Sample(tuple(encode(t)), (0.0,) * len(encode(t)), "stop") for t in texts]
    return [
        Group(d, tuple(policy.template.prompt(d, thinking=True)), tuple(map(Rollout, samples)))
        for c in reversed(CONVERSATIONS)
        for d in c.decisions()[:2]
    ]


def by_row(policy: Policy, group: Group) -> torch.Tensor:
    """Return the state after each completion, one row at a time by transformers' attention."""
    body = ordinary(policy).base_model
    rows = [[*group.prompt, *r.sample.token_ids] for r in group.rollouts]
    with torch.no_grad():
        return torch.stack([body(torch.tensor([row])).last_hidden_state[0, -1] for row in rows])


def test_states_are_those_of_rows_computed_one_by_one(policy: Policy) -> None:
    given = groups(policy, ["Yes.", "Yes. No.", "Hm"])
    found = states_after(policy, given)
    for group, states in zip(given, found, strict=True):
        torch.testing.assert_close(states, by_row(policy, group), rtol=1e-4, atol=1e-5)


def test_the_best_of_each_few_is_taken(policy: Policy) -> None:
    texts = ["Yes.", "No.", "Hm", "Well", "Aha!", "12"]
    given = groups(policy, texts)
    dimension = policy.model.get_output_embeddings().weight.shape[1]
    values = ValueModel(torch.linspace(-1, 1, dimension), torch.tensor(0.0))
    chosen = Choice(policy, values, 3).best(given)
    for group, samples in zip(given, chosen, strict=True):
        worth = (by_row(policy, group) @ values.weights_D).tolist()
        first, second = worth[:3].index(max(worth[:3])), 3 + worth[3:].index(max(worth[3:]))
        assert samples == [group.rollouts[first].sample, group.rollouts[second].sample]


class Last:
    """Chooses the last of three."""

    number = 3

    def best(self, groups: list[Group]) -> list[list[Sample]]:
        """Return it."""
        return [[r.sample for r in group.rollouts[2::3]] for group in groups]


def test_an_episode_goes_on_with_what_was_chosen() -> None:
    """Two of three completions at each step give up; the one that is chosen acts as recorded."""
    (conversation,) = generate("test", 1)
    recorded = golden(conversation)
    template = recorded.template
    script = {
        template.prompt_text(d, thinking=False): text_of(d.gold) for d in conversation.decisions()
    }

    def tell(prompt: str, number: int) -> str:
        return script[prompt] if number == 2 else "I give up."

    runner = replace(recorded, engine=ScriptedEngine(template.tokenizer, tell), choice=Last())
    ((episode,),) = runner.run([start(conversation)], desk, LIMITS)
    texts = [step.text for turn in episode.turns for step in turn.steps]
    assert texts == [text_of(d.gold) for d in conversation.decisions()]
    assert any(called(*m.tool_calls) in texts for m in conversation.messages if m.tool_calls)
