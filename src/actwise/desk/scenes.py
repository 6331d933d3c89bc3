"""Requests that occur at every desk: comparing prices, adding up."""

from actwise.desk.expert import apart, cheaper, together
from actwise.desk.talk import Talk
from actwise.desk.wordings import small_talk
from actwise.desk.world import Choice, Row


def compare_prices(
    talk: Talk, wording: Choice[str], tool: str, parameter: str, names: list[str], noun: str = ""
) -> list[Row]:
    """Let the customer ask which of two goods is cheaper.

    Args:
        talk: The conversation.
        wording: With slots `{first}` and `{second}`.
        tool: That returns a `price`.
        parameter: Of the tool, by which it finds the goods.
        names: Of the goods.
        noun: What the answer calls them, such as "room".

    Returns:
        The two rows.
    """
    talk.ask(wording, first=names[0], second=names[1])
    rows = talk.look_up_all(tool, parameter, names)
    talk.act(cheaper([f"{name} {noun}".strip() for name in names], [r["price"] for r in rows]))
    return rows


def ask_for_both(talk: Talk, rows: list[Row]) -> None:
    """Let the customer, perhaps, go on to ask what two goods cost together."""
    if talk.follows():
        talk.ask(small_talk.BOTH)
        talk.act(together("Both cost", [row["price"] for row in rows]))


def add_up(
    talk: Talk, wording: Choice[str], tool: str, parameter: str, numbers: list[int], *, field: str
) -> None:
    """Let the customer ask for the sum of two amounts and, perhaps, their difference.

    Args:
        talk: The conversation.
        wording: With slots `{first}` and `{second}`.
        tool: That returns the amount.
        parameter: Of the tool, by which it finds the amount.
        numbers: Of the two things.
        field: Of the amount in the tool's result.
    """
    talk.ask(wording, first=numbers[0], second=numbers[1])
    amounts = [row[field] for row in talk.look_up_all(tool, parameter, numbers)]
    verb = "owe" if field == "owed" else "cost"
    talk.act(together(f"{numbers[0]} and {numbers[1]} {verb}", amounts))
    if amounts[0] != amounts[1] and talk.follows():
        talk.ask(small_talk.DIFFERENCE)
        talk.act(apart(amounts))
