"""Equal contexts with different recorded actions."""

from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from actwise.conversation import Decision
from actwise.findings.finding import Case, Finding, Tally, canonical_json, digest


class Acts(NamedTuple):
    """The decisions of one conversation."""

    place: str
    contexts: list[int]
    """Digest of what comes before each."""
    actions: list[int]
    indices: list[int]


class Conflicts:
    """Decisions whose context occurs again with another action.

    Answers in different words are no conflict, nor are case and spaces in arguments. Kept per
    decision: 24 bytes.
    """

    def __init__(self, max_examples: int) -> None:
        self._max_examples = max_examples
        self._places: list[str] = []
        self._contexts = array("Q")
        self._actions = array("Q")
        self._conversations = array("I")
        self._indices = array("I")

    def look(self, case: Case) -> Acts:
        """See `Family.look`."""
        acts = Acts(case.place, [], [], [])
        hasher = blake2b(case.tools_line.encode(), digest_size=8)
        read = 0
        for decision in case.conversation.decisions():
            for line in case.lines[read : decision.index]:
                hasher.update(line.encode() + b"\n")
            read = decision.index
            acts.contexts.append(int.from_bytes(hasher.digest()))
            acts.actions.append(digest(_action(decision)))
            acts.indices.append(decision.index)
        return acts

    def note(self, seen: Acts) -> None:
        """Keep the digests of contexts and actions."""
        self._contexts.extend(seen.contexts)
        self._actions.extend(seen.actions)
        self._indices.extend(seen.indices)
        self._conversations.extend([len(self._places)] * len(seen.contexts))
        self._places.append(seen.place)

    def findings(self) -> Iterator[Finding]:
        """Yield the conflicts; a context counts once for each action beyond its first."""
        contexts, actions = np.array(self._contexts), np.array(self._actions)
        if not len(contexts):
            return
        order = np.argsort(contexts, kind="stable")
        starts = np.flatnonzero(np.diff(contexts[order], prepend=contexts[order][0] ^ 1))
        pairs: list[tuple[int, int]] = []
        for start, end in zip(starts, [*starts[1:], len(order)], strict=True):
            if end - start == 1:
                continue
            members = order[start:end]
            _, first_of_each = np.unique(actions[members], return_index=True)
            first, *others = members[np.sort(first_of_each)]
            pairs += [(int(other), int(first)) for other in others]
        conflicts = Tally(self._max_examples)
        for other, first in sorted(pairs):
            conflicts.add(f"{self._at(other)} acts otherwise than {self._at(first)}")
        yield from conflicts.finding(
            "warning",
            "conflicting_action",
            "time(s) that a context occurs again with another recorded action",
            effect="No model can do both; training pulls it to and fro, and the figure has a lid.",
            remedy="Keep the action you want to see; if both are right, leave them and expect less "
            "than 100 %.",
        )

    def _at(self, decision: int) -> str:
        place = self._places[self._conversations[decision]]
        return f"{place}: messages[{self._indices[decision]}]"


def _action(decision: Decision) -> str:
    calls = (f"{c.name} {canonical_json(_even(c.arguments))}" for c in decision.gold.tool_calls)
    return "\n".join(sorted(calls))


def _even(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.lower().split())
    if isinstance(value, dict):
        return {key: _even(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_even(item) for item in value]
    return value
