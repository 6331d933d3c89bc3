"""How often tools are called, and whether their schemas stay the same."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from actwise.conversation import tool_name, tool_parameters
from actwise.findings.finding import Case, Finding, Tally, canonical_json, digest

_MANY_VERSIONS = 1000
"""Versions told apart per tool; more say nothing more, and would take memory."""
_WORDS = {"description", "title", "examples", "$comment"}


@dataclass
class _Versions:
    """The schemas seen under one name."""

    first: str
    """Its shape as JSON: logs with a tool of its own in every record hold many."""
    first_place: str
    digests: set[int]
    change: str = ""
    """Where the second one was seen, and in what it differs from the first."""


class Seen(NamedTuple):
    """The tools of one conversation."""

    place: str
    shapes: list[tuple[str, str]]
    """Name and schema without its words of each tool on offer."""
    called: list[str]


class Tools:
    """The tools on offer and their calls."""

    def __init__(self, max_examples: int) -> None:
        self.calls: Counter[str] = Counter()
        """Recorded calls of every declared tool."""
        self._max_examples = max_examples
        self._versions: dict[str, _Versions] = {}

    def look(self, case: Case) -> Seen:
        """See `Family.look`."""
        tools, messages = case.conversation.tools, case.conversation.messages
        shapes = [(tool_name(t), _shape_text(json.dumps(tool_parameters(t)))) for t in tools]
        return Seen(case.place, shapes, [c.name for m in messages for c in m.tool_calls])

    def note(self, seen: Seen) -> None:
        """Count the calls and compare the schemas."""
        for name, shape in seen.shapes:
            self.calls.setdefault(name, 0)
            self._add_schema(name, shape, seen.place)
        self.calls.update(seen.called)

    def _add_schema(self, name: str, shape: str, place: str) -> None:
        key = digest(shape)
        known = self._versions.get(name)
        if known is None:
            self._versions[name] = _Versions(shape, place, {key})
        elif key not in known.digests and len(known.digests) < _MANY_VERSIONS:
            if not known.change:
                change = _change(json.loads(known.first), json.loads(shape))
                known.change = f"{place}: {name!r} differs from {known.first_place} in {change}"
            known.digests.add(key)

    def findings(self) -> Iterator[Finding]:
        """Yield tools whose schema changes, and tools that are never called."""
        drift = Tally(self._max_examples)
        for versions in self._versions.values():
            if versions.change:
                drift.add(f"{versions.change} ({len(versions.digests)} schemas in all)")
        yield from drift.finding(
            "note",
            "schema_drift",
            "tool(s) whose arguments are declared differently in different conversations",
            effect="Calls follow the schema beside them; old ones teach arguments that the tool "
            "served tomorrow may not have.",
            remedy="If these are versions of one tool, leave out conversations with outdated ones.",
        )
        idle = Tally(self._max_examples)
        for name, count in self.calls.items():
            if count == 0:
                idle.add(f"{self._versions[name].first_place}: {name!r}")
        yield from idle.finding(
            "note",
            "tool_never_called",
            "declared tool(s) never called",
            effect="Nothing shows the model when to call them; it learns not to.",
            remedy="Add conversations that need them; tools that are there to distract may stay.",
        )


@lru_cache(maxsize=4096)
def _shape_text(schema: str) -> str:
    return canonical_json(_shape(json.loads(schema)))


def _shape(schema: Any) -> Any:
    """Return a schema without its words, which may be improved at any time."""
    if isinstance(schema, list):
        return [_shape(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shape: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, dict):
            # Its keys are names of arguments, of which one may be called "description".
            shape[key] = {name: _shape(item) for name, item in value.items()}
        elif key == "required" and isinstance(value, list):
            shape[key] = sorted(value)
        elif key not in _WORDS:
            shape[key] = _shape(value)
    return shape


def _change(old: dict[str, Any], new: dict[str, Any]) -> str:
    before, after = (schema.get("properties", {}) for schema in (old, new))
    names = [
        name
        for name in dict.fromkeys([*before, *after])
        if canonical_json(before.get(name, "absent")) != canonical_json(after.get(name, "absent"))
    ]
    if names:
        return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return "what is required" if old.get("required") != new.get("required") else "its options"
