"""What a user can get wrong: one line with the remedy, exit code 2, no leftovers."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from actwise.errors import RunError
from actwise.formats import FORMATS
from actwise.run.files import read_records, write_atomically
from integration.conftest import Actwise
from reported import write_run

TOOL = {
    "type": "function",
    "function": {
        "name": "get_order",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "integer"}},
            "required": ["number"],
        },
    },
}


def talk(request: str, answer: str = "Yes.") -> dict[str, Any]:
    action = {"role": "assistant", "content": answer, "reasoning_content": "hm"}
    return {"messages": [{"role": "user", "content": request}, action], "tools": [TOOL]}


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    record = talk("Where is my order?")
    function = {"name": name, "arguments": arguments}
    record["messages"][1] = {"role": "assistant", "tool_calls": [{"function": function}]}
    return record


def log_of(folder: Path, *records: Any) -> Path:
    """Write a log; a text stands for a line as it is."""
    file = folder / "log.jsonl"
    lines = (r if isinstance(r, str) else json.dumps(r) for r in records)
    file.write_text("".join(line + "\n" for line in lines))
    return file


TREES = ["alder", "birch", "cedar", "elder", "fir", "gorse", "hazel", "ivy", "juniper", "larch"]


def good_log(folder: Path) -> Path:
    return log_of(folder, *map(talk, TREES))


# Logs


@pytest.mark.parametrize("verb", ["check", "run", "eval"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, ": cannot be read: No such file or directory; check the path"),
        ("", ": holds no record; leave it out"),
        ("\n \n", ": holds no record; leave it out"),
        ("a,b\n1,2\n", ":1: the format is not recognised: tried openai, "),
        ('{"text": "hi"}\n', ":1: the format is not recognised"),
        ("\0\1\2", ": is not UTF-8 text; convert it to JSON lines"),
    ],
)
def test_a_file_that_cannot_be_used(
    actwise: Actwise, tmp_path: Path, verb: str, content: str | None, expected: str
) -> None:
    file = tmp_path / "log.jsonl"
    if content is not None:
        file.write_text(content)
    out = tmp_path / "out"
    arguments = {
        "check": ["check", file],
        "run": ["run", "--data", file, "--model", "none", "--out", out],
        "eval": ["eval", file, "--model", "none", "--out", out],
    }
    assert actwise(*arguments[verb]).complaint.startswith(f"{file}{expected}")
    assert not out.exists()


BAD_RECORDS = {
    "the record is not JSON": '{"messages": [',
    "messages[0] has the role 'robot'; use one of": {"messages": [{"role": "robot"}]},
    "messages[1] calls 'drop', but declared is get_order; declare it": call("drop", {}),
    "messages[1] calls 'get_order' against its schema: 'number' is a required": call(
        "get_order", {}
    ),
    "messages[1] calls 'get_order' against its schema: argument 'number': 'x' is not of": call(
        "get_order", {"number": "x"}
    ),
}


@pytest.mark.parametrize("problem", BAD_RECORDS)
def test_a_record_that_cannot_be_used(actwise: Actwise, tmp_path: Path, problem: str) -> None:
    file = log_of(tmp_path, talk("Hi"), BAD_RECORDS[problem], talk("Hello"))
    out = tmp_path / "out"
    said = actwise("run", "--data", file, "--model", "none", "--out", out).complaint
    assert said.startswith(f"{file}:2: {problem}")
    assert said.endswith("or leave such records out with --set data.bad_records=skip")
    assert not out.exists()
    checked = actwise("check", "--json", file)
    assert checked.code == 2
    findings = json.loads(checked.out)["findings"]
    assert [f["count"] for f in findings if f["severity"] == "error"] == [1]


def test_records_that_are_left_out_are_counted(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path
) -> None:
    bad = [talk("x", "y" * 300), *BAD_RECORDS.values()]
    file = log_of(tmp_path, *map(talk, TREES), *bad)
    settings = ["--set=evaluate.max_completion_tokens=8", "--set=data.bad_records=skip"]
    settings += ["--set=model.max_length=700"]
    out = tmp_path / "out"
    done = actwise("eval", file, "--model", tiny_model_dir, "--out", out, *settings)
    assert done.code == 0, done.err
    skipped = json.loads((out / "results.json").read_text())["skipped"]
    assert {item["reason"]: item["count"] for item in skipped} == {
        "broken_json": 1,
        "unknown_role": 1,
        "undeclared_tool": 1,
        "bad_arguments": 2,
    }
    assert f"left out: 1 (broken_json), such as {file}:12\n" in done.out
    assert len(read_records(out / "direct.jsonl")) == len(TREES) + 1


def test_a_conversation_longer_than_the_context(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path
) -> None:
    file = log_of(tmp_path, *map(talk, TREES), talk("z" * 2000))
    budget = ["--set=evaluate.max_completion_tokens=8", "--set=model.max_length=700"]
    out = tmp_path / "out"
    asked = ["--data", file, "--model", tiny_model_dir, "--out", out]
    said = actwise("run", *asked, *budget).complaint
    assert said.startswith(f"{file}:11: the conversation needs 2")
    assert "the model holds 700" in said
    assert said.endswith("; shorten it, or leave such out with --set data.bad_records=skip")
    # The refused command has not taken the folder: the remedy works there.
    steps = [f"--set={stage}.steps=0" for stage in ("sft", "think", "rl")]
    skip = ["--set=data.bad_records=skip", "--set=data.test_fraction=.2"]
    done = actwise("run", *asked, *budget, *steps, *skip)
    assert done.code == 0, done.err
    assert f"left out: 1 (longer than the context), such as {file}:11\n" in done.out
    assert re.search(r"^time: base \d+ s; peak memory: [\d.]+ [MG]B$", done.out, re.MULTILINE)
    (base,) = json.loads((out / "results.json").read_text())["stages"]
    assert base["name"] == "base" and base["peak_memory"] > 50e6  # torch alone has more
    done = actwise("eval", file, "--model", tiny_model_dir, *budget, *skip)
    assert done.code == 0, done.err
    assert f"left out: 1 (longer than the context), such as {file}:11\n" in done.out
    assert actwise("eval", file, "--model", tiny_model_dir, *budget).complaint == said


def test_too_few_conversations(actwise: Actwise, tmp_path: Path) -> None:
    file = log_of(tmp_path, talk("Hi"), talk("hi!"), talk("Hi 2"))  # one and the same
    said = actwise("run", "--data", file, "--model", "none", "--out", tmp_path / "o").complaint
    assert said.startswith(f"{file}: 3 conversations in one family are too few")


def test_an_unknown_format_and_a_missing_file_of_tools(actwise: Actwise, tmp_path: Path) -> None:
    file = good_log(tmp_path)
    assert actwise("check", file, "--format", "csv").complaint == (
        f"unknown format 'csv'; choose one of {', '.join(FORMATS)}"
    )
    tools = tmp_path / "tools.json"
    assert actwise("check", file, "--tools", tools).complaint == (
        f"{tools}: cannot be read: No such file or directory; check the path"
    )


# Models


def eval_complaint(actwise: Actwise, folder: Path, model: object, *settings: str) -> str:
    return actwise("eval", good_log(folder), "--model", model, *settings).complaint


def test_a_model_folder_that_does_not_exist(actwise: Actwise, tmp_path: Path) -> None:
    said = eval_complaint(actwise, tmp_path, tmp_path / "modle")
    assert said.startswith(f"{tmp_path}/modle: no such folder; name a model's folder")


def test_a_folder_that_holds_no_model(actwise: Actwise, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = eval_complaint(actwise, tmp_path, tmp_path / "empty")
    assert said.startswith(f"{tmp_path}/empty: holds no model, for it has no config.json; name a ")


@pytest.fixture
def model_with_template(tiny_model_dir: Path, tmp_path: Path) -> Callable[[str | None], Path]:
    def make(template: str | None) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny_model_dir, folder)
        (folder / "chat_template.jinja").unlink()
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


def test_a_model_without_a_chat_template(
    actwise: Actwise, tmp_path: Path, model_with_template: Callable[[str | None], Path]
) -> None:
    model = model_with_template(None)
    assert eval_complaint(actwise, tmp_path, model) == (
        "the model has no chat template; use the template that comes with actwise: "
        "--set model.template=actwise"
    )
    settings = ["--set=model.template=actwise", "--set=evaluate.max_completion_tokens=8"]
    done = actwise("eval", good_log(tmp_path), "--model", model, *settings)
    assert done.code == 0, done.err


def test_a_template_that_cannot_express_what_is_trained(
    actwise: Actwise, tmp_path: Path, model_with_template: Callable[[str | None], Path]
) -> None:
    model = model_with_template("{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}")
    said = eval_complaint(actwise, tmp_path, model)
    assert said.endswith("use the template that comes with actwise: --set model.template=actwise")


def test_a_device_that_is_not_there(actwise: Actwise, tmp_path: Path, tiny_model_dir: Path) -> None:
    said = eval_complaint(actwise, tmp_path, tiny_model_dir, "--set", "model.device=toaster")
    assert said.startswith("model.device: toaster cannot be used: ")


# Settings and usage


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("sft.stps=3", "sft.stps: no such setting; see `actwise settings`"),
        ("sft.steps=-3", "sft.steps: Input should be greater than or equal to 0"),
        ("sft.steps", "--set sft.steps: write it as section.key=value"),
    ],
)
def test_settings_are_refused_before_anything_is_read(
    actwise: Actwise, tmp_path: Path, setting: str, expected: str
) -> None:
    nowhere = tmp_path / "nowhere"
    asked = ["--data", nowhere, "--model", nowhere, "--out", nowhere]
    assert actwise("run", *asked, "--set", setting).complaint == expected
    assert actwise("eval", nowhere, "--model", nowhere, "--set", setting).complaint == expected
    assert actwise("demo", "--out", nowhere, "--set", setting).complaint == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run"], "Missing option '--data'; see `actwise run --help`"),
        (["run", "--dta", "x"], "No such option '--dta'"),
        (["rnu"], "No such command 'rnu'"),
        (["experiment"], "Missing command; see `actwise experiment --help`"),
        (["check"], "Missing argument 'FILES...'; see `actwise check --help`"),
        (["chat", "base", "--temperature", "nan"], "Invalid value for '--temperature': nan is no"),
        (["chat", "base", "--call-seconds", "inf"], "Invalid value for '--call-seconds': inf is"),
    ],
)
def test_wrong_usage_is_one_line_too(actwise: Actwise, arguments: list[str], expected: str) -> None:
    assert actwise(*arguments).complaint.startswith(expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["check", "LOG", "--show", "1#1", "--fix", "out", "--json"],
            "--json and --fix|with --show",
        ),
        (["check", "LOG", "--show", "1#1", "--against", "LOG"], "--against|with --show"),
        (["report", "RUN", "--port", "80"], "--port|without --watch"),
        (["export", "base", "--to", "out", "--public"], "--public|without --push"),
        (["chat", "base", "--world", "3"], "--world|without --desk"),
        (["chat", "base", "--desk", "--call-seconds", "3"], "--call-seconds|without --mcp"),
        (["bench", "--tools", "LOG"], "--tools|without --data"),
        (["settings", "rl", "--toml", "--json"], "--toml|with --json"),
        (
            ["eval", "--episodes", "desk", "--model", "base", "--format", "openai"],
            "--format|at the desk",
        ),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    actwise: Actwise, arguments: list[str], expected: str
) -> None:
    options, reason = expected.split("|")
    assert actwise(*arguments).complaint.startswith(f"{options} would have no effect {reason}; see")


def test_one_recipe_as_json(actwise: Actwise) -> None:
    assert json.loads(actwise("recipes", "prorl", "--json").out)["name"] == "prorl"


def test_without_a_verb_there_is_help(actwise: Actwise) -> None:
    done = actwise()
    assert (done.code, done.err) == (0, "")
    assert all(verb in done.out for verb in ("check", "demo", "eval", "report", "run", "settings"))
    assert done.out == actwise("--help").out


def test_the_package_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "actwise", "report", "nowhere"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "actwise: nowhere: no run folder, for it holds no run.json; name the folder of a run\n"
    )


# Folders


def test_output_folders_that_cannot_be_used(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path
) -> None:
    file = good_log(tmp_path)
    asked = ["run", "--data", file, "--model", tiny_model_dir, "--set=data.test_fraction=.2"]
    asked += ["--set=evaluate.max_completion_tokens=8"]
    asked += [f"--set={stage}.steps=0" for stage in ("sft", "think", "rl")]
    out = tmp_path / "out"
    assert actwise(*asked, "--out", out).code == 0
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name != "report.html"}

    for changed, what in [
        (["--set=seed=1"], "config"),
        (["--model", shutil.copytree(tiny_model_dir, tmp_path / "copy")], "model"),
        (["--data", log_of(tmp_path, *map(talk, TREES[1:]))], "data"),
    ]:
        said = actwise(*asked, "--out", out, *changed).complaint
        assert said.startswith(f"{out}: holds a run with other {what}")
    said = actwise("eval", good_log(tmp_path), "--model", "none", "--out", out).complaint
    assert said == f"{out}: holds a run, whose results would be lost; choose another --out"
    assert {p: p.read_bytes() for p in before} == before

    assert actwise(*asked, "--out", file).complaint.startswith(f"{file}: cannot be written: ")
    assert actwise(*asked, "--out", tmp_path).complaint == (
        f"{tmp_path}: not empty and no run of actwise; choose another --out"
    )


# A full disk, and Ctrl-C


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let writing beyond so many bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_library_hides_that_a_file_cannot_be_written(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    from actwise.model.policy import Policy

    policy = Policy.load(str(tiny_model_dir))
    for writer in (policy.model.save_pretrained, policy.template.tokenizer.save_pretrained):
        with pytest.raises(RunError) as caught, files_limited_to(4096):
            write_atomically(tmp_path / "model", writer)
        assert str(caught.value) == (
            f"{tmp_path}/model: cannot be written: File too large; choose another --out"
        )
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_and_a_full_disk_lose_nothing(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path
) -> None:
    out = tmp_path / "out"
    checkpoint = out / "checkpoints" / "sft.pt"
    command = ["run", "--data", good_log(tmp_path), "--model", tiny_model_dir, "--out", out]
    settings = {
        "checkpoint_every": 1,
        "sft.steps": 40,
        "think.steps": 0,
        "rl.steps": 0,
        "data.test_fraction": 0.2,
        "evaluate.max_completion_tokens": 8,
        "model.threads": 1,
    }
    command += [f"--set={key}={value}" for key, value in settings.items()]

    with subprocess.Popen(
        [sys.executable, "-m", "actwise", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets its background jobs ignore the interrupt, and what they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130, err
    last = err.splitlines()[-1]
    assert last == "actwise: interrupted; the same command goes on from here"
    assert "Traceback" not in err
    assert list(out.rglob("*.partial")) == []

    before = checkpoint.read_bytes()
    with files_limited_to(len(before) // 2):
        done = actwise(*command)
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        f"actwise: {checkpoint}: cannot be written: File too large; choose another --out"
    )
    assert checkpoint.read_bytes() == before
    assert list(out.rglob("*.partial")) == []

    done = actwise(*command)
    assert done.code == 0, done.err
    steps = [record["step"] for record in read_records(out / "metrics" / "sft.jsonl")]
    assert steps == list(range(1, 41))
    assert (out / "models" / "sft" / "model.safetensors").exists()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_is_redirected_is_utf_8_whatever_the_system_writes(
    tmp_path: Path, encoding: str
) -> None:
    other = write_run(tmp_path / os.fsdecode(b"Lager\xe4ume"))  # a name that is no UTF-8
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    command = [sys.executable, "-m", "actwise", "compare", write_run(tmp_path / "run"), other]
    for model in ("rl", "none"):
        done = subprocess.run(
            [*command, "--model", model], env=environment, capture_output=True, check=False
        )
        assert b"Traceback" not in done.stderr, done.stderr
        done.stdout.decode(), done.stderr.decode()
    listed = subprocess.run(
        [*command[:3], "runs", tmp_path, "--json"], env=environment, capture_output=True, check=True
    )
    names = [run["name"] for run in json.loads(listed.stdout)["runs"]]
    assert names == ["Lager\udce4ume", "run"]


def test_json_holds_nothing_that_steers_a_terminal(actwise: Actwise, tmp_path: Path) -> None:
    steering = "\x1b]0;title\x07\x7f\x9b2J\u202e\u2066"
    name = f"get{steering}order"
    record = talk("Hi")
    record["messages"][1] = {
        "role": "assistant",
        "tool_calls": [{"function": {"name": name, "arguments": {}}}],
    }
    record["tools"] = [{"type": "function", "function": {"name": name, "parameters": {}}}]
    out = actwise("check", "--json", log_of(tmp_path, record, record)).out
    assert not set(steering) - set("]0;title2J") & set(out)
    assert name in json.loads(out)["calls_per_tool"]
