"""Where the user's own environment comes from, so that a run is not gone on with in another one."""

import sys
from pathlib import Path

from actwise.config import EpisodesConfig
from actwise.run.files import fingerprint


def environment_digest(config: EpisodesConfig) -> dict[str, str]:
    """Return a digest of the file of a user's environment, by what a person calls it.

    Nothing is imported: that is for the processes in which the tools run. Empty for environments of
    ours, for MCP servers, and where the module is no file of Python.
    """
    module, _, name = config.environment.partition(":")
    if not name or config.mcp:
        return {}
    for folder in (*sys.path, "."):
        place = Path(folder, *module.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return {f"episodes.environment ({file.name})": fingerprint(file)}
    return {}
