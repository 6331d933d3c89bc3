"""Supervised fine-tuning, against one forward pass of an ordinary model for each completion."""

import pytest
import torch
from torch import Tensor

from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.training.stages import SFT
from actwise.training.stages.sft import Target, accumulate, sft_tree
from actwise.training.stages.think import recorded_thoughts
from actwise.tree.packing import pack
from finding import CONVERSATIONS, assert_near, context, gradient, lines, logprobs_of, ordinary


def targets(thinking: bool) -> list[list[Target]]:
    if thinking:
        return recorded_thoughts(CONVERSATIONS)
    return [[Target(d, None) for d in c.decisions()] for c in CONVERSATIONS]


@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize("thinking", [False, True])
def test_sft_takes_the_mean_over_target_tokens_however_it_is_cut(
    policy: Policy, thinking: bool, passes: int
) -> None:
    model = ordinary(policy)
    losses = []
    for target in [t for of_conversation in targets(thinking) for t in of_conversation]:
        prompt = policy.template.prompt(target.decision, thinking=thinking)
        completion = policy.template.completion(target.decision, thought=target.thought)
        losses.append(-logprobs_of(model, prompt, completion))
    expected = torch.cat(losses).mean()
    expected.backward()
    trees = [sft_tree(policy.template, of) for of in targets(thinking)]
    sizes = [tree.num_tokens for tree in trees]
    max_batch_tokens = {1: sum(sizes), 2: sizes[0] + sizes[1] - 1, 3: 1}[passes]
    assert len(pack(trees, max_batch_tokens)) == passes
    loss = accumulate(policy, trees, max_batch_tokens)
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert_near(gradient(policy.model), gradient(model))


def test_the_gradient_of_sft_is_the_same_with_any_number_of_workers(policy: Policy) -> None:
    trees = [sft_tree(policy.template, of) for of in targets(thinking=True)]
    found = []
    for workers in (1, 2, 3):
        policy.workers = workers
        policy.model.zero_grad()
        loss = accumulate(policy, trees, max_batch_tokens=1)
        found.append((loss, gradient(policy.model)))
    assert all(loss == found[0][0] for loss, _ in found)
    assert all(torch.equal(grad, found[0][1]) for _, grad in found)


def test_parameters_without_influence_have_no_gradient(policy: Policy) -> None:
    policy.model.idle = torch.nn.Parameter(torch.ones(1))
    policy.workers = 2
    accumulate(policy, [sft_tree(policy.template, of) for of in targets(False)], 1)
    assert policy.model.idle.grad is None
    assert policy.model.get_output_embeddings().weight.grad is not None


def test_direct_mode_has_the_empty_thought_in_the_prompt_and_never_as_a_target(
    policy: Policy,
) -> None:
    decode = policy.template.tokenizer.decode
    for of_conversation in targets(thinking=False):
        tree = sft_tree(policy.template, of_conversation)
        for prompt, (completion,) in zip(tree.prompts, tree.completions, strict=True):
            assert decode(prompt).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
            assert "think>" not in decode(completion)
    with_thought = sft_tree(policy.template, targets(thinking=True)[0])
    assert decode(with_thought.prompts[0]).endswith("<|im_start|>assistant\n")
    assert decode(with_thought.completions[0][0]).startswith("<think>\nFind W1.\n</think>\n\n")


def test_training_lowers_the_loss_and_keeps_the_best_weights(policy: Policy, run: Run) -> None:
    scores = iter([0.1, 0.9, 0.2])
    seen: list[dict[str, Tensor]] = []

    def development_score() -> float:
        seen.append(policy.weights())
        return next(scores)

    settings = {"learning_rate": 3e-3, "steps": 9, "conversations_per_step": 3, "evaluate_every": 3}
    stage = SFT.begin(context(policy, run, score=development_score, sft=settings))
    figures = list(stage.steps)
    stage.training.finish()
    metrics = lines(run, "metrics/sft.jsonl")
    assert [m["step"] for m in metrics] == list(range(1, 10))
    assert metrics == [{"step": i + 1, **f} for i, f in enumerate(figures)]
    assert metrics[-1]["loss"] < 0.8 * metrics[0]["loss"]
    assert [m.get("dev_action_accuracy") for m in metrics][2::3] == [0.1, 0.9, 0.2]
    assert (stage.training.best_score, len(seen)) == (0.9, 3)
    for name, best in seen[1].items():
        assert torch.equal(policy.weights()[name], best)
