"""From samples to verdicts: the one way in training, filtering and evaluation.

Samples are judged many at a time, so that a judging endpoint is asked about all of them at once.
It is asked only where its word can change something: where an answer stands against a recorded
answer and was not cut. Users' own rewards are asked wherever the kind of action is right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from actwise.engine.rollouts import Group, Judged, Sample
from actwise.model.processes import together
from actwise.rewards.custom import custom_reward, reward_function
from actwise.rewards.endpoint import endpoint
from actwise.rewards.judge import NoVerdict, Verdict, judge
from actwise.rewards.opinions import Answered, opinions, similarities
from actwise.rewards.settings import EndpointConfig, JudgeConfig, LocalEmbedding
from actwise.rewards.similar import encoder
from actwise.template.render import Template

TRUNCATED = "truncated"
"""The error of a completion that hit its budget: nothing in it counts."""


def judge_groups(
    template: Template, groups: Sequence[Group], *, thinking: bool, settings: JudgeConfig
) -> list[Group]:
    """Decode, parse and judge the completions of groups.

    Raises:
        RunError: A reward of the user's own fails, or the judging endpoint refuses to be asked.
    """

    def judge_some(some: list[Group]) -> list[list[Judged]]:
        completions = [
            _Completion(template, group, rollout.sample, thinking)
            for group in some
            for rollout in group.rollouts
        ]
        judged = _judge(completions, thinking, settings)
        return [[next(judged) for _ in group.rollouts] for group in some]

    costs = [sum(len(r.sample.token_ids) for r in group.rollouts) for group in groups]
    judged = together().dealt(judge_some, groups, costs)
    return [
        replace(
            group,
            rollouts=tuple(
                replace(r, judged=j) for r, j in zip(group.rollouts, of_group, strict=True)
            ),
        )
        for group, of_group in zip(groups, judged, strict=True)
    ]


def _judge(
    completions: Sequence["_Completion"], thinking: bool, settings: JudgeConfig
) -> Iterator[Judged]:
    likeness, opinion = _asked_of_models(completions, settings)
    for number, completion in enumerate(completions):
        extra = _extra(completion, settings, opinion.get(number))
        similarity = likeness.get(number)
        if isinstance(similarity, NoVerdict):
            extra["embedding"] = similarity
            similarity = None
        verdict = judge(
            completion.parsed,
            completion.decision.gold,
            completion.decision.conversation.tools,
            thinking=thinking,
            settings=settings,
            context=completion.decision.history,
            similarity=similarity,
            extra=extra,
        )
        if completion.truncated:
            verdict = _nothing_counts(verdict)
        yield Judged(completion.text, completion.parsed, verdict)


def prepare(settings: JudgeConfig) -> None:
    """Find out before anything is computed whether all rewards can be had.

    Raises:
        ConfigError: A function of the user's cannot be imported, an endpoint has no key, or a
            model on this machine cannot be loaded.
    """
    for name, custom in settings.custom.items():
        reward_function(name, custom.function)
    for asked in _endpoints(settings).values():
        endpoint(asked)
    if isinstance(settings.embedding, LocalEmbedding):
        encoder(settings.embedding)


def spent(settings: JudgeConfig) -> dict[str, float]:
    """Return what all processes have asked of endpoints so far; empty where none is configured."""
    found: dict[str, float] = {}
    for name, asked in _endpoints(settings).items():
        client = endpoint(asked)
        account = {**asdict(client.spend), "cost": client.cost()}
        found |= {f"{name}_{key}": value for key, value in account.items()}
    return together().summed(found) if found else {}


def _endpoints(settings: JudgeConfig) -> dict[str, EndpointConfig]:
    found = {"endpoint": settings.endpoint, "embedding": settings.embedding}
    return {name: asked for name, asked in found.items() if isinstance(asked, EndpointConfig)}


def spent_since(before: dict[str, float], settings: JudgeConfig) -> dict[str, float]:
    """Return what was asked of endpoints since `spent` returned `before`."""
    return {name: value - before[name] for name, value in spent(settings).items()}


class _Completion:
    """A sample with what can be said of it before it is judged."""

    def __init__(self, template: Template, group: Group, sample: Sample, thinking: bool) -> None:
        self.decision = decision = group.decision
        self.text = template.decode([*group.given, *sample.token_ids])
        tools = decision.conversation.tools
        self.parsed = template.parse(self.text, thinking=thinking, tools=tools)
        self.truncated = sample.stop_reason == "length"
        called = bool(self.parsed.calls) or self.parsed.broken_calls > 0
        self.counts = not self.truncated and called == bool(decision.gold.tool_calls)
        """It is whole and of the right kind; else it earns nothing, whatever a reward says."""


def _asked_of_models(
    completions: Sequence[_Completion], settings: JudgeConfig
) -> tuple[dict[int, float | NoVerdict], dict[int, float | NoVerdict]]:
    """Return the similarities and the opinions that were asked for, by number of completion."""
    numbers = [
        number
        for number, c in enumerate(completions)
        if c.counts and c.decision.kind == "answer" and c.parsed.answer
    ]
    answers = [
        Answered(completions[number].decision, completions[number].parsed.answer)
        for number in numbers
    ]
    likeness: dict[int, float | NoVerdict] = {}
    opinion: dict[int, float | NoVerdict] = {}
    if settings.embedding is not None:
        likeness = dict(zip(numbers, similarities(settings.embedding, answers), strict=True))
    if settings.endpoint is not None:
        opinion = dict(zip(numbers, opinions(settings.endpoint, answers), strict=True))
    return likeness, opinion


def _extra(
    completion: _Completion, settings: JudgeConfig, opinion: float | NoVerdict | None
) -> dict[str, float | NoVerdict]:
    extra: dict[str, float | NoVerdict] = {}
    if settings.endpoint is not None and completion.decision.kind == "answer":
        extra["endpoint"] = 0.0 if opinion is None else opinion
    for name, custom in settings.custom.items():
        extra[name] = (
            custom_reward(name, custom, completion.parsed, completion.decision)
            if completion.counts
            else 0.0
        )
    return extra


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
