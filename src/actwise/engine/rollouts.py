"""Completions from their sampling to their verdict: samples, rollouts, groups.

An engine is given groups and returns them with rollouts; the judge returns them with verdicts, the
RL stage with advantages. Groups of one conversation lie side by side, so whoever computes them
together finds them by `by_conversation`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, Protocol, TypeVar

from actwise.conversation import Conversation, Decision
from actwise.model.processes import together
from actwise.rewards.judge import Verdict
from actwise.template.parse import ParsedCompletion
from actwise.template.render import Template


@dataclass(frozen=True)
class Sample:
    """One completion as tokens."""

    token_ids: tuple[int, ...]
    """With its stop token, where it has one."""
    logprobs: tuple[float, ...]
    """Log-probability of each token under the policy at the sampling temperature, before top-p
    cuts the distribution (at temperature 0: of the distribution at temperature 1)."""
    stop_reason: Literal["stop", "length"]


@dataclass(frozen=True)
class Judged:
    """What a sample says, and what the judge says of it."""

    text: str
    parsed: ParsedCompletion
    verdict: Verdict


@dataclass(frozen=True)
class Rollout:
    """A sample on its way: first judged, then given an advantage."""

    sample: Sample
    judged: Judged | None = None
    """None until a judge has read it."""
    advantage: float = 0.0
    """How much better than its group, in units of the reward or of its standard deviation."""

    @property
    def verdict(self) -> Verdict:
        """What the judge says.

        Raises:
            ValueError: It has not been judged.
        """
        return self._judged.verdict

    @property
    def parsed(self) -> ParsedCompletion:
        """What was read in it; raises as `verdict` does."""
        return self._judged.parsed

    @property
    def text(self) -> str:
        """The completion as text; raises as `verdict` does."""
        return self._judged.text

    @property
    def _judged(self) -> Judged:
        if self.judged is None:
            raise ValueError("this rollout has not been judged")
        return self.judged


@dataclass(frozen=True)
class Group:
    """The completions of one prompt of a decision, with which they are compared."""

    decision: Decision
    prompt: tuple[int, ...]
    """Token ids of what is completed; several groups may complete one decision."""
    rollouts: tuple[Rollout, ...] = ()
    live: bool = False
    """Whether the rewards of the rollouts differ, so that there is something to learn."""
    given: tuple[int, ...] = ()
    """The end of the prompt that is the beginning of the completion: a hint, say. It is judged with
    what follows it and never learned."""

    @property
    def conversation(self) -> Conversation:
        """The conversation of the decision."""
        return self.decision.conversation

    @property
    def branches(self) -> tuple[tuple[int, ...], ...]:
        """Tokens of each completion."""
        return tuple(r.sample.token_ids for r in self.rollouts)

    def with_samples(self, samples: Iterable[Sample]) -> "Group":
        """Return the group with rollouts that have not been judged."""
        return replace(self, rollouts=tuple(Rollout(sample) for sample in samples))


def groups_of(template: Template, decisions: Iterable[Decision], *, thinking: bool) -> list[Group]:
    """Return a group without rollouts for each decision, with the prompt of a mode."""

    def render(some: list[Decision]) -> list[tuple[int, ...]]:
        return [tuple(template.prompt(decision, thinking=thinking)) for decision in some]

    every = list(decisions)
    prompts = together().dealt(render, every, [1] * len(every))
    return [Group(d, prompt) for d, prompt in zip(every, prompts, strict=True)]


def after_thought(
    template: Template, decision: Decision, thought: str, *, closed: bool = False
) -> Group:
    """Return a group without rollouts that completes a decision from a given thought on.

    Args:
        template: The model's.
        decision: The decision.
        thought: What the completion begins with; may be empty.
        closed: Whether the thought ends there.
    """
    given = tuple(template.encode(template.thought_text(decision, thought, closed=closed)))
    return Group(decision, (*template.prompt(decision, thinking=True), *given), given=given)


class OfConversation(Protocol):
    """What belongs to a conversation."""

    @property
    def conversation(self) -> Conversation:
        """Which."""


T = TypeVar("T", bound=OfConversation)


def by_conversation(groups: Sequence[T]) -> list[list[T]]:
    """Divide groups into those of one conversation, as far as they lie side by side."""
    # By identity: comparing two conversations would compare all of their messages.
    return [list(of_one) for _, of_one in groupby(groups, key=lambda g: id(g.conversation))]
