"""The desk: a small world of customer service that is shipped with the package, and its model."""

from pathlib import Path

from actwise.desk.conversations import SPLITS, generate, generate_one, open_world

MODEL = Path(__file__).parent / "model"
"""Folder of the model that is shipped."""
DEMO, PAPER, RECIPES = (
    Path(__file__).parent / f"{name}.toml" for name in ("demo", "paper", "recipes")
)
"""Settings of `actwise demo` and of the experiments."""

__all__ = ["DEMO", "MODEL", "PAPER", "RECIPES", "SPLITS", "generate", "generate_one", "open_world"]
