"""The page of GRPO, against the trees."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest
import torch
from transformers import AutoModelForCausalLM

from actwise.config import RlConfig
from actwise.engine.rollouts import Group, Sample
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from actwise.training.advantages import with_advantages
from actwise.training.update import accumulate
from finding import CONVERSATIONS

PAGE = Path(__file__).parents[2] / "examples" / "grpo.py"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grpo", PAGE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_one_page() -> None:
    assert len(PAGE.read_text("utf-8").splitlines()) <= 200


def test_its_gradient_is_that_of_the_trees(page: ModuleType, tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    model, reference = (
        AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval() for _ in range(2)
    )
    torch.manual_seed(0)
    noise = {n: 0.02 * torch.randn_like(p) for n, p in reference.named_parameters()}
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            parameter.add_(noise[name])
    draw = random.Random(1)
    ours, theirs = [], []
    for number, decision in enumerate(d for c in CONVERSATIONS for d in c.decisions()):
        prompt = policy.template.prompt(decision, thinking=False)
        completions = [
            [draw.randrange(256) for _ in range(draw.randint(2, 9))] for _ in range(page.GROUP)
        ]
        rewards = [float((i + number) % 3 == 0) for i in range(page.GROUP)]
        longest = max(map(len, completions))
        tokens_GS = torch.tensor([c + [0] * (longest - len(c)) for c in completions])
        mask_GS = torch.tensor([[1.0] * len(c) + [0.0] * (longest - len(c)) for c in completions])
        with torch.no_grad():  # as if the policy had moved a little since
            old_GS = page.logprobs_of(model, prompt, tokens_GS)
            old_GS += 0.6 * torch.rand(old_GS.shape) - 0.3
        theirs.append(page.Group(prompt, tokens_GS, mask_GS, old_GS, torch.tensor(rewards)))
        samples = [
            Sample(tuple(c), tuple(old[: len(c)]), "stop")
            for c, old in zip(completions, old_GS.tolist(), strict=True)
        ]
        ours.append((Group(decision, tuple(prompt)).with_samples(samples), rewards))

    total = sum(len(group.rewards_G) for group in theirs)
    for group in theirs:
        page.loss_of(model, reference, group, total).backward()

    config = RlConfig(
        kl_coefficient=page.KL,
        clip_low=page.CLIP_LOW,
        clip_high=page.CLIP_HIGH,
        scale="none",
        aggregation="dr_grpo",
    )
    groups = with_rewards(ours, config)
    lengths = [len(r.sample.token_ids) for group in groups for r in group.rollouts]
    weights = dict(reference.named_parameters())
    accumulate(
        policy,
        groups,
        (len(lengths), sum(lengths)),
        {name: weights[name].detach() for name in policy.trainable()},
        config,
        max_tokens=page.MAX_TOKENS,
        max_batch_tokens=4096,
    )
    expected = dict(model.named_parameters())
    compared = 0
    for name, parameter in policy.trainable().items():
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-3, atol=1e-7)
        compared += int(parameter.grad.abs().max() > 0)
    assert compared > 5


def with_rewards(given: list[tuple[Group, list[float]]], config: RlConfig) -> list[Group]:
    """Return groups whose completions were judged to be worth their rewards."""
    from dataclasses import replace

    from actwise.engine.rollouts import Judged
    from actwise.rewards.judge import judge
    from actwise.template.parse import parse_completion

    found = []
    for group, rewards in given:
        parsed = parse_completion("", thinking=False)
        verdict = judge(
            parsed,
            group.decision.gold,
            group.conversation.tools,
            thinking=False,
            settings=JudgeConfig(),
            context=group.decision.history,
        )
        judged = [Judged("", parsed, replace(verdict, reward=reward)) for reward in rewards]
        pairs = zip(group.rollouts, judged, strict=True)
        found.append(replace(group, rollouts=tuple(replace(r, judged=j) for r, j in pairs)))
    return with_advantages(found, config, JudgeConfig())
