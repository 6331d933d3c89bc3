"""GRPO over whole turns: the model acts on its own history, and the turn has one reward.

The unit is what happens between two messages of the customer. `rl.num_generations` episodes of a
turn are sampled, each in an environment of its own; the reward of each is compared with the others'
and is the advantage of every completion in it. A completion is a branch, as in GRPO over decisions;
its trunk is the history that the model made for itself, which has no thoughts in it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from actwise.config import RlConfig
from actwise.conversation import Conversation, Decision
from actwise.engine.episodes import End, Start, starts_of
from actwise.engine.rollouts import Group, Rollout
from actwise.errors import RunError
from actwise.training.attempts import Compared, Judges, runner
from actwise.training.objective import group_advantages
from actwise.training.search import search
from actwise.training.selection import Resting, at_most, most_varied, refilled
from actwise.training.stage import Collected, Context, Training, mean


def collect(
    context: Context, conversations: Sequence[Conversation], training: Training
) -> Collected:
    """Sample and judge turns, and let those rest that are solved."""
    config, seed = context.config.rl, context.config.seed
    judges = Judges(context, training)
    resting = Resting(config.selection.rest, training.kept)
    attempt = search if config.search.iterations else _sampled

    def sample(batch: Sequence[Conversation]) -> list[Compared]:
        draw = random.Random(f"{seed}/turns/{training.kept['drawn'] - 1}")
        awake = resting.awake(
            [_starts(c, config) for c in batch], lambda start: start.turn.key, training.batch
        )
        limit = config.decisions_per_conversation
        starts = [s for of_one in awake for s in at_most(of_one, limit, draw)]
        return attempt(context, starts, judges, training)

    found = refilled(conversations, config, seed, training.kept, sample, _differ)
    _check_environments(found)
    if not config.search.iterations:
        found = _paid(found, judges)
    unsolved = {c.turn.key for c in found if not all(a.verdict.success for a in c.attempts)}
    resting.solved({c.turn.key for c in found} - unsolved, training.batch)
    figures = _figures(found, config)
    if config.selection.keep is not None:
        found = [_thinned(c, config.selection.keep) for c in found]
    found = with_advantages(found, config)
    return Collected(list(groups_of_steps(found)), figures, list(_records(found)))


def takes_part(conversation: Conversation, config: RlConfig) -> bool:
    """Return whether a conversation has turns that are learned from."""
    return bool(_starts(conversation, config))


def _check_environments(found: Sequence[Compared]) -> None:
    ends = [attempt.taken for compared in found for attempt in compared.attempts]
    if all(taken.end is End.BROKEN for taken in ends):
        raise RunError(
            f"rl: no environment works: {ends[0].problem}; see `episodes.environment` and "
            "`episodes.mcp` in docs/episodes.md"
        )


def _starts(conversation: Conversation, config: RlConfig) -> list[Start]:
    starts = starts_of(conversation, whole=False)
    return [s for s in starts if config.decisions == "all" or s.turn.calls]


def _paid(found: Sequence[Compared], judges: Judges) -> list[Compared]:
    """Give sampled turns their rewards, which depend on the success of all."""
    attempts = [a for compared in found for a in compared.attempts]
    paid = iter(judges.rewarded(attempts, judges.pays(attempts)))
    return [replace(c, attempts=tuple(next(paid) for _ in c.attempts)) for c in found]


def _sampled(
    context: Context, starts: Sequence[Start], judges: Judges, training: Training
) -> list[Compared]:
    """Sample episodes of each turn."""
    config = context.config.rl
    found = runner(context, temperature=config.temperature, top_p=config.top_p).run(
        starts,
        judges.opens,
        context.config.episodes,
        num_generations=config.num_generations,
        generator=training.generator,
    )
    return [
        Compared(
            start.turn,
            tuple(judges.judged(turn, turn.steps) for e in of_one for turn in e.turns),
        )
        for start, of_one in zip(starts, found, strict=True)
    ]


def _differ(compared: Compared) -> bool:
    return len({(a.verdict.success, a.reward) for a in compared.attempts}) > 1


def _thinned(compared: Compared, keep: int) -> Compared:
    kept = most_varied([attempt.reward for attempt in compared.attempts], keep)
    return replace(compared, attempts=tuple(compared.attempts[i] for i in kept))


def with_advantages(found: Sequence[Compared], config: RlConfig) -> list[Compared]:
    """Compare each attempt with the others that began where it did."""
    attempts = [attempt for compared in found for attempt in compared.attempts]
    rewards_N1 = torch.tensor([[a.reward] for a in attempts], dtype=torch.float64)
    group_N = torch.tensor([i for i, compared in enumerate(found) for _ in compared.attempts])
    advantages = iter(group_advantages(rewards_N1, group_N, scale=config.scale).tolist())
    return [
        replace(
            compared,
            attempts=tuple(replace(a, advantage=next(advantages)) for a in compared.attempts),
            live=len({attempt.reward for attempt in compared.attempts}) > 1,
        )
        for compared in found
    ]


def groups_of_steps(found: Sequence[Compared]) -> Iterator[Group]:
    """Yield each completion as a branch on the history that it was sampled on.

    All of one conversation belong to decisions of its record, so that they are computed together.
    """
    for compared in found:
        decision = Decision(compared.turn.conversation, compared.turn.begin)
        for attempt in compared.attempts:
            for step in attempt.steps:
                rollout = Rollout(step.sample, advantage=attempt.advantage)
                yield Group(decision, step.prompt, (rollout,), compared.live)


def _figures(found: Sequence[Compared], config: RlConfig) -> dict[str, float]:
    attempts = [attempt for compared in found for attempt in compared.attempts]
    steps = [step for attempt in attempts for step in attempt.taken.steps]
    success = [a.verdict.success for a in attempts]
    known = [float(s) for s in success if s is not None]
    rewards = [{a.reward for a in compared.attempts} for compared in found]
    by_turn = [[a.verdict.success for a in c.attempts] for c in found]
    unsolved = [float(True not in of_one) for of_one in by_turn if {True, False} & {*of_one}]
    tokens = {id(step.sample): len(step.sample.token_ids) for step in steps}  # some are shared
    closed = {"closed": mean([float(s.parsed.closed_thought is not None) for s in steps])}
    return (
        (closed if config.mode == "thinking" else {})
        | ({"right": mean(known), "unsolved": mean(unsolved)} if known else {})
        | {
            "reward": mean([attempt.reward for attempt in attempts]),
            "not_checkable": mean([float(s is None) for s in success]),
            "format": mean([float(not step.parsed.errors) for step in steps]),
            "live_groups": mean([float(len(earned) > 1) for earned in rewards]),
            "completion_tokens": mean([float(len(s.sample.token_ids)) for s in steps]),
            "thought_words": mean([float(len((s.parsed.thought or "").split())) for s in steps]),
            "truncated": mean([float(s.sample.stop_reason == "length") for s in steps]),
            "sampled_tokens": float(sum(tokens.values())),
            "turn_steps": mean([float(len(attempt.taken.steps)) for attempt in attempts]),
            "diverged": mean([float(a.taken.end is End.DIVERGED) for a in attempts]),
            "broken": mean([float(a.taken.end is End.BROKEN) for a in attempts]),
        }
    )


def _records(found: Sequence[Compared]) -> Iterator[dict[str, Any]]:
    for compared in found:
        for attempt in compared.attempts:
            for number, step in enumerate(attempt.steps):
                later = f"+{number}" if number else ""
                yield {
                    "decision": f"{compared.turn.key}{later}",
                    "turn_step": number,
                    "text": step.text,
                    "stop": step.sample.stop_reason,
                    "reward": attempt.reward,
                    "right": attempt.verdict.success,
                    "advantage": attempt.advantage,
                    "end": attempt.taken.end,
                }
