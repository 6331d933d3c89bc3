"""Timing several ways of doing the same work in turns, so that a busy machine slows all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch


class Seconds(NamedTuple):
    """How long something took."""

    wall: float
    cpu: float
    """Seconds of all threads of this process, however many others wait for the same cores."""


@dataclass(frozen=True)
class Timing:
    """What one contestant took, round by round."""

    rounds: tuple[Seconds, ...]

    @property
    def median(self) -> float:
        """The middle one, by the clock on the wall."""
        return statistics.median(seconds.wall for seconds in self.rounds)

    def times(self, other: "Timing") -> float:
        """Return how many times as long as another this one took: the median over the rounds.

        Within a round both met the same load, so this is steadier than the ratio of medians.
        """
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine.wall / theirs.wall for mine, theirs in pairs)

    def columns(self) -> dict[str, float]:
        """Return median and spread as columns of a table."""
        return {
            "median s": self.median,
            "fastest s": min(seconds.wall for seconds in self.rounds),
            "slowest s": max(seconds.wall for seconds in self.rounds),
            "CPU s": statistics.median(seconds.cpu for seconds in self.rounds),
        }


def now(device: torch.device) -> Seconds:
    """Return the time, after all that the device still had to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Seconds(time.perf_counter(), time.process_time())


def since(begin: Seconds, device: torch.device) -> Seconds:
    """Return the seconds since a time that `now` told."""
    end = now(device)
    return Seconds(end.wall - begin.wall, end.cpu - begin.cpu)


def timed(work: Callable[[], object], device: torch.device) -> Seconds:
    """Do some work and return the seconds it took."""
    begin = now(device)
    work()
    return since(begin, device)


def interleaved(
    contestants: Mapping[str, Callable[[], Seconds]],
    repeats: int,
    show: Callable[[int], None] = lambda done: None,
) -> dict[str, Timing]:
    """Time contestants in rounds, each once a round.

    Args:
        contestants: Each does its work once and returns the seconds that count.
        repeats: Rounds. Each begins with another contestant, so that none always runs after the
            same one.
        show: Told how many runs are done, of `repeats * len(contestants)`.
    """
    names = list(contestants)
    rounds: dict[str, list[Seconds]] = {name: [] for name in names}
    done = 0
    for turn in range(repeats):
        for name in _rotated(names, turn):
            rounds[name].append(contestants[name]())
            done += 1
            show(done)
    return {name: Timing(tuple(seconds)) for name, seconds in rounds.items()}


def _rotated(names: Sequence[str], turn: int) -> list[str]:
    first = turn % len(names) if names else 0
    return [*names[first:], *names[:first]]
