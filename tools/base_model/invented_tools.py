"""Tools that the model has never seen: names, descriptions and schemas drawn at random.

They come from a large space of verbs, nouns and arguments, so that what is learned is to read a
schema, not to know a tool. Needs neither torch nor transformers.
"""

import random
from dataclasses import dataclass
from typing import Any

from actwise.conversation import Tool
from tools.base_model.exercises import pseudo_word, word, words

VERBS = words(
    "add archive assign attach build check clean close collect copy count create cut delete draw "
    "edit fetch fill find fix freeze get hide join label lend list load lock mark measure mix move "
    "open paint park pause pick place plant play print read record remove rename repair replace "
    "report reserve reset resume save scan search send set share show sort start stop store "
    "suspend switch tag teach test translate trim update water weigh wrap write"
)
NOUNS = words(
    "album animal apple archive area badge band basket bee bench bird boat book bottle box bread "
    "bridge brush bucket cable camera canvas card carpet chair choir clock cloud coat coin colour "
    "comet contract course curtain dance desk dish document door drawing drum engine event farm "
    "fence field file film fish flag flower forest garden gate glass goat group guitar hall hammer "
    "harbour hat helmet herb horse island jacket jar key kite ladder lake lamp leaf lens letter "
    "lesson light machine map market mask meadow medal meeting mirror note oven page paint paper "
    "park path piano picture plant plate player poem pond post pot project puzzle radio recipe "
    "ring river roof room rope sample saddle sauce scarf school screen seed sensor shelf shirt "
    "shoe signal skate snack song soup spoon star station stone stove story student table task "
    "team tent timer tool torch tower toy track train tree tunnel vase video village violin wagon "
    "wall watch wheel window wire wool workshop yard"
)
TEXT_ARGS = words("name title author topic place city note owner label reason artist brand message")
NUMBER_ARGS = words("count amount quantity number size age level limit width height minutes pages")
_FLAG_ARGS = words("urgent public visible loud warm spare signed express dry frozen shared quiet")
_ENUMS = {
    "colour": ["red", "green", "blue", "white", "black", "yellow"],
    "size": ["small", "medium", "large"],
    "priority": ["low", "normal", "high"],
    "material": ["wood", "steel", "glass", "paper", "cotton"],
    "side": ["left", "right", "front", "back"],
    "shape": ["round", "square", "flat", "long"],
    "season": ["spring", "summer", "autumn", "winter"],
    "taste": ["sweet", "sour", "salty", "mild", "hot"],
    "mode": ["fast", "slow", "silent", "full"],
    "language": ["English", "German", "French", "Polish", "Hindi"],
}
_LIST_ARGS = words("tags parts members extras toppings colours steps guests")


@dataclass(frozen=True)
class Argument:
    """One argument of an invented tool."""

    name: str
    schema: dict[str, Any]
    required: bool


def _enum(rng: random.Random) -> tuple[str, list[str]]:
    if rng.random() < 0.25:
        return word(rng).lower(), [word(rng).lower() for _ in range(rng.randint(2, 4))]
    name = rng.choice(list(_ENUMS))
    return name, rng.sample(_ENUMS[name], rng.randint(2, len(_ENUMS[name])))


def _plain_schema(rng: random.Random, noun: str) -> tuple[str, dict[str, Any]]:
    kind = rng.randrange(10)
    if kind <= 3:
        name = rng.choice([f"{noun}_id", "id", f"{noun}_number", f"{noun}_code"])
        text = rng.choice([f"The {noun} id", f"Id of the {noun}"])
        schema = {"type": rng.choice(["string", "string", "integer"])}
        return name, schema | ({"description": text} if rng.random() < 0.6 else {})
    if kind == 4:
        name, choices = _enum(rng)
        return name, {"type": "string", "enum": choices}
    if kind == 5:
        name = rng.choice(NUMBER_ARGS)
        described = {"description": f"The {name}"} if rng.random() < 0.6 else {}
        return name, {"type": "integer", **described}
    if kind == 6:
        return rng.choice(_FLAG_ARGS), {"type": "boolean"}
    if kind == 7:
        name = rng.choice([*NUMBER_ARGS, "weight", "length"])
        return name, {"type": "number"}
    name = rng.choice([*TEXT_ARGS, f"{noun}_name", word(rng).lower()])
    text = rng.choice([f"The {name}", f"{name.capitalize()} of the {noun}"])
    return name, {"type": "string"} | ({"description": text} if rng.random() < 0.6 else {})


def _object_schema(rng: random.Random, noun: str, count: int) -> dict[str, Any]:
    properties = dict(_plain_schema(rng, noun) for _ in range(count))
    return {"type": "object", "properties": properties}


def _schema(rng: random.Random, noun: str) -> tuple[str, dict[str, Any]]:
    kind = rng.randrange(12)
    if kind == 0:
        return rng.choice(_LIST_ARGS), {"type": "array", "items": {"type": "string"}}
    if kind == 1:
        name = rng.choice(["options", "attributes", "details", word(rng).lower()])
        return name, _object_schema(rng, noun, rng.randint(1, 3))
    if kind == 2:
        item = _object_schema(rng, noun, rng.randint(1, 3))
        if rng.random() < 0.4:
            item["properties"][rng.choice(["attributes", "options"])] = _object_schema(rng, noun, 2)
        return rng.choice(["items", "entries", noun + "s"]), {"type": "array", "items": item}
    return _plain_schema(rng, noun)


def _tool_name(rng: random.Random, verb: str, noun: str) -> str:
    extra = [rng.choice(NOUNS)] if rng.random() < 0.2 else []
    words = [verb, *extra, noun]
    style = rng.randrange(6)
    if style == 0:
        return words[0] + "".join(part.capitalize() for part in words[1:])
    if style == 1 and rng.random() < 0.5:
        return f"{noun}.{verb}"
    return "_".join(words)


@dataclass(frozen=True)
class InventedTool:
    """A tool, the words that ask for it, and its arguments."""

    name: str
    verb: str
    noun: str
    description: str
    arguments: tuple[Argument, ...]

    @property
    def asks_for(self) -> tuple[str, str]:
        """The words by which a user means this tool."""
        return self.verb, self.noun

    def schema(self) -> Tool:
        """Return the tool in OpenAI's shape."""
        function: dict[str, Any] = {"name": self.name, "description": self.description}
        function["parameters"] = {
            "type": "object",
            "properties": {a.name: a.schema for a in self.arguments},
            "required": [a.name for a in self.arguments if a.required],
        }
        return {"type": "function", "function": function}


def invent_tool(
    rng: random.Random, verb: str | None = None, noun: str | None = None
) -> InventedTool:
    """Return a random tool with up to four arguments."""
    verb = verb or (pseudo_word(rng) if rng.random() < 0.15 else rng.choice(VERBS))
    noun = noun or (pseudo_word(rng) if rng.random() < 0.25 else rng.choice(NOUNS))
    schemas = dict(_schema(rng, noun) for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 4])))
    arguments = tuple(Argument(name, s, rng.random() < 0.65) for name, s in schemas.items())
    does = verb.capitalize()
    description = rng.choice(
        [f"{does} a {noun}", f"{does} one {noun}.", f"Use it to {verb} a {noun}."]
    )
    return InventedTool(_tool_name(rng, verb, noun), verb, noun, description, arguments)


def invent_tools(rng: random.Random, count: int) -> list[InventedTool]:
    """Return tools with different names, some sharing their verb or their noun."""
    tools = [invent_tool(rng)]
    while len(tools) < count:
        near = rng.choice(tools)
        shared = rng.randrange(3)
        tool = invent_tool(
            rng, near.verb if shared == 0 else None, near.noun if shared == 1 else None
        )
        if all(t.name != tool.name and t.asks_for != tool.asks_for for t in tools):
            tools.append(tool)
    rng.shuffle(tools)
    return tools
