"""Learning what steps are worth: one more search with the finished policy, and a fit to its values.

The values of the search in training are those of policies on the way; the states have to be those
of the policy that the value model will serve.
"""

from pathlib import Path

import torch

from actwise.engine.choosing import states_after
from actwise.engine.episodes import starts_of
from actwise.model.value import fit
from actwise.training.attempts import Judges
from actwise.training.search import search
from actwise.training.stage import Context, Training, batch_of
from actwise.training.turns import groups_of_steps


def save_values(context: Context, training: Training, model: Path) -> None:
    """Search the turns of some training conversations, and write a value model.

    Args:
        context: With the finished policy.
        training: Whose randomness goes on.
        model: Folder of the model.
    """
    number = min(context.config.rl.search.value_conversations, len(context.train))
    conversations = batch_of(context.train, number, 0, f"{context.config.seed}/values")
    judges = Judges(context, training)
    states: list[torch.Tensor] = []
    values: list[float] = []
    owners: list[int] = []
    nodes: list[int] = []
    size = context.config.rl.conversations_per_step
    numbers = {conversation.id: i for i, conversation in enumerate(conversations, 1)}
    with context.run.progress.track(f"{training.stage} values", number) as show:
        for begin in range(0, number, size):
            chunk = conversations[begin : begin + size]
            starts = [start for c in chunk for start in starts_of(c, whole=False)]
            searched = search(context, starts, judges, training)
            groups = list(groups_of_steps(searched))
            states += states_after(context.policy, groups)
            owners += [numbers[group.conversation.id] for group in groups]
            for node in searched:
                # An attempt that could not begin, say for want of context, has no step.
                worths = [attempt.reward for attempt in node.attempts for _ in attempt.steps]
                nodes += [len(values)] * len(worths)
                values += worths
            show(begin + len(chunk))
    if not values:
        context.run.progress.say("value model: none, for no searched turn could begin")
        return
    found, figures = fit(
        torch.cat(states), torch.tensor(values), torch.tensor(owners), torch.tensor(nodes)
    )
    found.save(model, figures)
    context.run.progress.say(
        f"value model: {len(values)} steps; of those held out it explains "
        f"{figures['explained']:.0%} of the variance, and puts {figures['pairs_right']:.0%} of "
        f"{figures['pairs']:.0f} pairs in order"
    )
