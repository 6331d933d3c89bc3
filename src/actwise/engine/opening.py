"""The engine that a run samples with, by its settings."""

from collections.abc import Callable
from pathlib import Path

from actwise.config import EngineConfig
from actwise.engine import Engine
from actwise.engine.local import LocalEngine
from actwise.model.policy import Policy


def open_engine(
    policy: Policy, config: EngineConfig, run_folder: Path, say: Callable[[str], None]
) -> Engine:
    """Return what completes prompts with the policy as it is.

    Args:
        policy: The model of the run.
        config: Which engine.
        run_folder: Where the weights are handed over, unless the settings name another folder.
        say: Tells the user what becomes of servers.

    Raises:
        ConfigError: An address is none, or the key is not there.
    """
    if config.kind == "local":
        return LocalEngine(policy)
    from actwise.engine.vllm import VllmEngine  # with its client, which few runs need

    return VllmEngine(policy, config, config.folder or run_folder / "engine", say)
