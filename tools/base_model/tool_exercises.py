"""Exercises in calling invented tools: pick the right one and copy the values out of the request.

Needs neither torch nor transformers.
"""

import json
import random
from typing import Any

from actwise.conversation import Message, ToolCall
from tools.base_model.exercises import Exercise, exercise, identifier, pseudo_word, user, word
from tools.base_model.invented_tools import (
    NOUNS,
    NUMBER_ARGS,
    TEXT_ARGS,
    VERBS,
    Argument,
    InventedTool,
    invent_tool,
    invent_tools,
)

_ID_ENDS = ("id", "number", "code")


def _text(rng: random.Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return pseudo_word(rng).capitalize()
    if kind == 1:
        return word(rng)
    if kind == 2:
        return f"{word(rng)} {word(rng)}"
    return f"{pseudo_word(rng).capitalize()} {pseudo_word(rng).capitalize()}"


def _value(rng: random.Random, name: str, schema: dict[str, Any]) -> Any:
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema["type"]
    if kind == "integer":
        return rng.randint(100, 99999) if name.endswith(_ID_ENDS) else rng.randint(1, 120)
    if kind == "number":
        return round(rng.uniform(0.5, 90), 2) if rng.random() < 0.4 else rng.randint(1, 90)
    if kind == "boolean":
        return rng.random() < 0.6
    if kind == "array":
        return [_value(rng, name, schema["items"]) for _ in range(rng.choice([1, 1, 2, 3]))]
    if kind == "object":
        properties = schema["properties"]
        chosen = [k for k in properties if rng.random() < 0.8] or list(properties)[:1]
        return {k: _value(rng, k, properties[k]) for k in chosen}
    return identifier(rng) if name.endswith(_ID_ENDS) else _text(rng)


def _spoken(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def _say(rng: random.Random, name: str, value: Any) -> str:
    """Say one argument in words."""
    spoken = _spoken(name)
    if isinstance(value, bool):
        yes = [spoken, f"{spoken}: yes", f"make it {spoken}"]
        no = [f"not {spoken}", f"{spoken}: no", f"{spoken} off"]
        return rng.choice(yes if value else no)
    if isinstance(value, dict):
        return " ".join(_say(rng, k, v) for k, v in value.items())
    if isinstance(value, list):
        parts = [_say(rng, "", v) if isinstance(v, dict) else str(v) for v in value]
        joined = rng.choice([", ", " and "]).join(parts)
        return joined if isinstance(value[0], dict) else f"{spoken} {joined}".strip()
    if not spoken or spoken == "id":
        return str(value)
    forms = ["{s} {v}", "{s} is {v}", "{s}: {v}", "{v} as {s}", "with {s} {v}", "{v}"]
    return rng.choice(forms if isinstance(value, str) else forms[:5]).format(s=spoken, v=value)


_ASKS = [
    "Please {verb} the {noun}{tail}.",
    "{verb} {noun}{tail}",
    "Can you {verb} a {noun}{tail}?",
    "I want to {verb} a {noun}{tail}.",
    "Hi, I would like you to {verb} my {noun}{tail}, thanks",
    "{Verb} that {noun} for me{tail}.",
    "My {noun} again: {verb} it{tail}.",
]


def _ask(rng: random.Random, tool: InventedTool, arguments: dict[str, Any]) -> str:
    names = list(arguments)
    if rng.random() < 0.3:
        rng.shuffle(names)
    tail = ", ".join(_say(rng, name, arguments[name]) for name in names)
    tail = f"{rng.choice([', ', ' ', ': '])}{tail}" if tail else ""
    verb = tool.verb
    text = rng.choice(_ASKS).format(verb=verb, Verb=verb.capitalize(), noun=tool.noun, tail=tail)
    return text.replace("?.", "?")


def _fill(
    rng: random.Random, tool: InventedTool, *, leave_out: str | None = None
) -> dict[str, Any]:
    return {
        a.name: _value(rng, a.name, a.schema)
        for a in tool.arguments
        if a.name != leave_out and (a.required or rng.random() < 0.5)
    }


def _told(arguments: dict[str, Any]) -> str:
    return " ".join(
        f"{k}: {json.dumps(v)}." for k, v in arguments.items() if not isinstance(v, dict | list)
    )


_SYSTEMS = [
    "You are a helpful assistant.",
    "Use the tools to help the user.",
    "You help people with their {noun}s. Ask when something is missing.",
    "Answer briefly. Call a tool when you need one.",
]


def _system(rng: random.Random, tool: InventedTool) -> list[Message]:
    if rng.random() < 0.4:
        return []
    return [Message(role="system", content=rng.choice(_SYSTEMS).format(noun=tool.noun))]


def _few(rng: random.Random) -> int:
    return rng.choice([1, 1, 2, 2, 3, 4])


def call_tool(rng: random.Random, count: int | None = None) -> Exercise:
    """Pick the tool that was asked for and copy its arguments out of the request."""
    tools = invent_tools(rng, count or _few(rng))
    tool = rng.choice(tools)
    arguments = _fill(rng, tool)
    calls, asks = [ToolCall(name=tool.name, arguments=arguments)], [_ask(rng, tool, arguments)]
    if rng.random() < 0.12:
        other = rng.choice(tools)
        more = _fill(rng, other)
        calls.append(ToolCall(name=other.name, arguments=more))
        asks.append(_ask(rng, other, more))
    thought = f"The user wants to {tool.verb} a {tool.noun}. {_told(arguments)} I call {tool.name}."
    return exercise(
        rng,
        [*_system(rng, tool), user(" Also ".join(asks))],
        thought=thought,
        calls=tuple(calls),
        tools=tuple(t.schema() for t in tools),
        prompt_weight=0.1,
    )


def call_one_of_many(rng: random.Random) -> Exercise:
    """As `call_tool`, with six to twenty-four tools on offer."""
    return call_tool(rng, rng.choice([6, 8, 8, 12, 16, 24]))


def ask_for_missing(rng: random.Random) -> Exercise:
    """Ask for a required argument that the user left out; call once it is given."""
    tools = invent_tools(rng, _few(rng))
    with_required = [t for t in tools if any(a.required for a in t.arguments)]
    if not with_required:
        return call_tool(rng)
    tool = rng.choice(with_required)
    missing = rng.choice([a for a in tool.arguments if a.required])
    arguments = _fill(rng, tool, leave_out=missing.name)
    spoken = _spoken(missing.name)
    question = rng.choice([f"What is the {spoken}?", f"Please tell me the {spoken}."])
    schemas = tuple(t.schema() for t in tools)
    history = [*_system(rng, tool), user(_ask(rng, tool, arguments))]
    if rng.random() < 0.5:
        thought = f"To {tool.verb} a {tool.noun} I need the {spoken}. It is missing."
        return exercise(
            rng, history, thought=thought, answer=question, tools=schemas, prompt_weight=0.1
        )
    given = _value(rng, missing.name, missing.schema)
    told = _say(rng, missing.name, given)
    full = {a.name: (arguments | {missing.name: given}).get(a.name) for a in tool.arguments}
    full = {k: v for k, v in full.items() if v is not None}
    history += [Message(role="assistant", content=question), user(told)]
    thought = f"Now I have the {spoken}. {_told(full)} I call {tool.name}."
    return exercise(
        rng,
        history,
        thought=thought,
        calls=(ToolCall(name=tool.name, arguments=full),),
        tools=schemas,
        prompt_weight=0.1,
    )


def use_result(rng: random.Random) -> Exercise:
    """Use what a tool returned: copy an id out of it into the next call, or answer from it."""
    noun = pseudo_word(rng) if rng.random() < 0.3 else rng.choice(NOUNS)
    finder = invent_tool(rng, rng.choice(["find", "list", "search", "get", "show"]), noun)
    id_name = rng.choice([f"{noun}_id", "id", f"{noun}_code"])
    verb = rng.choice(VERBS)
    doer = InventedTool(
        f"{verb}_{noun}",
        verb,
        noun,
        f"{verb.capitalize()} a {noun}",
        (Argument(id_name, {"type": "string"}, True),),
    )
    extra = rng.choice([*TEXT_ARGS[2:], *NUMBER_ARGS])
    rows = [
        {
            id_name: identifier(rng),
            "name": _text(rng),
            extra: rng.randint(1, 150) if extra in NUMBER_ARGS else _text(rng),
        }
        for _ in range(rng.choice([1, 2, 2, 3, 4]))
    ]
    row = rng.choice(rows)
    arguments = _fill(rng, finder)
    result = json.dumps(rows if len(rows) > 1 or rng.random() < 0.5 else rows[0])
    tools = [finder, doer, *([invent_tool(rng)] if rng.random() < 0.5 else [])]
    rng.shuffle(tools)
    name = row["name"]
    wants_call = rng.random() < 0.5
    ask = f"Then {verb} {name}." if wants_call else f"What is the {extra} of {name}?"
    history = [*_system(rng, finder), user(f"{_ask(rng, finder, arguments)} {ask}")]
    history += [
        Message(role="assistant", tool_calls=(ToolCall(name=finder.name, arguments=arguments),)),
        Message(role="tool", content=result),
    ]
    schemas = tuple(t.schema() for t in tools)
    if wants_call:
        return exercise(
            rng,
            history,
            thought=f"{name} has {id_name} {row[id_name]}. I call {doer.name}.",
            calls=(ToolCall(name=doer.name, arguments={id_name: row[id_name]}),),
            tools=schemas,
            prompt_weight=0.1,
        )
    told = f"{name} has {extra} {row[extra]}."
    answer = f"The {extra} of {name} is {row[extra]}."
    return exercise(rng, history, thought=told, answer=answer, tools=schemas, prompt_weight=0.1)
