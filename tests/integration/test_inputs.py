"""What a run depends on, changed between two calls: named, and what can go on goes on."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from actwise.cli import main
from actwise.rewards.custom import reward_function
from runs import check_same_end

NOTHING_TRAINED = ["--set=sft.steps=0", "--set=think.steps=0", "--set=rl.steps=0"]


class Command:
    """`actwise run` on a few logs, in this process."""

    def __init__(self, folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, said: Any):
        self.folder, self.model = folder, folder / "model"
        self._monkeypatch, self._said = monkeypatch, said
        shutil.copytree(model, self.model)
        logs = []
        for tree in ("alder", "birch", "cedar", "elder", "fir", "gorse", "hazel", "ivy"):
            call = {"function": {"name": "find", "arguments": {"tree": tree}}}
            messages = [
                {"role": "user", "content": f"Where is the {tree}?"},
                {"role": "assistant", "tool_calls": [call]},
            ]
            logs.append(json.dumps({"messages": messages}) + "\n")
        (folder / "logs.jsonl").write_text("".join(logs))
        self.tools("Finds trees.")
        self.reward("0.5")
        monkeypatch.chdir(folder)

    def tools(self, description: str) -> None:
        function = {"name": "find", "description": description, "parameters": {"type": "object"}}
        tools = [{"type": "function", "function": function}]
        (self.folder / "tools.json").write_text(json.dumps(tools))

    def reward(self, value: str, helper: str = "2") -> None:
        (self.folder / "assistance.py").write_text(f"HALF = {helper}\n")
        (self.folder / "own_rewards.py").write_text(
            f"import assistance\n\n\ndef own(completion, decision):\n    return {value}\n"
        )

    def __call__(self, *more: str) -> tuple[int, str]:
        for name in ("own_rewards", "assistance"):
            sys.modules.pop(name, None)
        reward_function.cache_clear()
        asked = ["run", "--data", "logs.jsonl", "--tools", "tools.json", "--model", "model"]
        asked += ["--out", "out", "--set=model.threads=1", *NOTHING_TRAINED]
        asked += ["--set=reward.custom.own={function = 'own_rewards:own', weight = 0.1}", *more]
        self._monkeypatch.setattr(sys, "argv", ["actwise", *asked])
        self._said.readouterr()
        code = 0
        try:
            main()
        except SystemExit as done:
            code = int(done.code or 0)
        return code, self._said.readouterr().err


@pytest.fixture
def run(
    tmp_path: Path,
    tiny_model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    return Command(tmp_path, tiny_model_dir, monkeypatch, capsys)


def other_weights(run: Command) -> None:
    file = run.model / "model.safetensors"
    weights = load_file(file)
    weights["model.norm.weight"][7] += 0.001
    save_file(weights, file, metadata={"format": "pt"})


def other_template(run: Command) -> None:
    file = run.model / "chat_template.jinja"
    file.write_text(file.read_text() + "{# #}")


def other_tokenizer(run: Command) -> None:
    file = run.model / "tokenizer.json"
    record = json.loads(file.read_text())
    vocabulary = record["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    file.write_text(json.dumps(record))


CHANGES: dict[str, Callable[[Command], object]] = {
    "weights of the model": other_weights,
    "chat template": other_template,
    "tokenizer": other_tokenizer,
    "tools": lambda run: run.tools("Finds all trees."),
    "reward.custom.own (own_rewards.py)": lambda run: run.reward("0.25"),
}


def test_what_changed_between_two_calls_is_named(run: Command) -> None:
    assert run()[0] == 0
    results = (run.folder / "out" / "results.json").read_bytes()
    kept = {name: (run.folder / name).read_bytes() for name in ("tools.json", "own_rewards.py")}
    whole = run.folder / "whole"
    shutil.copytree(run.model, whole)
    for name, change in CHANGES.items():
        change(run)
        code, said = run()
        assert (code, said.splitlines()[-1]) == (
            2,
            f"actwise: out: holds a run with other {name}; choose another --out, or repeat that "
            "run's command to go on with it",
        )
        assert (run.folder / "out" / "results.json").read_bytes() == results
        for file, text in kept.items():
            (run.folder / file).write_bytes(text)
        shutil.rmtree(run.model)
        shutil.copytree(whole, run.model)
    # What a reward imports from beside it counts like itself.
    run.reward("0.5", helper="3")
    assert "holds a run with other reward.custom.own (own_rewards.py);" in run()[1]
    run.reward("0.5")
    assert run()[0] == 0


def test_another_environment_is_another_run(run: Command) -> None:
    tools = run.folder / "shop_tools.py"
    tools.write_text("class Shop:\n    pass\n")
    asked = ("--set=episodes.environment=shop_tools:Shop", "--set=evaluate.episodes=true")
    assert run(*asked)[0] == 0
    tools.write_text("class Shop:\n    open = True\n")
    code, said = run(*asked)
    assert code == 2
    assert "holds a run with other episodes.environment (shop_tools.py);" in said


def test_other_versions_are_told_and_the_run_goes_on(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run()[0] == 0
    monkeypatch.setattr("actwise.pipeline.versions", lambda: {"versions": {"torch": "9.9"}})
    code, said = run()
    assert code == 0
    assert ", now it is 9.9: what is finished stays, the rest is computed with that" in said


def test_settings_of_every_stage_that_changed_are_named(run: Command) -> None:
    assert run()[0] == 0
    code, said = run("--set=reward.answer_facts=0.5")
    assert code == 2
    assert "holds a run with other config (reward.answer_facts: 0.8, now 0.5); choose" in said


def test_a_run_with_other_settings_of_a_stage_goes_on_from_the_stages_before(run: Command) -> None:
    """It ends as one that had these settings from the beginning, bit for bit."""
    short = ["--set=sft.steps=2", "--set=sft.evaluate_every=2", "--set=rl.mode=direct"]
    short += ["--set=rl.evaluate_every=1", "--set=rl.num_generations=2"]
    short += ["--set=evaluate.max_completion_tokens=8"]
    assert run(*short, "--set=rl.steps=1")[0] == 0
    out = run.folder / "out"
    made = (out / "checkpoints" / "sft.pt").stat().st_mtime_ns
    code, said = run(*short, "--set=rl.steps=2")
    assert code == 0, said
    assert "out: other settings (rl.steps: 1, now 2)" in said
    assert "base, sft stay as they are; what there was of rl is now in out/superseded/1" in said
    assert (out / "checkpoints" / "sft.pt").stat().st_mtime_ns == made
    aside = out / "superseded" / "1"
    assert len((aside / "metrics" / "rl.jsonl").read_text().splitlines()) == 1
    out.rename(run.folder / "changed")
    assert run(*short, "--set=rl.steps=2")[0] == 0
    shutil.rmtree(run.folder / "changed" / "superseded")
    check_same_end(run.folder / "changed", out)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["seed=1180591620717411303424"], "seed: Input should be less than 4294967296"),
        (["rl.steps=1", "rl.decisions=calls"], "rl: no training conversation calls a tool"),
        (
            ["think.steps=1", "think.source=recorded"],
            "think: no training conversation has a recorded thought; --set think.source=derived",
        ),
    ],
)
def test_what_a_stage_cannot_begin_with_is_refused_before_any_other(
    run: Command, settings: list[str], expected: str
) -> None:
    lines = []
    for tree in ("alder", "birch", "cedar", "elder", "fir", "gorse", "hazel", "ivy"):
        answer = {"role": "assistant", "content": f"No {tree} here."}
        talk = [{"role": "user", "content": f"Is this a {tree}?"}, answer]
        lines.append(json.dumps({"messages": talk}) + "\n")
    (run.folder / "logs.jsonl").write_text("".join(lines))
    code, said = run(*(f"--set={setting}" for setting in settings))
    assert code == 2
    assert said.splitlines()[-1].startswith(f"actwise: {expected}")
    out = run.folder / "out"
    assert not out.exists() or not (out / "run.json").exists()
