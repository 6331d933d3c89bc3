"""All settings of a run."""

from typing import Literal

from pydantic import Field, model_validator

from actwise.config.data import DataConfig, DeskConfig
from actwise.config.evaluation import EpisodesConfig, EvaluateConfig
from actwise.config.model import EngineConfig, ModelConfig
from actwise.config.rl import RlConfig
from actwise.config.section import Section
from actwise.config.supervised import RoundsConfig, SftConfig, ThinkConfig
from actwise.rewards.settings import JudgeConfig

TrackerName = Literal["tensorboard", "trackio", "wandb"]
"""Each is a module of `actwise.trackers`, and an extra of its name."""


class RunConfig(Section):
    """Everything a run depends on besides its data and its model."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the split, the order of data, and sampling."""
    tracker: TrackerName | None = None
    """Where the figures of each step and the final results go besides the run folder: an account of
    Weights & Biases, or files on this machine. Nowhere where not given."""
    checkpoint_every: int = Field(20, ge=1)
    """Steps between checkpoints from which an interrupted run goes on."""
    max_batch_tokens: int = Field(2048, ge=64)
    """Tokens of trees in one forward and backward pass; larger batches are cut into several, and so
    are conversations with several times as many. Memory grows with it. More of it lets more
    conversations that begin alike share their beginning; a GPU with room likes more, too."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    reward: JudgeConfig = JudgeConfig()
    sft: SftConfig = SftConfig()
    think: ThinkConfig = ThinkConfig()
    rl: RlConfig = RlConfig()
    rounds: RoundsConfig = RoundsConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    episodes: EpisodesConfig = EpisodesConfig()
    desk: DeskConfig = DeskConfig()

    @model_validator(mode="after")
    def _fits(self) -> "RunConfig":
        if self.data.dev_fraction + self.data.test_fraction >= 0.9:
            raise ValueError("data.dev_fraction and data.test_fraction leave nothing to train on")
        if self.rl.optimiser_steps > self.rl.conversations_per_step:
            raise ValueError("rl.optimiser_steps is larger than rl.conversations_per_step")
        self._check_unit()
        if self.rl.anchor.kind == "average" and not self.rl.kl_coefficient:
            raise ValueError("rl.anchor.kind=average has no effect at rl.kl_coefficient=0")
        if self.engine.kind == "vllm" and self.rl.temperature != 1:
            raise ValueError("engine.kind=vllm tells log-probs at rl.temperature=1 only")
        search = self.rl.search
        if search.value_conversations and not (self.rl.unit == "turn" and search.iterations):
            raise ValueError(
                "rl.search.value_conversations: values come from a search; rl.unit=turn and "
                "rl.search.iterations are needed"
            )
        if self.rounds.number > 1 and not (
            self.think.steps and self.rl.steps and self.rl.mode == "thinking"
        ):
            raise ValueError("rounds.number: a round is a think stage and RL in thinking mode")
        return self

    def _check_unit(self) -> None:
        """Refuse what has no effect where turns are compared, or where decisions are."""
        rl, reward = self.rl, self.reward
        if rl.unit == "decision":
            if rl.search.iterations or rl.turns.steps_weight:
                raise ValueError("rl.search and rl.turns are of turns, so rl.unit=turn is needed")
            return
        if rl.advantage != "group":
            raise ValueError("rl.unit=turn compares turns, so rl.advantage must be group")
        if rl.hints.levels:
            raise ValueError("rl.unit=turn gives no hints, so rl.hints.levels must be 0")
        judged = {
            "combine": reward.combine != "sum",
            "custom": bool(reward.custom),
            "endpoint": reward.endpoint is not None,
            "repetition": reward.repetition > 0,
            "thought_length_weight": reward.thought_length_weight > 0,
        }
        if unused := [f"reward.{name}" for name, is_set in judged.items() if is_set]:
            raise ValueError(
                f"rl.unit=turn rewards the end of a turn alone, so {', '.join(unused)} would do "
                "nothing"
            )
