"""Where figures go besides the run folder: one file here and one name in the settings a tracker.

A tracker's file is called as its library is. It has the name of that (`LIBRARY`), a class of two
methods, `log` and `finish`, and `begin`, which makes one; nothing is imported before it is asked
for. What a tracker does wrong never costs a run: it is
said in a line, and the run goes on without it.
"""

import importlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from actwise.config import TrackerName
from actwise.errors import ConfigError

Say = Callable[[str], None]


class Tracker(Protocol):
    """What is told the figures of one run."""

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of a step of a stage."""

    def finish(self, figures: Mapping[str, float]) -> None:
        """Take the final figures; nothing comes after them."""


class Tracking:
    """A tracker, or none, that cannot stop a run."""

    def __init__(self, name: str, tracker: Tracker | None, say: Say) -> None:
        self._name = name
        self._tracker = tracker
        self._say = say

    def log(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Pass on the figures of a step that are finite numbers."""
        finite = {key: value for key, value in figures.items() if math.isfinite(value)}
        self._guarded(lambda tracker: tracker.log(stage, step, finite))

    def finish(self, results: Mapping[str, Any]) -> None:
        """Pass on the results of the run; see `final_figures`."""
        self._guarded(lambda tracker: tracker.finish(final_figures(results)))

    def _guarded(self, act: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            act(self._tracker)
        except Exception as error:  # a service, its library, its disk: whatever it is, it is said
            self._say(failure(self._name, error))
            self._tracker = None


def begin_tracking(
    name: TrackerName | None, folder: Path, config: Mapping[str, Any], say: Say
) -> Tracking:
    """Begin to track a run; where it cannot be begun, that is said and the run is not tracked.

    Args:
        name: None for no tracker.
        folder: The run folder, whose name is the run's.
        config: What the run was asked, to be shown beside its figures.
        say: Told in one line what a tracker does wrong.
    """
    if name is None:
        return Tracking("", None, say)
    try:
        tracker: Tracker | None = _module(name).begin(folder, config)
    except Exception as error:  # as above
        say(failure(name, error))
        tracker = None
    return Tracking(name, tracker, say)


def check_installed(name: TrackerName | None) -> None:
    """Refuse a tracker whose library is not there, before anything is computed.

    Raises:
        ConfigError: Says what to install.
    """
    if name is None:
        return
    try:
        importlib.import_module(_module(name).LIBRARY)
    except ImportError as error:
        raise ConfigError(
            f"tracker: {name} is not installed; pip install 'actwise[{name}]', or leave tracker out"
        ) from error


def failure(name: str, error: Exception) -> str:
    """Return the line about a tracker that failed."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"tracker {name} failed and is left out from here, the run goes on: {said[:300]}"


def final_figures(results: Mapping[str, Any]) -> dict[str, float]:
    """Return every metric of the table of results by "SPLIT/MODEL-MODE/METRIC"."""
    return {
        f"{row['split']}/{row['model']}-{row['mode']}/{name}": metric["value"]
        for row in results["rows"]
        for name, metric in row["metrics"].items()
    }


def _module(name: TrackerName) -> Any:
    return importlib.import_module(f"{__name__}.{name}")
