"""Supervised fine-tuning: one branch per decision, the recorded action.

In direct mode the empty thought is part of the prompt and never a target, so learning to act does
not teach the model not to think. In thinking mode the branch is a thought and the
recorded action. The loss is the mean over the target tokens of a step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from actwise.config import RunConfig, SftConfig
from actwise.conversation import Conversation, Decision
from actwise.data.stored import Mapped
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.template.render import Template
from actwise.training.gradients import add_gradients
from actwise.training.stage import Context, Course, Plan, Training, batch_of, mean
from actwise.training.stages import SFT, Stage
from actwise.tree.packing import Part, Tree, lay_out_pass, pack


@dataclass(frozen=True)
class Target:
    """What is learned at one decision."""

    decision: Decision
    thought: str | None
    """None trains direct mode."""


Batch = Callable[[int], Sequence[Sequence[Target]]]
"""Returns the targets of a step, none of whose conversations is without."""


def sft_tree(template: Template, targets: Sequence[Target]) -> Tree:
    """Render the targets of one conversation."""
    return Tree(
        tuple(template.prompt(t.decision, thinking=t.thought is not None) for t in targets),
        tuple((template.completion(t.decision, thought=t.thought),) for t in targets),
    )


def rendered(template: Template, batch: Sequence[Sequence[Target]]) -> list[Tree]:
    """Render the targets of several conversations, each in one of the run's processes."""

    def render(some: list[Sequence[Target]]) -> list[Tree]:
        return [sft_tree(template, targets) for targets in some]

    return together().dealt(render, batch, [len(targets) for targets in batch])


def check(template: Template, train: Sequence[Conversation], config: RunConfig) -> None:
    """Refuse nothing: every decision has a recorded action."""


def begin(context: Context, stage: Stage = SFT) -> Course:
    """Begin to train direct mode on every decision of the training split."""
    config, seed = context.config.sft, context.config.seed
    examples = direct_targets(context.train)

    def batch(step: int) -> list[list[Target]]:
        return batch_of(examples, config.conversations_per_step, step, seed)

    return supervised(context, stage, config, batch)


def direct_targets(conversations: Sequence[Conversation]) -> Sequence[list[Target]]:
    """Return all decisions of some conversations, to be learned without thoughts."""
    return Mapped(lambda c: [Target(d, None) for d in c.decisions()], conversations)


def plan(template: Template, train: Sequence[Conversation], config: RunConfig) -> Plan:
    """Plan a step on every decision of some conversations."""
    trees = [sft_tree(template, targets) for targets in direct_targets(train)]
    mean_tokens = mean([tree.num_tokens for tree in trees])
    return Plan(config.sft.conversations_per_step * mean_tokens)


def supervised(context: Context, stage: Stage, config: SftConfig, batch: Batch) -> Course:
    """Begin to train on targets.

    Args:
        context: What the stage works with.
        stage: Whose files are written, and in whose mode the policy is measured.
        config: Settings of the stage.
        batch: Returns what a step learns, the targets of one conversation after another.
    """
    training = context.training(stage.name, config, steps=config.steps, patience=config.patience)
    return Course(training, _steps(context, stage, config, batch, training), ("loss",))


def _steps(
    context: Context,
    stage: Stage,
    config: SftConfig,
    batch: Batch,
    training: Training,
) -> Iterator[dict[str, float]]:
    policy = context.policy
    while training.step < training.end:
        trees = rendered(policy.template, batch(training.step))
        loss = accumulate(policy, trees, context.config.max_batch_tokens)
        figures = {"loss": loss, "learning_rate": training.learning_rate()}
        figures["grad_norm"] = training.update(loss)
        last = training.step + 1
        if last % config.evaluate_every == 0 or last == training.end:
            score = context.development_score(stage.mode(context.config))
            figures["dev_action_accuracy"] = score
            training.offer(score)
        training.metrics.append({"step": last, **figures})
        training.end_step()
        yield figures


def accumulate(policy: Policy, trees: Sequence[Tree], max_batch_tokens: int) -> float:
    """Add the gradient of the mean negative log-likelihood of all targets; return its value."""
    total = sum(tree.num_branch_tokens for tree in trees)
    own = together().own(trees, [tree.num_tokens for tree in trees])

    def loss_of(packed: Sequence[Part]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = -policy.score(*lay_out_pass(packed, policy.device)).logprobs.sum() / total
        return loss, {"loss": loss.detach()}

    return add_gradients(policy, pack(own, max_batch_tokens), loss_of)["loss"]
