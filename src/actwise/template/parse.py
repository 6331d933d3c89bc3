"""Read a completion: its thought, its tool calls, its answer, and what is wrong with it.

Each call is parsed on its own, so one broken call of two costs one call. No text raises: a
completion that cannot be read is a completion with errors. Needs neither torch nor transformers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from actwise.conversation import Tool, ToolCall, tool_name, tool_parameters
from actwise.template.calls import FormatError as FormatError
from actwise.template.syntaxes import QWEN, Syntax

THINK_CLOSE = QWEN.think[1]


@dataclass(frozen=True)
class ParsedCompletion:
    """A completion taken apart; `errors` is empty when the format is right."""

    thought: str | None
    """None when there is no thought; an unclosed thought is kept as far as it goes."""
    calls: tuple[ToolCall, ...]
    answer: str
    """The text outside thought and calls, stripped."""
    errors: tuple[FormatError, ...]
    """Each error once, however often it occurs."""
    broken_calls: int = 0
    """Calls that were begun and cannot be read."""

    @property
    def closed_thought(self) -> str | None:
        """The thought, where there is one that says something and ends."""
        return None if FormatError.UNCLOSED_THOUGHT in self.errors else self.thought or None


def parse_completion(
    text: str, *, thinking: bool, syntax: Syntax = QWEN, tools: Sequence[Tool] = ()
) -> ParsedCompletion:
    """Take a completion apart.

    Args:
        text: The completion as generated, without its stop token.
        thinking: Whether it was generated in thinking mode, and so has to begin with a thought.
        syntax: How the model writes thoughts and calls; see `Template.syntax`.
        tools: What was on offer; their schemas give types to arguments that are written without.
    """
    errors: list[FormatError] = []
    thought, rest = _split_thought(text, thinking, syntax, errors)
    if thinking and thought == "" and FormatError.UNCLOSED_THOUGHT not in errors:
        errors.append(FormatError.EMPTY_THOUGHT)
    schemas = {tool_name(tool): tool_parameters(tool) for tool in tools}
    blocks, answer = _split_calls(rest, syntax, errors)
    read: list[ToolCall | FormatError] = []
    for block in blocks:
        unclosed: list[ToolCall | FormatError] = [FormatError.UNCLOSED_CALL]
        read += unclosed if block is None else syntax.read(block, schemas)
    calls = [call for call in read if isinstance(call, ToolCall)]
    errors += [error for error in read if isinstance(error, FormatError)]
    if syntax.control.search(answer) or (thought is not None and syntax.control.search(thought)):
        errors.append(FormatError.STRAY_TAG)
    if not answer and not read:
        errors.append(FormatError.EMPTY)
    unique = tuple(dict.fromkeys(errors))
    return ParsedCompletion(thought, tuple(calls), answer, unique, len(read) - len(calls))


def _split_thought(
    text: str, thinking: bool, syntax: Syntax, errors: list[FormatError]
) -> tuple[str | None, str]:
    begin, end = (mark.strip() for mark in syntax.think)
    body = text.lstrip()
    if not body.startswith(begin):
        # Templates that open the thought in the generation prompt leave only its end to the model.
        if thinking and end in body and begin not in body.split(end, 1)[0]:
            thought, _, rest = body.partition(end)
            return thought.strip(), rest
        if thinking:
            errors.append(FormatError.MISSING_THOUGHT)
        return None, text
    if not thinking:
        errors.append(FormatError.UNEXPECTED_THOUGHT)
    body = body.removeprefix(begin)
    if end not in body:
        errors.append(FormatError.UNCLOSED_THOUGHT)
        return body.strip(), ""
    thought, _, rest = body.partition(end)
    return thought.strip(), rest


def _split_calls(
    text: str, syntax: Syntax, errors: list[FormatError]
) -> tuple[list[str | None], str]:
    """Return the texts of the calls, None for one that never ends, and the text outside of them."""
    begun = list(syntax.opening.finditer(text))
    outside = [text[: begun[0].start()] if begun else text]
    blocks: list[str | None] = []
    for number, mark in enumerate(begun):
        end = begun[number + 1].start() if number + 1 < len(begun) else len(text)
        body, closed, after = text[mark.end() : end], "", ""
        if syntax.close:
            body, closed, after = body.partition(syntax.close)
            if not closed:
                blocks.append(None)
                continue
        blocks.append(body)
        outside.append(after)
        if after.strip():
            errors.append(FormatError.TEXT_AFTER_CALL)
    return blocks, "\n".join(part.strip() for part in outside if part.strip())
