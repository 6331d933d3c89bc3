"""The desk as the data of a run."""

from hashlib import sha256
from typing import Any

from actwise.config import DeskConfig
from actwise.data.split import Splits
from actwise.desk.conversations import generate


def desk_splits(config: DeskConfig, seed: int) -> tuple[Splits, list[dict[str, Any]]]:
    """Make conversations of the desk.

    Args:
        config: How many of each split.
        seed: Other seeds have other conversations.

    Returns:
        The splits, measured on `test` and `shifted`, and the fingerprints that a run keeps.
    """
    made = {name: generate(name, size, seed) for name, size in config.model_dump().items()}
    fingerprints = [
        {
            "file": f"desk/{name}",
            "sha256": sha256("\n".join(c.to_json() for c in conversations).encode()).hexdigest(),
            "conversations": len(conversations),
        }
        for name, conversations in made.items()
    ]
    tests = {name: made[name] for name in ("test", "shifted")}
    return Splits(made["train"], made["dev"], tests), fingerprints
