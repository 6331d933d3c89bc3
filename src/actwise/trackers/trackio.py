"""Trackio: the project `actwise` on this machine; `trackio show --project actwise`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actwise.run.files import fingerprint

LIBRARY = "trackio"


class Trackio:
    """A run of trackio; a run that goes on is the same one there."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        import trackio

        # Of one name is one run there, and folders of one name may lie in many places.
        name = f"{folder.resolve().name}-{fingerprint(folder / 'run.json')[:8]}"
        self._run = trackio.init(project="actwise", name=name, config=dict(config), resume="allow")

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of a step of a stage."""
        self._run.log({f"{stage}/{name}": value for name, value in figures.items()}, step=step)

    def finish(self, figures: Mapping[str, float]) -> None:
        """Take the final figures."""
        self._run.log({f"final/{name}": value for name, value in figures.items()})
        self._run.finish()


begin = Trackio
