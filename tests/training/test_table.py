"""The table of stages, and that nothing else names one."""

import ast
from pathlib import Path

import pytest

import actwise
from actwise.config import load_config
from actwise.errors import ConfigError
from actwise.training.stages import BASE, STAGES, label_of, stage_named, stages_of

SOURCE = Path(actwise.__file__).parent
# Words that happen to be a stage's name and mean something else.
OTHER_MEANINGS = {
    "api/naming.py": {"rl"},  # a section of the settings
    "bench/parts.py": {"sft"},  # a part of the benchmark
    "cli/bench.py": {"sft"},
    "formats/readers/toolrl.py": {"think"},  # a tag in its records
}


def test_stages_are_named_in_their_table_alone() -> None:
    found = {}
    for file in SOURCE.rglob("*.py"):
        name = str(file.relative_to(SOURCE))
        if name.startswith("training/stages/"):
            continue
        tree = ast.parse(file.read_text("utf-8"))
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        if named := texts & STAGES.keys():
            found[name] = named
    assert found == OTHER_MEANINGS


@pytest.mark.parametrize(
    ("settings", "names", "modes"),
    [
        ([], ["sft", "think", "rl"], ["direct", "thinking", "thinking"]),
        (["rl.mode=direct"], ["sft", "rl"], ["direct", "direct"]),
        (["sft.steps=0", "rl.steps=0"], ["think"], ["thinking"]),
        (["sft.steps=0", "think.steps=0", "rl.steps=0"], [], []),
        (
            ["sft.steps=0", "rounds.number=3"],
            ["think", "rl", "think_2", "rl_2", "think_3", "rl_3"],
            ["thinking"] * 6,
        ),
    ],
)
def test_a_run_takes_the_stages_that_have_steps(
    settings: list[str], names: list[str], modes: list[str]
) -> None:
    config = load_config(None, settings)
    stages = stages_of(config)
    assert [r.name for r in stages] == names
    assert [r.mode(config) for r in stages] == modes


def test_stages_are_compared_with_what_comes_before_them() -> None:
    earlier = {BASE}
    for stage in STAGES.values():
        assert stage.compared_with and set(stage.compared_with) <= earlier
        earlier.add(stage.name)


def test_a_later_round_learns_from_what_the_round_before_has_left() -> None:
    config = load_config(None, ["rounds.number=2", "rounds.conversations=7", "think.steps=5"])
    *_, think, rl = stages_of(config)
    own = think.configured(config).think
    assert (own.source, own.conversations, own.begin, own.steps) == ("self", 7, "base", 5)
    assert config.think.source == "auto"
    assert rl.section(config) == config.rl
    assert [think.compared_with, rl.compared_with] == [("rl",), ("rl", "think_2", "base")]
    third = load_config(None, ["rounds.number=3"])
    assert stages_of(third)[-1].compared_with == ("rl_2", "think_3", "base")
    assert stage_named("rl_2") == rl and stage_named("rl") == STAGES["rl"]
    assert [stage_named(name) for name in ("base", "rl_x", "nothing", "nothing_2")] == [None] * 4
    assert (label_of("rl_2"), label_of("base"), label_of("Qwen")) == ("RL 2", "base", "Qwen")


@pytest.mark.parametrize("setting", ["think.steps=0", "rl.steps=0", "rl.mode=direct"])
def test_rounds_without_a_start_or_without_rl_are_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="a round is a think stage and RL in thinking mode"):
        load_config(None, ["rounds.number=2", setting])
