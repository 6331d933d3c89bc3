"""Short service conversations of trades that the desk does not know, for training the base model.

The thoughts quote the facts, then `a - b = c`, then a comparison, then what follows from it. Needs
neither torch nor transformers.
"""

import json
import random
from typing import Any

from actwise.conversation import Message, ToolCall
from tools.base_model.exercises import Exercise, compare, difference, identifier, total, user, word
from tools.base_model.trade_scenes import amount, draw_scene, judge, policy_text, tools_of
from tools.base_model.trades import TRADES

TOOL_NAMES = frozenset(name for t in TRADES for name in (*t.look, *t.listing, *t.act))
"""Every tool of these trades; the desk has none of them."""


class Talk:
    """Writes one conversation, request after request."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.scene = draw_scene(rng)
        self.tools = tools_of(rng, self.scene)
        self.messages = [Message(role="system", content=policy_text(rng, self.scene))]
        self.known: set[str] = set()

    def says(self, *forms: str, **facts: Any) -> None:
        """Add a user message in one of several wordings."""
        t = self.scene.trade
        text = self.rng.choice(forms).format(thing=t.thing, verb=t.verb, done=t.done, **facts)
        self.messages.append(user(text))

    def answers(self, thought: str, *forms: str) -> None:
        """Add an answer in one of several wordings."""
        answer = self.rng.choice(forms)
        self.messages.append(Message(role="assistant", content=answer, reasoning_content=thought))

    def calls(self, thought: str, calls: tuple[ToolCall, ...], results: list[Any]) -> None:
        """Add calls and what they return."""
        self.messages.append(Message(role="assistant", tool_calls=calls, reasoning_content=thought))
        self.messages += [Message(role="tool", content=json.dumps(r)) for r in results]

    def look_up(self, *records: dict[str, Any]) -> None:
        """Look up records that are not yet known."""
        unknown = [r for r in records if self.id_of(r) not in self.known]
        if unknown:
            named = " and ".join(self.id_of(r) for r in unknown)
            self.calls(
                f"I need {self.scene.trade.thing} {named}. I call {self.scene.look}.",
                tuple(self.call(self.scene.look, r) for r in unknown),
                unknown,
            )
            self.known |= {self.id_of(r) for r in unknown}

    def id_of(self, record: dict[str, Any]) -> str:
        """Return the id of a record."""
        return str(record[self.scene.id_name])

    def call(self, tool: str, record: dict[str, Any]) -> ToolCall:
        """Return a call about a record."""
        return ToolCall(name=tool, arguments={self.scene.id_name: record[self.scene.id_name]})

    def request(self) -> None:
        """Ask for the action on a record, with its id, without, or by the name of the thing."""
        scene, t, rng = self.scene, self.scene.trade, self.rng
        record = rng.choice(scene.records)
        number = self.id_of(record)
        how = rng.randrange(4)
        found = ""
        if how == 0:
            self.says(
                "I want to {verb} a {thing}.",
                "Hello, can I {verb} my {thing}?",
                "{verb} my {thing} please",
            )
            self.answers(
                f"The {t.thing} number is missing.",
                f"Which {t.thing}? Please tell me its number.",
                f"What is the number of the {t.thing}?",
            )
            self.says("{n}", "It is {n}.", "number {n}", "{thing} {n}", n=number)
            self.look_up(record)
        elif how == 1 and not self.known:
            card = identifier(rng)
            self.says(
                "My card is {card}. Please {verb} {name}.",
                "I am {card} and want to {verb} {name}.",
                "Can you {verb} {name}? My number is {card}.",
                card=card,
                name=record["name"],
            )
            self.calls(
                f"The {t.person} is {card}. I call {scene.listing}.",
                (ToolCall(name=scene.listing, arguments={scene.person_id: card}),),
                [list(scene.records)],
            )
            self.known |= {self.id_of(r) for r in scene.records}
            found = f"{record['name']} is {number}. "
        else:
            self.says(
                "Please {verb} {thing} {n}.",
                "I would like to {verb} my {thing} {n}.",
                "{thing} {n}: can it be {done}?",
                "Hi, {verb} {n} for me, thanks",
                "Can you {verb} {n}?",
                n=number,
            )
            self.look_up(record)
        self.settle(record, found)

    def settle(self, record: dict[str, Any], found: str) -> None:
        """Do what was asked where the policy allows it, and refuse it where not."""
        t, number = self.scene.trade, self.id_of(record)
        verdict = judge(self.scene, record)
        if not verdict.allowed:
            self.answers(
                found + verdict.thought,
                f"Sorry, {t.thing} {number} cannot be {t.done}: {verdict.reason}.",
                f"I cannot {t.verb} {number}, because {verdict.reason}.",
            )
            return
        result = self.rng.choice(
            [{"ok": True}, {"status": t.done}, {self.scene.id_name: number, "done": True}]
        )
        self.calls(found + verdict.thought, (self.call(self.scene.act, record),), [result])
        sums, due = amount(self.scene, record)
        tail = f" {'You get' if t.returns else 'It comes to'} {due}."
        self.answers(
            f"It is done. {sums}.",
            f"{t.thing.capitalize()} {number} is {t.done}.{tail}",
            f"Done: {number} has been {t.done}.{tail}",
        )

    def question(self) -> None:
        """Ask for one field of a record."""
        record = self.rng.choice(self.scene.records)
        number = self.id_of(record)
        field = self.rng.choice([k for k in record if k != self.scene.id_name])
        self.says(
            "What is the {f} of {thing} {n}?",
            "{thing} {n}: {f}?",
            "Tell me the {f} of {n} please.",
            "I have {thing} {n}. Which {f} do you have for it?",
            f=field,
            n=number,
        )
        self.look_up(record)
        self.answers(
            f"{number} has {field} {record[field]}.",
            f"The {field} of {number} is {record[field]}.",
            f"{number} has {field} {record[field]}.",
        )

    def settlement(self) -> None:
        """Ask what a record would come to with the fee."""
        record = self.rng.choice(self.scene.records)
        t, number = self.scene.trade, self.id_of(record)
        self.says(
            "How much is it for {n}?",
            "What does it come to for {thing} {n}?",
            "If you {verb} {n}, how much is that?",
            n=number,
        )
        self.look_up(record)
        sums, due = amount(self.scene, record)
        fee = "" if self.scene.fee is None else f", the {t.fee} is {self.scene.fee}"
        self.answers(
            f"{t.money} is {record[t.money]}{fee}. {sums}.",
            f"It comes to {due}.",
            f"For {number} it is {due}.",
        )

    def both(self) -> None:
        """Ask about two records together."""
        if len(self.scene.records) < 2:
            return self.question()
        one, two = self.rng.sample(self.scene.records, 2)
        money = self.scene.trade.money
        self.says(
            "What is the {m} of {a} and {b} together?",
            "{a} and {b}: {m} in total?",
            "Add up the {m} of {a} and {b}.",
            m=money,
            a=self.id_of(one),
            b=self.id_of(two),
        )
        self.look_up(one, two)
        a, b = one[money], two[money]
        self.answers(
            f"{total(a, b)}.", f"Together it is {a + b}.", f"The {money} is {a + b} in total."
        )

    def smaller(self) -> None:
        """Ask which of two records has the smaller sum, and by how much."""
        if len(self.scene.records) < 2:
            return self.question()
        one, two = self.rng.sample(self.scene.records, 2)
        money = self.scene.trade.money
        a, b = one[money], two[money]
        self.says(
            "Which has the smaller {m}, {a} or {b}?",
            "{a} or {b}: where is the {m} lower?",
            m=money,
            a=self.id_of(one),
            b=self.id_of(two),
        )
        self.look_up(one, two)
        less, apart = self.id_of(one if a < b else two), difference(max(a, b), min(a, b))
        thought = f"{self.id_of(one)} {a}, {self.id_of(two)} {b}: {compare(a, b)}. {apart}."
        if a == b:
            return self.answers(thought, f"Both have a {money} of {a}.")
        return self.answers(
            thought, f"It is lower for {less} by {abs(a - b)}.", f"{less}, by {abs(a - b)}."
        )

    def small_talk(self) -> None:
        """Say something that needs no tool."""
        place = self.scene.trade.place
        thing = word(self.rng)
        says, thought, answer = self.rng.choice(
            [
                ("Thank you!", "The user says thanks.", "You are welcome."),
                ("Hello!", "A greeting.", f"Hello, this is the {place}. How can I help?"),
                (
                    "Never mind, leave it as it is.",
                    "Nothing to do.",
                    "Alright, I leave it as it is.",
                ),
                (
                    f"Can you sell me a {thing}?",
                    f"A {thing} is not our business.",
                    f"Sorry, I cannot help with a {thing}.",
                ),
            ]
        )
        self.says(says)
        self.answers(thought, answer)


def conversation(rng: random.Random) -> Exercise:
    """Return a conversation of one of the trades, cut after one of the assistant's turns."""
    talk = Talk(rng)
    for step in rng.choices(
        [
            talk.request,
            talk.question,
            talk.settlement,
            talk.both,
            talk.smaller,
            talk.small_talk,
        ],
        [46, 12, 14, 10, 8, 10],
        k=rng.choice([1, 1, 2, 2, 3]),
    ):
        step()
    turns = [i for i, m in enumerate(talk.messages) if m.role == "assistant"]
    last = rng.choice(turns)
    thinking = rng.random() < 0.5
    messages = [
        m
        if m.role != "assistant" or (thinking and i == last)
        else m.model_copy(update={"reasoning_content": None})
        for i, m in enumerate(talk.messages[: last + 1])
    ]
    return Exercise(tuple(messages), thinking, talk.tools, prompt_weight=0.1)
