"""Imports point downward only, and the lower half does without torch."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "actwise"

# From the bottom to the top. A module imports from lower layers, and from its own package; within
# a layer of several modules, none imports another.
LAYERS = [
    {"errors", "stats", "progress", "allocator", "workers"},
    {"conversation", "run", "results", "rewards.settings"},
    {"config", "split", "renaming", "template.parse"},
    {"desk", "formats", "rewards"},
    {"doctor", "examples", "desk.thoughts"},
    {"template", "tree", "linear", "head"},
    {"attention", "fitting", "lean"},
    {"policy", "objective"},
    {"engine", "machine"},
    {"report"},
    {"audit"},
    {"stages"},
    {"pipeline", "measure", "bench", "preflight"},
    {"experiment"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

# Stages do not know each other; these are what they share.
SHARED_BY_STAGES = {"stages.training", "stages.judging", "stages.packing"}
# The cold start is supervised fine-tuning on targets with thoughts; GRPO's update is a part of it.
ALLOWED = {("stages.think", "stages.sft"), ("stages.rl", "stages.update")}

HEAVY = {"torch", "transformers", "tokenizers", "safetensors", "peft", "accelerate"}
LIGHT = {"report", "audit"}
# Modules that may import them, besides the layers from `template` on (all but the light ones).
HEAVY_ELSEWHERE = {"desk.base_tokenizer", "desk.base_rows", "desk.base_probes", "desk.build_base"}


def name_of(file: Path) -> str:
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(file): file for file in sorted(SOURCE.rglob("*.py"))}


@cache
def imports(module: str) -> tuple[list[str], set[str]]:
    """Return the modules of actwise that a module imports anywhere, and the other packages."""
    ours: list[str] = []
    others: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        for target, names in _targets(node):
            if target.split(".")[0] != "actwise":
                others.add(target.split(".")[0])
                continue
            inside = target.removeprefix("actwise").removeprefix(".")
            for name in names or [""]:
                full = f"{inside}.{name}".strip(".")
                ours.append(full if full in MODULES else inside)
    return ours, others


def _targets(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, []) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        yield node.module or "", [alias.name for alias in node.names]


def layer_of(module: str) -> int:
    return RANK[module] if module in RANK else RANK[module.split(".")[0]]


def test_every_module_has_a_layer() -> None:
    known = {name.split(".")[0] for name in RANK}
    assert {name.split(".")[0] for name in MODULES if name} <= known


def test_imports_point_downward() -> None:
    wrong = [
        f"{module} -> {target}"
        for module in MODULES
        if module
        for target in imports(module)[0]
        if target and not _may_import(module, target)
    ]
    assert wrong == []


def _may_import(module: str, target: str) -> bool:
    same_package = module.split(".")[0] == target.split(".")[0]
    ranks = layer_of(target), layer_of(module)
    return ranks[0] < ranks[1] or (same_package and ranks[0] == ranks[1])


def test_the_root_imports_nothing_of_its_own() -> None:
    assert imports("") == ([], set())


def test_stages_do_not_know_each_other() -> None:
    wrong = [
        (module, target)
        for module in MODULES
        if module.startswith("stages.")
        for target in imports(module)[0]
        if target.startswith("stages") and target not in SHARED_BY_STAGES
    ]
    assert set(wrong) <= ALLOWED


def test_the_lower_half_imports_nothing_heavy() -> None:
    first_heavy = RANK["template"]
    light = [
        module
        for module in MODULES
        if module and (layer_of(module) < first_heavy or module.split(".")[0] in LIGHT)
    ]
    assert {"doctor", "report.page", "formats.read", "rewards.judge", "config", "run"} <= set(light)
    wrong = [(m, imports(m)[1] & HEAVY) for m in light if m not in HEAVY_ELSEWHERE]
    assert [item for item in wrong if item[1]] == []


PROBE = """
import json, sys
from actwise.cli import main
sys.argv = ["actwise", *{arguments!r}]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print()
print(json.dumps(sorted(set(name.split(".")[0] for name in sys.modules))))
"""


@pytest.mark.parametrize("verb", ["--help", "settings", "check", "report"])
def test_light_verbs_answer_without_torch(verb: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    log.write_text(json.dumps({"messages": messages}) + "\n")
    (tmp_path / "run.json").write_text('{"actwise": "0.1.0"}')
    operands = {"check": [str(log)], "report": [str(tmp_path)]}
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=[verb, *operands.get(verb, [])])],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "click" in loaded
    assert loaded & HEAVY == set()
