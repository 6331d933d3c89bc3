"""The likelihood of the recorded action: weights by hand, the gradient by enumeration."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from actwise.config import LikelihoodConfig, RlConfig
from actwise.conversation import Conversation, Message
from actwise.engine.rollouts import Group, Rollout, Sample
from actwise.model.policy import Policy
from actwise.training.likelihood import Explained, explain, likelihood_loss
from actwise.training.update import accumulate

CONVERSATION = Conversation(
    id="c",
    messages=(
        Message(role="user", content="Four and five?"),
        Message(role="assistant", content="Nine."),
    ),
)


def test_a_thought_is_pushed_by_what_it_explains_beyond_its_share() -> None:
    # Thought a was sampled once and gives the action probability 0.6, b three times and 0.2:
    # 1 * 0.6 and 3 * 0.2, so each has half of the evidence, 1/4 * 0.6 + 3/4 * 0.2 = 0.3.
    thoughts = torch.tensor([-1.0, -2.0], requires_grad=True)
    actions = torch.tensor([0.6, 0.2]).log().requires_grad_()
    loss = likelihood_loss(thoughts, actions, torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx(-math.log(0.3))
    loss.backward()
    # Minus (share of the evidence less share of the samples): 1/2 - 1/4 and 1/2 - 3/4.
    assert thoughts.grad is not None
    assert thoughts.grad.tolist() == pytest.approx([-0.25, 0.25])
    assert actions.grad is not None
    assert actions.grad.tolist() == pytest.approx([-0.5, -0.5])


def test_what_is_equally_likely_after_all_thoughts_moves_none() -> None:
    thoughts = torch.tensor([-1.0, -2.0], requires_grad=True)
    loss = likelihood_loss(thoughts, torch.tensor([-9.0, -9.0]), torch.tensor([1.0, 3.0]))
    loss.backward()
    assert thoughts.grad is not None
    assert thoughts.grad.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


def test_with_one_thought_only_the_action_is_learned() -> None:
    thoughts = torch.tensor([-1.0], requires_grad=True)
    actions = torch.tensor([-3.0], requires_grad=True)
    likelihood_loss(thoughts, actions, torch.tensor([8.0])).backward()
    assert thoughts.grad is not None
    assert actions.grad is not None
    assert (thoughts.grad.item(), actions.grad.item()) == (0.0, -1.0)


def test_thoughts_alone_can_learn() -> None:
    thoughts = torch.tensor([-1.0, -2.0], requires_grad=True)
    actions = torch.tensor([0.6, 0.2]).log().requires_grad_()
    loss = likelihood_loss(thoughts, actions, torch.tensor([1.0, 3.0]), action_weight=0.0)
    assert loss.item() == pytest.approx(-math.log(0.3))
    loss.backward()
    assert thoughts.grad is not None
    assert thoughts.grad.tolist() == pytest.approx([-0.25, 0.25])
    assert actions.grad is not None
    assert actions.grad.tolist() == [0.0, 0.0]


@pytest.fixture(scope="module")
def policy(tiny_model_dir: Path) -> Policy:
    torch.manual_seed(0)
    return Policy.load(str(tiny_model_dir))


def test_thoughts_are_put_before_the_recorded_action(policy: Policy) -> None:
    (decision,) = CONVERSATION.decisions()
    prompt = policy.template.prompt(decision, thinking=True)
    found = explain(policy.template, decision, prompt, ["4 + 5", "so", "4 + 5"])
    assert found.counts == (2, 1)
    parts = [
        (policy.template.decode(list(c[:end])), policy.template.decode(list(c[end:])))
        for c, end in zip(found.branches, found.ends, strict=True)
    ]
    assert [p[0].split() for p in parts] == [
        ["<think>", "4", "+", "5", "</think>"],
        ["<think>", "so", "</think>"],
    ]
    assert all("Nine." in action for _, action in parts)


def test_the_gradient_is_that_of_one_completion_after_another(
    policy: Policy, tiny_model_dir: Path
) -> None:
    (decision,) = CONVERSATION.decisions()
    prompt = policy.template.prompt(decision, thinking=True)
    ones = [
        explain(policy.template, decision, prompt, ["4 + 5", "so", "4 + 5"]),
        explain(policy.template, decision, prompt[:-1], ["hm"]),
    ]
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    naive = torch.zeros(())
    for one in ones:
        thoughts, actions = [], []
        for completion, end in zip(one.branches, one.ends, strict=True):
            logprobs = _alone(model, one.prompt, completion)
            thoughts.append(logprobs[:end].sum())
            actions.append(logprobs[end:].sum())
        share = torch.tensor(one.counts) / sum(one.counts)
        probabilities = torch.stack(actions).exp()
        weights = (share * probabilities / (share * probabilities).sum()).detach()
        naive = naive - ((weights - share) * torch.stack(thoughts)).sum()
        naive = naive - (weights * torch.stack(actions)).sum()
    (0.5 * naive).backward()
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    figures = add_gradient(policy, ones)
    assert figures.keys() == {"surprise"}
    assert figures["surprise"] > 0
    trained = policy.trainable()
    assert len(expected) == len(trained)
    for name, grad in expected.items():
        torch.testing.assert_close(trained[name].grad, grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("max_batch_tokens", [1, 10_000])
def test_beside_completions_the_gradients_add_up(policy: Policy, max_batch_tokens: int) -> None:
    (decision,) = CONVERSATION.decisions()
    prompt = tuple(policy.template.prompt(decision, thinking=True))
    explained = explain(policy.template, decision, prompt, ["4 + 5", "so", "4 + 5"])
    rollouts = []
    for text, advantage in (("Five.", -1.0), ("Nine!", 1.0)):
        tokens = tuple(policy.template.encode(text))
        sample = Sample(tokens, (-5.0,) * len(tokens), "stop")
        rollouts.append(Rollout(sample, None, advantage))
    group = Group(decision, prompt, tuple(rollouts), live=True)
    parts: list[Sequence[Group | Explained]] = [[group], [explained], [group, explained]]
    weights = policy.trainable().values()
    gradients, figures = [], []
    for learned in parts:
        policy.model.zero_grad()
        figures.append(add_gradient(policy, learned, max_batch_tokens=max_batch_tokens))
        gradients.append(
            torch.cat([torch.zeros(1) if p.grad is None else p.grad.flatten() for p in weights])
        )
    of_group, of_explained, of_both = gradients
    assert of_group.norm() > 0 and of_explained.norm() > 0
    torch.testing.assert_close(of_both, of_group + of_explained, rtol=1e-4, atol=1e-7)
    assert figures[2] == pytest.approx(figures[0] | figures[1])


def add_gradient(
    policy: Policy, learned: Sequence[Group | Explained], max_batch_tokens: int = 10_000
) -> dict[str, float]:
    return accumulate(
        policy,
        learned,
        (2, 20),
        {},
        RlConfig(likelihood=LikelihoodConfig(action_weight=1.0)),
        max_tokens=20,
        max_batch_tokens=max_batch_tokens,
        likelihood_scale=0.5,
    )


def _alone(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of a completion as transformers computes them, without a tree."""
    ids = torch.tensor([[*prompt, *completion]])
    logits = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    logprobs: torch.Tensor = logits.log_softmax(-1)
    return logprobs.gather(1, torch.tensor(completion)[:, None])[:, 0]
