"""Episodes measured: whether whole turns and whole conversations succeed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from actwise.config import EpisodesConfig, RunConfig
from actwise.conversation import Conversation
from actwise.data.fit import context_of
from actwise.engine import SamplingParams
from actwise.engine.choosing import Choice
from actwise.engine.episodes import End, Episode, EpisodeRunner, Start, Step, TakenTurn, starts_of
from actwise.environments import Broken, Diverged, Opens
from actwise.environments.opening import opens
from actwise.environments.script import turns_of
from actwise.evaluation.evaluate import Evaluator
from actwise.model.policy import Policy
from actwise.rewards.settings import JudgeConfig
from actwise.rewards.turns import FAILED, TurnVerdict, judge_turn
from actwise.run.progress import Progress
from actwise.template.render import Template

Unit = Literal["turn", "conversation"]
"""What is measured: turns begun on the recorded history, or whole conversations on the model's."""

UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True)
class EpisodeJudge:
    """Judges turns and conversations by the state they leave and the facts they say."""

    opens: Opens
    settings: JudgeConfig
    template: Template

    def recorded_states(self, conversation: Conversation) -> list[str | None]:
        """Return the state that the record leaves after each turn; None where none is seen."""
        states: list[str | None] = []
        try:
            environment = self.opens(conversation)
        except Broken:
            return [None] * len(turns_of(conversation))
        if not environment.has_state:
            # Calls on a server that all episodes share would be made for nothing.
            environment.close()
            return [None] * len(turns_of(conversation))
        try:
            for turn in turns_of(conversation):
                environment.reset(turn.number + 1)
                states.append(environment.state())
        except (Broken, Diverged):
            states += [None] * (len(turns_of(conversation)) - len(states))
        finally:
            environment.close()
        return states

    def turn(self, taken: TakenTurn, recorded_state: str | None) -> TurnVerdict:
        """Judge one turn."""
        if taken.end is not End.ANSWERED or taken.needless:
            return FAILED
        turn = taken.recorded
        return judge_turn(
            taken.calls,
            taken.steps[-1].parsed,
            turn.messages,
            turn.conversation.tools,
            states=(taken.state, recorded_state),
            settings=self.settings,
            context=taken.context,
        )

    def success(self, episode: Episode, whole: bool, states: Sequence[str | None]) -> bool | None:
        """Return whether all turns succeeded, and all there are were taken.

        Of a whole conversation the state counts where it ends; None where the answers of turns are
        not checkable.
        """
        verdicts = [
            self.turn(taken, states[taken.recorded.number])
            for taken in episode.turns
            if not taken.needless and (taken.recorded.measured or not whole)
        ]
        last = episode.turns[-1]
        complete = not last.needless and (not whole or last.recorded.number + 1 == len(states))
        if not complete or any(verdict.success is False for verdict in verdicts):
            return False
        return None if any(verdict.success is None for verdict in verdicts) else True

    def record(self, episode: Episode, whole: bool, states: Sequence[str | None]) -> dict[str, Any]:
        """Return what is written down of an episode."""
        steps = [step for turn in episode.turns for step in turn.steps]
        answered = [turn for turn in episode.turns if turn.end is End.ANSWERED]
        acted = [turn for turn in episode.turns if turn.steps and _acts(turn.steps[0])]
        conversation = episode.turns[0].recorded.conversation
        return {
            "conversation": conversation.id,
            "unit": "conversation" if whole else "turn",
            "turn": episode.turns[0].recorded.key,
            "success": self.success(episode, whole, states),
            "end": str(episode.end),
            "problem": episode.problem,
            "turns": len(episode.turns),
            "needless_questions": sum(turn.needless for turn in episode.turns),
            "calls": sum(len(step.parsed.calls) for step in steps),
            "failed_calls": sum(result.failed for step in steps for result in step.results),
            "tokens": sum(len(step.sample.token_ids) for step in steps),
            "tokens_before_act": [self._before_act(turn.steps[0]) for turn in acted],
            "calls_before_answer": [len(turn.calls) for turn in answered],
            "tokens_before_answer": [self._before_answer(turn.steps) for turn in answered],
            "steps": [
                [
                    {"text": step.text, "results": [result.text for result in step.results]}
                    for step in turn.steps
                ]
                for turn in episode.turns
            ],
        }

    def _before_act(self, step: Step) -> int:
        """Return the tokens that were written before a call or an answer began."""
        end = self.template.syntax.think[1].strip()
        thought, closed, _ = step.text.partition(end)
        return len(self.template.encode(thought + closed)) if closed else 0

    def _before_answer(self, steps: Sequence[Step]) -> int:
        """Return the tokens that were written before the customer could read a word."""
        *before, last = steps
        shown = len(self.template.encode(last.parsed.answer)) + 1  # and the stop token
        own = max(0, len(last.sample.token_ids) - shown)
        return sum(len(step.sample.token_ids) for step in before) + own


def _acts(step: Step) -> bool:
    """Return whether anything of a completion can be seen: it calls a tool, or it speaks."""
    return bool(step.parsed.calls or step.parsed.answer)


@dataclass(frozen=True)
class EpisodeEvaluator:
    """Runs the episodes of conversations, and judges them."""

    runner: EpisodeRunner
    judge: EpisodeJudge
    config: EpisodesConfig
    generator: torch.Generator | None = None
    """Source of randomness, where steps are sampled."""

    def evaluate(
        self,
        conversations: Sequence[Conversation],
        *,
        whole: bool,
        progress: Progress,
        title: str,
    ) -> list[dict[str, Any]]:
        """Return a record of each turn, or of each whole conversation.

        Args:
            conversations: What is measured on.
            whole: Whether the model goes on to the end of each conversation on its own history;
                else each turn begins as it was recorded.
            progress: Where it is shown, under `title`.
            title: See `progress`.
        """
        records: list[dict[str, Any]] = []
        with progress.track(title, len(conversations)) as show:
            size = max(1, self.config.at_once // 4)
            for begin in range(0, len(conversations), size):
                chunk = conversations[begin : begin + size]
                records += self._evaluate(chunk, whole)
                known = [r["success"] for r in records if r["success"] is not None]
                share = sum(known) / max(1, len(known))
                show(min(begin + size, len(conversations)), success=share)
        return records

    def _evaluate(self, conversations: Sequence[Conversation], whole: bool) -> list[dict[str, Any]]:
        starts: list[Start] = [s for c in conversations for s in starts_of(c, whole=whole)]
        states = {c.id: self.judge.recorded_states(c) for c in conversations}
        opens = self.judge.opens
        found = self.runner.run(starts, opens, self.config, generator=self.generator)
        return [
            self.judge.record(episode, whole, states[start.turn.conversation.id])
            for start, (episode,) in zip(starts, found, strict=True)
        ]


def evaluate_episodes(
    policy: Policy,
    evaluator: Evaluator,
    conversations: Sequence[Conversation],
    config: RunConfig,
    *,
    thinking: bool,
    unit: Unit,
    progress: Progress,
    title: str,
    choice: Choice | None = None,
) -> list[dict[str, Any]]:
    """Let a policy act on its own history, in what the configuration says.

    Args:
        policy: Says how long a history may become.
        evaluator: Samples from it.
        conversations: What is measured on.
        config: Sections `model`, `reward` and `episodes` count.
        thinking: The mode.
        unit: Whether each turn begins as recorded, or whole conversations are taken.
        progress: Where it is shown, under `title`.
        title: See `progress`.
        choice: By which steps are chosen among some that are sampled at temperature 1; where not
            given, the policy acts greedily.

    Raises:
        ConfigError: The user's own tools cannot be imported.
    """
    template = evaluator.template
    temperature = 0.0 if choice is None else 1.0
    params = SamplingParams(evaluator.max_tokens, template.stop_token_ids, temperature)
    context = context_of(policy.context_length, config)
    runner = EpisodeRunner(evaluator.engine, template, thinking, params, context, choice)
    judge = EpisodeJudge(opens(config.episodes, config.reward), config.reward, template)
    generator = torch.Generator(device=policy.device).manual_seed(config.seed)
    return EpisodeEvaluator(runner, judge, config.episodes, generator).evaluate(
        conversations, whole=unit == "conversation", progress=progress, title=title
    )
