"""TensorBoard: event files in the folder `tensorboard` of the run; `tensorboard --logdir runs`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIBRARY = "tensorboard"


class TensorBoard:
    """Writes event files; a run that goes on adds a file."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))
        self._writer.add_text("config", "\n".join(f"    {k}: {v}" for k, v in config.items()))

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of a step of a stage."""
        for name, value in figures.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def finish(self, figures: Mapping[str, float]) -> None:
        """Take the final figures."""
        for name, value in figures.items():
            self._writer.add_scalar(f"final/{name}", value, 0)
        self._writer.close()


begin = TensorBoard
