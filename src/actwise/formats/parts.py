"""Messages whose content is a list of parts: texts, thoughts, calls, results.

The interfaces differ in the names of the parts and of what is in them; each reader has a table of
functions, one for each kind of part, that tell a `Turn` what the part says.
"""

from collections.abc import Callable, Mapping
from typing import Any

from actwise.conversation import Message, Role, ToolCall
from actwise.formats.keys import Keys, known, remark_unread
from actwise.formats.record import Unusable, clip, kind_of
from actwise.formats.thoughts import split_thought, thought_text


class Turn:
    """What the parts of one message say, put into the messages they amount to.

    A text or thought after results begins another message: one record of some interfaces holds
    several steps of the assistant.
    """

    def __init__(self, role: Role, place: str) -> None:
        self.role, self.place = role, place
        self.done: list[Message] = []
        """Messages that have ended."""
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[ToolCall] = []
        self._results: list[Message] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been said since the last message ended."""
        return not (self._texts or self._thoughts or self._calls or self._results)

    def text(self, text: str) -> None:
        """Add words; those of adjacent parts belong together."""
        if self._calls and self._results:
            self.step()
        self._texts.append(text)

    def line(self) -> None:
        """Begin a line, where words of the same message stand before it."""
        if any(self._texts) and not (self._calls and self._results):
            self._texts.append("\n")

    def thought(self, text: str) -> None:
        """Add a thought; white space, as servers log it of a model that did not think, is none."""
        if self._calls and self._results:
            self.step()
        self._thoughts.append(text if text.strip() else "")

    def call(self, call: ToolCall, *, same_step: bool = False) -> None:
        """Add a call.

        Args:
            call: What is called.
            same_step: Whether it was made together with the calls before it, although their
                results stand before it.
        """
        if self._calls and self._results and not same_step:
            self.step()
        self._calls.append(call)

    def result(self, text: str, call_id: str | None, name: str | None = None) -> None:
        """Add what a call returned."""
        self._results.append(Message(role="tool", content=text, tool_call_id=call_id, name=name))

    def step(self) -> None:
        """End a message."""
        content = "".join(self._texts)
        if self.role == "assistant":
            thought = "\n".join(filter(None, self._thoughts)) if self._thoughts else None
            content, thought = split_thought(content, thought, self.place)
            if content or thought or self._calls or not self._results:
                self.done.append(
                    Message(
                        role="assistant",
                        content=content,
                        tool_calls=tuple(self._calls),
                        reasoning_content=thought,
                    )
                )
            self.done += self._results
        else:
            # Interfaces demand that results come first; words beside them are the user's next.
            self.done += self._results
            if self._texts or not self._results:
                self.done.append(Message(role=self.role, content=content))
        self._texts, self._thoughts, self._calls, self._results = [], [], [], []

    def messages(self) -> list[Message]:
        """Return all messages, at the end of the parts."""
        if not self.is_empty or not self.done:
            self.step()
        return self.done


PART_KEYS = known(
    "type text refusal thinking signature summary reasoning reasoning_content content annotations "
    "cache_control "
    "id logprobs data index citations providerOptions providerMetadata state extras phase"
)
PartReader = Callable[[dict[str, Any], str, Turn], None]
"""Tells the turn what a part at a place says, or raises `Unusable`."""


def text_part(part: dict[str, Any], place: str, turn: Turn) -> None:
    """Read a part of words."""
    text = next((part[key] for key in ("text", "content", "refusal") if key in part), None)
    if not isinstance(text, str):
        raise Unusable(
            "non_text_content", f"the text of {place} is {kind_of(text)}; write a string"
        )
    turn.text(text)


def thought_part(part: dict[str, Any], place: str, turn: Turn) -> None:
    """Read a part that holds a thought, or one that is encrypted and says nothing."""
    text = thought_text(part)
    if text is None:
        raise Unusable("non_text_content", f"the thought of {place} is no text; write a string")
    if text:
        turn.thought(text)


def nothing_said(part: dict[str, Any], place: str, turn: Turn) -> None:
    """Pass over a part that says nothing, or repeats what is said elsewhere."""


TEXT_PARTS: dict[str, PartReader] = {
    "text": text_part,
    "input_text": text_part,
    "output_text": text_part,
    "refusal": text_part,
    "thinking": thought_part,
    "redacted_thinking": nothing_said,
    "reasoning": thought_part,
    "reasoning_content": thought_part,
}


def read_parts(
    value: Any,
    place: str,
    turn: Turn,
    kinds: Mapping[str, PartReader] = TEXT_PARTS,
    keys: Keys = PART_KEYS,
) -> None:
    """Read the content of a message: a text, a part, or a list of them.

    Args:
        value: The content.
        place: Where it stands, for errors.
        turn: What is told of each part.
        kinds: Reader by the `type` of a part.
        keys: What the parts consist of.

    Raises:
        Unusable: When a part is of another kind, such as an image.
    """
    if isinstance(value, str):
        turn.text(value)
        return
    if isinstance(value, dict) and value.keys() & {"type", "text"}:
        value = [value]
    if not isinstance(value, list):
        raise Unusable("non_text_content", f"{place} is {kind_of(value)}; write it as a string")
    for index, part in enumerate(value):
        here = f"{place}[{index}]"
        kind = part.get("type", "text") if isinstance(part, dict) else None
        if isinstance(part, str):
            turn.text(part)
        elif isinstance(part, dict) and isinstance(kind, str) and kind in kinds:
            remark_unread(part, keys, place)
            kinds[kind](part, here, turn)
        else:
            seen = kind_of(part) if kind is None else clip(repr(kind), 40)
            raise Unusable(
                "non_text_content",
                f"{here} is no text part ({seen}) and cannot be learned; "
                "leave the conversation out",
            )
