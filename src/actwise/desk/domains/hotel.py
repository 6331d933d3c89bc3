"""A hotel: cancelling in time or late, moving a booking, late checkout, breakfast."""

from random import Random

from actwise.desk import policies
from actwise.desk.expert import Act, Call, compare, day, minus, plus
from actwise.desk.goods import ROOMS
from actwise.desk.scenes import add_up, ask_for_both, compare_prices, price, price_with_extra
from actwise.desk.talk import Domain, Gap, Goods, Scene, Subject, Talk
from actwise.desk.wordings import hotel as say
from actwise.desk.world import NUMBERS, Business, Choice, Parameter, Row, ToolSpec, World

_SCHEMA = """
CREATE TABLE rooms (name TEXT PRIMARY KEY, price INTEGER, free INTEGER);
CREATE TABLE bookings (
    id INTEGER PRIMARY KEY, room TEXT, price INTEGER, arrival TEXT, points INTEGER,
    status TEXT, checkout TEXT
);
"""


def _fill(world: World, rng: Random) -> None:
    names = rng.sample(ROOMS.pool(world.shifted), 5)
    world.database.executemany(
        "INSERT INTO rooms VALUES (?, ?, ?)",
        [
            (name, price, rng.randint(2, 19))
            for name, price in zip(names, rng.sample(range(30, 76), 5), strict=True)
        ],
    )
    notice, points = world.values["notice"], world.values["points"]
    for place, number in enumerate(rng.sample(NUMBERS, 6)):
        late, poor = place % 2 == 0, rng.random() < 0.5
        days = rng.randint(2, notice - 1) if late else rng.randint(notice, notice + 4)
        world.database.execute(
            "INSERT INTO bookings VALUES (?, ?, ?, ?, ?, 'booked', 'noon')",
            (
                number,
                rng.choice(names),
                rng.randint(40, 75),
                world.date(world.today + days),
                rng.randint(points - 15, points - 1) if poor else rng.randint(points, points + 15),
            ),
        )


# What is right


def cancel(world: World, number: int, booking: Row) -> Act:
    """Cancel and pay back the price, less the late fee where the arrival is near."""
    arrival, notice = day(booking["arrival"]), world.values["notice"]
    left, late_fee = arrival - world.today, world.values["late_fee"]
    thought = (
        f"Cancel? Arrival {arrival}, today {world.today}: {minus(arrival, world.today)}. "
        f"Notice {notice}: {compare(left, notice)}: "
    )
    refund = booking["price"]
    if left < notice:
        thought += f"late, refund {minus(refund, late_fee)}."
        refund -= late_fee
    else:
        thought += f"free, refund {refund}."
    return Act(
        "act",
        thought,
        calls=(Call("cancel_booking", {"booking_id": number, "refund": refund}),),
        done=f"Booking {number} is cancelled: {refund} dollars are refunded.",
        reasoning=True,
    )


def move(world: World, number: int, booking: Row, to: int) -> Act:
    """Move a booking for a fee, if the new day is not too far from the old one."""
    arrival, limit = day(booking["arrival"]), world.values["shift"]
    by = to - arrival
    thought = (
        f"Move? From {arrival} to {to}: {minus(to, arrival)}. Limit {limit}: {compare(by, limit)}: "
    )
    if by > limit:
        return Act(
            "refuse",
            f"{thought}too far.",
            answer=f"Booking {number} cannot be moved by {by} days: the limit is {limit}.",
            reasoning=True,
        )
    total = booking["price"] + world.values["move_fee"]
    arguments = {"booking_id": number, "arrival": world.date(to), "price": total}
    return Act(
        "act",
        f"{thought}price {plus(booking['price'], world.values['move_fee'])}.",
        calls=(Call("move_booking", arguments),),
        done=f"Booking {number} is moved to {world.date(to)}: the price is {total} dollars.",
        reasoning=True,
    )


def late_checkout(world: World, number: int, booking: Row) -> Act:
    """Grant late checkout to guests with enough points."""
    points, needed = booking["points"], world.values["points"]
    thought = f"Late checkout? Points {points}, needed {needed}: {compare(points, needed)}: "
    if points < needed:
        return Act(
            "refuse",
            f"{thought}not enough.",
            answer=f"Booking {number} cannot get late checkout: it has {points} points "
            f"and needs {needed}.",
            reasoning=True,
        )
    return Act(
        "act",
        f"{thought}enough.",
        calls=(Call("late_checkout", {"booking_id": number}),),
        done=f"Booking {number} has late checkout.",
        reasoning=True,
    )


def days_left(world: World, number: int, booking: Row) -> Act:
    """Say how many days are left until the arrival."""
    arrival, today = day(booking["arrival"]), world.today
    return Act(
        "inform",
        f"How long still? Arrival {arrival}, today {today}: {minus(arrival, today)}.",
        answer=f"Booking {number} begins in {arrival - today} days.",
        reasoning=True,
    )


# What guests come for

_DATE = Gap(say.MOVE_NO_DATE, "date", "To which day shall booking {number} be moved?", say.DATE)


def _cancel(talk: Talk) -> None:
    number = talk.pick("bookings", "id")
    talk.act(cancel(talk.world, number, talk.identify(number, say.CANCEL)))


def _move(talk: Talk) -> None:
    number, limit = talk.pick("bookings", "id"), talk.world.values["shift"]
    near = talk.rng.random() < 0.5
    by = talk.rng.randint(1, limit) if near else talk.rng.randint(limit + 1, limit + 4)
    query = "SELECT arrival FROM bookings WHERE id = ?"
    (arrival,) = talk.world.database.execute(query, (number,)).fetchone()
    to = day(arrival) + by
    booking = talk.identify(number, say.MOVE, _DATE, date=talk.world.date(to))
    talk.act(move(talk.world, number, booking, to))


def _late_checkout(talk: Talk) -> None:
    number = talk.pick("bookings", "id")
    talk.act(late_checkout(talk.world, number, talk.identify(number, say.LATE)))


def _days(talk: Talk) -> None:
    number = talk.pick("bookings", "id")
    booking = talk.identify(number, say.DAYS)
    talk.act(days_left(talk.world, number, booking))
    if talk.world.offers("cancel_booking") and talk.follows():
        talk.ask(say.CANCEL_IT)
        talk.act(cancel(talk.world, number, booking))


def _arrival(talk: Talk) -> None:
    number = talk.pick("bookings", "id")
    booking = talk.identify(number, say.ARRIVAL)
    answer = f"Booking {number} begins on {booking['arrival']}."
    talk.act(Act("inform", f"The arrival is {booking['arrival']}.", answer=answer))
    if talk.follows():
        talk.ask(say.DAYS_TOO)
        talk.act(days_left(talk.world, number, booking))


def _together(talk: Talk) -> None:
    numbers = [talk.pick("bookings", "id") for _ in range(2)]
    add_up(talk, say.TOGETHER, numbers, field="price")


def _cheaper(talk: Talk) -> None:
    _, rows = compare_prices(talk, say.CHEAPER)
    ask_for_both(talk, rows)


def _breakfast(talk: Talk) -> None:
    price_with_extra(talk, say.BREAKFAST, extra="breakfast")


def _price(talk: Talk) -> None:
    price(talk, say.PRICE, extra="breakfast", too=say.BREAKFAST_TOO)


def _free(talk: Talk) -> None:
    (room,) = talk.pick_goods(1)
    row = talk.find(room, say.FREE)
    answer = f"There are {row['free']} {room} rooms free."
    talk.act(Act("inform", f"There are {row['free']} free.", answer=answer))


def _upgrade(talk: Talk) -> None:
    talk.ask(say.UPGRADE)
    talk.act(Act("refuse", "There are no upgrades.", answer="I cannot give a free upgrade."))


HOTEL = Domain(
    Business(
        name="hotel",
        schema=_SCHEMA,
        fill=_fill,
        days=(3, 9),
        values={
            "notice": Choice((4, 6, 8), (5, 7)),
            "late_fee": Choice((12, 15, 20, 25), (14, 18, 22)),
            "shift": Choice((3, 5, 7), (4, 6)),
            "move_fee": Choice((5, 8, 9, 12), (6, 7, 11)),
            "points": Choice((40, 50, 60), (45, 55)),
            "breakfast": Choice((9, 12, 16), (8, 11, 14)),
        },
        policy=policies.HOTEL,
        parameters={
            "booking_id": Parameter(
                Choice(
                    ("booking_id", "booking", "booking_number"), ("reservation_id", "reservation")
                ),
                "integer",
            ),
            "room": Parameter(
                Choice(("room", "room_name", "name"), ("room_kind", "kind")), "string"
            ),
            "refund": Parameter(Choice(("refund", "amount"), ("payback", "sum_back")), "integer"),
            "arrival": Parameter(
                Choice(("arrival", "date", "new_date"), ("check_in", "first_day")), "string"
            ),
            "price": Parameter(Choice(("price", "new_price"), ("cost", "total_cost")), "integer"),
        },
        lookups={
            "get_booking": ToolSpec(
                Choice(
                    ("get_booking", "show_booking", "booking_info"),
                    ("fetch_reservation", "reservation_details"),
                ),
                "Look up a booking",
                ("booking_id",),
                ("SELECT room, price, arrival, points FROM bookings WHERE id = :booking_id",),
            ),
            "get_room": ToolSpec(
                Choice(
                    ("get_room", "find_room", "room_info"), ("fetch_room_kind", "room_kind_details")
                ),
                "Look up a room",
                ("room",),
                ("SELECT price, free FROM rooms WHERE name = :room",),
            ),
        },
        acts={
            "cancel_booking": ToolSpec(
                Choice(
                    ("cancel_booking", "stop_booking"), ("revoke_reservation", "drop_reservation")
                ),
                "Cancel a booking",
                ("booking_id", "refund"),
                (
                    "UPDATE bookings SET status = 'cancelled' WHERE id = :booking_id",
                    "SELECT status, :refund AS refund FROM bookings WHERE id = :booking_id",
                ),
            ),
            "move_booking": ToolSpec(
                Choice(
                    ("move_booking", "change_booking"),
                    ("shift_reservation", "postpone_reservation"),
                ),
                "Move a booking",
                ("booking_id", "arrival", "price"),
                (
                    "UPDATE bookings SET arrival = :arrival, price = :price WHERE id = :booking_id",
                    "SELECT arrival, price FROM bookings WHERE id = :booking_id",
                ),
            ),
            "late_checkout": ToolSpec(
                Choice(
                    ("late_checkout", "give_late_checkout", "add_late_checkout"),
                    ("grant_late_departure", "extend_last_day"),
                ),
                "Give late checkout",
                ("booking_id",),
                (
                    "UPDATE bookings SET checkout = 'late' WHERE id = :booking_id",
                    "SELECT checkout FROM bookings WHERE id = :booking_id",
                ),
            ),
        },
    ),
    Subject(
        noun="booking",
        table="bookings",
        lookup="get_booking",
        parameter="booking_id",
        with_number=say.WITH_NUMBER,
        without_number=say.WITHOUT_NUMBER,
        corrected=say.CORRECTED,
        number=say.NUMBER,
        correction=say.CORRECTION,
        idle=say.ARRIVAL,
    ),
    Goods("room", "{} room", "rooms", ROOMS, "get_room", "room", say.OTHER),
    (
        Scene(_cancel, ("cancel_booking",), 9),
        Scene(_move, ("move_booking",), 8),
        Scene(_late_checkout, ("late_checkout",), 7),
        Scene(_days, weight=6),
        Scene(_together, weight=4),
        Scene(_cheaper, weight=4),
        Scene(_breakfast, weight=3),
        Scene(_arrival, weight=2),
        Scene(_price, weight=2),
        Scene(_free, weight=1),
        Scene(_upgrade, weight=1),
    ),
)
