"""Check that the settings of single tools and arguments name ones that the logs hold."""

import difflib
import re
from collections.abc import Collection, Iterable

from actwise.conversation import Conversation, tool_name, tool_parameters
from actwise.errors import ConfigError
from actwise.rewards.settings import JudgeConfig


def check_overrides(settings: JudgeConfig, conversations: Iterable[Conversation]) -> None:
    """Refuse settings of tools that no conversation offers, and of arguments that no tool has.

    Of `guests[].name` only `guests` is looked up, and only where the schema of some version of the
    tool lists its properties.

    Raises:
        ConfigError: Names the first one, and what may have been meant.
    """
    if not settings.tools:
        return
    arguments: dict[str, set[str]] = {}
    for conversation in conversations:
        for tool in conversation.tools:
            properties = tool_parameters(tool).get("properties")
            known = properties if isinstance(properties, dict) else {}
            arguments.setdefault(tool_name(tool), set()).update(known)
    for name, tool_settings in settings.tools.items():
        if name not in arguments:
            raise _unknown(f"reward.tools.{name}", "tool", name, arguments)
        for place in tool_settings.arguments:
            first = re.split(r"\.|\[", place)[0]
            if arguments[name] and not {place, first} & arguments[name]:
                key = f"reward.tools.{name}.arguments.{place}"
                raise _unknown(key, "argument", first, arguments[name])


def _unknown(key: str, kind: str, name: str, known: Collection[str]) -> ConfigError:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    where = "in these logs" if kind == "tool" else "of this tool"
    remedy = f"did you mean {close[0]}?" if close else "remove it"
    return ConfigError(f"{key}: no such {kind} {where}; {remedy}")
