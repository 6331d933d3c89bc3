"""The Python API, as its docstrings and examples say it is used."""

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actwise
from actwise.api.naming import chosen, models_of
from actwise.config import Mode
from actwise.desk import generate
from actwise.errors import ConfigError, InputError, ModelError, RunError
from actwise.evaluation.evaluate import Evaluator
from actwise.pipeline import Pipeline
from actwise.results.failures import failures_sentence
from actwise.run.files import read_records
from finding import conversation

SMALL = {
    "max_batch_tokens": 4096,
    "sft": {"steps": 1},
    "think": {"steps": 1},
    "rl": {"steps": 1, "num_generations": 2, "conversations_per_step": 2},
    "evaluate": {"thought_tokens": 8},
}
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("logs") / "log.jsonl"
    # Different words, or they would be near-duplicates that stay on one side of the split.
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kiwi", "lynx"]
    path.write_text("".join(conversation(name).to_json() + "\n" for name in names))
    return path


@pytest.fixture(scope="module")
def run(log: Path, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("runs") / "first"
    return actwise.train(log, out, model=str(tiny_model_dir), config=SMALL)


def test_a_finished_run_measures_nothing_again(
    log: Path, tiny_model_dir: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Evaluator, "evaluate", lambda *_, **__: pytest.fail("measured again"))
    again = actwise.train(log, run.folder, model=str(tiny_model_dir), config=SMALL)
    assert again.table == run.table


def test_logs_are_checked(log: Path) -> None:
    diagnosis = actwise.check(log)
    assert diagnosis.conversations == 12
    assert diagnosis.decisions == {"call": 12, "answer": 24}
    assert diagnosis.to_dict()["conversations"] == 12


def test_logs_are_prepared_as_a_run_trains_on_them(log: Path) -> None:
    prepared = actwise.prepare([log], {"data": {"test_fraction": 0.25}})
    splits = prepared.splits
    assert (len(splits.train), len(splits.dev), len(splits.tests["test"])) == (8, 1, 3)
    assert prepared.fingerprints[0]["conversations"] == 12


def test_a_run_is_trained_loaded_and_looked_at(run: Any) -> None:
    assert sorted(run.models) == ["rl", "sft", "think"]
    assert run.promoted in {"base", *run.models}
    assert "action" in run.table and run.promoted in run.verdict
    frame = run.evaluations()
    assert {"model", "mode", "split", "decision", "verdict.right"} <= set(frame.columns)
    assert set(frame["model"]) == {"base", "sft", "think", "rl"}
    assert list(run.metrics("rl")["step"]) == [1]
    (first, *_) = run.conversations
    assert first["split"] == "test"
    assert f"{first['id']}#{len(first['messages']) - 1}" in set(frame["decision"])
    again = actwise.load_run(run.folder)
    assert again.results == run.results


def test_without_pandas_there_are_records(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    rows = run.evaluations()
    assert isinstance(rows, list) and isinstance(rows[0]["verdict.right"], bool)


def test_a_model_acts_as_it_was_measured(run: Any, log: Path) -> None:
    found = actwise.evaluate(str(run.models["sft"]), log, modes=["direct"], config=SMALL)
    assert found.results["rows"][0]["decisions"] == 36
    assert len(found.decisions()) == 36
    model = run.model("sft")
    for record in found.records["direct"][:6]:
        name, _, index = record["decision"].partition("#")
        given = conversation(name)
        messages = [m.to_dict(thought=False) for m in given.messages[: int(index)]]
        action = model.act(messages, given.tools, thinking=False, max_tokens=record["tokens"])
        assert action.text == record["text"]
        assert action.truncated == (record["stop"] == "length")


def test_an_action_is_a_message_to_go_on_with(tiny_model_dir: Path) -> None:
    from actwise.api.acting import Action
    from actwise.template.parse import parse_completion

    text = '<think>\nLook.\n</think>\n\n<tool_call>\n{"name": "find", "arguments": {"id": 1}}\n'
    action = Action(text, parse_completion(f"{text}</tool_call>", thinking=True), False)
    assert action.thought == "Look." and action.calls == [("find", {"id": 1})]
    message = action.message
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"id": 1}
    model = actwise.load_model(tiny_model_dir)
    answered = {"role": "tool", "content": "here", "tool_call_id": message["tool_calls"][0]["id"]}
    history = [{"role": "user", "content": "Where?"}, message, answered]
    assert model.act(history, max_tokens=3, temperature=1.0, seed=4).truncated
    assert model.act(history, max_tokens=3, temperature=1.0, seed=4) == model.act(
        history, max_tokens=3, temperature=1.0, seed=4
    )


def test_a_pattern_that_matches_no_file_is_told_in_one_line(tmp_path: Path) -> None:
    none = [*tmp_path.glob("*.jsonl")]
    asked: tuple[Callable[[], object], ...] = (
        lambda: actwise.check(none),
        lambda: actwise.prepare(none),
        lambda: actwise.train(none, tmp_path / "run"),
        lambda: actwise.evaluate("base", none),
        lambda: actwise.evaluate_episodes("base", none),
    )
    for ask in asked:
        with pytest.raises(ConfigError, match="no file of logs is named"):
            ask()


def test_mistakes_are_told_in_one_line(
    log: Path, run: Any, tiny_model_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"sft\.step: no such setting"):
        actwise.prepare(log, {"sft": {"step": 3}})
    with pytest.raises(InputError, match="absent"):
        actwise.prepare(tmp_path / "absent.jsonl")
    with pytest.raises(RunError, match="holds no run"):
        actwise.load_run(tmp_path)
    with pytest.raises(RunError, match="has no model 'other'; there are base, sft, think, rl"):
        run.model("other")
    model = actwise.load_model(tiny_model_dir)
    with pytest.raises(InputError, match="role"):
        model.act([{"role": "robot", "content": "Hi"}])
    with pytest.raises(InputError, match="tokens and the model holds 8192"):
        model.act([{"role": "user", "content": "x" * 9000}])
    for name, value in (("max_tokens", 0), ("temperature", float("nan")), ("budget", -1)):
        with pytest.raises(ConfigError, match=f"{name} is {value}; at least [01] is needed"):
            model.act([{"role": "user", "content": "Hi"}], **{name: value})
    huge = model.act([{"role": "user", "content": "Hi"}], max_tokens=2, temperature=1, seed=2**70)
    assert huge.truncated


@pytest.mark.parametrize("better", ["direct", "thinking"])
def test_a_promoted_base_is_taken_in_the_mode_in_which_it_won(
    log: Path, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, better: Mode
) -> None:
    # No stage beats the base: of equals the earliest is promoted.
    monkeypatch.setattr(
        Pipeline, "_development_score", lambda _, mode: 0.9 if mode == better else 0.1
    )
    other: Mode = "direct" if better == "thinking" else "thinking"
    stages = {name: {"steps": 0} for name in ("think", "rl")}
    config = SMALL | stages | {"rl": {"steps": 0, "mode": other}}
    run = actwise.train(log, tmp_path / "run", model=str(tiny_model_dir), config=config)
    assert (run.promoted, run.promoted_mode) == ("base", better)
    development = json.loads((run.folder / "checkpoints" / "base.development.json").read_text())
    assert development == {"mode": better, "score": 0.9}
    assert chosen(str(run.folder), None).mode == better
    records = read_records(run.folder / "evaluations" / f"base-{better}-test.jsonl")
    assert run.failures == failures_sentence(records)
    # An older run does not say it: what was assumed is assumed.
    results = json.loads((run.folder / "results.json").read_text())
    results.pop("promoted_mode")
    (run.folder / "results.json").write_text(json.dumps(results))
    older = actwise.load_run(run.folder)
    assert (older.promoted_mode, chosen(str(run.folder), None).mode) == (None, other)
    assert older.failures


def test_a_mode_may_stand_alone_and_has_to_be_one(log: Path, tiny_model_dir: Path) -> None:
    found = actwise.evaluate(str(tiny_model_dir), log, modes="direct", config=SMALL)
    assert [row["mode"] for row in found.results["rows"]] == ["direct"]
    for modes in ("thinkin", ["direct", "fast"], []):
        for measure in (actwise.evaluate, actwise.evaluate_episodes):
            with pytest.raises(ConfigError, match=r"modes: .*name direct, thinking, or both"):
                measure(str(tiny_model_dir), log, modes=modes)  # type: ignore[arg-type]


def test_a_relative_name_is_of_its_run(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models_of(str(run.models["sft"]))["sft"]
    assert not whole.thinking
    for place, name in ((run.folder / "models", "sft"), (run.models["sft"], ".")):
        monkeypatch.chdir(place)
        assert models_of(name) == {"sft": whole}
    monkeypatch.chdir(run.folder)
    with pytest.raises(ModelError, match="models/nothing: no such folder"):
        models_of("models/nothing")


def test_damaged_results_are_told_in_one_line(run: Any, tmp_path: Path) -> None:
    for text in ('{"models": [', "3"):
        (tmp_path / "run.json").write_bytes((run.folder / "run.json").read_bytes())
        (tmp_path / "results.json").write_text(text)
        for opened in (lambda: chosen(str(tmp_path), None), lambda: models_of_results(tmp_path)):
            with pytest.raises(RunError, match=r"results\.json: damaged"):
                opened()


def models_of_results(folder: Path) -> Any:
    return models_of(str(folder))["base"].results


def test_a_name_stands_for_the_models_of_a_run_or_for_one(run: Any, tiny_model_dir: Path) -> None:
    models = models_of(str(run.folder))
    modes = {name: model.thinking for name, model in models.items()}
    of_base = run.promoted_mode if run.promoted == "base" else "thinking"
    assert modes == {"base": of_base == "thinking", "sft": False, "think": True, "rl": True}
    assert models["base"].path == str(tiny_model_dir)
    assert models["rl"].config.rl.steps == 1
    assert models_of(str(run.models["sft"])) == {"sft": models["sft"]}
    (single,) = models_of(str(tiny_model_dir)).values()
    assert (single.path, single.thinking) == (str(tiny_model_dir), True)
    assert chosen(str(run.folder), None).name == run.promoted
    assert chosen(str(run.folder), "sft") == models["sft"]


def test_a_run_that_was_moved_away_from_its_base_has_its_other_models(tmp_path: Path) -> None:
    (tmp_path / "models" / "rl").mkdir(parents=True)
    record = {"model": "/gone/base", "config": {}, "stages": {"sft": "direct", "rl": "thinking"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert list(models_of(str(tmp_path))) == ["rl"]
    assert chosen(str(tmp_path), "rl").path == str(tmp_path / "models" / "rl")
    with pytest.raises(RunError, match=r"has no model 'base'; there are rl$"):
        chosen(str(tmp_path), "base")


def test_a_run_of_another_version_has_its_models_where_their_settings_are_known(
    tmp_path: Path,
) -> None:
    (tmp_path / "models" / "rl").mkdir(parents=True)

    def run_with(**config: dict[str, object]) -> str:
        record = {"model": "base", "config": config, "stages": {"rl": "direct"}}
        (tmp_path / "run.json").write_text(json.dumps(record))
        return str(tmp_path)

    settings = {"rl": {"mode": "direct", "steps": 7}, "model": {"max_length": 99, "lora_rank": 4}}
    model = chosen(run_with(evaluate={"examples": 4}, later={}, **settings), "rl")
    assert (model.mode, model.config.rl.steps, model.config.model.max_length) == ("direct", 7, 99)
    assert model.config.model.lora_rank is None
    with pytest.raises(RunError, match=r"run\.json: not settings of this .* model\.shape: no such"):
        models_of(run_with(model={"shape": "round"}))


def test_the_package_knows_its_functions_and_nothing_else() -> None:
    assert set(actwise.__all__) <= set(dir(actwise))
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        actwise.absent  # noqa: B018
    code = "import actwise, sys; actwise.check; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_example_goes_from_a_file_to_a_verdict(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = runpy.run_path(str(EXAMPLES / "own_logs.py"))
    example["main"](log, tmp_path / "run")
    out = capsys.readouterr().out
    assert "12 conversations, 36 decisions" in out
    assert "Promoted by the development split" in out
    assert "action:" in out


@pytest.mark.slow
def test_the_blocks_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    (tmp_path / "logs.jsonl").write_text("".join(c.to_json() + "\n" for c in generate("train", 30)))
    monkeypatch.chdir(tmp_path)
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.S)), {})
    assert "Promoted by the development split" in capsys.readouterr().out
