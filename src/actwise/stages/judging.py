"""From a sample to a verdict: the one way in training, filtering and evaluation."""

from dataclasses import dataclass, replace

from actwise.conversation import Decision
from actwise.engine import Sample
from actwise.rewards.judge import Verdict, judge
from actwise.rewards.settings import JudgeSettings
from actwise.template.parse import ParsedCompletion, parse_completion
from actwise.template.render import Template

TRUNCATED = "truncated"
"""The error of a completion that hit its budget: nothing in it counts."""


@dataclass(frozen=True)
class Judged:
    """A sample, read and judged."""

    text: str
    parsed: ParsedCompletion
    verdict: Verdict


def judge_sample(
    template: Template,
    decision: Decision,
    sample: Sample,
    *,
    thinking: bool,
    settings: JudgeSettings,
) -> Judged:
    """Decode, parse and judge one completion of a decision's prompt."""
    text = template.decode(list(sample.token_ids))
    parsed = parse_completion(text, thinking=thinking)
    verdict = judge(
        parsed,
        decision.gold,
        decision.conversation.tools,
        thinking=thinking,
        settings=settings,
        context=decision.history,
    )
    if sample.stop_reason == "length":
        verdict = _nothing_counts(verdict)
    return Judged(text, parsed, verdict)


def _nothing_counts(verdict: Verdict) -> Verdict:
    return replace(
        verdict,
        right=False,
        reward=0.0,
        format=0.0,
        tool_accuracy=None if verdict.tool_accuracy is None else 0.0,
        answer_correctness=None if verdict.answer_correctness is None else 0.0,
        thought_length=None if verdict.thought_length is None else 0.0,
        recall=0.0,
        errors=(*verdict.errors, TRUNCATED),
    )
