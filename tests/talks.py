"""Messages and conversations in few words, and findings by their code."""

from typing import Any

from actwise.conversation import Conversation, Message, ToolCall
from actwise.doctor import Diagnosis, Finding

TOOLS: tuple[dict[str, Any], ...] = (
    {"type": "function", "function": {"name": "lookup", "description": "Default: express."}},
    {"type": "function", "function": {"name": "refund"}},
)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def says(text: str, thought: str | None = None) -> Message:
    return Message(role="assistant", content=text, reasoning_content=thought)


def calls(call_id: str = "c", name: str = "lookup", **arguments: Any) -> Message:
    call = ToolCall(name=name, arguments=arguments, id=call_id)
    return Message(role="assistant", tool_calls=(call,))


def result(text: str, call_id: str = "c") -> Message:
    return Message(role="tool", content=text, tool_call_id=call_id)


def talk(*messages: Message, id: str = "x") -> Conversation:
    return Conversation(id=id, messages=messages, tools=TOOLS, source=f"log.jsonl:{id}")


def finding(diagnosis: Diagnosis, code: str) -> Finding | None:
    return next((f for f in diagnosis.findings if f.code == code), None)
