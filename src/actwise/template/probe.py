"""What a chat template expresses and how, found out by writing a conversation and reading it back.

The probe holds what is easily lost on the way: a boolean, digits that are text, a list, null, and
quotes with a line break. A syntax or an addition is taken where all of it comes back exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from actwise.conversation import Conversation, Decision, Message, Tool, ToolCall
from actwise.errors import ModelError
from actwise.template.additions import (
    fold_thoughts,
    open_thought,
    pin_date,
    show_tools,
    write_calls,
)
from actwise.template.parse import parse_completion
from actwise.template.syntaxes import SYNTAXES, Syntax

REMEDY = "use the template that comes with actwise: --set model.template=actwise"

_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": "probe_tool",
        "description": "Probe.",
        "parameters": {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "Text."},
                "digits": {"type": "string", "description": "Text of digits."},
                "flag": {"type": "boolean", "description": "A flag."},
                "count": {"type": "integer", "description": "A number."},
                "items": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Several.",
                },
                "nothing": {"type": "null", "description": "Nothing."},
            },
        },
    },
}
_ARGUMENTS = {
    "text": 'it\'s a "probe"\nof <two> lines',
    "digits": "0042",
    "flag": True,
    "count": 7,
    "items": ["a", "b c"],
    "nothing": None,
}
_CALL = ToolCall(name="probe_tool", arguments=_ARGUMENTS, id="call00001")
_SAID = Conversation(
    id="probe",
    tools=(_TOOL,),
    messages=(
        Message(role="system", content="Probe policy."),
        Message(role="user", content="Probe question."),
        Message(role="assistant", tool_calls=(_CALL,)),
        Message(role="tool", content="probe result", tool_call_id="call00001", name="probe_tool"),
        Message(role="assistant", content="Probe answer."),
    ),
)
CALL, ANSWER = _SAID.decisions()
THOUGHT = "Probe thought."
_WORDS = CALL.gold.model_copy(update={"content": "Probe words."})
_WITH_WORDS = Decision(
    _SAID.model_copy(update={"messages": (*_SAID.messages[:2], _WORDS, *_SAID.messages[3:])}), 2
)

Render = Callable[..., str]
"""Renders a decision's history and perhaps a turn with a chat template; see `Template.render`."""


@dataclass(frozen=True)
class Expression:
    """How a chat template expresses what is trained."""

    chat_template: str
    """Its own, with what was added to it."""
    syntax: Syntax
    stops: tuple[str, ...]
    """What ends a turn."""
    added: tuple[str, ...]
    """What was added, in words."""
    says_words_with_calls: bool
    """Whether words to the user before a call are written, too, and before it."""


def find_expression(own: str, render: Render, added_tokens: Sequence[str]) -> Expression:
    """Find out how a chat template writes thoughts, calls and ends of turns.

    Args:
        own: The chat template.
        render: Called with a chat template, a decision, turns, and the template's options.
        added_tokens: The tokenizer's added tokens.

    Raises:
        ModelError: If it cannot express a call, its result or a thought.
    """
    added: list[str] = []
    template = pin_date(own)
    if template != own:
        added.append("date pinned")
    prompt = render(template, CALL, add_generation_prompt=True, enable_thinking=True)
    if "probe_tool" not in prompt:
        template = show_tools(template)
        added.append("tools handed on")
        prompt = render(template, CALL, add_generation_prompt=True, enable_thinking=True)
    if "probe_tool" not in prompt:
        raise ModelError("the chat template does not show the tools; " + REMEDY)
    _check_turn(template, render, added_tokens)
    template, syntax = _with_calls(template, render, added_tokens, added)
    if "probe result" not in render(template, ANSWER, enable_thinking=True):
        raise ModelError("the chat template does not show tool results; " + REMEDY)
    template = _with_thoughts(template, syntax, render, added_tokens, added)
    turns = (render(template, decision, decision.gold) for decision in (CALL, ANSWER))
    splits = (split_at_stop(turn, _ends(syntax, added_tokens)) for turn in turns)
    stops = tuple(dict.fromkeys(split[1] for split in splits if split))
    said = _reads_back(template, syntax, render, added_tokens, None, (_WITH_WORDS,))
    return Expression(template, syntax, stops, tuple(added), said)


def _check_turn(template: str, render: Render, added_tokens: Sequence[str]) -> None:
    for decision in (CALL, ANSWER):
        prompt = render(template, decision, add_generation_prompt=True, enable_thinking=False)
        turn = render(template, decision, decision.gold, enable_thinking=False)
        if "</think>" in turn[len(prompt) :]:
            raise ModelError(
                "the chat template has no mode without thinking (enable_thinking=False); " + REMEDY
            )
        if not turn.startswith(prompt):
            raise ModelError(
                "the chat template does not continue the prompt with the assistant's turn; "
                + REMEDY
            )
        if split_at_stop(turn, added_tokens) is None:
            raise ModelError(
                "the chat template ends the assistant's turn with no token of the tokenizer; "
                + REMEDY
            )


def _with_calls(
    template: str, render: Render, added_tokens: Sequence[str], added: list[str]
) -> tuple[str, Syntax]:
    """Return a template that writes calls, and how."""
    if "probe_tool" not in render(template, CALL, CALL.gold).partition("Probe question.")[2]:
        template = write_calls(template)
        added.append("calls written")
    for syntax in SYNTAXES:
        if _reads_back(template, syntax, render, added_tokens, None):
            return template, syntax
    raise ModelError(
        "the chat template writes calls in a way that is not known here, or not such that all "
        "arguments can be read back; " + REMEDY
    )


def _with_thoughts(
    template: str,
    syntax: Syntax,
    render: Render,
    added_tokens: Sequence[str],
    added: list[str],
) -> str:
    """Return a template that writes thoughts, and of which the two modes differ."""
    folded = (
        (fold_thoughts(template, write), "thoughts folded")
        for write in dict.fromkeys(("", syntax.write))
    )
    for candidate, change in chain([(template, None)], folded):
        opened = _told_apart(candidate, render)
        if all(_reads_back(opened, syntax, render, added_tokens, t) for t in (None, THOUGHT)):
            added += [change] if change else []
            added += ["thought opened"] if opened != candidate else []
            return opened
    raise ModelError("the chat template leaves out the thought of a turn; " + REMEDY)


def _ends(syntax: Syntax, added_tokens: Sequence[str]) -> list[str]:
    """Return the tokens that may end a turn: not what closes a call or a thought."""
    return [token for token in added_tokens if token not in (syntax.close, syntax.think[1])]


def _told_apart(template: str, render: Render) -> str:
    """Let the prompt of thinking mode open the thought, if the prompts of both modes are equal."""
    direct, thinking = (
        render(template, ANSWER, add_generation_prompt=True, enable_thinking=mode)
        for mode in (False, True)
    )
    turn = ANSWER.gold.model_copy(update={"reasoning_content": THOUGHT})
    full = render(template, ANSWER, turn, enable_thinking=True)
    if direct != thinking or not full.startswith(thinking) or THOUGHT not in full:
        return template
    return open_thought(template, full[len(thinking) : full.index(THOUGHT)])


def _reads_back(
    template: str,
    syntax: Syntax,
    render: Render,
    added_tokens: Sequence[str],
    thought: str | None,
    decisions: Sequence[Decision] = (CALL, ANSWER),
) -> bool:
    """Whether a call and an answer are written such that they are read back exactly."""
    for decision in decisions:
        options = {"enable_thinking": thought is not None}
        gold = decision.gold.model_copy(update={"reasoning_content": thought})
        prompt = render(template, decision, add_generation_prompt=True, **options)
        full = render(template, decision, gold, **options)
        split = split_at_stop(full[len(prompt) :], _ends(syntax, added_tokens))
        if split is None or not full.startswith(prompt):
            return False
        parsed = parse_completion(
            split[0], thinking=thought is not None, syntax=syntax, tools=(_TOOL,)
        )
        calls = tuple(call.model_copy(update={"id": None}) for call in gold.tool_calls)
        if parsed.errors or (parsed.thought, parsed.calls, parsed.answer) != (
            thought,
            calls,
            gold.content,
        ):
            return False
    return True


def split_at_stop(turn: str, stops: Sequence[str]) -> tuple[str, str] | None:
    """Return a rendered turn without its end, and the first of the stops that it ends with."""
    found = None
    while (rest := turn.rstrip()).endswith(tuple(stops)):
        stop = max((stop for stop in stops if rest.endswith(stop)), key=len)
        turn = rest[: -len(stop)]
        found = turn, stop
    return found
