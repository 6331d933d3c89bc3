"""What would be trained at each decision, and what the reward says of it.

Targets are rendered, laid out as trees and judged by the code that trains: what is looked at here
are the very tokens that the loss would be taken over.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from actwise.conversation import Conversation, Decision
from actwise.engine.rollouts import Group, Sample
from actwise.errors import InputError
from actwise.evaluation.judging import judge_groups
from actwise.findings.finding import Finding, Severity, Tally
from actwise.rewards.settings import JudgeConfig
from actwise.template.render import Template
from actwise.training.stages.sft import Target, sft_tree
from actwise.tree.layout import lay_out
from actwise.tree.packing import Part, grow

FEW = 0.01
"""Share of decisions up to which a fault of the data is a warning."""
BINS = ("0", "–.2", "–.4", "–.6", "–.8", "<1", "1")
"""Titles of a distribution's counts."""

_STAND_IN = "I act."
"""The thought where none is recorded: the judge wants one, and does not read it."""
_EXAMPLES = 3
_OF_RECORD = ("format", "tool_accuracy", "answer_correctness")
"""Parts of the reward that the recorded action has to earn whole."""


@dataclass(frozen=True)
class Distribution:
    """Rewards, all in [0, 1]."""

    count: int
    mean: float
    histogram: list[int]
    """By `BINS`: exactly 0, five intervals, exactly 1."""


def distribution(values: Sequence[float]) -> Distribution:
    """Summarise rewards, at least one."""
    counts = [0] * len(BINS)
    for value in values:
        counts[0 if value <= 0 else 6 if value >= 1 else 1 + min(4, int(5 * value))] += 1
    return Distribution(len(values), sum(values) / len(values), counts)


@dataclass(frozen=True)
class Trained:
    """The tokens that are trained at one decision."""

    decision: Decision
    token_ids: list[int]


@dataclass
class Targets:
    """The targets of one mode, and their faults."""

    thinking: bool
    trained: list[Trained] = field(default_factory=list)
    faults: dict[str, Tally] = field(default_factory=dict)

    def fault(self, code: str, decision: Decision, detail: str) -> None:
        """Count a fault and keep an example."""
        conversation = decision.conversation
        place = f"{conversation.source or conversation.id}: messages[{decision.index}]"
        self.faults.setdefault(code, Tally(_EXAMPLES)).add(f"{place}: {detail}")


def render_targets(
    template: Template,
    conversations: Sequence[Conversation],
    *,
    thinking: bool,
    show: Callable[[int], None] = lambda done: None,
) -> Targets:
    """Lay out the recorded actions of conversations as the supervised stage would.

    Args:
        template: The model's template.
        conversations: Conversations of all splits: what is trained on and what is measured on.
        thinking: The mode; where no thought is recorded, a short one stands in.
        show: Told how many conversations are done.
    """
    targets = Targets(thinking)
    for number, conversation in enumerate(conversations):
        wanted = [Target(d, _thought(d) if thinking else None) for d in conversation.decisions()]
        kept = list(_renderable(template, wanted, targets))
        if kept:
            targets.trained += _trained(template, kept)
        show(number + 1)
    for trained in targets.trained:
        _check_tokens(template, trained, targets)
    return targets


def _thought(decision: Decision) -> str:
    return decision.gold.reasoning_content or _STAND_IN


def _renderable(template: Template, wanted: Sequence[Target], targets: Targets) -> Iterator[Target]:
    for target in wanted:
        try:
            template.completion_text(target.decision, thought=target.thought)
        except InputError as error:
            targets.fault("not_rendered", target.decision, error.problem)
        else:
            yield target


def _trained(template: Template, wanted: Sequence[Target]) -> Iterator[Trained]:
    tree = sft_tree(template, wanted)
    forest, ends = grow([Part(0, range(len(wanted)), tree)])
    layout = lay_out(forest)
    for target, end in zip(wanted, ends, strict=True):
        yield Trained(target.decision, layout.input_ids[layout.last_indices(*end)].tolist())


def _check_tokens(template: Template, trained: Trained, targets: Targets) -> None:
    decision, ids = trained.decision, trained.token_ids
    stops = [i for i, token in enumerate(ids) if token in template.stop_token_ids]
    if not ids:
        targets.fault("empty_mask", decision, "no token is trained")
    elif not stops or stops[-1] != len(ids) - 1:
        targets.fault("stop_not_trained", decision, f"ends with {template.decode(ids[-5:])!r}")
    elif len(stops) > 1:
        targets.fault("stop_inside", decision, f"stops after {stops[0] + 1} of {len(ids)} tokens")
    parsed = template.parse(
        template.decode(ids), thinking=targets.thinking, tools=decision.conversation.tools
    )
    ours = [(call.name, call.arguments) for call in parsed.calls], parsed.answer
    gold = decision.gold
    theirs = [(call.name, call.arguments) for call in gold.tool_calls], _lines(gold.content)
    if (ours[0], _lines(ours[1])) != theirs:
        targets.fault("not_read_back", decision, f"reads {template.decode(ids)[:80]!r}")


def _lines(text: str) -> str:
    """Return a text without the white space that a template may trim."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Probes:
    """What the reward says of completions whose worth is known."""

    gold: Distribution
    """The recorded action; has to be 1."""
    shuffled: Distribution | None
    """The recorded action of another decision of the same kind; has to be low. None where there
    are too few decisions."""
    empty: Distribution
    """Nothing but the stop token; has to be 0."""


def probe_reward(
    template: Template, targets: Targets, settings: JudgeConfig, *, seed: int
) -> Probes:
    """Judge recorded actions, those of other decisions, and nothing, as rollouts are judged.

    Recorded actions that do not earn everything are added to the faults of the targets. Endpoints
    are not asked: there are as many questions as decisions, three times.
    """
    plain = settings.model_copy(update={"endpoint": None, "embedding": None})

    def judged(pairs: Iterable[tuple[Decision, Sequence[int]]]) -> list[Group]:
        groups = [
            Group(d, ()).with_samples([Sample(tuple(ids), (0.0,) * len(ids), "stop")])
            for d, ids in pairs
        ]
        return judge_groups(template, groups, thinking=targets.thinking, settings=plain)

    def rewards(groups: Iterable[Group]) -> list[float]:
        return [rollout.verdict.reward for group in groups for rollout in group.rollouts]

    recorded = [(trained.decision, trained.token_ids) for trained in targets.trained]
    gold = judged(recorded)
    for group in gold:
        _check_gold(group, targets)
    shuffled = list(_shuffled(targets.trained, seed))
    return Probes(
        distribution(rewards(gold)),
        distribution(rewards(judged(shuffled))) if shuffled else None,
        distribution(rewards(judged((d, template.stop_token_ids[:1]) for d, _ in recorded))),
    )


def _check_gold(group: Group, targets: Targets) -> None:
    # Of thoughts only the length can be paid for, and users' own rewards may want anything.
    verdict = group.rollouts[0].verdict
    parts = verdict.components()
    short = [f"{n} {parts[n]:.2f}" for n in _OF_RECORD if n in parts and parts[n] < 1]
    if short or not verdict.right:
        detail = ", ".join([*short, *verdict.notes, *verdict.errors])
        targets.fault("gold_not_rewarded", group.decision, detail or "not right")


def _shuffled(trained: Sequence[Trained], seed: int) -> Iterator[tuple[Decision, list[int]]]:
    """Yield decisions with the target of another one of the same kind that differs."""
    for kind in ("call", "answer"):
        of_kind = [t for t in trained if t.decision.kind == kind]
        random.Random(f"{seed}/shuffled/{kind}").shuffle(of_kind)
        for one, other in zip(of_kind, of_kind[1:] + of_kind[:1], strict=True):
            if one.token_ids != other.token_ids:
                yield one.decision, other.token_ids


_FAULTS = {
    "not_rendered": (
        "recorded actions that the chat template cannot render",
        "The run would stop at the first of them.",
        "Mend or remove these conversations, or --set model.template=actwise.",
    ),
    "empty_mask": (
        "decisions at which no token is trained",
        "Nothing is learned from them.",
        "Use another chat template: --set model.template=actwise.",
    ),
    "stop_not_trained": (
        "targets that do not end with the stop token",
        "The model would never learn to stop.",
        "Set the tokenizer's eos_token to the template's end of turn, or "
        "--set model.template=actwise.",
    ),
    "stop_inside": (
        "targets with the stop token in their midst",
        "A model that has learned them stops halfway.",
        "Write the control token otherwise in these messages, or leave them out.",
    ),
    "not_read_back": (
        "targets that do not read back as the recorded action",
        "What is trained is not what is judged and served.",
        "Remove control tags from these messages, or --set model.template=actwise.",
    ),
    "gold_not_rewarded": (
        "recorded actions that the reward does not count as fully right",
        "What is right would be punished.",
        "Mend these records (`actwise check`), or loosen the section `reward`.",
    ),
}


def target_findings(targets: Targets, total: int) -> Iterator[Finding]:
    """Yield the faults of targets, as errors where more than a few decisions have them."""
    mode = "thinking" if targets.thinking else "direct"
    for code, (message, effect, remedy) in _FAULTS.items():
        tally = targets.faults.get(code)
        if tally is None:
            continue
        lenient = code in ("gold_not_rewarded", "stop_inside", "not_read_back")
        severity: Severity = "warning" if lenient and tally.count <= FEW * total else "error"
        yield from tally.finding(
            severity, code, f"{message}, of {total} ({mode} mode)", effect=effect, remedy=remedy
        )


def probe_findings(probes: Probes, mode: str) -> Iterator[Finding]:
    """Yield what is wrong with a reward that cannot tell right from wrong."""
    if probes.empty.mean > 0:
        paid = probes.empty.count - probes.empty.histogram[0]
        yield Finding(
            "error",
            "empty_rewarded",
            paid,
            f"decisions reward an empty completion ({mode} mode)",
            "The model would learn to say nothing.",
            "Let the functions of reward.custom pay nothing for it; without any, report it: the "
            "judge is wrong.",
        )
    if probes.shuffled is not None and probes.shuffled.mean > 0.5:
        severe = probes.shuffled.mean > 0.9 * probes.gold.mean
        yield Finding(
            "error" if severe else "warning",
            "shuffled_rewarded",
            0,
            f"actions of other decisions earn {probes.shuffled.mean:.2f} on average ({mode} mode)",
            "The reward hardly depends on what was asked, so there is little to learn.",
            "Use logs whose actions differ, or a stricter section `reward`.",
        )
