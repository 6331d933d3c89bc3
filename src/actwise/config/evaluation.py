"""Settings of what is measured, and of what a model acts in."""

from typing import Annotated

from pydantic import Field

from actwise.config.section import Section


class EpisodesConfig(Section):
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


class SteeringConfig(Section):
    """A vector that lets thoughts carry out rather than look back, while decoding (SEAL)."""

    strength: float = 0.0
    """What the vector counts; 0 steers nothing, 1 is SEAL's. For evaluation in thinking mode."""
    layer: int | None = Field(None, ge=0)
    """Number of the layer to whose output it is added; at 70 % of the depth where not given."""
    conversations: int = Field(64, ge=1)
    """Conversations in whose thoughts, by the model itself, the vector is found."""


class EvaluateConfig(Section):
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
    budgets: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Tokens to which thoughts of the trained models are cut in further measurements."""
    search: int = Field(0, ge=0)
    """With `episodes`: measure models that have a value model, too, with each step chosen among so
    many completions."""
    diagnose: bool = False
    """Measure from parts of the recorded thoughts on, too."""
    steering: SteeringConfig = SteeringConfig()

    @property
    def budget_key(self) -> str:
        """The setting to raise for longer completions: what is set counts alone."""
        given = self.max_completion_tokens is not None
        return "evaluate.max_completion_tokens" if given else "evaluate.thought_tokens"
