"""The desk: a small world of customer service that is shipped with the package, and its model."""

from pathlib import Path

from actwise.desk.conversations import SPLITS, generate, generate_one, open_world

MODEL = Path(__file__).parent / "model"
"""Folder of the model that is shipped."""
DEMO, PAPER = (Path(__file__).parent / name for name in ("demo.toml", "paper.toml"))
"""Settings of `actwise demo` and of `actwise experiment`."""

__all__ = ["DEMO", "MODEL", "PAPER", "SPLITS", "generate", "generate_one", "open_world"]
