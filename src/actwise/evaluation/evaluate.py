"""Evaluation: one greedy completion per decision, judged against the recorded action."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from actwise.conversation import Conversation, Decision, all_decisions
from actwise.engine import Engine, SamplingParams
from actwise.engine.rollouts import Group, Rollout, groups_of
from actwise.evaluation.judging import judge_groups, prepare
from actwise.model.workers import in_order
from actwise.results.summary import share_right
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import QUIET, Progress
from actwise.template.render import Template

_CHUNK = 64  # conversations between two signs of progress


@dataclass(frozen=True)
class Evaluator:
    """How a policy is measured; the same for every model of a run."""

    engine: Engine
    template: Template
    settings: JudgeConfig
    max_tokens: int

    def __post_init__(self) -> None:
        prepare(self.settings)

    def evaluate(
        self,
        conversations: Sequence[Conversation],
        *,
        thinking: bool,
        progress: Progress | None = None,
        title: str = "",
    ) -> list[dict[str, Any]]:
        """Measure on every decision of the conversations.

        Args:
            conversations: Held out from what is measured.
            thinking: The mode.
            progress: Where it is shown, under `title`.
            title: See `progress`.

        Returns:
            One record per decision: "decision", "conversation", "kind", "labels", "text",
            "thought", "calls", "broken_calls", "answer", "tokens", "thought_tokens", "stop",
            "verdict".
        """
        params = SamplingParams(self.max_tokens, self.template.stop_token_ids, temperature=0)
        complete = partial(self.engine.generate, num_generations=1, params=params)
        # Rendered in this thread, as the workers take them up.
        pieces = (conversations[i : i + _CHUNK] for i in range(0, len(conversations), _CHUNK))
        prompts = (
            groups_of(self.template, all_decisions(piece), thinking=thinking) for piece in pieces
        )
        records: list[dict[str, Any]] = []
        with (progress or QUIET).track(title, len(conversations)) as show:
            for number, groups in enumerate(in_order(complete, prompts, self.engine.at_once)):
                judged = judge_groups(
                    self.template, groups, thinking=thinking, settings=self.settings
                )
                records += [self._record(group.decision, group.rollouts[0]) for group in judged]
                show(min((number + 1) * _CHUNK, len(conversations)), right=share_right(records))
        return records

    def action_accuracy(self, conversations: Sequence[Conversation], *, thinking: bool) -> float:
        """Return the share of decisions that are right, in [0, 1]; see `share_right`."""
        return share_right(self.evaluate(conversations, thinking=thinking))

    def complete(self, groups: Sequence[Group], *, thinking: bool) -> list[dict[str, Any]]:
        """Complete each prompt greedily; return the judged decisions as `evaluate` does."""
        params = SamplingParams(self.max_tokens, self.template.stop_token_ids, temperature=0)
        groups = self.engine.generate(groups, num_generations=1, params=params)
        judged = judge_groups(self.template, groups, thinking=thinking, settings=self.settings)
        return [self._record(group.decision, group.rollouts[0]) for group in judged]

    def _record(self, decision: Decision, rollout: Rollout) -> dict[str, Any]:
        thought = rollout.parsed.thought or ""
        return {
            "decision": decision.key,
            "conversation": decision.conversation.id,
            "kind": decision.kind,
            "labels": list(decision.gold.labels),
            "text": rollout.text,
            "thought": thought,
            "calls": [{"name": c.name, "arguments": c.arguments} for c in rollout.parsed.calls],
            "broken_calls": rollout.parsed.broken_calls,
            "answer": rollout.parsed.answer,
            "tokens": len(rollout.sample.token_ids),
            "thought_tokens": len(self.template.encode(thought)),
            "stop": rollout.sample.stop_reason,
            "verdict": rollout.verdict.to_dict(),
        }
