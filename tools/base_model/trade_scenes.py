"""What one conversation of a trade is about: its records, its policy, and what follows from it."""

import random
from dataclasses import dataclass, replace
from typing import Any

from actwise.conversation import Tool
from tools.base_model.exercises import (
    MONTHS,
    compare,
    difference,
    digits,
    identifier,
    pseudo_word,
    total,
)
from tools.base_model.invented_tools import invent_tool
from tools.base_model.trades import TRADES, Trade


@dataclass(frozen=True)
class Scene:
    """What one conversation draws: names, limits, today's date and the records."""

    trade: Trade
    look: str
    listing: str
    act: str
    id_name: str
    person_id: str
    month: int
    today: int
    iso: bool
    days: int | None
    times: int | None
    fee: int | None
    numbered: bool
    """Whether ids are whole numbers."""
    records: tuple[dict[str, Any], ...]

    def date(self, day: int) -> str:
        """Return a day of this month in the style of the conversation."""
        return f"2025-{self.month:02d}-{day:02d}" if self.iso else f"{MONTHS[self.month - 1]} {day}"


def draw_scene(rng: random.Random) -> Scene:
    """Draw a trade, its limits and up to four records."""
    trade = rng.choice(TRADES)
    month, iso, today = rng.randint(1, 12), rng.random() < 0.3, rng.randint(4, 27)
    days = rng.choice([2, 3, 5, 7, 10, 14, 20]) if rng.random() < 0.75 else None
    times = rng.randint(1, 5) if days is None or rng.random() < 0.4 else None
    scene = Scene(
        trade,
        rng.choice(trade.look),
        rng.choice(trade.listing),
        rng.choice(trade.act),
        rng.choice([f"{trade.thing}_id", "id", "number", f"{trade.thing}_number"]),
        rng.choice([f"{trade.person}_id", f"{trade.person}_number", "card"]),
        month,
        today,
        iso,
        days,
        times,
        rng.randint(2, 30) if rng.random() < 0.6 else None,
        rng.random() < 0.5,
        (),
    )
    items = rng.sample(trade.items, 4)
    if rng.random() < 0.5:
        items = [pseudo_word(rng).capitalize() for _ in items]
    records = tuple(_record(rng, scene, item) for item in items[: rng.randint(1, 4)])
    return replace(scene, records=records)


def _record(rng: random.Random, scene: Scene, item: str) -> dict[str, Any]:
    trade = scene.trade
    gap = rng.randint(0, (scene.today - 1) if trade.past else (30 - scene.today))
    if scene.days is not None and rng.random() < 0.5:
        near = scene.days + rng.randint(-2, 2)
        gap = max(0, min(near, scene.today - 1 if trade.past else 30 - scene.today))
    fields: dict[str, Any] = {
        "name": item,
        trade.date[0]: scene.date(scene.today + (-gap if trade.past else gap)),
        trade.counter[0]: rng.randint(0, 5),
        trade.money: rng.randint(31, 120),
    }
    names = list(fields)
    rng.shuffle(names)
    return {scene.id_name: _thing_id(rng, scene)} | {name: fields[name] for name in names}


def _thing_id(rng: random.Random, scene: Scene) -> str | int:
    if scene.numbered:
        return int(f"{rng.randint(1, 9)}{digits(rng, 3, 4)}")
    trade = scene.trade
    shapes = [
        f"{trade.thing[0].upper()}{digits(rng, 3, 5)}",
        f"{trade.thing[:2].upper()}-{digits(rng, 3, 5)}",
    ]
    return rng.choice([*shapes, digits(rng, 4, 6), identifier(rng)])


def policy_text(rng: random.Random, scene: Scene) -> str:
    """Return the system prompt: who one is, today's date, and the rules."""
    t = scene.trade
    n, thing, when = scene.days, t.thing, t.date[1]
    verb = t.verb.capitalize()
    rules = []
    if n is not None and t.past:
        forms = [
            f"A {thing} can be {t.done} at most {n} days after {when}.",
            f"{verb} a {thing} only within {n} days after {when}.",
            f"More than {n} days after {when} no {thing} is {t.done}.",
        ]
        rules.append(rng.choice(forms))
    elif n is not None:
        forms = [
            f"A {thing} can be {t.done} until {n} days before {when}.",
            f"{verb} a {thing} only at least {n} days before {when}.",
            f"Less than {n} days before {when} no {thing} is {t.done}.",
        ]
        rules.append(rng.choice(forms))
    if scene.times is not None:
        rules.append(
            rng.choice(
                [
                    f"With {scene.times} {t.counter[0]} or more it is not {t.done}.",
                    f"It is only {t.done} with fewer than {scene.times} {t.counter[0]}.",
                ]
            )
        )
    if scene.fee is not None:
        rules.append(
            rng.choice(
                [
                    f"The {t.fee} is {scene.fee}.",
                    f"We {'keep' if t.returns else 'add'} a {t.fee} of {scene.fee}.",
                ]
            )
        )
    rng.shuffle(rules)
    opening = rng.choice(
        [
            f"You help {t.person}s of the {t.place}.",
            f"You work for a {t.place}.",
            f"You are the assistant of the {t.place} {pseudo_word(rng).capitalize()}.",
        ]
    )
    today = rng.choice(["Today is {}.", "It is {}.", "Date: {}."]).format(scene.date(scene.today))
    parts = [opening, today, *rules] if rng.random() < 0.6 else [opening, *rules, today]
    return rng.choice([" ", "\n"]).join(parts)


def tools_of(rng: random.Random, scene: Scene) -> tuple[Tool, ...]:
    """Return the three tools of the trade, and sometimes one or two that do not belong."""
    t = scene.trade
    thing = t.thing
    look = rng.choice([f"Show one {thing}", f"Look up a {thing} by its number"])
    kind = "integer" if scene.numbered else "string"
    shown = [
        (scene.look, look, scene.id_name, kind),
        (scene.act, f"{t.verb.capitalize()} a {thing}", scene.id_name, kind),
        (scene.listing, f"All {thing}s of a {t.person}", scene.person_id, "string"),
    ]
    tools: list[Tool] = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": text,
                "parameters": {
                    "type": "object",
                    "properties": {argument: {"type": type_}},
                    "required": [argument],
                },
            },
        }
        for name, text, argument, type_ in shown
    ]
    tools += [invent_tool(rng).schema() for _ in range(rng.choice([0, 0, 1, 2]))]
    rng.shuffle(tools)
    return tuple(tools)


# What the assistant concludes


@dataclass(frozen=True)
class Verdict:
    """Whether the policy allows the action, the thought that shows it, and why not."""

    allowed: bool
    thought: str
    reason: str


def judge(scene: Scene, record: dict[str, Any]) -> Verdict:
    """Apply the policy of a scene to a record."""
    t = scene.trade
    steps = []
    if scene.days is not None:
        day = int(record[t.date[0]].replace("-", " ").split()[-1])
        gap = abs(scene.today - day)
        steps.append(f"Today {scene.date(scene.today)}, {t.date[0]} {record[t.date[0]]}. ")
        steps.append(difference(max(scene.today, day), min(scene.today, day)) + " days. ")
        steps.append(f"{compare(gap, scene.days)}: ")
        if gap > scene.days if t.past else gap < scene.days:
            word_ = "too late" if t.past else "too near"
            reason = f"it is {gap} days and the limit is {scene.days}"
            return Verdict(False, "".join(steps) + f"{word_}. I refuse.", reason)
        steps.append("fine. ")
    if scene.times is not None:
        count = record[t.counter[0]]
        steps.append(f"{t.counter[0]} {count}. {compare(count, scene.times)}: ")
        if count >= scene.times:
            reason = f"it has {count} {t.counter[0]} and the limit is {scene.times}"
            return Verdict(False, "".join(steps) + "too many. I refuse.", reason)
        steps.append("fine. ")
    return Verdict(True, "".join(steps) + f"I call {scene.act}.", "")


def amount(scene: Scene, record: dict[str, Any]) -> tuple[str, int]:
    """Return the sum that settles a record and its result."""
    money, fee = record[scene.trade.money], scene.fee
    if fee is None:
        return f"{scene.trade.money} {money}", money
    if scene.trade.returns:
        return difference(money, fee), money - fee
    return total(money, fee), money + fee
