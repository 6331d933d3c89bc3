"""Prompts that were computed, kept for those that begin like them.

The prompt of a conversation's next turn begins with nearly all of the last one's, and those of one
business with the same instructions and tools. What a model has computed for a prompt is kept as
long as there is room; what was used last stays longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from actwise.engine.decoding import Trunk
from actwise.model.policy import Policy
from actwise.tree.forest import common_prefix

LEAST = 32
"""Tokens: what is shorter is computed rather than looked up."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """A prompt, or the beginning of one, that was computed."""

    policy: Policy
    token_ids: tuple[int, ...]
    trunk: Trunk

    @property
    def num_bytes(self) -> int:
        """What its keys and values take."""
        tensors = [*self.trunk.keys.values(), *self.trunk.values.values()]
        return sum(x.numel() * x.element_size() for x in tensors)


class KeptPrefixes:
    """Keys and values of prompts, of one or several models, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        """Begin with none."""
        self._max_bytes = max_bytes
        self._kept: list[Prefix] = []
        """What was used last is at the end."""
        self.num_bytes = 0

    def longest(self, policy: Policy, prompt: Sequence[int]) -> tuple[Prefix, int] | None:
        """Return the prefix with which a prompt has most in common, and how many tokens.

        At least one token of the prompt is left to be computed.
        """
        found = [
            (min(common_prefix(prefix.token_ids, prompt), len(prompt) - 1), number)
            for number, prefix in enumerate(self._kept)
            if prefix.policy is policy
        ]
        length, number = max(found, default=(0, 0))
        if length < LEAST:
            return None
        self._kept.append(self._kept.pop(number))
        return self._kept[-1], length

    def keep(self, policy: Policy, token_ids: Sequence[int], trunk: Trunk) -> None:
        """Keep a prompt; what is nearly all in it, and then what was used longest ago, goes."""
        own = Trunk(_copied(trunk.keys), _copied(trunk.values))
        new = Prefix(policy, tuple(token_ids), own)
        if len(token_ids) < LEAST or new.num_bytes > self._max_bytes:
            return
        self._kept = [p for p in self._kept if p.policy is not policy or not _within(p, new)]
        self._kept.append(new)
        self.num_bytes = sum(prefix.num_bytes for prefix in self._kept)
        while self.num_bytes > self._max_bytes:
            self.num_bytes -= self._kept.pop(0).num_bytes


def _within(old: Prefix, new: Prefix) -> bool:
    """Whether all but the last few tokens of a prompt, those that ask for an answer, are in one."""
    return common_prefix(old.token_ids, new.token_ids) > len(old.token_ids) - LEAST


def _copied(tensors: dict[int, Tensor]) -> dict[int, Tensor]:
    # A view would keep all of the pass alive that computed it.
    return {layer: x.clone() for layer, x in tensors.items()}
