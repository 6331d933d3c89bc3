"""The decisions as the page carries them: each text once, compressed.

A page of 2,000 decisions of five models is a few hundred kilobytes. What the decisions share,
such as the conversations, the tools on offer and long system messages, is stored once.
"""

import base64
import gzip
import json
from collections import Counter
from typing import Any

from actwise.report.judged import Decisions, Function, Record, Tested
from actwise.results.failures import outcome

_LONG = 200
"""Characters from which on a message that occurs more than once is stored once."""


def payload(decisions: Decisions, titles: dict[str, str]) -> dict[str, Any]:
    """Return what the page's script shows.

    Args:
        decisions: All of a run.
        titles: Of the models, by name.

    Returns:
        "models" (name, mode, title), "texts", "tools" (lists of tools), "conversations" and
        "decisions". A message's text may be an index of "texts"; a conversation's tools are an
        index of "tools". A decision has the index of its conversation, that of its message, and
        what each model did by the index of the model. Arguments of calls are pairs of a name and
        its value as JSON, parameters of tools are JSON, too: a browser would read 10.0 as 10, and
        round long numbers.
    """
    models = list(dict.fromkeys((m.model, m.mode) for m in decisions.evaluations))
    did: dict[str, dict[int, Record]] = {}
    for measured, records in decisions.evaluations.items():
        index = models.index((measured.model, measured.mode))
        for record in records:
            of_decision = did.setdefault(record["decision"], {})
            of_decision[index] = _completion(record)
    shared = _shared_texts(decisions.conversations)
    toolsets: dict[str, int] = {}
    return {
        "models": [
            {"name": name, "mode": mode, "title": titles.get(name, name)} for name, mode in models
        ],
        "texts": list(shared),
        "conversations": [
            _conversation(conversation, shared, toolsets)
            for conversation in decisions.conversations
        ],
        "tools": [[_tool(tool) for tool in json.loads(tools)] for tools in toolsets],
        "decisions": [
            {"of": number, "at": int(key.rpartition("#")[2]), "did": did[key]}
            for number, conversation in enumerate(decisions.conversations)
            for key in conversation.decisions()
            if key in did
        ],
    }


def packed(content: dict[str, Any]) -> str:
    """Return JSON as base64 of gzip; the same content gives the same text."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # What a model wrote can hold half a surrogate pair, which UTF-8 cannot.
    data = gzip.compress(text.encode("utf-8", errors="replace"), compresslevel=9, mtime=0)
    return base64.b64encode(data).decode("ascii")


def _completion(record: Record) -> Record:
    verdict = record["verdict"]
    return {
        "right": verdict["right"],
        "outcome": outcome(record),
        "reward": round(verdict["reward"], 4),
        "thought": record["thought"],
        "calls": [_call(Function.model_validate(call)) for call in record["calls"]],
        "answer": record["answer"],
        "text": record["text"],
        "notes": [*verdict["notes"], *verdict["errors"]],
    }


def _call(call: Function) -> dict[str, Any]:
    given = call.arguments.items()
    written = [(key, json.dumps(value, ensure_ascii=False)) for key, value in given]
    return {"name": call.name, "arguments": written}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function", {})
    parameters = json.dumps(function.get("parameters", {}), ensure_ascii=False, indent=1)
    return {**tool, "function": {**function, "parameters": parameters}}


def _shared_texts(conversations: list[Tested]) -> dict[str, int]:
    counts = Counter(m.content for c in conversations for m in c.messages if len(m.content) > _LONG)
    shared = [text for text, count in counts.items() if count > 1]
    return {text: index for index, text in enumerate(shared)}


def _conversation(
    conversation: Tested, shared: dict[str, int], toolsets: dict[str, int]
) -> dict[str, Any]:
    tools = json.dumps(conversation.tools, ensure_ascii=False)
    return {
        "id": conversation.id,
        "split": conversation.split,
        "tools": toolsets.setdefault(tools, len(toolsets)),
        "messages": [
            {
                "role": message.role,
                "text": shared.get(message.content, message.content),
                "calls": [_call(call.function) for call in message.tool_calls],
                "labels": message.labels,
            }
            for message in conversation.messages
        ],
    }
