"""The table of stages, and that nothing else names one."""

import ast
from pathlib import Path

import pytest

import actwise
from actwise.config import load_config
from actwise.training.stages import BASE, STAGES, stages_of

SOURCE = Path(actwise.__file__).parent
# Words that happen to be a stage's name and mean something else.
OTHER_MEANINGS = {
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
