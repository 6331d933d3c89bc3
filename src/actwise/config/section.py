"""What all sections of the settings have in common."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Mode = Literal["direct", "thinking"]
"""Whether the model thinks before it acts."""

MODES: tuple[Mode, ...] = ("direct", "thinking")


class Section(BaseModel):
    """A frozen section that refuses what it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
