"""Which conversations to annotate with thoughts, when only a few can be.

Drawn at random, a few dozen conversations hold the commonest decisions many times and rare ones
hardly ever, and a model that has never seen how to think about a refund has no right completion to
learn from. What kind a decision is can be read off the record without any annotation.
"""

from collections import Counter, deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from actwise.conversation import Conversation, Decision, tool_name
from actwise.data.stored import chosen
from actwise.rewards.stance import stance
from actwise.thoughts.derive import asks
from actwise.thoughts.numbers import numbers_before, whole_numbers


def kind_of(decision: Decision) -> str:
    """Return what a recorded action does, for the purpose of covering all that there is.

    Returns:
        What the called tools are for, or their names; else "refuses", "asks" or "answers", with
        "computes" where the answer states a whole number that the history does not hold.
    """
    gold = decision.gold
    if gold.tool_calls:
        tools = {tool_name(tool): tool["function"] for tool in decision.conversation.tools}
        purposes = [
            str(tools.get(c.name, {}).get("description") or c.name) for c in gold.tool_calls
        ]
        return "calls: " + "; ".join(sorted(purposes))
    stated = set(whole_numbers(gold.content))
    kind = "asks" if asks(gold.content) else "answers"
    kind = "refuses" if stance(gold.content).refuses else kind
    return f"{kind}, computes" if stated - set(numbers_before(decision)) else kind


def covering(conversations: Sequence[Conversation], count: int) -> Sequence[Conversation]:
    """Return the conversations that together cover the kinds of decisions best.

    Each next one is that which adds most to the sum, over all kinds, of the square root of how
    often the kind is covered, so that the tenth refund counts less than the first question.

    Args:
        conversations: To choose from.
        count: How many; all where there are no more.
    """
    alike: dict[tuple[tuple[str, int], ...], deque[int]] = {}
    """What conversations cover -> their indices, ascending."""
    for number, conversation in enumerate(conversations):
        kinds = Counter(kind_of(d) for d in conversation.decisions())
        alike.setdefault(tuple(kinds.items()), deque()).append(number)
    covered: Counter[str] = Counter()

    def gain(kinds: tuple[tuple[str, int], ...]) -> float:
        return sum((covered[k] + n) ** 0.5 - covered[k] ** 0.5 for k, n in kinds)

    # What a conversation adds only falls while others are chosen, so most gains need not be known
    # anew: an old one says how much it is at most.
    waiting = [(-gain(kinds), numbers[0], kinds) for kinds, numbers in alike.items()]
    heapify(waiting)
    found: list[int] = []
    while waiting and len(found) < count:
        *_, most = heappop(waiting)
        best = (-gain(most), alike[most][0], most)
        if waiting and best > waiting[0]:
            heappush(waiting, best)
            continue
        covered.update(dict(most))
        found.append(alike[most].popleft())
        if alike[most]:
            heappush(waiting, (-gain(most), alike[most][0], most))
    return chosen(conversations, found)
