"""Before a run: what cannot work, and what the run will cost."""

from actwise.preflight.preflight import Preflight, preflight
from actwise.preflight.table import render

__all__ = ["Preflight", "preflight", "render"]
