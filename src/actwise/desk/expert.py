"""What the expert does, and the language in which it thinks.

A thought writes every calculation out: `27 - 12 = 15`, `44 + 9 = 53`, `15 > 14`, `9 < 12`,
`14 = 14`. What is right in a domain stands in the domain's own file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

ActKind = Literal["lookup", "ask", "refuse", "act", "inform"]


@dataclass(frozen=True)
class Call:
    """A tool and its arguments under the keys of the business, not the names of a world."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Act:
    """One decision of the expert: calls, or an answer to the customer."""

    kind: ActKind
    thought: str
    answer: str = ""
    calls: tuple[Call, ...] = ()
    done: str = ""
    """What the customer is told after the calls; slots are fields of the last call's result."""
    reasoning: bool = False
    """Whether the decision takes arithmetic, a comparison or a rule applied to a tool's result."""


def minus(a: int, b: int) -> str:
    """Write a difference out."""
    return f"{a} - {b} = {a - b}"


def plus(a: int, b: int) -> str:
    """Write a sum out."""
    return f"{a} + {b} = {a + b}"


def compare(a: int, b: int) -> str:
    """Write down how two numbers stand to each other."""
    return f"{a} {'>' if a > b else '<' if a < b else '='} {b}"


def day(date: str) -> int:
    """Return the day of a date such as "June 12"."""
    return int(date.split()[1])


def look_up(subject: str, *calls: Call) -> Act:
    """Return the act of looking things up, all at once."""
    return Act("lookup", f"It is about {subject}.", calls=calls)


def _apart(a: int, b: int) -> str:
    return f"{compare(a, b)}. {minus(max(a, b), min(a, b))}."


def cheaper(names: Sequence[str], prices: Sequence[int]) -> Act:
    """Return the answer to which of two things is cheaper; their prices differ."""
    (first, second), (a, b) = names, prices
    name, price = (first, a) if a < b else (second, b)
    return Act(
        "inform",
        f"Which is cheaper? {first} {a}, {second} {b}: {_apart(a, b)}",
        answer=f"The {name} is cheaper: {price} dollars, {abs(a - b)} less.",
        reasoning=True,
    )


def together(what: str, amounts: Sequence[int]) -> Act:
    """Return the answer to what two things cost (or owe) together; `what` includes the verb."""
    a, b = amounts
    return Act(
        "inform",
        f"Together? {plus(a, b)}.",
        answer=f"{what} {a + b} dollars together.",
        reasoning=True,
    )


def apart(amounts: Sequence[int]) -> Act:
    """Return the answer to how far apart two amounts are."""
    a, b = amounts
    difference = "1 dollar" if abs(a - b) == 1 else f"{abs(a - b)} dollars"
    return Act(
        "inform",
        f"How far apart? {_apart(a, b)}",
        answer=f"The difference is {difference}.",
        reasoning=True,
    )


def with_extra(name: str, price: int, extra_name: str, extra: int) -> Act:
    """Return the answer to what something costs together with an extra."""
    return Act(
        "inform",
        f"Price {price}, {extra_name} {extra}: {plus(price, extra)}.",
        answer=f"The {name} costs {price + extra} dollars with {extra_name}.",
        reasoning=True,
    )
