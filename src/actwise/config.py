"""The configuration of a run: one TOML file, or none, and `--set section.key=value`.

Unknown keys and impossible values are refused with the key's name before anything is loaded. The
resolved configuration is stored with the run.
"""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from actwise.errors import ConfigError
from actwise.rewards.settings import JudgeConfig

Mode = Literal["direct", "thinking"]
"""Whether the model thinks before it acts."""

MODES: tuple[Mode, ...] = ("direct", "thinking")

TrackerName = Literal["tensorboard", "trackio", "wandb"]
"""Each is a module of `actwise.trackers`, and an extra of its name."""


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class DataConfig(_Section):
    """Which conversations are used and how they are split."""

    format: str | None = None
    """Name of the logs' format; recognised where not given."""
    tools: Path | None = None
    """JSON list of tools for conversations that bring none."""
    bad_records: Literal["stop", "skip"] = "stop"
    """What to do with records that cannot be used: refuse to start, or leave them out and count."""
    dev_fraction: float = Field(0.05, gt=0, lt=0.5)
    """Share of conversations on which checkpoints are chosen."""
    test_fraction: float = Field(0.15, gt=0, lt=0.5)
    """Share of conversations that is only measured on."""
    limit: int | None = Field(None, ge=1)
    """Use this many conversations, drawn at random; all where not given."""
    renamed: float = Field(0.0, ge=0, le=1)
    """Share of the training conversations in which tools and arguments get other names, so that the
    model reads schemas instead of learning names by heart: for tools that change, or that are not
    in the logs. Tools under `reward.tools` keep their names."""


class ModelConfig(_Section):
    """How the model is loaded and which of its weights are trained."""

    template: Literal["own", "actwise"] = "own"
    """The model's own chat template, or the one shipped with actwise."""
    lora_rank: int | None = Field(None, ge=1)
    """Train adapters of this rank; all weights where not given."""
    train_embeddings: bool = False
    """Whether all weights include the embeddings and the output layer. Trained on few
    conversations, they unlearn to write the tokens that do not occur there, such as names."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights. bfloat16 is faster on GPUs and on CPUs with units for it; the optimiser
    then keeps and moves weights in float32, of which the model's are rounded."""
    device: str | None = None
    """A torch device; the first GPU where there is one, else the CPU."""
    threads: int | None = Field(None, ge=1)
    """Threads of torch on a CPU; measured at the start where not given."""
    workers: int | None = Field(None, ge=1)
    """Training passes computed at once on a CPU, each on `threads` cores and in memory of its own;
    as many as there are cores for where not given. Results do not depend on it."""
    checkpointing: bool | None = None
    """Whether activations are computed again in the backward pass instead of being kept, which
    takes about a third more time and a fraction of the memory. Results do not depend on it. Where
    not given, if the longest conversations would not fit into memory otherwise."""
    sharded: bool = False
    """Whether several processes of a run divide the weights, their gradients and what the optimiser
    keeps (FSDP2), so that a process keeps a part of each. Weights are float32 then, and moved by
    AdamW. Results do not depend on it but for rounding."""
    max_length: int | None = Field(None, ge=16)
    """Longest prompt and completion in tokens; the model's own limit where not given."""


class EngineConfig(_Section):
    """Where completions are sampled while a run trains."""

    kind: Literal["local", "vllm"] = "local"
    """local: by the model itself, in this process. vllm: by vLLM servers, which are given the
    weights after each step; see docs/engines.md."""
    urls: tuple[str, ...] = ()
    """Addresses of the servers, such as "http://127.0.0.1:8000"; they share the work."""
    folder: Path | None = None
    """Folder of this run's own through which the servers are given the weights: they have to see it
    under the same path. In the run folder where not given."""
    api_key_env: str | None = None
    """Environment variable with the key that the servers want (`--api-key`); none where not
    given."""
    concurrency: int = Field(16, ge=1)
    """Prompts that each server is asked for at once, each with all of its completions."""
    timeout: float = Field(600.0, gt=0)
    """Seconds after which a server that has not answered counts as dead."""
    ahead: int = Field(0, ge=0, le=1)
    """With 1, RL samples its next batch while the update of this one is computed, from the weights
    before it. Not across a checkpoint, so that a run that is interrupted ends as one that is not.
    Where this process samples, in a second copy of the model."""

    @property
    def off_policy(self) -> bool:
        """Whether something else samples than exactly what is trained."""
        return self.kind == "vllm" or self.ahead > 0

    @field_validator("urls", mode="before")
    @classmethod
    def _one_alone(cls, urls: Any) -> Any:
        return (urls,) if isinstance(urls, str) else urls

    @model_validator(mode="after")
    def _has_servers(self) -> "EngineConfig":
        if (self.kind == "vllm") != bool(self.urls):
            raise ValueError("engine.kind=vllm goes with the addresses of servers in engine.urls")
        return self


class OptimiserConfig(_Section):
    """An optimiser with linear warm-up and linear decay."""

    small_model_rate: ClassVar[float]
    """Learning rate that suits two million parameters with AdamW."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """muon: Muon for the matrices of the layers, AdamW for everything else. It takes about half as
    many steps to train all weights of a small model, at a learning rate about five times higher."""
    learning_rate: float | None = Field(None, gt=0, le=1)
    """Highest learning rate; where not given it falls with the root of the number of parameters,
    from 1e-3 for sft and think, 1e-4 for rl at two million; it is ten times
    higher with LoRA, and five times with Muon."""
    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of the steps in which it rises."""
    final: float = Field(0.1, ge=0, le=1)
    """Share of the highest rate that is left at the end."""
    weight_decay: float = Field(0.0, ge=0)
    """Shrinks the weights by this share of the learning rate in each step."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Longer gradients are scaled to this length."""


class SftConfig(OptimiserConfig):
    """Supervised fine-tuning, of the direct mode, and base of the settings of `think`."""

    small_model_rate = 1e-3
    steps: int = Field(300, ge=0)
    """Optimiser steps; 0 leaves the stage out. With `patience` the most there are."""
    patience: int | None = Field(None, ge=1)
    """Train until so many evaluations in a row have brought no better development score: the rate
    is held after the warm-up, and only then falls, over a last fifth of the steps. Where not given,
    it falls from the warm-up on, over `steps`."""
    conversations_per_step: int = Field(8, ge=1)
    """Whole conversations with all their decisions in one step."""
    evaluate_every: int = Field(100, ge=1)
    """Steps between evaluations on the development split; the best checkpoint is kept."""


Pick = Literal["shortest", "next_longest"]
"""Which of the model's own thoughts is kept, of those after which the action was right."""


class InjectionConfig(_Section):
    """Behaviours put into thoughts before they are learned (BRIDGE)."""

    exploration: float = Field(0.0, ge=0, le=1)
    """Share of the thoughts, of those where a later step is still locked, that try it and say what
    is not known yet; much of it breaks a small model."""
    exploitation: float = Field(0.0, ge=0, le=1)
    """Share of the thoughts, of those that rest on results of tools, that gather what is known."""


class ThinkConfig(SftConfig):
    """The start in thinking mode: a few thoughts, beside all recorded actions."""

    steps: int = Field(400, ge=0)
    begin: Literal["base", "previous"] = "base"
    """Which model is trained: the base, on both modes in one stage, or what the stage before has
    left. Long SFT in direct mode destroys the thinking mode, and RL then finds nothing to learn
    from."""
    share: float = Field(0.4, gt=0, le=1)
    """Share of each step's conversations that are learned with thoughts; of the others the recorded
    actions are learned in direct mode."""
    source: Literal["auto", "recorded", "derived", "both", "self"] = "auto"
    """Thoughts recorded in the logs; derived from the recorded actions, which takes no annotation;
    both in equal parts; or the model's own where the action after them was right. auto takes both
    where any are recorded, else derives them."""
    conversations: int = Field(150, ge=1)
    """Conversations whose recorded or own thoughts are used, chosen so that all kinds of decisions
    occur; derived thoughts cost nothing and are used of all."""
    renamings: int = Field(8, ge=1)
    """Versions of each of these conversations, with other names of tools, where `data.renamed`
    asks for such."""
    attempts: int = Field(4, ge=1)
    """Self-generated: thoughts tried for each decision."""
    temperature: float = Field(0.8, gt=0)
    """Self-generated: sampling temperature."""
    pick: Pick = "shortest"
    """Self-generated: which is kept of the thoughts that led to the right action. The shortest ones
    drive thoughts to nothing over several rounds; next_longest leaves the longest out."""
    injection: InjectionConfig = InjectionConfig()


class SelectionConfig(_Section):
    """Which decisions RL samples, and which completions it learns from."""

    live_groups: int | None = Field(None, ge=1)
    """Draw further conversations until so many groups of a step are live (DAPO); where not given,
    a step has `rl.conversations_per_step`."""
    most: int = Field(4, ge=1)
    """Times `rl.conversations_per_step` that are drawn at most for that."""
    rest: int = Field(0, ge=0)
    """Steps for which a decision is not sampled after all its completions were right."""
    keep: int | None = Field(None, ge=2)
    """Completions of each decision that are learned from, those whose rewards differ most (PODS);
    all where not given."""


class AnchorConfig(_Section):
    """What the divergence of RL is taken from."""

    kind: Literal["fixed", "reset", "average"] = "fixed"
    """The model at the start of the stage; the policy itself whenever the development score
    stalls, and the optimiser forgets (ProRL); or a moving average of the policy."""
    patience: int = Field(4, ge=1)
    """reset: development scores in a row without a better one."""
    decay: float = Field(0.99, ge=0, lt=1)
    """average: what is kept of it in each step."""


class EntropyConfig(_Section):
    """A bonus for a policy that is not sure of itself, so that it goes on trying."""

    weight: float = Field(0.0, ge=0)
    """Weight of the mean entropy of the sampled tokens, in nats, in the loss; 0 for none."""
    target: float = Field(0.2, gt=0)
    """Nats per token from which on a batch of completions gets no bonus: more feeds junk tokens."""


class HintsConfig(_Section):
    """The beginning of the recorded thought, where no completion was right (SPARKLE)."""

    levels: int = Field(0, ge=0, le=4)
    """Quarters of the thought that are given at most; 0 gives no hints. Thinking mode only."""


class LikelihoodConfig(_Section):
    """How likely thoughts make the recorded action, where no completion was right."""

    weight: float = Field(0.3, ge=0)
    """Weight of that loss beside the judge's rewards; 0 computes none. Thinking mode only."""
    action_weight: float = Field(0.0, ge=0)
    """What learning the recorded action after these thoughts counts within it. With 0 thoughts
    alone learn, by how likely they make the action; with more, actions part from thoughts."""


class EpisodesConfig(_Section):
    """What the model acts in where it acts on its own history, and how far it may go."""

    environment: str = Field("recorded", pattern=r"^(recorded|desk|[\w.]+:[\w.]+)$")
    """recorded: results are replayed where the calls match the logs; desk: the embedded world; or
    your own tools as "module:object" (docs/episodes.md)."""
    mcp: str | None = None
    """Command of an MCP server whose tools are called, in place of `environment`."""
    steps: int = Field(8, ge=1)
    """Completions of a turn at most, each of which may call several tools."""
    turns: int = Field(50, ge=1)
    """Turns of a conversation at most, for customers who never end."""
    questions: int = Field(2, ge=0)
    """Questions that the record does not ask and the desk's customer answers all the same."""
    call_seconds: float = Field(10.0, gt=0)
    """Until a call is given up; the model is told so."""
    result_characters: int = Field(4000, ge=100)
    """Longest result; more is cut, and the model is told so."""
    at_once: int = Field(64, ge=1)
    """Episodes under way at the same time."""


class TurnsConfig(_Section):
    """What a whole turn earns, where `rl.unit` is "turn"."""

    steps_weight: float = Field(0.0, ge=0)
    """What the recorded calls of a successful turn earn beside its success (Interleaved: 0.5)."""
    steps: Literal["discounted", "share", "all"] = "discounted"
    """All of it where every recorded call was made; else for each that was made one over the number
    of the completion that first made it; or its share; or nothing."""
    gated: bool = True
    """Pay for calls in successful turns in good form alone, and as `progress_margin` says; else
    always, which teaches calls that lead nowhere."""
    progress_margin: float | None = Field(None, ge=0, le=1)
    """Only pay for calls while the share of successful turns in a step has not fallen by so much
    below that of the step before (Interleaved: 0.05); always where not given."""


class SearchConfig(_Section):
    """Search over turns, where `rl.unit` is "turn" (PROPA): groups are the children of a node."""

    iterations: int = Field(0, ge=0)
    """Nodes that are expanded in each turn; 0 samples whole turns instead."""
    children: int = Field(4, ge=2)
    """Completions of a node, each of which is followed greedily to the end of the turn."""
    exploration: float = Field(1.0, ge=0)
    """Weight of what was seldom tried in the choice of the node."""
    boost: bool = True
    """Raise small values: ln(1 + 10 value) / ln 11."""
    value_conversations: int = Field(0, ge=0)
    """Training conversations in which the finished model searches once more, to learn what its
    steps are worth: `actwise eval --search` chooses by it. 0 learns nothing of that."""


class RlConfig(OptimiserConfig):
    """GRPO on the judge's rewards."""

    small_model_rate = 1e-4
    steps: int = Field(300, ge=0)
    """Batches of rollouts; 0 leaves the stage out."""
    sampled_tokens: int | None = Field(None, ge=1)
    """Train until so many tokens have been sampled, however many steps that takes; `steps` then
    only says for how long the learning rate rises. So runs of unlike steps cost the same."""
    mode: Mode = "thinking"
    """Whether the model thinks before it acts."""
    unit: Literal["decision", "turn"] = "decision"
    """What is sampled and judged: single decisions on the recorded history, or whole turns on the
    model's own, in what `episodes` says. A step of a turn learns with the turn's advantage."""
    decisions: Literal["all", "calls"] = "all"
    """All decisions, or only those whose record calls a tool (which teaches to call always)."""
    conversations_per_step: int = Field(6, ge=1)
    """Conversations in a batch of rollouts."""
    decisions_per_conversation: int | None = Field(None, ge=1)
    """Decisions drawn from each conversation; all where not given."""
    num_generations: int = Field(8, ge=2)
    """Completions per decision: the group whose mean is the baseline."""
    optimiser_steps: int = Field(1, ge=1)
    """Optimiser steps per batch of rollouts; each takes a part of the batch's conversations."""
    temperature: float = Field(1.0, gt=0)
    """Temperature of sampling and of the trained distribution."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of sampling."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """The ratio is clipped below one minus this."""
    clip_high: float = Field(0.28, gt=0)
    """The ratio is clipped above one plus this (DAPO's clip-higher)."""
    importance_cap: float = Field(2.0, ge=1)
    """Where completions are not sampled from exactly what is trained (`engine.kind=vllm`, or
    `engine.ahead`), a token counts by its probability ratio, and by this at most (truncated
    importance sampling)."""
    kl_coefficient: float = Field(0.0, ge=0)
    """Weight of the k3 divergence from what `rl.anchor` says; 0 computes none."""
    ratio_level: Literal["token", "sequence"] = "token"
    """Ratios of single tokens, or of whole completions (GSPO)."""
    aggregation: Literal["grpo", "dapo", "dr_grpo"] = "dr_grpo"
    """How token losses are averaged."""
    scale: Literal["group", "batch", "none"] = "batch"
    """What divides advantages: the standard deviation of the group, of the batch, or nothing."""
    advantage: Literal["group", "rejection"] = "group"
    """How much better than the mean of its group a completion is (GRPO), or 1 where all of it is
    right and else 0: rejection sampling, fine-tuning on the right ones as they come."""
    turns: TurnsConfig = TurnsConfig()
    search: SearchConfig = SearchConfig()
    selection: SelectionConfig = SelectionConfig()
    anchor: AnchorConfig = AnchorConfig()
    likelihood: LikelihoodConfig = LikelihoodConfig()
    entropy: EntropyConfig = EntropyConfig()
    hints: HintsConfig = HintsConfig()
    mask_truncated: bool = False
    """Whether completions that hit the budget are left out of the loss."""
    evaluate_every: int = Field(25, ge=1)
    """Steps between evaluations on the development split; the best checkpoint is kept."""


class SteeringConfig(_Section):
    """A vector that lets thoughts carry out rather than look back, while decoding (SEAL)."""

    strength: float = 0.0
    """What the vector counts; 0 steers nothing, 1 is SEAL's. For evaluation in thinking mode."""
    layer: int | None = Field(None, ge=0)
    """Number of the layer to whose output it is added; at 70 % of the depth where not given."""
    conversations: int = Field(64, ge=1)
    """Conversations in whose thoughts, by the model itself, the vector is found."""


class EvaluateConfig(_Section):
    """Greedy evaluation."""

    max_completion_tokens: int | None = Field(None, ge=1)
    """Budget of a completion, in training, too; longer ones are cut and count as wrong. The longest
    recorded action and `thought_tokens` where not given."""
    thought_tokens: int = Field(96, ge=1)
    """Room for a thought in that budget."""
    dev_conversations: int = Field(40, ge=1)
    """Conversations of the development split used to choose checkpoints."""
    episodes: bool = False
    """Measure whole turns and conversations of the trained models on their own history, too, in
    what `episodes` says."""
    attempts: int = Field(0, ge=0)
    """Completions of each test decision that the trained models are sampled for, too: how often any
    of them is right (pass@k), and how many decisions RL could learn from."""
    budgets: list[Annotated[int, Field(ge=0)]] = []
    """Tokens to which thoughts of the trained models are cut in further measurements."""
    search: int = Field(0, ge=0)
    """With `episodes`: measure turns of models that have a value model, too, with each step chosen
    among so many completions."""
    diagnose: bool = False
    """Measure from parts of the recorded thoughts on, too."""
    steering: SteeringConfig = SteeringConfig()


class RoundsConfig(_Section):
    """The start and RL again, on thoughts of what RL has left (OpenVLThinker)."""

    number: int = Field(1, ge=1, le=9)
    """Rounds; each further one trains a start, from the base on the model's own thoughts that led
    to right actions, and RL from there."""
    conversations: int = Field(300, ge=1)
    """Conversations in which the model of the round before looks for such thoughts."""


class DeskConfig(_Section):
    """How many conversations of the desk are made; for `demo` and `experiment` alone."""

    train: int = Field(600, ge=1)
    """To train on."""
    dev: int = Field(30, ge=1)
    """To choose checkpoints on."""
    test: int = Field(80, ge=1)
    """To measure on, of the same kind."""
    shifted: int = Field(80, ge=1)
    """To measure on, of another kind."""


class RunConfig(_Section):
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
        if self.rl.unit == "turn" and self.reward.combine == "normalize_each":
            raise ValueError("rl.unit=turn has one reward, so reward.combine has nothing to do")
        if self.rl.unit == "turn" and self.rl.advantage != "group":
            raise ValueError("rl.unit=turn compares turns, so rl.advantage must be group")
        if self.rl.unit == "turn" and self.rl.hints.levels:
            raise ValueError("rl.unit=turn gives no hints, so rl.hints.levels must be 0")
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


def load_config(file: Path | None, settings: Sequence[str] = ()) -> RunConfig:
    """Read a configuration.

    Args:
        file: TOML file; defaults where None.
        settings: "section.key=value" texts that overrule it; values are read as TOML where
            possible, else as text.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    return layered([] if file is None else [read_toml(file)], settings)


def layered(layers: Sequence[Mapping[str, Any]], settings: Sequence[str] = ()) -> RunConfig:
    """Return a configuration from sections that overrule each other.

    Args:
        layers: Sections, each overruling those before it.
        settings: As for `load_config`; they overrule all layers.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    record: dict[str, Any] = {}
    for layer in layers:
        record = overlaid(record, layer)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {setting}: write it as section.key=value")
        _assign(record, key.strip().split("."), _value(value.strip()))
    return validated(record)


def overlaid(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections with others laid over them, key by key."""
    merged = dict(below)
    for key, value in above.items():
        if isinstance(value, Mapping):
            under = merged.get(key)
            value = overlaid(under if isinstance(under, Mapping) else {}, value)
        merged[key] = value
    return merged


def read_toml(file: Path) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises:
        ConfigError: It cannot be read, or is none.
    """
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error


def validated(record: dict[str, Any]) -> RunConfig:
    """Return a configuration from its sections.

    Raises:
        ConfigError: Names the unknown key or impossible value.
    """
    try:
        return RunConfig.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"{key}: no such setting; see `actwise settings`") from error
        message = str(first["msg"]).removeprefix("Value error, ")
        raise ConfigError(f"{key}: {message}" if key else message) from error


def _assign(record: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        record = record.setdefault(part, {})
        if not isinstance(record, dict):
            raise ConfigError(f"{'.'.join(path)}: {part} is no section")
    record[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
