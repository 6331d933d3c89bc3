"""actwise: a small model that thinks before it acts, trained from conversation logs."""

__version__ = "0.1.0"
