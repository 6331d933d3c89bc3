"""How a chat template writes actions: the texts around what a model chooses in them.

They are found by writing calls whose names and arguments are known, and looking for these in what
was written. So it is known of any template whose calls have JSON for arguments, whatever its tags.
"""

import re
from dataclasses import dataclass

from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.errors import InputError
from actwise.template.render import Template

_ASKED = Message(role="user", content="Hi")
_SAID = "Probe answer."
_CALLS = tuple(
    ToolCall(name=f"probe_{word}", arguments={"first": 1, "second": 2}, id=f"call0000{number}")
    for number, word in enumerate(("one", "two"), 1)
)
_ONE = re.compile(
    r"(?P<begin>.*?)probe_one(?P<middle>.*?)"
    r'\{"first"(?P<colon>:\s*)1(?P<comma>,\s*)"second"(?P=colon)2\}(?P<end>.*)',
    re.DOTALL,
)
_TWO = re.compile(
    _ONE.pattern.removesuffix("(?P<end>.*)")
    + r"(?P<between>.*?)probe_two(?P=middle)"
    + r'\{"first"(?P=colon)1(?P=comma)"second"(?P=colon)2\}(?P<end>.*)',
    re.DOTALL,
)


@dataclass(frozen=True)
class CallShape:
    """The texts around names and arguments of calls."""

    begin: str
    """Before the first name."""
    middle: str
    """Between a name and its arguments."""
    end: str
    """Behind the last arguments."""
    between: str | None
    """Behind arguments, before the next name; None where a turn holds one call."""
    separators: tuple[str, str]
    """What JSON has behind a key and between members, white space included."""


@dataclass(frozen=True)
class Shape:
    """The texts of a completion around thought, calls and answer."""

    thought: tuple[str, str] | None
    """Before and behind the thought, its marks included; None in direct mode."""
    calls: CallShape | None
    """None where arguments are not written as JSON."""
    answer: tuple[str, str]
    """Before and behind words to the user."""


def find_shape(template: Template, *, thinking: bool) -> Shape:
    """Find out how a template writes what a model does.

    Args:
        template: The model's.
        thinking: Whether the model thinks before.
    """
    thought, answer = _written(template, Message(role="assistant", content=_SAID), thinking)
    before, _, behind = answer.partition(_SAID)
    return Shape(thought, _call_shape(template, thinking), (before, behind))


def _call_shape(template: Template, thinking: bool) -> CallShape | None:
    try:
        found = _TWO.fullmatch(_written(template, _calling(2), thinking)[1])
    except InputError:  # Llama's template raises where there are two calls
        found = None
    found = found or _ONE.fullmatch(_written(template, _calling(1), thinking)[1])
    if found is None:
        return None
    texts = found.groupdict()
    separators = texts["colon"], texts["comma"]
    return CallShape(
        texts["begin"], texts["middle"], texts["end"], texts.get("between"), separators
    )


def _calling(number: int) -> Message:
    return Message(role="assistant", tool_calls=_CALLS[:number])


def _written(
    template: Template, action: Message, thinking: bool
) -> tuple[tuple[str, str] | None, str]:
    """Return the texts around a thought, up to its closing mark, and what stands behind that."""
    decision = Decision(Conversation(id="probe", messages=(_ASKED, action)), 1)
    if not thinking:
        return None, template.action_text(decision, thought=None)
    before, behind, rest = template.around_thought(decision)
    return (before, behind), rest
