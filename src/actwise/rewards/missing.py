"""Verdicts that a source of rewards did not give: said at once, and too many stop the run."""

import sys
from collections import deque

from actwise.errors import RunError
from actwise.rewards.judge import NoVerdict

_RECENT = 50
_IN_A_ROW = 10
"""So many missing verdicts, one after another, stop the run whatever came before."""


class Missing:
    """The account of one source."""

    def __init__(self, source: str, limit: float) -> None:
        """Begin to count.

        Args:
            source: What a person calls it.
            limit: Share of the latest questions that may be without a verdict, in [0, 1].
        """
        self._source = source
        self._limit = limit
        self._recent: deque[bool] = deque(maxlen=_RECENT)
        self._asked = self._missing = self._row = 0

    def add(self, verdict: object) -> None:
        """Count what came of a question.

        Raises:
            RunError: Too many of the latest ones have no verdict.
        """
        self._asked += 1
        self._recent.append(isinstance(verdict, NoVerdict))
        if not isinstance(verdict, NoVerdict):
            self._row = 0
            return
        self._missing += 1
        if self._missing in (1, 10, 100, 1000, 10_000):
            print(
                f"actwise: {self._source}: no verdict for {self._missing} of {self._asked} "
                f"questions: {verdict.reason}",
                file=sys.stderr,
                flush=True,
            )
        self._row += 1
        share = sum(self._recent) / _RECENT
        if share > self._limit or (self._row >= _IN_A_ROW and self._limit < 1):
            raise RunError(
                f"{self._source}: no verdict for {sum(self._recent)} of the last "
                f"{len(self._recent)} questions, the last time: {verdict.reason}; mend that and "
                "run the same command again (max_missing of the endpoint says how many may be)"
            )
