"""Models that act as they are told to, in conversations of the desk and others."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from actwise.config import EpisodesConfig
from actwise.conversation import Conversation, Message, ToolCall
from actwise.desk import MODEL
from actwise.engine import SamplingParams
from actwise.engine.episodes import EpisodeRunner, Start, starts_of
from actwise.engine.scripted import ScriptedEngine
from actwise.environments import Environment, Opens, Result
from actwise.environments.desk import DeskEnvironment
from actwise.environments.script import turns_of
from actwise.template.render import Template


@cache
def shipped_template() -> Template:
    return Template.load(str(MODEL))


def called(*calls: ToolCall) -> str:
    return "\n".join(
        f'<tool_call>\n{{"name": "{c.name}", "arguments": {json.dumps(c.arguments)}}}\n</tool_call>'
        for c in calls
    )


def text_of(message: Message) -> str:
    return message.content + called(*message.tool_calls)


def actor(
    script: Callable[[str], str], *, max_tokens: int = 300, thinking: bool = False
) -> EpisodeRunner:
    """Return one who says what a function returns for the prompt's text."""
    template = shipped_template()
    engine = ScriptedEngine(template.tokenizer, lambda prompt, number: script(prompt))
    params = SamplingParams(max_tokens, template.stop_token_ids, temperature=0)
    return EpisodeRunner(engine, template, thinking, params, context_length=8192)


def golden(*conversations: Conversation, changes: Mapping[str, str] | None = None) -> EpisodeRunner:
    """Return one who acts as recorded, but for some decisions, by their keys."""
    template = shipped_template()
    script = {
        template.prompt_text(d, thinking=False): (changes or {}).get(d.key, text_of(d.gold))
        for c in conversations
        for d in c.decisions()
    }
    return actor(lambda prompt: script.get(prompt, "I am lost."))


def desk(conversation: Conversation) -> Environment:
    return DeskEnvironment(conversation, call_seconds=5, questions=2)


def start(conversation: Conversation, *, whole: bool = True, turn: int = 0) -> Start:
    return starts_of(conversation, whole=True)[0] if whole else Start(turns_of(conversation)[turn])


def opens(environment: Environment) -> Opens:
    return lambda conversation: environment


LIMITS = EpisodesConfig()


class Fake:
    """An environment whose calls return one text, and whose customer never ends."""

    has_state = False

    def __init__(self, result: str = "found") -> None:
        self.turn = 0
        self.result = result
        self.closed = False
        self.resets = 0

    def reset(self, turn: int, own: Any = ()) -> None:
        self.resets += 1
        self.turn = turn

    def call(self, call: ToolCall) -> Result:
        return Result(self.result)

    def reply(self, answer: str) -> str | None:
        return "And then?"

    def state(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True
