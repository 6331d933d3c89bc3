"""The desk: a small world of customer service that is shipped with the package."""

from actwise.desk.conversations import SPLITS, generate, open_world

__all__ = ["SPLITS", "generate", "open_world"]
