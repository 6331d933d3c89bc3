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

# From the bottom to the top; a module imports from its own package and from lower layers.
# CONTRIBUTING shows the same list.
LAYERS = [
    ({"errors"}, "what a user can mend, in one line"),
    ({"conversation"}, "conversations and their decisions"),
    ({"run"}, "the run folder, its files, progress"),
    ({"results"}, "intervals, tables, examples, from what was judged"),
    ({"template"}, "messages to tokens and back"),
    ({"formats"}, "readers of logs, one file a format"),
    ({"rewards"}, "the judge"),
    ({"thoughts"}, "thoughts as text: derived, told apart by kinds, added to"),
    ({"config"}, "the settings"),
    ({"recipes"}, "related work: settings, and what they are held against"),
    ({"data"}, "from logs to what is trained and measured on"),
    ({"desk"}, "the embedded world and its small model"),
    ({"environments"}, "what a model acts in: its tools, its customer"),
    ({"findings"}, "what the next three have in common"),
    ({"doctor"}, "what would poison training"),
    ({"tree"}, "a conversation as a tree, without a model"),
    ({"model"}, "the policy; attention over trees; what makes it fast"),
    ({"engine"}, "sampling with shared trunks"),
    ({"evaluation"}, "completions judged, policies measured"),
    ({"training"}, "objective, update, and stages: sft, think, rl"),
    ({"report"}, "the page of a run"),
    ({"audit"}, "what a run's rewards taught"),
    ({"preflight"}, "can it work, and what will it cost"),
    ({"trackers"}, "where figures go besides the run folder"),
    ({"pipeline"}, "the stages of a run in order"),
    ({"bench"}, "speed and memory beside peers"),
    ({"experiment"}, "repeated runs with seeds"),
    ({"serving"}, "models behind OpenAI's chat completions, and a page"),
    ({"export"}, "a model as a folder that others can serve"),
    ({"chat"}, "talking to a model in a terminal"),
    ({"api"}, "the functions of the Python API"),
    ({"cli"}, "one verb for each thing a person wants"),
    ({"__main__"}, "python -m actwise"),
]
RANK = {name: rank for rank, (layer, _) in enumerate(LAYERS) for name in layer}

# The cold start is supervised fine-tuning on targets with thoughts.
KNOWN_TO_EACH_OTHER = {("training.stages.think", "training.stages.sft")}

HEAVY = {"torch", "transformers", "tokenizers", "safetensors", "peft", "accelerate"}
# What `actwise check` and `actwise report` need; the rest may use torch.
LIGHT = {
    "errors",
    "conversation",
    "run",
    "results",
    "formats",
    "rewards",
    "thoughts",
    "config",
    "recipes",
    "desk",
    "environments",
    "findings",
    "doctor",
    "report",
    "audit",
    "template.parse",
    "data.split",
    "data.rename",
}


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


def drawn() -> str:
    """Return the layers as CONTRIBUTING draws them, the highest first."""
    lines = []
    for names, meaning in reversed(LAYERS):
        paths = sorted(f"{n}/" if (SOURCE / n).is_dir() else f"{n}.py" for n in names)
        lines.append(f"{'  '.join(paths):<22}{meaning}\n")
    return "".join(lines)


def test_contributing_draws_the_layers() -> None:
    assert f"```\n{drawn()}```\n" in (SOURCE.parents[1] / "CONTRIBUTING.md").read_text("utf-8")


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


def test_the_root_imports_nothing_but_the_api_when_it_is_used() -> None:
    assert set(imports("")[0]) == {"api"}
    code = "import sys, actwise; print(actwise.__version__, len(sys.modules)); dir(actwise)"
    code += "; assert not {m for m in sys.modules if m.startswith('actwise.')}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_stages_do_not_know_each_other() -> None:
    wrong = {
        (module, target)
        for module in MODULES
        if module.startswith("training.stages.")
        for target in imports(module)[0]
        if target.startswith("training.stages.")
    }
    assert wrong <= KNOWN_TO_EACH_OTHER


def test_what_has_to_answer_at_once_imports_nothing_heavy() -> None:
    light = [m for m in MODULES if m in LIGHT or m.split(".")[0] in LIGHT]
    wrong = [(m, imports(m)[1] & HEAVY) for m in light]
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


@pytest.mark.parametrize("verb", ["--help", "settings", "recipes", "check", "report"])
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
