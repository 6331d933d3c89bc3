"""Supervised fine-tuning: one branch per decision, the recorded action.

In direct mode the empty thought is part of the prompt and never a target, so learning to act does
not teach the model not to think. In thinking mode (the cold start) the branch is a thought and the
recorded action. The loss is the mean over the target tokens of a step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from actwise.config import SftConfig
from actwise.conversation import Decision
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.template.render import Template
from actwise.training.gradients import add_gradients
from actwise.training.stage import Training, batch_of
from actwise.tree.packing import Part, Tree, lay_out_pass, pack


@dataclass(frozen=True)
class Target:
    """What is learned at one decision."""

    decision: Decision
    thought: str | None
    """None trains direct mode."""


def sft_tree(template: Template, targets: Sequence[Target]) -> Tree:
    """Render the targets of one conversation."""
    return Tree(
        tuple(template.prompt(t.decision, thinking=t.thought is not None) for t in targets),
        tuple((template.completion(t.decision, thought=t.thought),) for t in targets),
    )


def train_sft(
    run: Run,
    stage: str,
    policy: Policy,
    examples: Sequence[Sequence[Target]],
    config: SftConfig,
    *,
    seed: int,
    checkpoint_every: int,
    max_batch_tokens: int,
    development_score: Callable[[], float],
) -> Training:
    """Train on the targets and leave the best weights in the policy.

    Args:
        run: The run folder.
        stage: Name of the stage.
        policy: Trained in place.
        examples: The targets of each conversation; none is empty.
        config: Of the stage.
        seed: Of the order of the conversations.
        checkpoint_every: Steps between checkpoints.
        max_batch_tokens: Tokens in one forward and backward pass.
        development_score: Measures the policy as it is; higher is better.
    """
    training = Training(
        run,
        stage,
        policy,
        config,
        steps=config.steps,
        checkpoint_every=checkpoint_every,
        seed=seed,
        patience=config.patience,
    )
    with run.progress.track(stage, config.steps, training.step) as show:
        while training.step < training.end:
            batch = batch_of(examples, config.conversations_per_step, training.step, seed)
            trees = [sft_tree(policy.template, targets) for targets in batch]
            loss = accumulate(policy, trees, max_batch_tokens)
            figures = {"loss": loss, "learning_rate": training.learning_rate()}
            figures["grad_norm"] = training.update()
            last = training.step + 1
            if last % config.evaluate_every == 0 or last == training.end:
                figures["dev_action_accuracy"] = development_score()
                training.offer(figures["dev_action_accuracy"])
            training.metrics.append({"step": last, **figures})
            training.end_step()
            show(last, loss=loss, best=max(training.best_score, 0.0))
    training.finish()
    return training


def accumulate(policy: Policy, trees: Sequence[Tree], max_batch_tokens: int) -> float:
    """Add the gradient of the mean negative log-likelihood of all targets; return its value."""
    total = sum(tree.num_branch_tokens for tree in trees)

    def loss_of(packed: Sequence[Part]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = -policy.score(*lay_out_pass(packed, policy.device)).logprobs.sum() / total
        return loss, {"loss": loss.detach()}

    return add_gradients(policy, pack(trees, max_batch_tokens), loss_of)["loss"]
