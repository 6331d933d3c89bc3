"""The desk's expert keeps to the policy and tells the truth, by oracles that share no code with it.

Rows are read before the first act: no conversation touches a thing again after changing it.
"""

import json
import re
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from actwise.conversation import Conversation, Message, ToolCall
from actwise.desk import SPLITS, generate, open_world
from actwise.desk.domains import DOMAINS
from actwise.desk.world import World


@pytest.fixture(scope="module")
def logs() -> list[Conversation]:
    return [conversation for split in SPLITS for conversation in generate(split, 300)]


def numbers(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def written(message: Message) -> str:
    """What a message shows: its text and its calls, without its thought."""
    calls = [json.dumps({"name": c.name, "arguments": c.arguments}) for c in message.tool_calls]
    return "\n".join([message.content, *calls])


def test_facts_are_derivable(logs: list[Conversation]) -> None:
    """Each number is in the history or is the sum or difference of two that are."""
    for conversation in logs:
        for decision in conversation.decisions():
            seen = [n for m in decision.history for n in numbers(written(m))]
            derived = {*seen, *(a + b for a in seen for b in seen)}
            derived |= {a - b for a in seen for b in seen}
            assert set(numbers(written(decision.gold))) <= derived, decision.key


def test_thoughts_calculate_rightly(logs: list[Conversation]) -> None:
    compare = {"<": int.__lt__, ">": int.__gt__, "=": int.__eq__}
    for conversation in logs:
        for decision in conversation.decisions():
            thought = decision.gold.reasoning_content or ""
            sums = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", thought)
            for a, sign, b, result in sums:
                assert int(a) + (int(b) if sign == "+" else -int(b)) == int(result), thought
            rest = re.sub(r"\d+ [+-] \d+ = \d+", "", thought)
            relations = re.findall(r"(\d+) ([<>=]) (\d+)", rest)
            assert all(compare[sign](int(a), int(b)) for a, sign, b in relations), thought
            hard = bool(sums or relations or re.search("not shipped|is shipped:", thought))
            assert ("reasoning" in decision.gold.labels) == hard, thought


Row = dict[str, Any]


def keys_of(world: World) -> dict[str, str]:
    """The key of each tool and argument name that this world's business may use."""
    business = world.business
    groups = (business.lookups, business.acts, business.parameters)
    specs = [item for group in groups for item in group.items()]
    return {name: key for key, spec in specs for name in spec.names.train + spec.names.shifted}


def row(world: World, table: str, value: object, column: str = "id") -> Row:
    cursor = world.database.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))
    (found,) = cursor.fetchall()
    return dict(zip([c[0] for c in cursor.description], found, strict=True))


def days_between(world: World, date: str) -> int:
    """Days from a date in the past to today, negative for the future."""
    month, day = date.split()
    assert month == world.month
    return world.today - int(day)


def allowed(world: World, kind: str, of: Row) -> bool:
    """Whether the policy allows an act; `of` holds its arguments by key."""
    v = world.values
    if kind == "place_order":
        return bool(of["quantity"] <= row(world, "products", of["product"], "name")["stock"])
    if kind in ("refund_order", "cancel_order"):
        order = row(world, "orders", of["order_id"])
        if kind == "cancel_order":
            return bool(order["status"] == "processing")
        return bool(days_between(world, order["delivered"]) <= v["window"])
    if kind in ("cancel_booking", "move_booking", "late_checkout"):
        booking = row(world, "bookings", of["booking_id"])
        if kind == "late_checkout":
            return bool(booking["points"] >= v["points"])
        if kind == "move_booking":
            moved = days_between(world, booking["arrival"]) - days_between(world, of["arrival"])
            return bool(0 < moved <= v["shift"])
        return True
    account = row(world, "accounts", of["account_id"])
    if kind == "credit_account":
        return bool(account["outage"] >= v["outage"])
    if kind == "change_plan":
        return bool(account["owed"] <= v["most_owed"])
    assert kind == "pay_bill"
    return True


def computed(world: World, kind: str, of: Row) -> Row:
    """The arguments that the policy determines."""
    v = world.values
    if kind == "refund_order":
        return {"amount": row(world, "orders", of["order_id"])["price"] - v["fee"]}
    if kind == "cancel_booking":
        booking = row(world, "bookings", of["booking_id"])
        in_time = -days_between(world, booking["arrival"]) >= v["notice"]
        return {"refund": booking["price"] - (0 if in_time else v["late_fee"])}
    if kind == "move_booking":
        return {"price": row(world, "bookings", of["booking_id"])["price"] + v["move_fee"]}
    if kind == "pay_bill":
        account = row(world, "accounts", of["account_id"])
        late = days_between(world, account["due"]) > v["grace"]
        return {"amount": account["owed"] + (v["late_fee"] if late else 0)}
    return {"amount": v["credit"]} if kind == "credit_account" else {}


def test_acts_obey_the_policy(logs: list[Conversation]) -> None:
    seen = Counter()
    for conversation in logs:
        with closing(open_world(conversation.id)) as world:
            assert set(numbers(world.policy)) == {world.today, *world.values.values()}
            assert conversation.messages[0].content == world.policy
            keys = keys_of(world)
            for decision in conversation.decisions():
                for call in decision.gold.tool_calls:
                    kind = keys[call.name]
                    if kind in world.business.lookups:
                        continue
                    seen[kind] += 1
                    of = {keys[name]: value for name, value in call.arguments.items()}
                    assert allowed(world, kind, of), decision.key
                    assert computed(world, kind, of).items() <= of.items(), decision.key
                    for name in ("quantity", "arrival", "plan"):
                        if name in of:
                            said = " ".join(m.content for m in decision.history if m.role == "user")
                            assert str(of[name]).lower() in said.lower(), decision.key
    assert set(seen) == {key for domain in DOMAINS for key in domain.business.acts}


REFUSALS = {
    r"Order (\d+) cannot be refunded: (\d+) days have passed and the limit is (\d+)\.": (
        "refund_order",
        lambda w, n: (days_between(w, row(w, "orders", n)["delivered"]), w.values["window"]),
    ),
    r"Order (\d+) cannot be cancelled: it is already shipped\.": (
        "cancel_order",
        lambda w, n: (),
    ),
    r"Booking (\d+) cannot be moved by (\d+) days: the limit is (\d+)\.": (
        "move_booking",
        None,
    ),
    r"Booking (\d+) cannot get late checkout: it has (\d+) points and needs (\d+)\.": (
        "late_checkout",
        lambda w, n: (row(w, "bookings", n)["points"], w.values["points"]),
    ),
    r"Account (\d+) cannot get a credit: the outage was (\d+) hours and the limit is (\d+)\.": (
        "credit_account",
        lambda w, n: (row(w, "accounts", n)["outage"], w.values["outage"]),
    ),
    r"The plan of account (\d+) cannot be changed: (\d+) dollars are owed "
    r"and the limit is (\d+)\.": (
        "change_plan",
        lambda w, n: (row(w, "accounts", n)["owed"], w.values["most_owed"]),
    ),
}


def refused(world: World, answer: str, request: str) -> str | None:
    """The act that an answer refuses, after a check of its facts; None for other answers."""
    stock = re.fullmatch(
        r"(\d+) pieces of the (\w+) cannot be ordered: only (\d+) are in stock\.", answer
    )
    if stock:
        quantity, product, left = int(stock[1]), stock[2], int(stock[3])
        assert row(world, "products", product, "name")["stock"] == left
        assert not allowed(world, "place_order", {"quantity": quantity, "product": product})
        assert quantity in numbers(request)
        return "place_order"
    for pattern, (kind, facts) in REFUSALS.items():
        match = re.fullmatch(pattern, answer)
        if not match:
            continue
        number, *said = map(int, match.groups())
        if kind == "move_booking":
            to = numbers(request.rsplit(world.month, 1)[1])[0]
            arrival = int(row(world, "bookings", number)["arrival"].split()[1])
            assert said == [to - arrival, world.values["shift"]]
            assert not allowed(world, kind, {"booking_id": number, "arrival": world.date(to)})
        else:
            assert tuple(said) == facts(world, number)
            (subject,) = {"order_id", "booking_id", "account_id"} & world.names.keys()
            assert not allowed(world, kind, {subject: number})
        return kind
    return None


def test_refusals_are_right_and_as_likely_as_acts(logs: list[Conversation]) -> None:
    acts, refusals = Counter(), Counter()
    for conversation in logs:
        with closing(open_world(conversation.id)) as world:
            keys = keys_of(world)
            for decision in conversation.decisions():
                gold = decision.gold
                acts.update(keys[call.name] for call in gold.tool_calls)
                request = " ".join(m.content for m in decision.history if m.role == "user")
                kind = refused(world, gold.content, request)
                if kind:
                    refusals[kind] += 1
                    assert {"refuse", "reasoning"} <= set(gold.labels)
                elif "refuse" in gold.labels:
                    assert gold.content.startswith("I cannot ") and "reasoning" not in gold.labels
    assert len(refusals) == 7
    for kind, count in refusals.items():
        assert 0.38 < count / (count + acts[kind]) < 0.62, (kind, count, acts[kind])


def test_fee_or_no_fee_is_as_likely(logs: list[Conversation]) -> None:
    fees: dict[str, list[bool]] = {"cancel_booking": [], "pay_bill": []}
    for conversation in logs:
        with closing(open_world(conversation.id)) as world:
            keys = keys_of(world)
            for call in (c for m in conversation.messages for c in m.tool_calls):
                of = {keys[name]: value for name, value in call.arguments.items()}
                if keys[call.name] == "cancel_booking":
                    price = row(world, "bookings", of["booking_id"])["price"]
                    fees["cancel_booking"].append(of["refund"] < price)
                if keys[call.name] == "pay_bill":
                    owed = row(world, "accounts", of["account_id"])["owed"]
                    fees["pay_bill"].append(of["amount"] > owed)
    for kind, taken in fees.items():
        assert len(taken) > 50 and 0.4 < sum(taken) / len(taken) < 0.6, kind


def priced(world: World, name: str) -> int:
    table = {"shop": "products", "hotel": "rooms", "phone": "plans"}[world.business.name]
    return int(row(world, table, name, "name")["price"])


def amount(world: World, number: int) -> int:
    table, column = {
        "shop": ("orders", "price"),
        "hotel": ("bookings", "price"),
        "phone": ("accounts", "owed"),
    }[world.business.name]
    return int(row(world, table, number)[column])


def data_left(world: World, number: int) -> int:
    account = row(world, "accounts", number)
    return int(row(world, "plans", account["plan"], "name")["data"] - account["used"])


INFORMS = {
    r"Order (\d+) was delivered (\d+) days ago\.": lambda w, n, d: (
        days_between(w, row(w, "orders", int(n))["delivered"]) == int(d)
    ),
    r"Booking (\d+) begins in (\d+) days\.": lambda w, n, d: (
        -days_between(w, row(w, "bookings", int(n))["arrival"]) == int(d)
    ),
    r"Account (\d+) is (\d+) days overdue\.": lambda w, n, d: (
        days_between(w, row(w, "accounts", int(n))["due"]) == int(d)
    ),
    r"Account (\d+) has (\d+) GB left\.": lambda w, n, d: data_left(w, int(n)) == int(d),
    r"(\d+) and (\d+) (?:owe|cost) (\d+) dollars together\.": lambda w, a, b, c: (
        amount(w, int(a)) + amount(w, int(b)) == int(c)
    ),
    r"The (\w+)(?: room| plan)? costs (\d+) dollars\.": lambda w, n, d: priced(w, n) == int(d),
    r"The (\w+)(?: room| plan)? costs (\d+) dollars with (\w+)\.": lambda w, n, d, extra: (
        priced(w, n) + w.values[extra] == int(d)
    ),
    r"Order (\d+) is (processing|shipped)\.": lambda w, n, s: (
        row(w, "orders", int(n))["status"] == s
    ),
    r"Booking (\d+) begins on (\w+ \d+)\.": lambda w, n, d: (
        row(w, "bookings", int(n))["arrival"] == d
    ),
    r"There are (\d+) (\w+) rooms free\.": lambda w, n, r: (
        row(w, "rooms", r, "name")["free"] == int(n)
    ),
    r"Account (\d+) has the (\w+) plan\.": lambda w, n, p: row(w, "accounts", int(n))["plan"] == p,
}
COMPARISONS = {
    r"The (\w+)(?: room| plan)? is cheaper by (\d+) dollars?\.",
    r"Both cost (\d+) dollars together\.",
    r"The difference is (\d+) dollars?\.",
}


def pair(world: World, history: tuple[Message, ...]) -> tuple[list[Any], list[int]]:
    """The two things that were looked up last, and their amounts."""
    calls: tuple[ToolCall, ...] = next(m.tool_calls for m in reversed(history) if m.tool_calls)
    values = [next(iter(call.arguments.values())) for call in calls]
    find = priced if isinstance(values[0], str) else amount
    return values, [find(world, value) for value in values]


def test_answers_are_true(logs: list[Conversation]) -> None:
    seen = Counter()
    for conversation in logs:
        with closing(open_world(conversation.id)) as world:
            for decision in conversation.decisions():
                answer = decision.gold.content
                for pattern, holds in INFORMS.items():
                    match = re.fullmatch(pattern, answer)
                    if match:
                        seen[pattern] += 1
                        assert holds(world, *match.groups()), decision.key
                for pattern in COMPARISONS:
                    if re.fullmatch(pattern, answer):
                        seen[pattern] += 1
                        names, (a, b) = pair(world, decision.history)
                        said = numbers(answer)
                        assert said == ([a + b] if "together" in answer else [abs(a - b)])
                        if "cheaper" in answer:
                            assert f"The {names[0] if a < b else names[1]} " in answer
    assert set(seen) == {*INFORMS, *COMPARISONS}


def test_asks_when_the_number_is_missing_or_unknown(
    logs: list[Conversation],
) -> None:
    asked = Counter()
    for conversation in logs:
        for decision in conversation.decisions():
            last = decision.history[-1]
            if "ask" in decision.gold.labels:
                unknown = last.role == "tool"
                asked[unknown] += 1
                assert decision.gold.content.endswith("?")
                assert not unknown or json.loads(last.content) == {"error": "not found"}
                # Only requests without a number (dates count as none) are asked about.
                assert unknown or not re.search(r"\d{4}", last.content)
            else:
                assert '"error"' not in last.content
    assert min(asked.values()) > 20 and len(asked) == 2
