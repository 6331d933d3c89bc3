"""The bundle, as transformers and peft read it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import torch
from openai import OpenAI
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

import actwise as package
from actwise.desk import MODEL, generate
from actwise.export.card import write_card
from actwise.export.parsers import parsers_of
from actwise.template.render import Template
from families import FAMILIES, Family, make_tokenizer
from finding import conversation
from integration.conftest import actwise as actwise  # the command line, as a fixture

SMALL = {
    "max_batch_tokens": 4096,
    "sft": {"steps": 1},
    "think": {"steps": 1},
    "rl": {"steps": 1, "num_generations": 2, "conversations_per_step": 2},
    "evaluate": {"thought_tokens": 8, "max_completion_tokens": 40},
    "model": {"lora_rank": 2},
}


@pytest.fixture(scope="module")
def run(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("run")
    names = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kiwi", "lynx"]
    log = folder / "private" / "log.jsonl"
    log.parent.mkdir()
    log.write_text("".join(conversation(name).to_json() + "\n" for name in names))
    return package.train(log, folder / "first", model=str(tiny_model_dir), config=SMALL)


def test_a_bundle_is_the_model_that_was_measured(run: Any, actwise: Any, tmp_path: Path) -> None:
    to = tmp_path / "bundle"
    done = actwise("export", run.folder, "--stage", "sft", "--to", to)
    assert done.code == 0, done.err
    assert done.out == f"{to}: sft, measured direct; README.md says how to serve it\n"
    before = load_file(run.models["sft"] / "model.safetensors")
    after = load_file(to / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    template = (run.models["sft"] / "chat_template.jinja").read_text()
    assert (to / "chat_template.jinja").read_text() == template
    assert "response_template" in json.loads((to / "tokenizer_config.json").read_text())
    model, tokenizer = AutoModelForCausalLM.from_pretrained(to), AutoTokenizer.from_pretrained(to)
    records = run.evaluations()
    records = records[(records["model"] == "sft") & (records["split"] == "test")]
    for _, record in records.head(4).iterrows():
        name, _, index = record["decision"].partition("#")
        given = conversation(name)
        prompt = tokenizer.apply_chat_template(
            [m.to_dict(thought=False) for m in given.messages[: int(index)]],
            tools=list(given.tools),
            add_generation_prompt=True,
            enable_thinking=False,
            return_tensors="pt",
        )
        written = model.generate(**prompt)[0, prompt["input_ids"].shape[1] :]
        assert len(written) == record["tokens"] <= 40
        assert tokenizer.decode(written).removesuffix("<|im_end|>") == record["text"]


def test_the_card_says_what_was_measured_and_nothing_of_its_owner(
    run: Any, actwise: Any, tmp_path: Path
) -> None:
    assert actwise("export", run.folder, "--stage", "rl", "--to", tmp_path / "b").code == 0
    card = (tmp_path / "b" / "README.md").read_text()
    rows = run.results["rows"]
    assert len(re.findall(r"^\| (?:base|sft|think|rl) \| ", card, re.M)) == len(rows)
    for row in rows:
        accuracy = {k: 100 * v for k, v in row["metrics"]["action_accuracy"].items()}
        figures = f"{row['decisions']} | {accuracy['value']:.1f}\u202f% | {accuracy['low']:.1f}–"
        assert f"| {row['model']} | {row['mode']} | {row['split']} | {figures}" in card
    assert run.verdict in card
    (data,) = json.loads((run.folder / "run.json").read_text())["data"]
    assert f"* `log.jsonl`: 12 conversations, SHA-256 `{data['sha256']}`" in card
    told = json.loads((tmp_path / "b" / "actwise.json").read_text())
    assert told["stage"] == "rl" and told["enable_thinking"] is True
    assert told["vllm"] == {"tool_call_parser": "hermes", "reasoning_parser": "qwen3"}
    for file in (tmp_path / "b").iterdir():
        assert str(run.folder.parent).encode() not in file.read_bytes(), file
        assert b"private" not in file.read_bytes(), file
    generation = GenerationConfig.from_pretrained(tmp_path / "b")
    assert (generation.do_sample, generation.max_new_tokens) == (False, 40)


@pytest.mark.parametrize("base", ["base", str(MODEL)])
def test_a_card_names_the_shipped_model_in_words(base: str) -> None:
    parsers = parsers_of(Template(AutoTokenizer.from_pretrained(MODEL)))
    told = write_card(
        "rl", base=base, thinking=True, dtype="float32", parsers=parsers, results=None, data=[]
    )
    assert "rl, from the desk's own model" in told and str(MODEL) not in told


def card_of(**told: Any) -> str:
    parsers = parsers_of(Template(AutoTokenizer.from_pretrained(MODEL)))
    common: dict[str, Any] = {"thinking": True, "dtype": "float32", "results": None, "data": []}
    return write_card("rl", parsers=parsers, **common | told)


@pytest.mark.parametrize(
    ("base", "named"),
    [
        ("/gone/of-me/small", "small"),
        ("../of-me/small", "small"),
        (r"C:\Users\of-me\small", "small"),
        ("me/small", "me/small"),
    ],
)
def test_a_card_does_not_tell_where_a_base_lay(base: str, named: str) -> None:
    logs = [{"file": f"{base}.jsonl", "conversations": 3, "sha256": "ab12"}]
    card = card_of(base=base, data=logs)
    assert "* `small.jsonl`: 3 conversations" in card
    assert f"# rl, from {named}\n" in card and "of-me" not in card
    assert ("base_model:" in card) == (base == named)


@pytest.mark.parametrize(("rank", "asked"), [(2, ""), (16, ""), (17, "32"), (200, "256")])
def test_vllm_is_asked_for_adapters_that_it_does_not_take_unasked(rank: int, asked: str) -> None:
    card = card_of(base="me/small", lora_rank=rank)
    assert "vllm serve me/small --dtype float32 --enable-lora --lora-modules rl=FOLDER" in card
    assert re.findall(r"--max-lora-rank (\d+)", card) == ([asked] if asked else [])


def test_a_base_is_not_said_to_have_been_trained(run: Any, actwise: Any, tmp_path: Path) -> None:
    to = tmp_path / "b"
    assert actwise("export", run.folder, "--stage", "base", "--to", to).code == 0
    card = (to / "README.md").read_text()
    assert "rained from" not in card and "was trained" not in card
    assert "which has not changed it" in card
    assert "It was measured on conversations of:" in card


def test_the_vector_with_which_a_model_was_measured_goes_with_it(
    run: Any, actwise: Any, tmp_path: Path
) -> None:
    vector = run.folder / "steering" / "rl.json"
    vector.parent.mkdir()
    vector.write_text('{"layer": 1}')
    try:
        for stage in ("rl", "sft"):
            to = tmp_path / stage
            assert actwise("export", run.folder, "--stage", stage, "--to", to).code == 0
    finally:
        vector.unlink()
    assert (tmp_path / "rl" / "steering.json").read_text() == '{"layer": 1}'
    card = (tmp_path / "rl" / "README.md").read_text()
    assert "steered when it was measured" in card
    assert "actwise serve FOLDER --steer FOLDER/steering.json" in card
    assert json.loads((tmp_path / "rl" / "actwise.json").read_text())["steering"]
    assert not (tmp_path / "sft" / "steering.json").exists()
    assert "steer" not in (tmp_path / "sft" / "README.md").read_text()


def test_adapters_make_the_model_of_their_base(
    run: Any, actwise: Any, tmp_path: Path, tiny_model_dir: Path
) -> None:
    from peft import PeftModel

    to = tmp_path / "adapter"
    assert actwise("export", run.folder, "--stage", "rl", "--adapter", "--to", to).code == 0
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= set(os.listdir(to))
    assert not (to / "model.safetensors").exists()
    base = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    adapted = PeftModel.from_pretrained(base, to)
    whole = AutoModelForCausalLM.from_pretrained(run.models["rl"])
    # Of this machine nothing is told: not where the base lies, either.
    for file in to.iterdir():
        assert str(tiny_model_dir).encode() not in file.read_bytes(), file
    config = json.loads((to / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == tiny_model_dir.name
    card = (to / "README.md").read_text()
    assert "transformers serve" not in card and "actwise serve" not in card
    assert f"{tiny_model_dir.name} is needed beside them, here as BASE" in card
    assert "vllm serve BASE --dtype float32 --enable-lora --lora-modules rl=FOLDER " in card
    ids = torch.arange(40)[None]
    with torch.no_grad():
        torch.testing.assert_close(adapted(ids).logits, whole(ids).logits, atol=1e-5, rtol=1e-5)


def test_the_folder_that_one_is_in_is_not_replaced(
    actwise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    complaint = actwise("export", "base", "--to", ".").complaint
    assert complaint == ".: is there already; choose another --to"


def test_mistakes_are_told_in_one_line(run: Any, actwise: Any, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "note").write_text("mine")
    complaint = actwise("export", run.folder, "--stage", "sft", "--to", taken).complaint
    assert complaint == f"{taken}: is there already; choose another --to"
    assert (taken / "note").read_text() == "mine"
    adapters = actwise("export", "base", "--adapter", "--to", tmp_path / "a").complaint
    assert "no adapters were trained" in adapters
    (run.folder / "checkpoints" / "think.pt").unlink()
    gone = actwise("export", run.folder, "--stage", "think", "--adapter", "--to", tmp_path / "a")
    assert "think.pt: not there" in gone.complaint
    assert not (tmp_path / "a").exists()


READ = {"Qwen3", "Qwen3-2507", "Qwen2.5", "Granite 4", "SmolLM3", "Qwen3.5", "Gemma 4"}


@pytest.mark.parametrize("family", [f for f in FAMILIES if not f.shipped], ids=lambda f: f.name)
def test_transformers_reads_what_a_family_writes_or_is_not_told_to(family: Family) -> None:
    template = Template(make_tokenizer(family))
    parsers = parsers_of(template)
    assert (parsers.response_template is not None) >= (family.name in READ)
    if parsers.response_template is None:
        return
    for decision in generate("train", 1)[0].decisions():
        for thought in (None, "Two of them: 1 + 1 = 2."):
            found = template.tokenizer.parse_response(
                template.completion_text(decision, thought=thought),
                parsers.response_template,
                prefix=template.prompt_text(decision, thinking=thought is not None),
                tools=list(decision.conversation.tools),
            )
            assert (found.get("reasoning_content") or "").strip() == (thought or "")
            assert (found.get("content") or "").strip() == decision.gold.content
            calls = [call["function"] for call in found.get("tool_calls") or []]
            gold = decision.gold.tool_calls
            assert calls == [{"name": c.name, "arguments": c.arguments} for c in gold]


@pytest.fixture
def transformers_serve(actwise: Any, tmp_path: Path) -> Iterator[str]:
    """`transformers serve` of the desk's model, as docs/serving.md has it."""
    pytest.importorskip("fastapi", reason="`transformers serve` needs fastapi")
    assert actwise("export", "base", "--to", tmp_path / "bundle").code == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("transformers")
    command = [program, "serve", tmp_path / "bundle", "--port", str(port), "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        url = f"http://localhost:{port}"
        while process.poll() is None:
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        assert process.returncode is None, process.stderr.read().decode()
        yield url
        process.kill()


@pytest.mark.slow
def test_transformers_serves_a_bundle_as_it_was_measured(
    transformers_serve: str, tmp_path: Path
) -> None:
    client = OpenAI(base_url=f"{transformers_serve}/v1", api_key="none", timeout=300)
    model = package.load_model(tmp_path / "bundle")
    called = 0
    for decision in generate("test", 1, seed=5)[0].decisions()[:3]:
        messages = [m.to_dict(thought=False) for m in decision.history]
        tools = list(decision.conversation.tools)
        for message in messages:
            for call in message.get("tool_calls", []):
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
        for thinking in (True, False):
            action = model.act(messages, tools, thinking=thinking, max_tokens=80)
            if action.parsed.errors:
                continue  # of a call that is no JSON transformers makes an error 500
            answer = client.chat.completions.create(
                model=str(tmp_path / "bundle"),
                messages=messages,
                tools=tools,
                max_tokens=80,
                extra_body={"chat_template_kwargs": {"enable_thinking": thinking}},
            )
            message = answer.choices[0].message
            calls = message.tool_calls or []
            assert (message.content or "").strip() == action.answer
            assert [
                (c.function.name, json.loads(c.function.arguments)) for c in calls
            ] == action.calls
            called += len(calls)
    assert called
