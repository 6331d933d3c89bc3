"""Requests that occur at every desk: prices, with an extra, compared, added up."""

from actwise.desk.expert import Act, apart, cheaper, together, with_extra
from actwise.desk.talk import Talk
from actwise.desk.wordings import small_talk
from actwise.desk.world import Choice, Row


def price(talk: Talk, wording: Choice[str], *, extra: str, too: Choice[str]) -> None:
    """Let the customer ask what goods cost and, perhaps, what they cost with an extra.

    Args:
        talk: The conversation.
        wording: With a slot for the name of the goods.
        extra: Key of the policy's value, and what answers call it.
        too: The follow-up.
    """
    (name,) = talk.pick_goods(1)
    row = talk.find(name, wording)
    title = talk.goods.title.format(name)
    answer = f"The {title} costs {row['price']} dollars."
    talk.act(Act("inform", f"The price is {row['price']}.", answer=answer))
    if talk.follows():
        talk.ask(too)
        talk.act(with_extra(title, row["price"], extra, talk.world.values[extra]))


def price_with_extra(talk: Talk, wording: Choice[str], *, extra: str) -> None:
    """Let the customer ask what goods cost with an extra."""
    (name,) = talk.pick_goods(1)
    row = talk.find(name, wording)
    title = talk.goods.title.format(name)
    talk.act(with_extra(title, row["price"], extra, talk.world.values[extra]))


def compare_prices(talk: Talk, wording: Choice[str]) -> tuple[list[str], list[Row]]:
    """Let the customer ask which of two goods is cheaper.

    Args:
        talk: The conversation.
        wording: With slots `{first}` and `{second}`.

    Returns:
        The names of the two, and their rows.
    """
    names = talk.pick_goods(2)
    talk.ask(wording, first=names[0], second=names[1])
    rows = talk.look_up_goods(names)
    titles = [talk.goods.title.format(name) for name in names]
    talk.act(cheaper(titles, [row["price"] for row in rows]))
    return names, rows


def ask_for_both(talk: Talk, rows: list[Row]) -> None:
    """Let the customer, perhaps, go on to ask what two goods cost together."""
    if talk.follows():
        talk.ask(small_talk.BOTH)
        talk.act(together("Both cost", [row["price"] for row in rows]))


def add_up(talk: Talk, wording: Choice[str], numbers: list[int], *, field: str) -> None:
    """Let the customer ask for the sum of two amounts and, perhaps, their difference.

    Args:
        talk: The conversation.
        wording: With slots `{first}` and `{second}`.
        numbers: Numbers of the two subjects.
        field: Name of the amount in the tool's result.
    """
    talk.ask(wording, first=numbers[0], second=numbers[1])
    amounts = [row[field] for row in talk.look_up_subjects(numbers)]
    verb = "owe" if field == "owed" else "cost"
    talk.act(together(f"{numbers[0]} and {numbers[1]} {verb}", amounts))
    if amounts[0] != amounts[1] and talk.follows():
        talk.ask(small_talk.DIFFERENCE)
        talk.act(apart(amounts))
