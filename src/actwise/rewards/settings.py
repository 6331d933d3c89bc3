"""The [reward] section of the configuration: what the judge counts and how much.

Tools and arguments may have settings of their own:

    [reward.tools.book_table.arguments.note]
    match = "similar"

    [reward.tools.book_table.arguments."guests[].name"]
    match = "exact"
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

TextMatch = Literal["exact", "normalised", "similar"]


class _Overrides(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    match: TextMatch | None = None
    """Policy for text, in place of `reward.text_match`; for an argument even where its text looks
    like an identifier or has a pattern."""
    similarity: float | None = Field(default=None, gt=0.0, le=1.0)
    """In place of `reward.text_similarity`."""
    tolerance: float | None = Field(default=None, ge=0.0, lt=1.0)
    """In place of `reward.number_tolerance`."""


class ArgumentConfig(_Overrides):
    """How one argument of one tool is compared; its parts inherit all but the last two."""

    unordered: bool | None = None
    """Whether the order of this array is free; as the schema says where not given."""
    ignore: bool = False
    """Not compared at all: neither asked for nor paid."""


class ToolConfig(_Overrides):
    """How the arguments of one tool are compared."""

    arguments: dict[str, ArgumentConfig] = Field(default_factory=dict)
    """By name; a part of an object is named like `address.street`, an array's items `guests[]`."""


def _address(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", url):
        raise ValueError(
            'no base address such as "http://localhost:8000/v1"; a key belongs in an environment '
            "variable, whose name is api_key_env"
        )
    return url


class EndpointConfig(BaseModel):
    """A model behind an address that speaks OpenAI's protocol."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    url: Annotated[str, AfterValidator(_address)]
    """Base address, such as "http://localhost:8000/v1"; a key never stands in it."""
    model: str = Field(min_length=1)
    """Name of the model there."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Environment variable that holds the key; none is sent where not given."""
    timeout: float = Field(default=60.0, gt=0.0)
    """Seconds until an attempt without a whole reply is given up."""
    retries: int = Field(default=3, ge=0)
    """Further attempts, after growing pauses; then there is no verdict."""
    deadline: float = Field(default=300.0, gt=0.0)
    """Seconds until a question is given up, with all its attempts and pauses."""
    max_missing: float = Field(default=0.3, ge=0.0, le=1.0)
    """Share of the last 50 questions that may be without a verdict; beyond it, and after ten in a
    row, the run stops. With 1 it never does."""
    concurrency: int = Field(default=8, ge=1, le=256)
    """Requests under way at the same time."""
    cache: Path = Path("endpoint-cache.sqlite")
    """File of all replies, so that nothing is asked twice and a repeated run finds the same ones;
    relative to the working directory."""
    price_per_million_input: float = Field(default=0.0, ge=0.0)
    """Price of a million input tokens; for the account of what was spent alone."""
    price_per_million_output: float = Field(default=0.0, ge=0.0)
    """Price of a million output tokens."""


class JudgeEndpoint(EndpointConfig):
    """A chat model that is asked how correct an answer is."""

    weight: float = Field(default=0.5, gt=0.0)
    """Weight of its score in the reward, where the record answers."""


class _Similarity(BaseModel):
    """From which similarity on it decides an answer that nothing else decides."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    right_from: float = Field(default=0.85, gt=0.0, le=1.0)
    """Cosine from which on such an answer is right; answers in between are not checkable."""
    wrong_below: float = Field(default=0.15, ge=0.0, le=1.0)
    """Cosine below which such an answer is wrong."""


class EmbeddingEndpoint(EndpointConfig, _Similarity):
    """An embedding model behind an address."""


class LocalEmbedding(_Similarity):
    """A sentence-embedding model on this machine, loaded by sentence-transformers."""

    model: str = Field(min_length=1)
    """Its folder, or its name on the Hugging Face hub."""
    device: str = "cpu"
    """Where it computes; the policy keeps the accelerator for itself by default."""


def _embedding_kind(value: Any) -> str:
    has_url = "url" in value if isinstance(value, dict) else hasattr(value, "url")
    return "endpoint" if has_url else "local"


Embedding = Annotated[
    Annotated[EmbeddingEndpoint, Tag("endpoint")] | Annotated[LocalEmbedding, Tag("local")],
    Discriminator(_embedding_kind),
]


class CustomReward(BaseModel):
    """A function of the user's own."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    function: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    """ "module:function"; the module may lie in the working directory."""
    weight: float = Field(gt=0.0)
    """Weight of its value in the reward."""
    on_error: Literal["stop", "skip"] = "stop"
    """Where the function fails: stop the run, or leave this reward out of the completion's."""


BUILT_IN = ("format", "tool_accuracy", "answer_correctness", "thought_length", "endpoint")
"""Names of components that a custom reward cannot take."""


class JudgeConfig(BaseModel):
    """How a completion is judged; the defaults are ours, the literature disagrees on most."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    tool_accuracy: Literal["binary", "graded"] = "binary"
    """Reward of calls: 1 only where all equal the record, or a share of what is right."""
    format_weight: float = Field(default=0.1, ge=0.0)
    """Weight of the right format in the reward; earns nothing without the right kind of action."""
    tool_weight: float = Field(default=1.0, gt=0.0)
    """Weight of tool accuracy, where the record calls tools."""
    answer_weight: float = Field(default=1.0, ge=0.0)
    """Weight of answer correctness, where the record answers; with 0 an answer in the right format
    earns the whole reward, whatever it says."""
    answer_facts: float = Field(default=0.8, gt=0.0, le=1.0)
    """Share of answer correctness given by the facts; the rest is wording (token F1, or
    `reward.embedding`)."""
    require_thought: bool = True
    """Whether a completion in thinking mode earns nothing where its thought is missing, is empty or
    never ends. Without it a model that acts better directly learns to think nothing."""
    thought_length_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the length of the thought; off, because it hurt small models in ToolRL."""
    thought_length_target: int = Field(default=100, gt=0)
    """Words of thought that earn the whole of the length reward; fewer earn their share."""
    call_order: Literal["any", "recorded"] = "any"
    """Whether several calls may come in any order, or in the recorded one only."""
    text_match: TextMatch = "normalised"
    """Free-text arguments: exact; ignoring case, white space and outer punctuation; or similar.

    Values that look like identifiers (no white space, and a digit or one of @ _ / : inside), and
    those for which the schema gives an enum, a const, a pattern or a format, are never free text.
    """
    text_similarity: float = Field(default=0.85, gt=0.0, le=1.0)
    """Share of the characters of two normalised texts in common, in order, that makes them similar;
    words with digits have to be the same whatever the share."""
    number_tolerance: float = Field(default=1e-6, ge=0.0, lt=1.0)
    """Relative tolerance for numbers with a fraction; whole numbers compare exactly."""
    coerce_types: bool = True
    """Read "5" as 5 and "true" as true where the schema asks for that type and allows no text."""
    tools: dict[str, ToolConfig] = Field(default_factory=dict)
    """Settings of single tools, by name."""
    endpoint: JudgeEndpoint | None = None
    """A model that judges answers, too; none is asked where not given."""
    embedding: Embedding | None = None
    """A model whose embeddings compare the wording of answers, in place of token F1: with `url` one
    behind an address, without one on this machine."""
    custom: dict[str, CustomReward] = Field(default_factory=dict)
    """Rewards of your own, by name."""
    repetition: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the reward that a completion loses where all of its runs of four words occurred
    before in it, and in proportion where some did; repetition never earns more than its absence."""
    combine: Literal["sum", "all", "normalize_each"] = "sum"
    """For RL: the weighted mean of the components; 1 where the action is right and every component
    is faultless, else 0 (Tool-N1); or advantages from each component by itself (GDPO)."""

    @model_validator(mode="after")
    def _answers_earn_something(self) -> "JudgeConfig":
        if not self.answer_weight and not self.format_weight:
            raise ValueError("answer_weight and format_weight cannot both be 0")
        return self

    @model_validator(mode="after")
    def _one_reward_to_take_from(self) -> "JudgeConfig":
        if self.repetition and self.combine == "normalize_each":
            raise ValueError("repetition takes from one reward, and normalize_each has several")
        return self

    @model_validator(mode="after")
    def _names_of_their_own(self) -> "JudgeConfig":
        taken = [name for name in self.custom if name in BUILT_IN]
        if taken:
            raise ValueError(f"custom.{taken[0]}: the judge has a component of this name")
        return self

    def weights(self) -> dict[str, float]:
        """Return the weight of each component of a verdict, by the component's name."""
        weights = {
            "format": self.format_weight,
            "tool_accuracy": self.tool_weight,
            "answer_correctness": self.answer_weight,
            "thought_length": self.thought_length_weight,
        }
        if self.endpoint is not None:
            weights["endpoint"] = self.endpoint.weight
        return weights | {name: reward.weight for name, reward in self.custom.items()}
