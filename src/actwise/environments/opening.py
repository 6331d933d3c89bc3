"""The environment that a configuration asks for."""

from actwise.config import EpisodesConfig
from actwise.conversation import Conversation
from actwise.environments import Environment, Opens
from actwise.environments.desk import DeskEnvironment
from actwise.environments.functions import Functions, FunctionsEnvironment
from actwise.environments.mcp import McpEnvironment
from actwise.environments.recorded import RecordedEnvironment
from actwise.rewards.settings import JudgeConfig


def opens(config: EpisodesConfig, settings: JudgeConfig) -> Opens:
    """Return what opens the environment of a conversation.

    Args:
        config: Which one.
        settings: How calls and answers are compared with the record.

    Raises:
        ConfigError: The user's own tools cannot be imported.
    """

    def recorded(conversation: Conversation) -> Environment:
        return RecordedEnvironment(conversation, settings)

    def desk(conversation: Conversation) -> Environment:
        return DeskEnvironment(
            conversation, call_seconds=config.call_seconds, questions=config.questions
        )

    def mcp(conversation: Conversation) -> Environment:
        return McpEnvironment(conversation, config.mcp or "", call_seconds=config.call_seconds)

    if config.mcp is not None:
        return mcp
    if config.environment in ("recorded", "desk"):
        return desk if config.environment == "desk" else recorded
    functions = Functions(config.environment, call_seconds=config.call_seconds)
    return lambda conversation: FunctionsEnvironment(conversation, functions)
