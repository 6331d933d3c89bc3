"""GGUF: read back by transformers, and run by llama.cpp where an environment has it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedTokenizerFast,
)

from actwise.desk import MODEL, generate
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import groups_of
from actwise.export.gguf import write_gguf
from actwise.model.policy import Policy
from families import BY_NAME, save_model
from integration.conftest import actwise as actwise  # the command line, as a fixture

ROOT = Path(__file__).parents[2]
LLAMA_CPP = Path(os.environ.get("ACTWISE_LLAMA_CPP", ROOT / ".venv-llama-cpp/bin/python"))
"""An interpreter with the package xllamacpp; `make test-gguf` makes one."""

QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA_WORDS = QWEN_WORDS.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
MODELS: dict[str, dict[str, Any]] = {
    "qwen2": {"rope_parameters": PLAIN, "tie_word_embeddings": True},
    "qwen3": {"rope_parameters": PLAIN, "head_dim": 32},
    "llama": {"rope_parameters": PLAIN},
    "llama with biases": {"rope_parameters": PLAIN, "attention_bias": True, "mlp_bias": True},
    "llama 3.1": {"rope_parameters": LLAMA3},
}


def make_folder(kind: str, folder: Path) -> Path:
    """Write a tiny random model, and a tokenizer trained on a few conversations."""
    texts = [m.content for c in generate("test", 20, seed=1) for m in c.messages if m.content]
    tokenizer = Tokenizer(models.BPE())
    words = LLAMA_WORDS if kind == "llama 3.1" else QWEN_WORDS
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = "{{ messages[0].content }}"
    fast.save_pretrained(folder)
    config = AutoConfig.for_model(
        kind.split()[0],
        **{
            "vocab_size": 512,  # some have no token
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "eos_token_id": 2,
            "bos_token_id": None,
            **MODELS[kind],
        },
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():  # norms are ones and biases zeros in a fresh model
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.generation_config = GenerationConfig(eos_token_id=2)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
def test_transformers_reads_the_model_that_was_written(kind: str, tmp_path: Path) -> None:
    folder = make_folder(kind, tmp_path / "model")
    remark = write_gguf(folder, tmp_path / "model.gguf", name="mine")
    assert remark is None
    ids = torch.tensor([[5, 300, 7, 11, 499, 20, 3]])
    how: dict[str, Any] = {"gguf_file": "model.gguf"}
    if kind == "qwen3":  # transformers does not read how large a head is
        how["config"] = AutoConfig.from_pretrained(folder)
    logits = [
        AutoModelForCausalLM.from_pretrained(tmp_path / place, dtype=torch.float32, **how)
        .eval()(ids)
        .logits
        for place, how in (("model", {}), (".", how))
    ]
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-5)


def text_of(reader: GGUFReader, field: str) -> Any:
    found = reader.fields[field]
    parts = [found.parts[i] for i in found.data]
    return [bytes(part).decode() if part.dtype == "uint8" else part.tolist()[0] for part in parts]


def test_the_vocabulary_is_the_tokenizers(tmp_path: Path) -> None:
    folder = make_folder("llama 3.1", tmp_path / "model")
    write_gguf(folder, tmp_path / "model.gguf", name="mine")
    reader = GGUFReader(tmp_path / "model.gguf")
    written = json.loads((folder / "tokenizer.json").read_text())["model"]
    tokens = text_of(reader, "tokenizer.ggml.tokens")
    assert len(tokens) == 512 and tokens[511] == "[PAD511]"
    assert {word: tokens[number] for word, number in written["vocab"].items()} == {
        word: word for word in written["vocab"]
    }
    merges = [" ".join(pair) for pair in written["merges"]]
    assert text_of(reader, "tokenizer.ggml.merges") == merges
    kinds = text_of(reader, "tokenizer.ggml.token_type")
    assert (kinds[1], kinds[100], kinds[511]) == (3, 1, 5)  # control, normal, unused
    assert text_of(reader, "tokenizer.ggml.pre") == ["llama-bpe"]
    assert text_of(reader, "tokenizer.ggml.eos_token_id") == [2]
    assert text_of(reader, "tokenizer.chat_template") == ["{{ messages[0].content }}"]
    assert text_of(reader, "general.name") == ["mine"]


def test_the_verb_writes_it_beside_the_weights_or_says_why_not(
    actwise: Any, tmp_path: Path
) -> None:
    done = actwise("export", "base", "--to", tmp_path / "bundle", "--gguf")
    assert done.code == 0, done.err
    assert "give it token ids as prompts" in done.err
    assert (tmp_path / "bundle" / "model.gguf").stat().st_size > 4_000_000
    granite = save_model(BY_NAME["Granite 4"], tmp_path / "granite")
    to = tmp_path / "other"
    refused = actwise("export", granite, "--to", to, "--gguf").complaint
    assert "are not written, only qwen2, qwen3, llama" in refused and not to.exists()
    both = actwise("export", "base", "--to", to, "--gguf", "--adapter").complaint
    assert both.startswith("--adapter and --gguf")


def llama_cpp(model: Path, **asked: Any) -> dict[str, Any]:
    """Ask llama.cpp; skips where there is none."""
    if not LLAMA_CPP.exists():
        pytest.skip(f"no llama.cpp: {LLAMA_CPP} is not there; `make test-gguf` makes it")
    done = subprocess.run(
        [LLAMA_CPP, Path(__file__).with_name("llama_cpp.py")],
        input=json.dumps({"model": str(model), "prompts": [], "texts": [], "tokens": 1, **asked}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout[done.stdout.rindex('{"completions"') :])
    return answer


@pytest.mark.slow
def test_llama_cpp_writes_our_tokens_with_the_shipped_model(tmp_path: Path) -> None:
    policy = Policy.load(str(MODEL))
    # As float32: with bfloat16 weights llama.cpp rounds what it multiplies them by, too.
    policy.save(tmp_path / "base")
    write_gguf(tmp_path / "base", tmp_path / "base.gguf", name="base")
    decisions = [d for c in generate("test", 3, seed=5) for d in c.decisions()]
    params = SamplingParams(60, policy.template.stop_token_ids, temperature=0)
    groups = [
        group
        for thinking in (True, False)
        for group in groups_of(policy.template, decisions, thinking=thinking)
    ]
    ours = LocalEngine(policy).generate(groups, num_generations=1, params=params)
    answer = llama_cpp(
        tmp_path / "base.gguf", prompts=[list(group.prompt) for group in groups], tokens=60
    )
    assert len(groups) > 10
    assert answer["completions"] == [list(g.rollouts[0].sample.token_ids) for g in ours]


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_llama_cpp_writes_and_reads_as_transformers_does(kind: str, tmp_path: Path) -> None:
    folder = make_folder(kind, tmp_path / "model")
    write_gguf(folder, tmp_path / "model.gguf", name="mine")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    texts = [m.content for c in generate("test", 3, seed=2) for m in c.messages if m.content]
    texts += ["<|im_start|>user\nIt's 12345,67 €!  \n\n\tÅ你好 don't<|im_end|>", "a  b\r\n c"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = [tokenizer.encode(text)[:200] for text in texts[:6]]
    expected = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        whole = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=30,
            do_sample=False,
            eos_token_id=[0, 2],  # llama.cpp knows <|endoftext|> as an end, too
        )
        expected.append(whole[0, len(prompt) :].tolist())
    answer = llama_cpp(tmp_path / "model.gguf", prompts=prompts, texts=texts, tokens=30)
    assert answer["tokens"] == [tokenizer.encode(text) for text in texts]
    assert answer["completions"] == expected
