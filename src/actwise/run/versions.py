"""Versions of what a run depends on."""

import importlib.metadata
import platform
from typing import Any

from actwise import __version__


def versions() -> dict[str, Any]:
    """Return the versions that results may depend on."""
    packages = ("torch", "transformers", "tokenizers", "numpy")
    return {
        "actwise": __version__,
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
    }
