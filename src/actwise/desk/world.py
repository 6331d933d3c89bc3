"""A business in a SQLite database: its rows, its tools, its policy.

A tool is a few SQL statements; what a tool message records is the row that the last of them
returned. Tools do what they are told: keeping to the policy is the assistant's task.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, Literal, TypeVar

from actwise.conversation import Tool, ToolCall

T = TypeVar("T")
Row = dict[str, Any]

MONTHS = ("March", "May", "June", "August", "October")
NUMBERS = range(1000, 9000)
"""Of orders, bookings, accounts."""


@dataclass(frozen=True)
class Choice(Generic[T]):
    """What one conversation draws from: one pool for training, one kept for `shifted` alone."""

    train: tuple[T, ...]
    shifted: tuple[T, ...]

    def pool(self, shifted: bool) -> tuple[T, ...]:
        """Return the pool of one side."""
        return self.shifted if shifted else self.train


@dataclass(frozen=True)
class Parameter:
    """One argument of the tools of a business; within one world it has one name."""

    names: Choice[str]
    type: Literal["integer", "string"]


@dataclass(frozen=True)
class ToolSpec:
    """One tool: how it is shown, and the SQL that it runs."""

    names: Choice[str]
    description: str
    parameters: tuple[str, ...]
    """Keys in `Business.parameters`; the SQL names them `:key`."""
    sql: tuple[str, ...]
    """Run in order; the last one selects the row that is the result."""


@dataclass(frozen=True)
class Business:
    """What all worlds of one kind have in common."""

    name: str
    schema: str
    fill: "Callable[[World, Random], None]"
    """Writes the rows; both outcomes of every rule must be about equally likely in them."""
    days: tuple[int, int]
    """Earliest and latest day of the month that can be today."""
    values: Mapping[str, Choice[int]]
    """The numbers of the policy."""
    policy: tuple[Choice[str], ...]
    """The opening, with a slot for `{today}`; then rules, with one slot for each value in all."""
    parameters: Mapping[str, Parameter]
    lookups: Mapping[str, ToolSpec]
    """Tools on offer in every world."""
    acts: Mapping[str, ToolSpec]
    """Tools that change something; a world offers one or two of them."""


class World:
    """One business on one day, with names, policy values and rows drawn from `rng`."""

    def __init__(self, business: Business, rng: Random, *, shifted: bool) -> None:
        self.business = business
        self.shifted = shifted
        self.month = rng.choice(MONTHS)
        self.today = rng.randint(*business.days)
        self.values = {
            key: rng.choice(choice.pool(shifted)) for key, choice in business.values.items()
        }
        opening, *rules = (rng.choice(choice.pool(shifted)) for choice in business.policy)
        rng.shuffle(rules)
        self.policy = " ".join([opening, *rules]).format(today=self.date(self.today), **self.values)
        self.names = {
            key: rng.choice(parameter.names.pool(shifted))
            for key, parameter in business.parameters.items()
        }
        acts = rng.sample(sorted(business.acts), rng.choice((1, 2)))
        self._specs = {**business.lookups, **{key: business.acts[key] for key in acts}}
        self._tool_names = {
            key: rng.choice(spec.names.pool(shifted)) for key, spec in self._specs.items()
        }
        self.database = sqlite3.connect(":memory:")
        self.database.executescript(business.schema)
        business.fill(self, rng)

    def close(self) -> None:
        """Give the database back."""
        self.database.close()

    def date(self, day: int) -> str:
        """Return a day of this world's month as its database writes it."""
        return f"{self.month} {day}"

    def offers(self, *keys: str) -> bool:
        """Return whether all of these tools exist in this world."""
        return all(key in self._specs for key in keys)

    def tools(self) -> tuple[Tool, ...]:
        """Return the schemas of the tools, under the names that this world gives them."""
        return tuple(self._schema(key, spec) for key, spec in self._specs.items())

    def purpose(self, key: str) -> str:
        """Return what the tool `key` is for."""
        return f"{self._specs[key].description}."

    def tool_call(self, key: str, arguments: Mapping[str, Any], call_id: str) -> ToolCall:
        """Return a call of the tool `key` under the names that this world gives it."""
        return ToolCall(
            name=self._tool_names[key],
            arguments={self.names[name]: value for name, value in arguments.items()},
            id=call_id,
        )

    def changes(self, call: ToolCall) -> bool:
        """Return whether a call is of a tool that changes something."""
        return any(self._tool_names.get(key) == call.name for key in self.business.acts)

    def run(self, call: ToolCall) -> str:
        """Run a call and return the JSON text of its result; where no row fits, of an error.

        Args:
            call: Named as in `tools()`, with arguments that fit the schema.
        """
        key = next(key for key, name in self._tool_names.items() if name == call.name)
        spec = self._specs[key]
        bound = {name: call.arguments[self.names[name]] for name in spec.parameters}
        *changes, query = spec.sql
        for change in changes:
            self.database.execute(change, bound)
        cursor = self.database.execute(query, bound)
        row = cursor.fetchone()
        if row is None:
            return json.dumps({"error": "not found"})
        columns = [column[0] for column in cursor.description]
        fields = zip(columns, row, strict=True)
        return json.dumps({name: value for name, value in fields if value is not None})

    def _schema(self, key: str, spec: ToolSpec) -> Tool:
        types = {self.names[name]: self.business.parameters[name].type for name in spec.parameters}
        return {
            "type": "function",
            "function": {
                "name": self._tool_names[key],
                "description": spec.description,
                "parameters": {
                    "type": "object",
                    "properties": {name: {"type": kind} for name, kind in types.items()},
                    "required": list(types),
                },
            },
        }
