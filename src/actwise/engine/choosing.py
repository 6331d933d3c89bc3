"""Choosing among sampled completions of a step the one that a value model finds worth most."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from actwise.engine.rollouts import Group, Sample
from actwise.model.policy import Policy
from actwise.model.value import ValueModel
from actwise.tree.packing import Tree, lay_out_pass, pack

_PASS_TOKENS = 4096


@torch.no_grad()
def states_after(policy: Policy, groups: Sequence[Group]) -> list[Tensor]:
    """Return for each group the states in which the policy leaves its rollouts, (rollouts, D)."""
    trees = [Tree((g.prompt,), (tuple(r.sample.token_ids for r in g.rollouts),)) for g in groups]
    found: list[Tensor] = [torch.empty(0)] * len(groups)
    for packed in pack(trees, _PASS_TOKENS):
        layout, index_T = lay_out_pass(packed, policy.device)
        completions = [part.tree.completions[0] for part in packed]
        lengths = torch.tensor([len(c) for of_one in completions for c in of_one])
        last = index_T[lengths.cumsum(0).to(index_T.device) - 1]
        states = torch.split(policy.states(layout)[last].float().cpu(), list(map(len, completions)))
        for part, of_group in zip(packed, states, strict=True):
            found[part.conversation] = of_group
    return found


@dataclass(frozen=True)
class Choice:
    """How a step is chosen among several."""

    policy: Policy
    values: ValueModel
    number: int
    """Completions that are sampled for each step."""

    def best(self, groups: Sequence[Group]) -> list[list[Sample]]:
        """Return for each group the best of each `number` of its rollouts; of equals the first."""
        chosen = []
        for group, states in zip(groups, states_after(self.policy, groups), strict=True):
            best = self.values(states).view(-1, self.number).argmax(1)
            first = torch.arange(0, len(group.rollouts), self.number)
            chosen.append([group.rollouts[i].sample for i in (first + best).tolist()])
        return chosen
