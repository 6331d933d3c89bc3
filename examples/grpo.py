"""GRPO over recorded decisions, on one page: row by row, without trees, in a minute on a CPU.

    python examples/grpo.py

Read this first, then `src/actwise/training/stages/rl.py`, which does the same on trees: there a
conversation's history is computed once for all completions of all of its decisions. A test holds
the gradient of this page against that of the trees.

Letters in shapes: G completions of a group, S tokens of the longest.
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from actwise.conversation import Decision
from actwise.desk import MODEL, generate
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import parse_completion
from actwise.template.render import Template

STEPS = 10
DECISIONS = 6  # the same in each step, so that a minute shows what is learned
GROUP = 8  # completions of a decision, whose mean reward is the baseline
MAX_TOKENS = 48
CLIP_LOW, CLIP_HIGH = 0.2, 0.28  # DAPO's two bounds of the ratio
KL = 0.02  # weight of the divergence from the model at the start
LEARNING_RATE = 1e-3  # high: so few steps have to be enough
THINKING = False  # the shipped base can act a little, and cannot yet think


@dataclass
class Group:
    """The completions of one decision."""

    prompt: list[int]
    tokens_GS: Tensor
    """Padded on the right."""
    mask_GS: Tensor
    """1 for tokens, 0 for padding."""
    old_GS: Tensor
    """Log-probabilities under the policy that sampled them."""
    rewards_G: Tensor


def logprobs_of(model: torch.nn.Module, prompt: list[int], tokens_GS: Tensor) -> Tensor:
    """Return the log-probability of each token after a prompt, (G, S), with gradient."""
    rows = torch.cat([torch.tensor([prompt] * len(tokens_GS)), tokens_GS], 1)
    logits = model(input_ids=rows, use_cache=False).logits[:, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(2, tokens_GS[:, :, None]).squeeze(2)


def reward_of(template: Template, decision: Decision, tokens: list[int]) -> float:
    """Return how well a completion agrees with the recorded action, from 0 to 1."""
    if tokens[-1] not in template.stop_token_ids:
        return 0.0  # it was cut
    completion = parse_completion(template.decode(tokens), thinking=THINKING)
    verdict = judge(
        completion,
        decision.gold,
        decision.conversation.tools,
        thinking=THINKING,
        settings=JudgeConfig(),
        context=decision.history,
    )
    return verdict.reward


@torch.no_grad()
def sample(model: torch.nn.Module, template: Template, decision: Decision) -> Group:
    """Complete a decision's prompt as often as a group has completions, and judge each."""
    prompt = template.prompt(decision, thinking=THINKING)
    stop = template.stop_token_ids
    rows = model.generate(
        torch.tensor([prompt] * GROUP),
        attention_mask=torch.ones(GROUP, len(prompt), dtype=torch.long),
        do_sample=True,
        top_k=0,
        max_new_tokens=MAX_TOKENS,
        eos_token_id=list(stop),
        pad_token_id=stop[0],
    )
    tokens_GS = rows[:, len(prompt) :]
    stopped_GS = torch.isin(tokens_GS, torch.tensor(stop))
    mask_GS = (stopped_GS.cumsum(1) - stopped_GS.int() == 0).float()  # up to the first stop token
    lengths = mask_GS.sum(1).int().tolist()
    rewards = [
        reward_of(template, decision, tokens[:length])
        for tokens, length in zip(tokens_GS.tolist(), lengths, strict=True)
    ]
    old_GS = logprobs_of(model, prompt, tokens_GS)
    return Group(prompt, tokens_GS, mask_GS, old_GS, torch.tensor(rewards))


def loss_of(model: torch.nn.Module, reference: torch.nn.Module, group: Group, total: int) -> Tensor:
    """Return a group's share of the loss of a step, which has `total` completions."""
    advantages_G1 = (group.rewards_G - group.rewards_G.mean())[:, None]
    new_GS = logprobs_of(model, group.prompt, group.tokens_GS)
    ratio_GS = (new_GS - group.old_GS).exp()
    clipped_GS = ratio_GS.clamp(1 - CLIP_LOW, 1 + CLIP_HIGH)
    gain_GS = torch.minimum(ratio_GS * advantages_G1, clipped_GS * advantages_G1)
    with torch.no_grad():
        start_GS = logprobs_of(reference, group.prompt, group.tokens_GS)
    divergence_GS = (start_GS - new_GS).exp() - (start_GS - new_GS) - 1  # k3, never below 0
    loss_GS = (KL * divergence_GS - gain_GS) * group.mask_GS
    # Dr. GRPO: divided by a constant, or the tokens of long completions would count less.
    return loss_GS.sum() / (MAX_TOKENS * total)


def step(
    model: torch.nn.Module,
    reference: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    groups: list[Group],
) -> None:
    """Move the policy towards what was better than the rest of its group."""
    total = sum(len(group.rewards_G) for group in groups)
    for group in groups:
        if group.rewards_G.unique().numel() > 1:  # else no completion is better than another
            loss_of(model, reference, group, total).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad()


def main() -> None:
    """Train for some steps, and print what the rewards do."""
    torch.set_num_threads(1)  # a small model is faster with one
    torch.manual_seed(0)
    template = Template.load(str(MODEL))
    model, reference = (AutoModelForCausalLM.from_pretrained(MODEL).eval() for _ in range(2))
    model.get_input_embeddings().requires_grad_(False)  # or it would unlearn rare words
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    recorded = [d for conversation in generate("train", 60) for d in conversation.decisions()]
    decisions = random.Random(0).sample(recorded, DECISIONS)
    for number in range(1, STEPS + 1):
        groups = [sample(model, template, decision) for decision in decisions]
        step(model, reference, optimiser, groups)
        rewards = torch.stack([group.rewards_G for group in groups])
        live = (rewards.std(1) > 0).float().mean()
        print(f"step {number:2}  reward {rewards.mean():.3f}  live groups {live:.2f}", flush=True)


if __name__ == "__main__":
    main()
