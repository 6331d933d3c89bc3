"""The [reward] section of the configuration: what the judge counts and how much."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class JudgeSettings(BaseModel):
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
    answer_weight: float = Field(default=1.0, gt=0.0)
    """Weight of answer correctness, where the record answers."""
    answer_facts: float = Field(default=0.8, gt=0.0, le=1.0)
    """Share of answer correctness given by the facts; the rest is wording (token F1)."""
    thought_length_weight: float = Field(default=0.0, ge=0.0)
    """Weight of the length of the thought; off, because it hurt small models in ToolRL."""
    thought_length_target: int = Field(default=100, gt=0)
    """Words of thought that earn the whole of the length reward; fewer earn their share."""
    text_match: Literal["exact", "normalised"] = "normalised"
    """Free-text arguments: exact, or ignoring case, white space and outer punctuation.

    Values that look like identifiers (no white space, and a digit or one of @ _ / : inside), and
    those for which the schema gives an enum, a const, a pattern or a format, are never free text.
    """
    number_tolerance: float = Field(default=1e-6, ge=0.0, lt=1.0)
    """Relative tolerance for numbers with a fraction; whole numbers compare exactly."""
    combine: Literal["sum", "normalize_each"] = "sum"
    """For RL: advantages from the weighted sum, or from each component by itself (GDPO)."""

    def weights(self) -> dict[str, float]:
        """Return the weight of each component of a verdict, by the component's name."""
        return {
            "format": self.format_weight,
            "tool_accuracy": self.tool_weight,
            "answer_correctness": self.answer_weight,
            "thought_length": self.thought_length_weight,
        }
