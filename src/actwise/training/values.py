"""Learning what steps are worth: one more search with the finished policy, and a fit to its values.

The values of the search in training are those of policies on the way; the states have to be those
of the policy that the value model will serve.
"""

from pathlib import Path

import torch

from actwise.conversation import Decision
from actwise.engine.choosing import states_after
from actwise.engine.episodes import starts_of
from actwise.engine.rollouts import Group, Rollout
from actwise.model.value import fit
from actwise.training.attempts import Judges
from actwise.training.search import search
from actwise.training.stage import Context, Training, batch_of


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
    numbers: list[int] = []
    nodes: list[int] = []
    with context.run.progress.track(f"{training.stage} values", number) as show:
        for done, conversation in enumerate(conversations, 1):
            for start in starts_of(conversation, whole=False):
                for node in search(context, [start], judges, training):
                    decision = Decision(conversation, start.turn.begin)
                    steps = [step for attempt in node.attempts for step in attempt.steps]
                    groups = [Group(decision, s.prompt, (Rollout(s.sample),)) for s in steps]
                    states += states_after(context.policy, groups)
                    values += [attempt.reward for attempt in node.attempts]
                    numbers += [done] * len(steps)
                    nodes += [len(values)] * len(steps)
            show(done)
    found, figures = fit(
        torch.cat(states), torch.tensor(values), torch.tensor(numbers), torch.tensor(nodes)
    )
    found.save(model, figures)
    context.run.progress.say(
        f"value model: {len(values)} steps; of those held out it explains "
        f"{figures['explained']:.0%} of the variance, and puts {figures['pairs_right']:.0%} of "
        "pairs in order"
    )
