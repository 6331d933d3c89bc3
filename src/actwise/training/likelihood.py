"""The likelihood of the recorded action as a reward for thoughts, where no completion was right.

Where every completion of a decision is wrong, comparing them teaches little: usually nothing that
the decision takes is among them. But the record says what should have been done, and a thought is
good if it makes that likely. With thoughts z_1 .. z_n sampled from the policy and the recorded
action a, the loss is

    -log 1/n sum_i p(a | z_i)

whose gradient is that of  -sum_i [(w_i - 1/n) log p(z_i) + w_i log p(a | z_i)]  with the weights
w_i = p(a | z_i) / sum_j p(a | z_j), held fixed: thoughts that explain the record better than the
others become likelier, and the action is learned after the thoughts that lead to it. This is the
bound of several samples of JEPO (arXiv:2503.19618); VeriFree (2505.21493) takes p(a | z) itself as
the reward. Wording that is equally likely after every thought cancels out in the weights.

Letters in shapes: N different thoughts of a decision, T tokens of a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.conversation import Conversation, Decision
from actwise.template.render import Template


@dataclass(frozen=True)
class Explained:
    """Thoughts that the policy had at one decision, each once, before the recorded action."""

    conversation: Conversation
    prompt: Sequence[int]
    branches: tuple[Sequence[int], ...]
    """Tokens of each thought and of the recorded action after it."""
    ends: tuple[int, ...]
    """Tokens of each branch that belong to the thought."""
    counts: tuple[int, ...]
    """How often each thought was sampled."""


def explain(
    template: Template, decision: Decision, prompt: Sequence[int], thoughts: Sequence[str]
) -> Explained:
    """Put the recorded action after each different thought.

    Args:
        template: The model's.
        decision: Whose recorded action is meant.
        prompt: The decision's prompt in thinking mode.
        thoughts: As sampled, none empty.
    """
    different = list(dict.fromkeys(thoughts))
    close = template.syntax.think[1].strip()
    texts = [template.completion_text(decision, thought=thought) for thought in different]
    return Explained(
        decision.conversation,
        prompt,
        tuple(template.encode(text) for text in texts),
        tuple(len(template.encode(text[: text.index(close) + len(close)])) for text in texts),
        tuple(thoughts.count(thought) for thought in different),
    )


def likelihood_loss(
    thought_logprobs_N: Tensor,
    action_logprobs_N: Tensor,
    counts_N: Tensor,
    *,
    action_weight: float = 1.0,
) -> Tensor:
    """Return the loss of one decision, whose gradient is the one above.

    Args:
        thought_logprobs_N: Log-probability of each different thought.
        action_logprobs_N: Log-probability of the recorded action after it.
        counts_N: How often the thought was sampled.
        action_weight: What the second term of the gradient counts; with 0 thoughts alone learn, and
            no action is taught after a thought that does not lead to it.
    """
    held_N = action_logprobs_N.detach()
    action_logprobs_N = held_N + action_weight * (action_logprobs_N - held_N)
    shares_N = counts_N / counts_N.sum()
    # Its value is 0: a thought that was sampled counts by how often it was.
    score_N = thought_logprobs_N - thought_logprobs_N.detach()
    evidence = torch.logsumexp(shares_N.log() + action_logprobs_N + score_N, 0)
    return -evidence + (shares_N * score_N).sum()


def explained_loss(
    logprobs_T: Tensor, decisions: Sequence[Explained], *, action_weight: float = 1.0
) -> Tensor:
    """Return the sum of the decisions' losses.

    Args:
        logprobs_T: Of all their completions' tokens, one completion after another.
        decisions: With their thoughts.
        action_weight: See `likelihood_loss`.
    """
    of_completions = iter(torch.split(logprobs_T, [len(b) for d in decisions for b in d.branches]))
    losses = []
    for one in decisions:
        of_one = [next(of_completions) for _ in one.branches]
        losses.append(
            likelihood_loss(
                torch.stack([lp[:end].sum() for lp, end in zip(of_one, one.ends, strict=True)]),
                torch.stack([lp[end:].sum() for lp, end in zip(of_one, one.ends, strict=True)]),
                torch.tensor(one.counts, dtype=logprobs_T.dtype, device=logprobs_T.device),
                action_weight=action_weight,
            )
        )
    return torch.stack(losses).sum()
