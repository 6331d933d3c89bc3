"""The configuration of a run: one TOML file, or none, and `--set section.key=value`.

Unknown keys and impossible values are refused with the key's name before anything is loaded. The
resolved configuration is stored with the run.
"""

from actwise.config.data import DataConfig, DeskConfig
from actwise.config.evaluation import EpisodesConfig, EvaluateConfig, SteeringConfig
from actwise.config.load import dotted, layered, load_config, overlaid, read_toml, validated
from actwise.config.model import EngineConfig, ModelConfig
from actwise.config.rl import (
    AnchorConfig,
    EntropyConfig,
    HintsConfig,
    LikelihoodConfig,
    RlConfig,
    SearchConfig,
)
from actwise.config.run import RunConfig, TrackerName
from actwise.config.section import MODES, Mode
from actwise.config.supervised import OptimiserConfig, Pick, SftConfig, ThinkConfig

__all__ = [
    "MODES",
    "AnchorConfig",
    "DataConfig",
    "DeskConfig",
    "EngineConfig",
    "EntropyConfig",
    "EpisodesConfig",
    "EvaluateConfig",
    "HintsConfig",
    "LikelihoodConfig",
    "Mode",
    "ModelConfig",
    "OptimiserConfig",
    "Pick",
    "RlConfig",
    "RunConfig",
    "SearchConfig",
    "SftConfig",
    "SteeringConfig",
    "ThinkConfig",
    "TrackerName",
    "dotted",
    "layered",
    "load_config",
    "overlaid",
    "read_toml",
    "validated",
]
