"""Whether a thought of the desk is any good: its facts, its sums, and what it concludes.

Thoughts are written in the expert's language (`expert.py`): `27 - 12 = 15`, `15 > 14: too late`.
Only numbers are checked as facts; names of goods and words are not. A thought can be right in all
of this and still beside the point, and right by luck.
"""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass

from actwise.conversation import Message
from actwise.rewards.stance import stance
from actwise.template.parse import ParsedCompletion

_NUMBER = re.compile(r"(?<![\w.])\d+(?!\w|\.\d)")
_SUM = re.compile(r"(?<![\w.])(\d+) ([-+]) (\d+) = (\d+)(?!\w)")
_COMPARISON = re.compile(r"(?<![\w.])(\d+) ([<>=]) (\d+)(?!\w)")
_REFUSES = re.compile(
    r"\b(?:too \w+|not enough|policy stays|are private|there are no [a-z]+)\b", re.IGNORECASE
)
_COMPARE = {"<": operator.lt, ">": operator.gt, "=": operator.eq}


@dataclass(frozen=True)
class ThoughtCheck:
    """What is true of a thought; None where it holds nothing of the kind."""

    grounded: bool | None
    """Every number that it quotes stands in the conversation, or is the result of an earlier sum
    of its own."""
    sums: bool | None
    """Every sum is right."""
    comparisons: bool | None
    """Every comparison is right."""
    concluded: bool | None
    """The act is what the thought came to: it refuses where the thought does and nowhere else, and
    it states the number that the thought ends with. None where there is no thought."""

    @property
    def sound(self) -> bool | None:
        """Whether facts, sums and comparisons are all right; None where there are none."""
        known = [part for part in (self.grounded, self.sums, self.comparisons) if part is not None]
        return all(known) if known else None


def check_thought(completion: ParsedCompletion, history: Sequence[Message]) -> ThoughtCheck:
    """Check the thought of a completion.

    Args:
        completion: A thought and an act.
        history: The messages before the decision.
    """
    thought = completion.thought or ""
    sums = [
        int(a) + int(b) == int(c) if sign == "+" else int(a) - int(b) == int(c)
        for a, sign, b, c in _SUM.findall(thought)
    ]
    comparisons = [
        _COMPARE[sign](int(a), int(b)) for a, sign, b in _COMPARISON.findall(_SUM.sub("", thought))
    ]
    known = known_numbers(history)
    grounded = [number in known for number in _quoted(thought)]
    return ThoughtCheck(
        grounded=all(grounded) if grounded else None,
        sums=all(sums) if sums else None,
        comparisons=all(comparisons) if comparisons else None,
        concluded=_follows(completion) if thought else None,
    )


def concluding_number(thought: str) -> str | None:
    """Return the number that the act has to state, as the thought's last word on it.

    What follows the last comparison is the conclusion. Where it holds no number, as in
    `15 > 14: too late`, a refusal has to state what was compared, and a grant nothing.
    """
    comparisons = list(_COMPARISON.finditer(_SUM.sub(lambda m: "_" * len(m[0]), thought)))
    if not comparisons:
        numbers = _NUMBER.findall(thought)
        return numbers[-1] if numbers else None
    conclusion = thought[comparisons[-1].end() :]
    numbers = _NUMBER.findall(conclusion)
    if numbers:
        return numbers[-1]
    return comparisons[-1][1] if _REFUSES.search(conclusion) else None


def act_numbers(completion: ParsedCompletion) -> set[str]:
    """Return the numbers that an act states, in its calls or its answer."""
    texts = [completion.answer]
    texts += [str(v) for call in completion.calls for v in call.arguments.values()]
    return {number for text in texts for number in _NUMBER.findall(text)}


def _follows(completion: ParsedCompletion) -> bool:
    thought = completion.thought or ""
    refuses = not completion.calls and stance(completion.answer).refuses
    if bool(_REFUSES.search(thought)) != refuses:
        return False
    number = concluding_number(thought)
    return number is None or number in act_numbers(completion)


def _quoted(thought: str) -> list[str]:
    """Return the numbers of a thought that are neither results nor repeat an earlier result."""
    results: set[str] = set()
    quoted = []
    end = 0
    for match in _SUM.finditer(thought):
        before = _NUMBER.findall(thought[end : match.start()])
        quoted += [n for n in (*before, match[1], match[3]) if n not in results]
        results.add(match[4])
        end = match.end()
    return quoted + [n for n in _NUMBER.findall(thought[end:]) if n not in results]


def known_numbers(history: Sequence[Message]) -> set[str]:
    """Return the numbers that a conversation holds so far, in its words and its calls."""
    texts = [message.content for message in history]
    texts += [str(v) for m in history for call in m.tool_calls for v in call.arguments.values()]
    return {number for text in texts for number in _NUMBER.findall(text)}
