"""What another configuration leaves valid of what a run has computed.

A stage depends on model, data and seed, on every section of the configuration that is no stage's,
on its own section, and on all stages before it. So a stage is kept where all of that is equal.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

NEUTRAL = (
    "checkpoint_every",
    "tracker",
    "model.workers",
    "model.sharded",
    *(f"engine.{name}" for name in ("urls", "folder", "api_key_env", "concurrency", "timeout")),
    "evaluate.examples",
)
"""Settings that no weight and no figure depends on, with one that older versions had."""


@dataclass(frozen=True)
class Changes:
    """Two requests of one run, compared."""

    differences: list[str]
    """Such as "rl.steps: 40, now 80"."""
    kept: list[str]
    """Stages that are valid still, in order."""
    redone: list[str]
    """Stages of the earlier request that are not."""


def compare(
    before: Mapping[str, Any], now: Mapping[str, Any], stages: Collection[str]
) -> Changes | None:
    """Compare the configurations of two requests with the same model and data.

    Args:
        before: "config", and "stages" with the mode of each stage that the run takes, in order.
        now: The same, of what is asked now.
        stages: Names of all sections that are a stage's.

    Returns:
        None where the configurations differ in what every stage depends on.
    """
    differing = _differing(before.get("config"), now.get("config"))
    neutral = set(NEUTRAL)
    if any(side.get("config", {}).get("engine", {}).get("ahead") for side in (before, now)):
        neutral.discard("checkpoint_every")  # at a checkpoint nothing is sampled ahead
    shared = [key for key in differing if key.split(".")[0] not in stages and key not in neutral]
    if shared:
        return None
    earlier, later = dict(before.get("stages", {})), dict(now["stages"])
    kept: list[str] = []
    for one, other in zip(earlier.items(), later.items(), strict=False):
        if one != other or before["config"].get(one[0]) != now["config"].get(one[0]):
            break
        kept.append(one[0])
    return Changes(list(differing.values()), kept, [name for name in earlier if name not in kept])


def difference(before: Any, now: Any) -> str:
    """Return where two parts of a request differ first, such as " (KEY: OLD, now NEW)"."""
    if isinstance(before, list) and isinstance(now, list):
        files = [d["file"] for d in now if d not in before]
        return f" ({', '.join(files)})" if files else ""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return ""
    first = next(iter(_differing(before, now).values()), "")
    return f" ({first})" if first else ""


def _differing(before: Any, now: Any, key: str = "") -> dict[str, str]:
    """Return the settings that differ: by key, what they were and what they are."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return {} if before == now else {key: f"{key}: {before}, now {now}"}
    found: dict[str, str] = {}
    for name in {**before, **now}:
        inner = f"{key}.{name}" if key else name
        found |= _differing(before.get(name), now.get(name), inner)
    return found
