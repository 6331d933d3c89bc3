"""Thoughts derived from the record alone, for logs that hold none.

What an action states is either quoted from the history or follows from it. A derived thought says
which: numbers that stand nowhere before are written out as a sum or difference of two that do, a
refusal compares the amounts that it names, a call quotes its values and says what the tool is for.
Where several sums fit, one is drawn, so over many conversations the right one is the commonest.
Nobody has annotated anything, and a model that learns from them knows where thoughts lead; which
are right, outcomes have to teach it.
"""

from collections.abc import Sequence
from random import Random

from actwise.conversation import Decision, tool_name
from actwise.rewards.stance import stance
from actwise.thoughts.numbers import amounts_in, numbers_before, whole_numbers


def derived_thought(decision: Decision, draw: Random) -> str:
    """Return a thought that leads to the recorded action; never empty.

    Args:
        decision: With its record.
        draw: Chooses among sums that fit.
    """
    before = numbers_before(decision)
    gold = decision.gold
    values = [str(v) for call in gold.tool_calls for v in call.arguments.values()]
    texts = values if gold.tool_calls else [gold.content]
    numbers = list(dict.fromkeys(n for text in texts for n in whole_numbers(text)))
    new = [number for number in numbers if number not in set(before)]
    parts = [f"{found}." for n in new if (found := _explained(n, before, draw))]
    if gold.tool_calls:
        explained = {str(number) for number in new}
        quoted = [value for value in values if value.lstrip("0") not in explained]
        parts.append(_calling(decision, quoted))
    elif stance(gold.content).refuses:
        amounts = amounts_in(gold.content)
        parts.append(_compared(*amounts[-2:]) if len(amounts) > 1 else "It cannot be done.")
    elif quoted := [str(number) for number in numbers if number not in new]:
        parts.append(f"It says {', '.join(quoted)}.")
    if not parts:
        parts.append("Something is missing." if asks(gold.content) else "It is done.")
    return " ".join(parts)


def asks(text: str) -> bool:
    """Return whether a text ends with a question, in Chinese, Japanese and Arabic writing, too."""
    return text.rstrip().endswith(("?", "？", "؟"))


def _explained(number: int, before: Sequence[int], draw: Random) -> str | None:
    """Return a sum or difference of two numbers that gives a third, if there is any."""
    known = list(dict.fromkeys(before))
    place = {a: i for i, a in enumerate(known)}
    sums = [f"{a} - {a - number} = {number}" for a in known if a - number in place and number != 0]
    pairs = [(a, number - a) for i, a in enumerate(known) if place.get(number - a, -1) >= i]
    sums += [f"{a} + {b} = {number}" for a, b in pairs]
    return draw.choice(sums) if sums else None


def _compared(a: int, b: int) -> str:
    return f"{a} {'>' if a > b else '<' if a < b else '='} {b}."


def _calling(decision: Decision, quoted: Sequence[str]) -> str:
    purposes = {
        tool_name(tool): str(tool["function"].get("description") or tool_name(tool))
        for tool in decision.conversation.tools
    }
    called = dict.fromkeys(purposes.get(c.name, c.name) for c in decision.gold.tool_calls)
    purpose = " ".join(f"{text.rstrip('.')}." for text in called)
    return f"{' and '.join(quoted)}: {purpose}" if quoted else purpose
