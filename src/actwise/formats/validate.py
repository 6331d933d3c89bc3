"""What every conversation has to fulfil, whichever format it was read from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from actwise.conversation import CONTROL_TAG, Conversation, Message, Tool, ToolCall, tool_name
from actwise.formats.record import Unusable, clip
from actwise.formats.tools import argument_problem

NOTHING_LEARNED = "no_assistant"
"""Why a conversation is refused of which nothing is learned, such as one cut-off answer."""


@dataclass(frozen=True)
class Problem:
    """Why a conversation cannot be used."""

    reason: str
    detail: str
    """One sentence ending with the remedy; `messages[i]` counts from 0."""
    about: str | None = None
    """The tool that is the reason, if one is."""


def first_problem(conversation: Conversation) -> Problem | None:
    """Return the first thing that makes a conversation unusable, in reading order."""
    messages = conversation.messages
    if not messages:
        return Problem("no_messages", "the conversation has no messages; leave it out")
    if messages[0].role not in ("system", "user") and messages[0].weight:
        return Problem(
            "bad_start",
            f"the conversation begins with role {messages[0].role!r}; "
            "it has to begin with a system or user message",
        )
    if not conversation.decisions():
        return Problem(
            NOTHING_LEARNED,
            "the conversation has no assistant message to learn from; leave it out",
        )
    tools = {tool_name(tool): tool for tool in conversation.tools}
    for remark in conversation.remarks:
        if remark.code == "unusable_schema":
            name, _, fault = remark.detail.partition(": ")
            if any(call.name == name for message in messages for call in message.tool_calls):
                return Problem(
                    "bad_tools",
                    f"the parameters of the tool {name!r} are no JSON schema: {fault}; mend it",
                    name,
                )
    pending: list[ToolCall] = []
    for index, message in enumerate(messages):
        problem = _message_problem(message, f"messages[{index}]", tools, pending)
        if problem:
            return problem
    return None


def _message_problem(
    message: Message, place: str, tools: Mapping[str, Tool], pending: list[ToolCall]
) -> Problem | None:
    tag = CONTROL_TAG.search(f"{message.reasoning_content or ''} {message.content}")
    if tag:
        return Problem(
            "control_tag",
            f"{place} holds {tag.group()}, which the chat template would take for its own; "
            "write it otherwise (such as with spaces), or leave the conversation out",
        )
    if message.role == "tool":
        return _result_problem(message, place, pending)
    if message.role != "assistant":
        if message.tool_calls:
            return Problem(
                "misplaced_calls",
                f"{place} has role {message.role!r} and tool calls; only the assistant calls tools",
            )
        return None
    if not message.tool_calls and not message.content.strip():
        return Problem(
            "empty_assistant",
            f"{place} is an assistant message with neither content nor tool calls; "
            "restore what it said, or leave the conversation out",
        )
    for call in message.tool_calls:
        problem = _call_problem(call, place, tools)
        if problem:
            return problem
    pending.extend(message.tool_calls)
    return None


def _call_problem(call: ToolCall, place: str, tools: Mapping[str, Tool]) -> Problem | None:
    if call.name not in tools:
        declared = ", ".join(sorted(tools)) or "no tool at all"
        return Problem(
            "undeclared_tool",
            f"{place} calls {call.name!r}, but declared is {clip(declared)}; "
            "declare it in `tools`, or give the tools' file",
            call.name,
        )
    tag = CONTROL_TAG.search(json.dumps(call.arguments, ensure_ascii=False))
    if tag:
        return Problem(
            "control_tag",
            f"{place} calls {call.name!r} with {tag.group()} in its arguments, which the chat "
            "template would take for its own; write it otherwise, or leave the conversation out",
        )
    try:
        fault = argument_problem(tools[call.name], call.arguments)
    except Unusable as error:
        return Problem(error.reason, error.detail, call.name)
    if fault is None:
        return None
    return Problem(
        "bad_arguments",
        f"{place} calls {call.name!r} against its schema: {fault}; mend the call or the schema",
        call.name,
    )


def _result_problem(message: Message, place: str, pending: list[ToolCall]) -> Problem | None:
    """Take the call that the result belongs to out of `pending`."""
    for index, call in enumerate(pending):
        if message.tool_call_id is not None:
            matches = call.id == message.tool_call_id
        else:
            # Without an id (the legacy `function` role) results come in the order of the calls.
            matches = message.name in (None, call.name)
        if matches:
            del pending[index]
            return None
    wanted = (
        f"tool_call_id {message.tool_call_id!r}"
        if message.tool_call_id is not None
        else "no tool_call_id"
    )
    return Problem(
        "orphan_result",
        f"{place} is a tool result with {wanted} that belongs to no unanswered call before it; "
        "repeat the id of its call",
    )
