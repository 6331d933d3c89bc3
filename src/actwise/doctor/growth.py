"""Conversations in several records: those that grow from one to the next, and retries."""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actwise.data.fingerprint import SPECIFIC, prompt_of, turns_of
from actwise.data.grown import joins
from actwise.findings.finding import Case, Finding, Tally, digest

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class Turns(NamedTuple):
    """The turns of one conversation."""

    after: list[int]
    """Fingerprint of each, and of all before it."""
    specific: list[bool]
    """Whether enough was said before it to know the conversation again."""
    opening: int
    """Fingerprint of what was said before the first such turn; 0 if there is none."""
    group: int
    prompt: int
    """Fingerprint of its system prompt."""

    @classmethod
    def of(cls, case: Case) -> "Turns":
        """Take those of a conversation."""
        turns = turns_of(case.conversation)
        opening = next((turn.before for turn in turns if turn.words >= SPECIFIC), 0)
        group = case.conversation.group
        return cls(
            [turn.after for turn in turns],
            [turn.words >= SPECIFIC for turn in turns],
            opening,
            digest(group) if group is not None else 0,
            prompt_of(case.conversation),
        )


class Growth:
    """The turns of all conversations by their fingerprints; 13 bytes a turn are kept."""

    def __init__(self, max_examples: int) -> None:
        self._max_examples = max_examples
        self._after = array("Q")
        self._owners = array("I")
        self._specific = bytearray()
        self._openings = array("Q")
        self._groups = array("Q")
        self._prompts = array("Q")
        self._count = 0

    def note(self, turns: Turns) -> None:
        """Note a conversation; held-out ones come first."""
        self._after.extend(turns.after)
        self._owners.extend([self._count] * len(turns.after))
        self._specific.extend(turns.specific)
        self._openings.append(turns.opening)
        self._groups.append(turns.group)
        self._prompts.append(turns.prompt)
        self._count += 1

    def beginnings(self, held_out: int) -> Ints:
        """Return for each conversation the longer one that it is the beginning of, or -1.

        Args:
            held_out: How many conversations, the first ones, are on another side; conversations
                are compared with those on their own.
        """
        after, owners = self._turns()
        prompts = np.array(self._prompts, dtype=np.uint64)
        found = np.full(self._count, -1, dtype=np.int64)
        for side in (owners < held_out, owners >= held_out):
            of_side = owners[side]
            for ends, holders in joins(after[side], of_side, prompts):
                found[of_side[ends]] = of_side[holders[0]]
        return found

    def leaks(self, held_out: int) -> tuple[Ints, Ints]:
        """Return for each conversation the first held-out one that it is a record of, or -1.

        Returns:
            Those of which one is the beginning of the other, and those that open alike.
        """
        after, owners = self._turns()
        specific = np.frombuffer(self._specific, dtype=np.bool_)
        last = _is_last(owners)
        ours = owners >= held_out
        grown = np.full(self._count, -1, dtype=np.int64)
        # The end of one occurs in the other.
        for some, others in ((specific & last, specific), (specific, specific & last)):
            _note(grown, after, owners, some & ~ours, others & ours)
        alike = np.full(self._count, -1, dtype=np.int64)
        openings = np.array(self._openings, dtype=np.uint64)
        of, known = np.arange(self._count), openings != 0
        _note(alike, openings, of, known & (of < held_out), known & (of >= held_out))
        return grown, alike

    def findings(self, places: list[str], held_out: int, copies: Ints) -> Iterator[Finding]:
        """Yield what is logged several times.

        Args:
            places: Where each conversation was read.
            held_out: How many of them, the first ones, are held out.
            copies: For each of them an equal one before it, or -1; those are told of elsewhere.
        """
        beginnings = self.beginnings(held_out)
        growing, leaked = Tally(self._max_examples), Tally(self._max_examples)
        for index in range(held_out, self._count):
            if beginnings[index] >= 0:
                growing.add(f"{places[index]}: the beginning of {places[beginnings[index]]}")
        alike = Tally(self._max_examples)
        for index, (one, other) in enumerate(zip(*self.leaks(held_out), strict=True)):
            if 0 <= copies[index] < held_out:
                continue
            if one >= 0:
                leaked.add(f"{places[index]}: another record of {places[one]}")
            elif other >= 0:
                alike.add(f"{places[index]}: opens like {places[other]}")
        yield from leaked.finding(
            "error",
            "leaked_beginning",
            "conversation(s) that are another record of a held-out one, logged at an earlier or "
            "later request, or with another system prompt",
            effect="What was trained on is measured; the figures flatter.",
            remedy="Move all records of a conversation to one side; `actwise run` does so by "
            "itself where it gets all of them as one log.",
        )
        yield from alike.finding(
            "warning",
            "held_out_opening",
            "conversation(s) that open with the same words as a held-out one",
            effect="Another try at the same request is half of the answer.",
            remedy="Move all tries at a request to one side.",
        )
        left = self._count - held_out - growing.count
        yield from growing.finding(
            "warning",
            "growing_record",
            "record(s) that are the beginning of a longer one, as logs of requests hold a "
            f"conversation once for each request; there are {left} conversations",
            effect="As they stand, early turns are learned many times over.",
            remedy="Nothing has to be done: `actwise run` and `--fix` take each conversation once, "
            "with all its turns.",
        )
        yield from self._retries(places, held_out, (beginnings >= 0) | (copies >= 0))

    def _retries(self, places: list[str], held_out: int, told: Bools) -> Iterator[Finding]:
        first: dict[int, int] = {}
        retries = Tally(self._max_examples)
        for index in range(held_out, self._count):
            opening = self._openings[index]
            if opening == 0 or told[index]:
                continue
            known = first.setdefault(opening, index)
            if known != index and not 0 < self._groups[index] == self._groups[known]:
                retries.add(f"{places[index]}: opens like {places[known]}")
        yield from retries.finding(
            "note",
            "same_opening",
            "conversation(s) that open with the same words as an earlier one",
            effect="Two tries at one request are no two requests; `actwise run` keeps them on one "
            "side of its split, unless so many open alike that it is how requests begin.",
            remedy="Keep the try that went right, if only one did.",
        )

    def _turns(self) -> tuple[npt.NDArray[np.uint64], Ints]:
        return np.array(self._after, dtype=np.uint64), np.array(self._owners, dtype=np.int64)


def _note(
    found: Ints, keys: npt.NDArray[np.uint64], owners: Ints, held_out: Bools, ours: Bools
) -> None:
    """Note for the owners of our keys the first held-out owner of the same key."""
    pairs = zip(keys[held_out][::-1].tolist(), owners[held_out][::-1].tolist(), strict=True)
    first = dict(pairs)
    for key, owner in zip(keys[ours].tolist(), owners[ours].tolist(), strict=True):
        if key in first and found[owner] < 0:
            found[owner] = first[key]


def _is_last(owners: Ints) -> Bools:
    """Return which turns are the last of their conversations."""
    last = np.ones(len(owners), dtype=np.bool_)
    last[:-1] = owners[1:] != owners[:-1]
    return last
