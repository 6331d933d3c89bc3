"""Model folders that cannot be used: one line each, with a remedy that helps."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, GenerationConfig

from actwise.errors import ModelError
from actwise.model.policy import Policy
from families import BY_NAME, make_model, save_model, save_tokenizer


def copied(source: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def refused(folder: Path, match: str, **how: Any) -> str:
    with pytest.raises(ModelError, match=match) as caught:
        Policy.load(str(folder), **how)
    message = str(caught.value)
    assert "\n" not in message
    return message


def run_remedy(message: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a message says, in a folder."""
    command = re.search(r'python -c "(.*)"', message)
    assert command is not None
    monkeypatch.chdir(folder)
    exec(command[1], {})


def executing(folder: Path) -> str:
    """A pickle that leaves a trace when it is read."""
    return f"__import__('pathlib').Path({str(folder / 'executed')!r}).touch()"


def test_pickled_weights_are_not_read(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(tiny_model_dir, tmp_path / "pickled")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    message = refused(folder, "weights in .* are pickled")
    run_remedy(message, tmp_path, monkeypatch)
    assert Policy.load(str(folder))


def test_code_of_a_models_own_is_not_run(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "own")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(executing(tmp_path))
    refused(folder, r"code of its own \(mine.py\), which actwise does not run")
    assert not (tmp_path / "executed").exists()


def test_a_tokenizers_own_code_is_not_run(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "own")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config |= {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(executing(tmp_path))
    assert Policy.load(str(folder))  # its tokenizer.json says all
    (folder / "tokenizer.json").unlink()
    refused(folder, "no tokenizer can be loaded from")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("handed", ["file", "folder"])
def test_a_gguf_is_refused(handed: str, tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.write_bytes(b"GGUF")
    refused(file if handed == "file" else tmp_path, "is in GGUF, which is not trained; make a")


def test_weights_that_are_no_numbers_are_named(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "nan")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = torch.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, r"the weight model.layers.1.mlp.up_proj.weight holds what is no number")


def test_missing_weights_are_named(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "missing")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, r"1 weights are missing in .*model.layers.1.mlp.up_proj.weight")


def test_weights_of_another_shape_are_named(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "shape")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(7)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(folder, r"model.norm.weight in .* is \(7,\), by its config.json it should be \(48,\)")


def test_damaged_weights_are_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "damaged")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    refused(folder, "no model can be loaded from")


def test_a_tokenizer_of_another_model_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = copied(tiny_model_dir, tmp_path / "other")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<one>", "<two>"])
    tokenizer.save_pretrained(folder)
    refused(folder, r"has \d+ tokens, the model \d+; use the tokenizer that")


def test_a_folder_without_a_template_is_helped_by_the_one_that_comes(tmp_path: Path) -> None:
    folder = save_model(BY_NAME["Qwen2.5"], tmp_path / "bare")
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        file = folder / name
        if name.endswith("jinja"):
            file.unlink(missing_ok=True)
        else:
            config = json.loads(file.read_text())
            config.pop("chat_template", None)
            file.write_text(json.dumps(config))
    message = refused(folder, "has no chat template")
    assert "--set model.template=actwise" in message
    assert Policy.load(str(folder), shipped_template=True)


@pytest.mark.parametrize("name", ["Mistral3", "Gemma3", "Gemma4", "Qwen3_5"])
def test_the_text_part_of_a_model_for_images_is_trained(name: str, tmp_path: Path) -> None:
    import transformers
    from transformers import AutoModelForImageTextToText

    from trees import make_case, row_by_row

    named = {"Mistral3": "Ministral 3", "Qwen3_5": "Qwen3.5"}
    family = BY_NAME[named.get(name, f"Gemma {name[-1]}")]
    text = make_model(family).config.to_dict()
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    vision |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    if name == "Mistral3":
        vision["model_type"] = "pixtral"
    sizes = {"text_config": text, "vision_config": vision}
    if name == "Qwen3_5":
        sizes["vision_config"] = {"hidden_size": 32, "depth": 1, "num_heads": 2, "patch_size": 14}
        sizes["vision_config"] |= {"intermediate_size": 48, "out_hidden_size": 32}
    if name == "Gemma4":
        sizes |= {"audio_config": None}
        vision = {key: vision[key] for key in list(vision)[:4]}
        sizes["vision_config"] = vision
    config = getattr(transformers, f"{name}Config")(**sizes)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    folder = save_tokenizer(family, tmp_path / "model")
    model.generation_config = GenerationConfig.from_pretrained(folder)
    model.save_pretrained(folder)
    case = make_case(1)
    expected = row_by_row(model, case)
    for rank in (None, 2):
        policy = Policy.load(str(folder), shipped_template=family.shipped, lora_rank=rank)
        scores = policy.score(case.layout, case.indices)
        assert torch.allclose(scores.logprobs, expected, atol=2e-5, rtol=0)
        (scores.logprobs * case.weights).sum().backward()
        trained = policy.trainable()
        assert trained
        assert not any("vision" in parameter_name for parameter_name in trained)
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in trained.values())
    policy.save(tmp_path / "saved")
    again = Policy.load(str(tmp_path / "saved"))
    with torch.no_grad():
        found = again.score(case.layout, case.indices).logprobs
    assert torch.allclose(found, expected, atol=2e-5, rtol=0)
