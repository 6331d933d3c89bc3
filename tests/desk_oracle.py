"""What is right at the desk, worked out from a conversation's text alone.

The numbers come from the system prompt, the rows from the tool messages, the request from what the
customer wrote; no code of the expert is used. Wordings are recognised by the letters of their words
in any order, so that typos do no harm.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from actwise.conversation import Conversation, Message, Tool, tool_name, tool_parameters
from actwise.desk import goods
from actwise.desk.wordings import hotel as hotel_wordings
from actwise.desk.wordings import phone as phone_wordings
from actwise.desk.wordings import shop as shop_wordings
from actwise.desk.wordings import small_talk
from actwise.desk.world import Choice

Row = dict[str, Any]

WORDINGS = {"shop": shop_wordings, "hotel": hotel_wordings, "phone": phone_wordings}
GOODS = {"shop": goods.PRODUCTS, "hotel": goods.ROOMS, "phone": goods.PLANS}
PHRASES = {"WITH_NUMBER", "WITHOUT_NUMBER", "CORRECTED"}
"""Phrases that fill a slot; everything else is a whole message."""

POLICIES = {
    "shop": {
        "window": r"within (\d+) days of|at most (\d+) days ago|customers have (\d+) days"
        r"|until (\d+) days after|more than (\d+) days have|back for (\d+) days",
        "fee": r"a fee of (\d+) dollars|(\d+) dollars are kept|minus (\d+) dollars"
        r"|refund costs (\d+) dollars|less (\d+)\.|deduct (\d+) dollars",
        "shipping": r"Shipping (?:costs|is) (\d+)|Postage: (\d+)|(\d+) dollars for shipping"
        r"|shipped for (\d+)",
    },
    "hotel": {
        "notice": r"at least (\d+) days before|Less than (\d+) days|call off (\d+) days ahead"
        r"|fewer than (\d+) days left|later than (\d+) days before|ends (\d+) days before",
        "late_fee": r"later (\d+) dollars|cancelling costs (\d+) dollars|all but (\d+) dollars"
        r"|left pays (\d+)|Keep (\d+)|after that it costs (\d+)",
        "shift": r"by up to (\d+) days|by at most (\d+) days|no more than (\d+) days"
        r"|no further than (\d+)|works for (\d+)",
        "move_fee": r"days for (\d+) dollars|Moving adds (\d+) dollars|charge (\d+) dollars"
        r"|; that costs (\d+)|booking takes (\d+)",
        "points": r"needs (\d+) points|from (\d+) points|with (\d+) points"
        r"|at least (\d+) points|Below (\d+)",
        "breakfast": r"Breakfast (?:costs|is) (\d+)|morning meal: (\d+)"
        r"|(\d+) dollars for breakfast",
    },
    "phone": {
        "grace": r"more than (\d+) days after|more than (\d+) days overdue|over (\d+) days behind"
        r"|Up to (\d+) days|more than (\d+) days late",
        "late_fee": r"cost (\d+) dollars extra|costs (\d+) dollars more|add (\d+) dollars"
        r"|later (\d+)|Charge (\d+)",
        "outage": r"at least (\d+) hours|of (\d+) hours or more|from (\d+) hours"
        r"|took (\d+)|under (\d+) hours",
        "credit": r"a credit of (\d+)|earns (\d+)|compensate with (\d+)"
        r"|credit is (\d+)|else it is (\d+)",
        "most_owed": r"up to (\d+) dollars|more than (\d+) dollars\.|debts above (\d+)"
        r"|owes (\d+)|more than (\d+) dollars are",
        "setup": r"Setup (?:costs|is) (\d+)|Activation: (\d+)|(\d+) dollars for setup"
        r"|set up for (\d+)",
    },
}


@dataclass(frozen=True)
class Expected:
    """The right decision: its calls, or what its answer states."""

    kind: str
    reasoning: bool = False
    calls: tuple[tuple[str, Row], ...] = ()
    numbers: frozenset[int] = frozenset()
    """All numbers of the answer, days of dates included."""
    word: str = ""
    """A word that the answer must hold."""


def numbers(text: str) -> list[int]:
    """All runs of digits."""
    return [int(found) for found in re.findall(r"\d+", text)]


def choices(module: object) -> dict[str, Choice[str]]:
    """The wordings of a module by their names."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Choice)}


def _letters(text: str) -> str:
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    return " ".join(word if word.isdigit() else "".join(sorted(word)) for word in words)


def _pattern(wording: str, slots: dict[str, str], *, named: bool) -> str:
    parts = re.split(r"\{(\w+)\}", wording)
    pieces = [re.escape(_letters(part)) for part in parts]
    for place in range(1, len(parts), 2):
        slot = slots[parts[place]]
        pieces[place] = f"(?P<{parts[place]}>{slot})" if named else slot
    return " ".join(piece for piece in pieces if piece)


@cache
def _patterns(domain: str) -> list[tuple[re.Pattern[str], str]]:
    """Patterns of all messages of a domain's customers, the longest wordings first."""
    slots = dict.fromkeys(("number", "wrong", "quantity", "stranger"), r"\d+")
    slots |= dict.fromkeys(("product", "room", "plan", "first", "second"), r"\w+")
    slots["date"] = r"\w+ \d+"
    own = choices(WORDINGS[domain])
    phrases = [wording for name in PHRASES for wording in own[name].train + own[name].shifted]
    phrases.sort(key=len, reverse=True)
    slots["it"] = "|".join(_pattern(phrase, slots, named=False) for phrase in phrases)
    found = [
        (wording, name)
        for name, choice in {**own, **choices(small_talk)}.items()
        if name not in PHRASES | {"GREETING", "THANKS", "NEVER_MIND"}
        for wording in choice.train + choice.shifted
    ]
    found.sort(key=lambda entry: -len(re.sub(r"\{\w+\}", "", entry[0])))
    return [
        (re.compile(rf"(?:^| ){_pattern(wording, slots, named=True)}(?= |$)"), name)
        for wording, name in found
    ]


def understand(domain: str, text: str) -> tuple[str, dict[str, str]]:
    """Return the kind of a customer's message and its slots, words with their letters sorted."""
    letters = _letters(text)
    for pattern, name in _patterns(domain):
        match = pattern.search(letters)
        if match:
            return name, match.groupdict()
    raise AssertionError(f"nobody says {text!r}")


def _day(date: str) -> int:
    return numbers(date)[0]


MEANINGS = {
    "REFUND_IT": "REFUND",
    "CANCEL_IT": "CANCEL",
    "PAY_IT": "PAY",
    "DAYS_TOO": "DAYS",
    "SHIPPING_TOO": "SHIPPING",
    "BREAKFAST_TOO": "BREAKFAST",
    "SETUP_TOO": "SETUP",
    "TAKE_IT": "BUY",
    "MOVE_NO_DATE": "MOVE",
    "CHANGE_NO_PLAN": "CHANGE",
    "BUY_NO_QUANTITY": "BUY",
}
ABOUT_THE_SAME = {
    "REFUND_IT",
    "CANCEL_IT",
    "PAY_IT",
    "DAYS_TOO",
    "SHIPPING_TOO",
    "BREAKFAST_TOO",
    "SETUP_TOO",
    "TAKE_IT",
    "BOTH",
    "DIFFERENCE",
}
REPLIES = {"NUMBER", "CORRECTION", "OTHER", "DATE", "QUANTITY", "PLAN_NAME"}
FORBIDDEN = {"EXCEPTION", "DISCOUNT", "UPGRADE", "STRANGER"}
DETAILS = {"MOVE": "date", "CHANGE": "plan", "BUY": "quantity"}


@dataclass
class Reader:
    """Reads one conversation message by message."""

    domain: str
    values: dict[str, int]
    month: str
    today: int
    tools: dict[str, tuple[str, list[str]]]
    """By description: name, and arguments in order."""
    rows: dict[object, Row] = field(default_factory=dict)
    intent: str = ""
    subjects: list[Any] = field(default_factory=list)
    """Numbers or names that the request is about."""
    detail: int | str | None = None
    done: Expected | None = None
    """What to tell the customer, once an act has run."""

    @classmethod
    def of(cls, conversation: Conversation) -> "Reader":
        """Read the policy and the schemas."""
        policy = conversation.messages[0].content
        (domain,) = {
            name
            for name, words in (
                ("shop", "shop|store"),
                ("hotel", "hotel|inn"),
                ("phone", "phone|network"),
            )
            if re.search(rf"\b({words})\b", policy.split(".")[0] + policy.split(".")[1], re.I)
        }
        values = {}
        for key, pattern in POLICIES[domain].items():
            (groups,) = (match.groups() for match in re.finditer(pattern, policy))
            (values[key],) = (int(group) for group in groups if group)
        dates = re.findall(r"(March|May|June|August|October) (\d+)", policy)
        ((month, today),) = dates
        assert set(numbers(policy)) == {*values.values(), int(today)}
        return cls(domain, values, month, int(today), dict(map(_shown, conversation.tools)))

    def hear(self, text: str) -> None:
        """Take a customer's message in."""
        said, slots = understand(self.domain, text)
        if said not in REPLIES:
            self.intent, self.detail = MEANINGS.get(said, said), None
            if said not in ABOUT_THE_SAME:
                self.subjects = []
        if said == "TAKE_IT":
            self.subjects = [min(self.subjects, key=lambda name: self.rows[name]["price"])]
        if self.intent in FORBIDDEN:
            return
        names = {_letters(n): n for n in GOODS[self.domain].train + GOODS[self.domain].shifted}
        for slot, value in slots.items():
            if slot == DETAILS.get(self.intent):
                self.detail = names.get(value) or numbers(value)[0]
        subjects = [
            names.get(value) or numbers(value)[-1]
            for slot, value in slots.items()
            if slot != DETAILS.get(self.intent) and (value in names or numbers(value))
        ]
        self.subjects = subjects or self.subjects

    def see(self, message: Message, results: list[Row]) -> None:
        """Take in what the calls of an assistant's message returned."""
        lookups = {name for text, (name, _) in self.tools.items() if text.startswith("Look up")}
        for call, result in zip(message.tool_calls, results, strict=True):
            if call.name in lookups:
                self.rows[next(iter(call.arguments.values()))] = result
            elif "order_id" in result and self.done:
                more = self.done.numbers | {result["order_id"]}
                self.done = Expected("inform", numbers=more)

    def expect(self) -> Expected:
        """Return the right decision now."""
        if self.done:
            done, self.done = self.done, None
            return done
        if self.intent in FORBIDDEN:
            return Expected("refuse")
        if not self.subjects or (self.intent in DETAILS and self.detail is None):
            known = [s for s in self.subjects if isinstance(s, int)]
            return Expected("ask", numbers=frozenset(known), word="?")
        unknown = [subject for subject in self.subjects if subject not in self.rows]
        if unknown:
            kind = next(
                text
                for text in self.tools
                if text.startswith("Look up")
                and (text.split()[-1] in ("order", "booking", "account"))
                == isinstance(unknown[0], int)
            )
            return Expected("lookup", calls=tuple(self._call(kind, s) for s in unknown))
        rows = [self.rows[subject] for subject in self.subjects]
        if any("error" in row for row in rows):
            (wrong,) = self.subjects
            return Expected("ask", numbers=frozenset(numbers(str(wrong))), word="?")
        if len(rows) == 2:
            return self._pair(rows)
        return RULES[self.domain, self.intent](self, self.subjects[0], rows[0])

    def _pair(self, rows: list[Row]) -> Expected:
        column = "owed" if "owed" in rows[0] else "price"
        a, b = (row[column] for row in rows)
        if self.intent == "CHEAPER":
            word = self.subjects[0 if a < b else 1]
            return _inform(min(a, b), abs(a - b), word=word)
        if self.intent == "DIFFERENCE":
            return _inform(abs(a - b))
        return _inform(a + b, *(s for s in self.subjects if isinstance(s, int)))

    def _call(self, description: str, *values: object) -> tuple[str, Row]:
        name, parameters = self.tools[description]
        return name, dict(zip(parameters, values, strict=True))

    def act(self, description: str, *values: object, say: set[int]) -> Expected:
        """Return the act, and expect it to be reported next."""
        self.done = Expected("inform", numbers=frozenset(say))
        return Expected("act", True, calls=(self._call(description, *values),))


def _shown(tool: Tool) -> tuple[str, tuple[str, list[str]]]:
    parameters = [*tool_parameters(tool)["properties"]]
    return tool["function"]["description"], (tool_name(tool), parameters)


def _inform(*facts: int, word: str = "", reasoning: bool = True) -> Expected:
    return Expected("inform", reasoning, numbers=frozenset(facts), word=word)


def _refuse(*facts: int) -> Expected:
    return Expected("refuse", True, numbers=frozenset(facts), word="cannot")


def _refund(d: Reader, n: int, row: Row) -> Expected:
    age, back = d.today - _day(row["delivered"]), row["price"] - d.values["fee"]
    if age > d.values["window"]:
        return _refuse(n, age, d.values["window"])
    return d.act("Refund an order", n, back, say={n, back})


def _cancel_order(d: Reader, n: int, row: Row) -> Expected:
    return _refuse(n) if row["status"] == "shipped" else d.act("Cancel an order", n, say={n})


def _buy(d: Reader, name: str, row: Row) -> Expected:
    assert isinstance(d.detail, int)
    if d.detail > row["stock"]:
        return _refuse(d.detail, row["stock"])
    return d.act("Order a product", name, d.detail, say={d.detail})


def _cancel_booking(d: Reader, n: int, row: Row) -> Expected:
    late = _day(row["arrival"]) - d.today < d.values["notice"]
    back = row["price"] - (d.values["late_fee"] if late else 0)
    return d.act("Cancel a booking", n, back, say={n, back})


def _move(d: Reader, n: int, row: Row) -> Expected:
    assert isinstance(d.detail, int)
    by, price = d.detail - _day(row["arrival"]), row["price"] + d.values["move_fee"]
    if by > d.values["shift"]:
        return _refuse(n, by, d.values["shift"])
    return d.act("Move a booking", n, f"{d.month} {d.detail}", price, say={n, d.detail, price})


def _late_checkout(d: Reader, n: int, row: Row) -> Expected:
    if row["points"] < d.values["points"]:
        return _refuse(n, row["points"], d.values["points"])
    return d.act("Give late checkout", n, say={n})


def _pay(d: Reader, n: int, row: Row) -> Expected:
    late = d.today - _day(row["due"]) > d.values["grace"]
    amount = row["owed"] + (d.values["late_fee"] if late else 0)
    return d.act("Pay the bill", n, amount, say={n, amount})


def _credit(d: Reader, n: int, row: Row) -> Expected:
    if row["outage"] < d.values["outage"]:
        return _refuse(n, row["outage"], d.values["outage"])
    return d.act("Give a credit", n, d.values["credit"], say={n, d.values["credit"]})


def _change(d: Reader, n: int, row: Row) -> Expected:
    if row["owed"] > d.values["most_owed"]:
        return _refuse(n, row["owed"], d.values["most_owed"])
    return d.act("Change the plan", n, d.detail, say={n})


def _status(d: Reader, n: int, row: Row) -> Expected:
    return _inform(n, _day(row["expected"]), word=row["status"], reasoning=False)


RULES: dict[tuple[str, str], Callable[[Reader, Any, Row], Expected]] = {
    ("shop", "REFUND"): _refund,
    ("shop", "CANCEL"): _cancel_order,
    ("shop", "DAYS"): lambda d, n, row: _inform(n, d.today - _day(row["delivered"])),
    ("shop", "STATUS"): _status,
    ("shop", "BUY"): _buy,
    ("shop", "SHIPPING"): lambda d, _, row: _inform(row["price"] + d.values["shipping"]),
    ("shop", "PRICE"): lambda _, name, row: _inform(row["price"], word=name, reasoning=False),
    ("hotel", "CANCEL"): _cancel_booking,
    ("hotel", "MOVE"): _move,
    ("hotel", "LATE"): _late_checkout,
    ("hotel", "DAYS"): lambda d, n, row: _inform(n, _day(row["arrival"]) - d.today),
    ("hotel", "ARRIVAL"): lambda _, n, row: _inform(n, _day(row["arrival"]), reasoning=False),
    ("hotel", "BREAKFAST"): lambda d, _, row: _inform(row["price"] + d.values["breakfast"]),
    ("hotel", "PRICE"): lambda _, name, row: _inform(row["price"], word=name, reasoning=False),
    ("hotel", "FREE"): lambda _, name, row: _inform(row["free"], word=name, reasoning=False),
    ("phone", "PAY"): _pay,
    ("phone", "CREDIT"): _credit,
    ("phone", "CHANGE"): _change,
    ("phone", "OVERDUE"): lambda d, n, row: _inform(n, d.today - _day(row["due"])),
    ("phone", "DATA_LEFT"): lambda _, n, row: _inform(n, row["data"] - row["used"]),
    ("phone", "PLAN"): lambda _, n, row: _inform(n, row["data"], word=row["plan"], reasoning=False),
    ("phone", "SETUP"): lambda d, _, row: _inform(row["price"] + d.values["setup"]),
    ("phone", "PRICE"): lambda _, name, row: _inform(row["price"], word=name, reasoning=False),
}


def follow(conversation: Conversation) -> list[tuple[str, Expected]]:
    """Return for each assistant message what it is about, such as "shop REFUND", and what is right.

    What is right depends on what was recorded before the message.
    """
    reader = Reader.of(conversation)
    found = []
    messages = conversation.messages
    for place, message in enumerate(messages):
        if message.role == "user":
            reader.hear(message.content)
        elif message.role == "assistant":
            expected = reader.expect()
            found.append((f"{reader.domain} {reader.intent}", expected))
            count = len(message.tool_calls)
            results = [json.loads(m.content) for m in messages[place + 1 : place + 1 + count]]
            reader.see(message, results)
    return found
