"""A conversation in the making: the customer speaks, the expert acts, the database answers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from actwise.conversation import Message
from actwise.desk.customer import Customer
from actwise.desk.expert import Act, Call, look_up
from actwise.desk.wordings import small_talk
from actwise.desk.world import NUMBERS, Business, Choice, Row, World

FOLLOW_UP_LIMIT, DETOUR_LIMIT = 4, 3
"""After more decisions than this, none is added: conversations end with at most eight."""

_FOLLOWS, _PROTESTS = 0.8, 0.15
_DETOURS = ("missing", "unknown", "unknown", "corrected", "dropped", *[""] * 8)
"""Ways of a request to go astray, and "" for none."""


@dataclass(frozen=True)
class Subject:
    """What most requests are about: a thing with a number that one tool looks up."""

    noun: str
    table: str
    lookup: str
    """Key of the tool and, below, of its only parameter."""
    parameter: str
    with_number: Choice[str]
    without_number: Choice[str]
    corrected: Choice[str]
    number: Choice[str]
    """The customer supplies the number that was missing."""
    correction: Choice[str]
    """The customer supplies the right number after a wrong one."""
    idle: Choice[str]
    """A request that can be begun without its number and then dropped."""


@dataclass(frozen=True)
class Goods:
    """What the business sells or lets: things with a name that one tool looks up."""

    noun: str
    title: str
    """What answers call one, with a slot for its name, such as "{} room"."""
    table: str
    names: Choice[str]
    """Things of which a world has a few; customers may ask for any."""
    lookup: str
    """Key of the tool."""
    parameter: str
    """Key of its only parameter; also the slot of the customers' wordings."""
    other: Choice[str]
    """The customer names another one after one that does not exist."""


@dataclass(frozen=True)
class Gap:
    """A detail that a request cannot do without, apart from the number of its subject."""

    wording: Choice[str]
    """The request without the detail."""
    noun: str
    question: str
    """What the expert asks; slots as in the request, and `{number}` of the subject."""
    supply: Choice[str]
    """The customer supplies the detail."""


@dataclass(frozen=True)
class Scene:
    """One request of a customer and what becomes of it."""

    play: "Callable[[Talk], None]"
    needs: tuple[str, ...] = ()
    """Tools without which the request cannot come up."""
    weight: int = 2


@dataclass(frozen=True)
class Domain:
    """A business and what happens at its desk."""

    business: Business
    subject: Subject
    goods: Goods
    scenes: tuple[Scene, ...]


class Talk:
    """Messages of one conversation, written as they happen."""

    def __init__(self, domain: Domain, world: World, rng: Random) -> None:
        self.world = world
        self.rng = rng
        self.messages: list[Message] = [Message(role="system", content=world.policy)]
        self.decisions = 0
        self.requests = 0
        self.knowledge: list[dict[str, object]] = []
        """What the customer knows of her request at each of her messages, said or not."""
        self._knows: dict[str, object] = {}
        self.goods = domain.goods
        self._subject = domain.subject
        self._customer = Customer(rng, shifted=world.shifted)
        self._used: set[Any] = set()
        self._detoured = False
        self._opening = ""

    def come_for_another(self) -> None:
        """Let the customer turn to something else."""
        self._knows = {}

    def ask(self, wording: Choice[str], **slots: object) -> None:
        """Let the customer make a request."""
        self.requests += 1
        self._say(wording, **slots)

    def act(self, act: Act) -> list[Row]:
        """Let the expert act and say what came of it; the customer may protest at a refusal.

        Returns:
            What the calls returned, in order.
        """
        rows = self._record(act)
        if act.done:
            self._record(Act("inform", "It is done.", answer=act.done.format(**rows[-1])))
        elif act.kind == "refuse" and self.follows(_PROTESTS):
            self._say(small_talk.EXCEPTION)
            self._record(Act("refuse", "The policy stays.", answer="I cannot make an exception."))
        return rows

    def follows(self, chance: float = _FOLLOWS) -> bool:
        """Return whether the customer goes on about the same thing."""
        return self.decisions <= FOLLOW_UP_LIMIT and self.rng.random() < chance

    def pick(self, table: str, column: str, where: str = "TRUE") -> Any:
        """Return a value of the database that this conversation has not used yet."""
        rows = self.world.database.execute(
            f"SELECT {column} FROM {table} WHERE {where} ORDER BY {column}"
        )
        value = self.rng.choice([row[0] for row in rows if row[0] not in self._used])
        self._used.add(value)
        return value

    def pick_goods(self, count: int) -> list[str]:
        """Return names of goods that this conversation has not used yet."""
        return [self.pick(self.goods.table, "name") for _ in range(count)]

    def identify(
        self, number: int, wording: Choice[str], gap: Gap | None = None, **slots: object
    ) -> Row:
        """Let the customer make a request about a subject until the expert has looked it up.

        On the way the number or another detail may be missing, the number may be wrong, or
        corrected in the same breath.

        Args:
            number: Number of the subject.
            wording: With a slot `{it}` for the subject.
            gap: The other detail that may be missing.
            **slots: The wording's other slots.
        """
        subject = self._subject
        self._knows = {"number": number, **slots}
        detour = self._detour("missing", "unknown", "corrected")
        if detour == "missing" and gap and self.rng.random() < 0.5:
            it = self._phrase(subject.with_number, number=number)
            self._leave_out(gap, it=it, number=number, **slots)
        elif detour == "missing":
            self._ask_without_number(wording, **slots)
            self._say(subject.number, number=number)
        elif detour == "unknown":
            wrong = self._unknown_number()
            self.ask(wording, it=self._phrase(subject.with_number, number=wrong), **slots)
            self._look_up(wrong)
            noun = subject.noun.capitalize()
            self.act(
                Act(
                    "ask",
                    f"There is no {subject.noun} {wrong}.",
                    answer=f"{noun} {wrong} was not found: what is the right number?",
                )
            )
            self._say(subject.correction, number=number)
        elif detour == "corrected":
            wrong = self._unknown_number()
            self.ask(
                wording,
                it=self._phrase(subject.corrected, wrong=wrong, number=number),
                **slots,
            )
        else:
            self.ask(wording, it=self._phrase(subject.with_number, number=number), **slots)
        return self._look_up(number)

    def find(self, name: str, wording: Choice[str], gap: Gap | None = None, **slots: object) -> Row:
        """Let the customer make a request about goods until the expert has looked them up.

        On the way the customer may name goods that do not exist, or leave a detail out.

        Args:
            name: Name of the goods.
            wording: With a slot for the name.
            gap: The detail that may be missing.
            **slots: The wording's other slots.
        """
        goods = self.goods
        self._knows = {goods.parameter: name, **slots}
        detour = self._detour("unknown", *["missing"] * (gap is not None))
        if detour == "missing" and gap:
            self._leave_out(gap, **{goods.parameter: name}, **slots)
        elif detour == "unknown":
            wrong = self._unknown_name()
            self.ask(wording, **{goods.parameter: wrong}, **slots)
            self.look_up_goods([wrong])
            title = goods.title.format(wrong)
            question = f"The {title} was not found: which {goods.noun} do you mean?"
            self.act(Act("ask", f"There is no {title}.", answer=question))
            self._say(goods.other, **{goods.parameter: name})
        else:
            self.ask(wording, **{goods.parameter: name}, **slots)
        return self.look_up_goods([name])[0]

    def look_up_goods(self, names: Sequence[str]) -> list[Row]:
        """Look goods up by their names, all in one step."""
        return self._look_up_all(self.goods.lookup, self.goods.parameter, names)

    def look_up_subjects(self, numbers: Sequence[int]) -> list[Row]:
        """Look subjects up by their numbers, all in one step."""
        return self._look_up_all(self._subject.lookup, self._subject.parameter, numbers)

    def drop_a_request(self) -> None:
        """Let the customer, now and then, begin a request, be asked for its number, and drop it."""
        if self._detour("dropped") == "dropped":
            self._ask_without_number(self._subject.idle)
            self._opening = self._phrase(small_talk.NEVER_MIND)

    def _look_up_all(self, tool: str, parameter: str, values: Sequence[Any]) -> list[Row]:
        calls = [Call(tool, {parameter: value}) for value in values]
        return self.act(look_up(" and ".join(map(str, values)), *calls))

    def _record(self, act: Act) -> list[Row]:
        calls = tuple(
            self.world.tool_call(call.tool, call.arguments, f"call_{self.decisions}_{place}")
            for place, call in enumerate(act.calls)
        )
        self.messages.append(
            Message(
                role="assistant",
                content=act.answer,
                tool_calls=calls,
                reasoning_content=self._thought(act),
                labels=(*["reasoning"] * act.reasoning, self.world.business.name, act.kind),
            )
        )
        self.decisions += 1
        results = [self.world.run(call) for call in calls]
        self.messages += [
            Message(role="tool", content=result, tool_call_id=call.id)
            for call, result in zip(calls, results, strict=True)
        ]
        return [json.loads(result) for result in results]

    def _thought(self, act: Act) -> str:
        """Return the thought, with what the tools that follow are for."""
        tools = dict.fromkeys(call.tool for call in act.calls)
        return " ".join([act.thought, *map(self.world.purpose, tools)])

    def _detour(self, *kinds: str) -> str:
        """Return one of `kinds`, or "" most of the time; at most one detour a conversation."""
        if self._detoured or self.decisions > DETOUR_LIMIT:
            return ""
        drawn = self.rng.choice(_DETOURS)
        if drawn not in kinds:
            return ""
        self._detoured = True
        return drawn

    def _ask_without_number(self, wording: Choice[str], **slots: object) -> None:
        self.ask(wording, it=self._phrase(self._subject.without_number), **slots)
        noun = self._subject.noun
        self.act(Act("ask", f"The {noun} number is missing.", answer=f"What is the {noun} number?"))

    def _leave_out(self, gap: Gap, **slots: object) -> None:
        self.ask(gap.wording, **slots)
        self.act(Act("ask", f"The {gap.noun} is missing.", answer=gap.question.format(**slots)))
        self._say(gap.supply, **slots)

    def _look_up(self, number: int) -> Row:
        subject = self._subject
        call = Call(subject.lookup, {subject.parameter: number})
        return self.act(look_up(f"{subject.noun} {number}", call))[0]

    def _unknown_number(self) -> int:
        rows = self.world.database.execute(f"SELECT id FROM {self._subject.table}")
        return self.rng.choice(sorted(set(NUMBERS) - {row[0] for row in rows}))

    def _unknown_name(self) -> str:
        rows = self.world.database.execute(f"SELECT name FROM {self.goods.table}")
        known = {row[0] for row in rows}
        names = self.goods.names.pool(self.world.shifted)
        return self.rng.choice([name for name in names if name not in known])

    def _phrase(self, wording: Choice[str], **slots: object) -> str:
        return self._customer.phrase(wording, **slots)

    def _say(self, wording: Choice[str], **slots: object) -> None:
        text = self._customer.message(wording, **slots)
        if self._opening:
            text, self._opening = f"{self._opening} {text}", ""
        self.messages.append(Message(role="user", content=text))
        self._knows = {**slots, **self._knows}  # what she means, where she said something wrong
        self.knowledge.append(self._knows)
