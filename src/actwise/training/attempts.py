"""Attempts at a turn: what was done, what it earned, and with what it is compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actwise.data.fit import context_of
from actwise.engine import SamplingParams
from actwise.engine.episodes import EpisodeRunner, Step, TakenTurn
from actwise.environments import Opens
from actwise.environments.opening import opens
from actwise.environments.script import Turn
from actwise.evaluation.episodes import EpisodeJudge
from actwise.rewards.turns import TurnVerdict, calls_score, turn_reward
from actwise.training.stage import Context, Training, mean


@dataclass(frozen=True)
class Attempt:
    """One way to go on in a turn, and what it earned."""

    steps: tuple[Step, ...]
    """The completions that are learned from."""
    taken: TakenTurn
    """The whole turn as it came out."""
    verdict: TurnVerdict
    reward: float
    advantage: float = 0.0


@dataclass(frozen=True)
class Compared:
    """Attempts that began at the same point."""

    turn: Turn
    attempts: tuple[Attempt, ...]
    live: bool = False
    """Whether they earned differently, so that there is something to learn."""


class Judges:
    """Judges the turns of some conversations, with what the record leaves behind them."""

    def __init__(self, context: Context, training: Training) -> None:
        """Take what the stage works with; `training.kept` holds the success of the step before."""
        config, template = context.config, context.policy.template
        if "opens" not in training.held:  # to import a user's tools in each step would take long
            training.held["opens"] = opens(config.episodes, config.reward)
        self.opens: Opens = training.held["opens"]
        self._judge = EpisodeJudge(self.opens, config.reward, template)
        self._config = config
        self._states: dict[str, list[str | None]] = {}
        self._kept = training.kept

    def judged(self, taken: TakenTurn, steps: Sequence[Step]) -> Attempt:
        """Judge a turn; the calls are not yet paid for."""
        conversation = taken.recorded.conversation
        if conversation.id not in self._states:
            self._states[conversation.id] = self._judge.recorded_states(conversation)
        verdict = self._judge.turn(taken, self._states[conversation.id][taken.recorded.number])
        return Attempt(tuple(steps), taken, verdict, 0.0)

    def rewarded(self, attempts: Sequence[Attempt], paying: bool) -> list[Attempt]:
        """Give attempts their rewards.

        Args:
            attempts: Judged.
            paying: Whether the calls earn anything; see `pays`.
        """
        return [replace(a, reward=self._reward(a, paying)) for a in attempts]

    def pays(self, attempts: Sequence[Attempt]) -> bool:
        """Whether the calls of a step are paid for: success must not have fallen since the last."""
        share = mean([float(a.verdict.success is True) for a in attempts])
        before: float = self._kept.get("turn_success", 0.0)
        self._kept["turn_success"] = share
        margin = self._config.rl.turns.progress_margin
        gated = self._config.rl.turns.gated
        return not gated or margin is None or share > before - margin

    def _reward(self, attempt: Attempt, paying: bool) -> float:
        settings, turns = self._config.reward, self._config.rl.turns
        turn = attempt.taken.recorded
        score = calls_score(
            [m.tool_calls for m in attempt.taken.own if m.role == "assistant"],
            turn.calls,
            turn.conversation.tools,
            settings,
            turns.steps,
        )
        return turn_reward(
            attempt.verdict,
            in_form=self.in_form(attempt.taken.steps),
            calls_score=score if paying else 0.0,
            calls_weight=turns.steps_weight,
            gated=turns.gated,
        )

    def in_form(self, steps: Sequence[Step]) -> bool:
        """Whether all completions of a turn are; one that is not costs the turn its reward."""
        return all(map(self._in_form, steps))

    def _in_form(self, step: Step) -> bool:
        thoughtful = self._config.rl.mode == "direct" or not self._config.reward.require_thought
        return not step.parsed.errors and (thoughtful or step.parsed.closed_thought is not None)


def runner(context: Context, *, temperature: float, top_p: float = 1.0) -> EpisodeRunner:
    """Return what lets the policy act in episodes."""
    template = context.policy.template
    params = SamplingParams(context.max_tokens, template.stop_token_ids, temperature, top_p)
    thinking = context.config.rl.mode == "thinking"
    length = context_of(context.policy.context_length, context.config)
    return EpisodeRunner(context.engine, template, thinking, params, length)
