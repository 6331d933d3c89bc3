"""Whether one process computes a run or several do together; see `actwise.model.processes`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Processes:
    """The processes of a run: here one alone, which has nobody to ask and nothing to share."""

    rank = 0
    """Number of this process, from 0."""
    count = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run folder."""
        return self.rank == 0

    def agreed(self, function: Callable[[], T]) -> T:
        """Call a function in the first process; return its result, or raise its error, in all."""
        return function()

    def everywhere(self, function: Callable[[], T]) -> T:
        """Call a function in each process; return its result there, or raise one error in all."""
        return function()

    def own(self, items: Sequence[T], costs: Sequence[int]) -> list[T]:
        """Return the items that this process computes, in their order; costs are made even."""
        return list(items)

    def dealt(
        self, compute: Callable[[list[T]], list[R]], items: Sequence[T], costs: Sequence[int]
    ) -> list[R]:
        """Compute a result for each item, each in one of the processes, known to all afterwards.

        Args:
            compute: Returns the results of some items; what it raises is raised in all processes.
            items: Equal in all processes.
            costs: What each is expected to take, in any unit.
        """
        return compute(list(items))

    def summed(self, figures: dict[str, float]) -> dict[str, float]:
        """Return the sums of figures over all processes; what one has not counts 0."""
        return figures


ALONE = Processes()
