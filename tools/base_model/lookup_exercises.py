"""Exercises in looking things up: by number or by name, one or two at once, never a second time.

Schemas are as bare as they often are, a name and a type. Needs neither torch nor transformers.
"""

import json
import random
from typing import Any

from actwise.conversation import Message, Tool, ToolCall
from tools.base_model.exercises import (
    Exercise,
    compare,
    difference,
    digits,
    pseudo_word,
    total,
    user,
    word,
    words,
)
from tools.base_model.invented_tools import NOUNS, invent_tool

_NAMES = words("get_{} find_{} show_{} check_{} fetch_{} read_{} {}_details {}_info {}_data see_{}")
_DESCRIPTIONS = ("Look up a {}", "Show a {}", "Get a {}", "Find one {}", "Details of a {}")
_NUMBER_ARGS = words("{}_id {} {}_number id number {}_no")
_NAME_ARGS = words("{}_name {} name title")
_SUMS = words("price weight length age points distance fee volume")
_TEXTS = words("status colour owner place material shape label")
_NOT_OURS = {"room"}
"""Nouns of the desk."""


class _Register:
    """Things of one kind, and the tool that looks them up."""

    def __init__(self, rng: random.Random, noun: str, *, numbered: bool) -> None:
        self.noun, self.numbered = noun, numbered
        self.argument = rng.choice(_NUMBER_ARGS if numbered else _NAME_ARGS).format(noun)
        self.tool = rng.choice(_NAMES).format(noun)
        self.description = rng.choice(_DESCRIPTIONS).format(noun)
        self.described = rng.random() < 0.3
        as_text = not numbered or rng.random() < 0.3
        self.type = "string" if as_text else "integer"
        self.sums = rng.sample(_SUMS, 2)
        self.texts = rng.sample(_TEXTS, 1)

    def schema(self) -> Tool:
        """Return the tool in OpenAI's shape."""
        argument = {"type": self.type}
        if self.described:
            argument["description"] = f"The {self.argument.replace('_', ' ')}"
        parameters = {
            "type": "object",
            "properties": {self.argument: argument},
            "required": [self.argument],
        }
        function = {
            "name": self.tool,
            "description": self.description,
            "parameters": parameters,
        }
        return {"type": "function", "function": function}

    def thing(self, rng: random.Random) -> str:
        """Return what a customer calls one of them."""
        if self.numbered:
            return digits(rng, 3, 5)
        return word(rng).lower() if rng.random() < 0.6 else pseudo_word(rng)

    def call(self, thing: str) -> ToolCall:
        """Return the call that looks it up."""
        value = int(thing) if self.type == "integer" else thing
        return ToolCall(name=self.tool, arguments={self.argument: value})

    def row(self, rng: random.Random) -> dict[str, Any]:
        """Return what the tool knows of one."""
        row: dict[str, Any] = {name: rng.randint(2, 120) for name in self.sums}
        row |= {name: word(rng).lower() for name in self.texts}
        names = list(row)
        rng.shuffle(names)
        return {name: row[name] for name in names}

    def said(self, thing: str) -> str:
        """Return it as one says it."""
        return f"{self.noun} {thing}" if self.numbered else f"the {thing}"


class _Talk:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        one, two = rng.sample([n for n in NOUNS if n not in _NOT_OURS], 2)
        self.registers = [
            _Register(rng, one, numbered=True),
            _Register(rng, two, numbered=rng.random() < 0.2),
        ]
        others = [invent_tool(rng).schema() for _ in range(rng.choice([0, 1, 2]))]
        tools = [*(register.schema() for register in self.registers), *others]
        rng.shuffle(tools)
        self.tools = tuple({t["function"]["name"]: t for t in tools}.values())
        self.messages: list[Message] = []
        self.known: dict[tuple[str, str], dict[str, Any]] = {}

    def says(self, *forms: str, **facts: str) -> None:
        text = self.rng.choice(forms).format(**facts)
        self.messages.append(user(text[0].upper() + text[1:] if self.rng.random() < 0.8 else text))

    def answers(self, thought: str, answer: str) -> None:
        self.messages.append(Message(role="assistant", content=answer, reasoning_content=thought))

    def look_up(self, register: _Register, things: list[str]) -> list[dict[str, Any]]:
        """Look up what is not known, all at once; return the rows of all."""
        new = [thing for thing in things if (register.noun, thing) not in self.known]
        if new:
            named = " and ".join(register.said(thing) for thing in new)
            thought = self.rng.choice((f"Look up {named}.", f"I call {register.tool}: {named}."))
            calls = tuple(register.call(thing) for thing in new)
            self.messages.append(
                Message(role="assistant", tool_calls=calls, reasoning_content=thought)
            )
            for thing in new:
                self.known[register.noun, thing] = row = register.row(self.rng)
                self.messages.append(Message(role="tool", content=json.dumps(row)))
        return [self.known[register.noun, thing] for thing in things]

    def field(self) -> None:
        """Ask for one or two fields of one thing, perhaps of one that is known."""
        register = self.rng.choice(self.registers)
        known = [thing for noun, thing in self.known if noun == register.noun]
        thing = known[0] if known and self.rng.random() < 0.5 else register.thing(self.rng)
        names = self.rng.sample([*register.sums, *register.texts], self.rng.choice((1, 1, 2)))
        self.says(
            "which {names} has {thing}?",
            "I need the {names} of {thing}.",
            "{thing}: {names}?",
            "about {thing}, say what the {names} is",
            "could you check the {names} of {thing} for me",
            names=" and ".join(names),
            thing=register.said(thing),
        )
        (row,) = self.look_up(register, [thing])
        told = ", ".join(f"{name} {row[name]}" for name in names)
        is_ = " and the ".join(f"{name} is {row[name]}" for name in names)
        self.answers(f"It has {told}.", f"The {is_}.")

    def two(self) -> None:
        """Ask for the sum of a field of two things, or which has less."""
        register, rng = self.rng.choice(self.registers), self.rng
        one, other = register.thing(rng), register.thing(rng)
        if one == other:
            return self.field()
        name, adding = rng.choice(register.sums), rng.random() < 0.5
        forms = (
            ("{name} of {one} plus {other}?", "sum up the {name} of {one} and {other}, please")
            if adding
            else ("who has less {name}, {one} or {other}?", "{one} or {other}: less {name}?")
        )
        said = register.said
        self.says(*forms, name=name, one=said(one), other=said(other))
        a, b = (row[name] for row in self.look_up(register, [one, other]))
        if adding:
            return self.answers(f"{total(a, b)}.", f"The {name} is {a + b} for both.")
        thought = f"{one} {a}, {other} {b}: {compare(a, b)}."
        if a == b:
            return self.answers(thought, f"The {name} of both is {a}.")
        less = one if a < b else other
        thought = f"{thought} {less}. {difference(max(a, b), min(a, b))}."
        return self.answers(thought, f"{said(less).capitalize()} has {abs(a - b)} less.")

    def without(self) -> None:
        """Ask about a numbered thing without its number."""
        register, rng = self.registers[0], self.rng
        name = rng.choice(register.sums)
        self.says(
            "the {name} of my {noun}?",
            "I would like to know about the {name} of a {noun}",
            "can you see my {noun}? It is about its {name}.",
            name=name,
            noun=register.noun,
        )
        self.answers(
            f"The number of the {register.noun} is missing.",
            f"What is the number of the {register.noun}?",
        )
        thing = register.thing(rng)
        self.says("{thing}", "it is {thing}", "number {thing}", thing=thing)
        (row,) = self.look_up(register, [thing])
        self.answers(f"It has {name} {row[name]}.", f"The {name} is {row[name]}.")


def look_things_up(rng: random.Random) -> Exercise:
    """Return a conversation about one or two requests, cut after one of the assistant's turns."""
    talk = _Talk(rng)
    for request in rng.choices(
        [talk.field, talk.two, talk.without], [6, 3, 2], k=rng.choice((1, 2, 2))
    ):
        request()
    last = rng.choice([i for i, m in enumerate(talk.messages) if m.role == "assistant"])
    thinking = rng.random() < 0.5
    messages = [
        m if thinking and i == last else m.model_copy(update={"reasoning_content": None})
        for i, m in enumerate(talk.messages[: last + 1])
    ]
    return Exercise(tuple(messages), thinking, talk.tools, prompt_weight=0.1)
