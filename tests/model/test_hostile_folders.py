"""Model folders that are damaged, wrong or malicious: one true line, and no code of theirs."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from actwise.errors import ModelError
from actwise.model.policy import Policy

Folder = Callable[..., Path]


@pytest.fixture
def folder(tiny_model_dir: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_model_dir, tmp_path / "model")
    return tmp_path / "model"


def change_json(file: Path, **changes: Any) -> None:
    record = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({k: v for k, v in record.items() if v is not ...}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        Policy.load(str(folder), **options)
    said = str(caught.value)
    assert len(said) < 700
    return said


# Weights


def test_missing_weights_are_not_made_up(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    said = refusal(folder)
    assert "1 weights are missing" in said and "(model.layers.1.mlp.up_proj.weight)" in said


def test_a_missing_layer_is_named(folder: Path) -> None:
    layer = "model.layers.1."

    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith(layer)]:
            del weights[name]

    change_weights(folder, drop)
    assert f"11 weights are missing in {folder} and would be random ({layer}" in refusal(folder)


def test_an_untied_head_without_weights_is_named(folder: Path) -> None:
    change_json(folder / "config.json", tie_word_embeddings=False)
    assert "would be random (lm_head.weight)" in refusal(folder)


def test_weights_without_a_place_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_weights(folder, lambda weights: weights.update(further=torch.ones(2)))
    Policy.load(str(folder))
    assert "has no place for further; they are left out" in capsys.readouterr().err


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_named(folder: Path, value: float) -> None:
    def spoil(weights: dict[str, torch.Tensor]) -> None:
        weights["model.layers.0.mlp.down_proj.weight"][3, 4] = value

    change_weights(folder, spoil)
    assert "model.layers.0.mlp.down_proj.weight holds what is no number" in refusal(folder)


def test_other_shapes_are_refused(folder: Path) -> None:
    change_json(folder / "config.json", intermediate_size=64)
    said = refusal(folder)
    assert "mlp.down_proj.weight" in said
    assert "is (48, 96), by its config.json it should be (48, 64)" in said


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    change_json(folder / "config.json", vocab_size=200)

    def cut(weights: dict[str, torch.Tensor]) -> None:
        weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:200].clone()

    change_weights(folder, cut)
    said = refusal(folder)
    assert "has 265 tokens, the model 200; use the tokenizer that" in said


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut in the header": lambda data: data[:20],
    "zeros": lambda data: b"\0" * len(data),
    "a huge header": lambda data: b"\xff" * 8 + data[8:],
    "a text": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
    "exchanged": lambda data: data[:8] + data[8:].replace(b"model.layers.0", b"model.layers.9"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_refused(folder: Path, damage: str) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert str(folder) in refusal(folder)


# Configurations


ODD: list[dict[str, Any]] = [
    {"num_hidden_layers": 10**9, "layer_types": ...},
    {"num_hidden_layers": -1, "layer_types": ...},
    {"num_hidden_layers": 0, "layer_types": ...},
    {"num_hidden_layers": "two"},
    {"num_attention_heads": 0},
    {"num_key_value_heads": 0},
    {"num_key_value_heads": 3},
    {"hidden_size": 0},
    {"hidden_size": 10**12},
    {"hidden_size": None},
    {"vocab_size": 10**9},
    {"vocab_size": 10**9, "tie_word_embeddings": False},
    {"vocab_size": 0},
    {"head_dim": -4},
    {"model_type": "unheard-of"},
    {"model_type": None},
    {"model_type": 7},
    {"model_type": "bert"},
    {"model_type": ...},
    {"max_position_embeddings": "long"},
    {"rope_parameters": {"rope_type": "no such"}},
    {"rope_parameters": []},
    {"hidden_act": "no such"},
    {"rms_norm_eps": "small"},
    {"layer_types": ["no such", "no such"]},
    {"layer_types": []},
    {
        "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"},
        "model_type": "evil",
    },
]


@pytest.mark.parametrize("changes", ODD, ids=str)
def test_odd_configurations_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Evil: pass\n")
    change_json(folder / "config.json", **changes)
    refusal(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"]
)
@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "\x00", '{"a": ' * 5000, "{}"])
def test_damaged_files_beside_the_weights_are_refused_or_do_without(
    folder: Path, name: str, text: str
) -> None:
    (folder / name).write_text(text)
    try:
        Policy.load(str(folder))
    except ModelError as error:
        assert "\n" not in str(error)


class Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return open, (str(self.file), "w")


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_no_code_in_weights_is_run(folder: Path, form: str) -> None:
    ran = folder / "ran"
    (folder / "model.safetensors").unlink()
    with (folder / "pytorch_model.bin").open("wb") as file:
        if form == "pickle":
            pickle.dump(Evil(ran), file)
        else:
            torch.save({"model.embed_tokens.weight": Evil(ran)}, file)
    refusal(folder)
    assert not ran.exists()


# Templates


LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
DOUBLED = (
    "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
)
TEMPLATES = {
    "{% for": "cannot render",
    "{{ 1 / 0 }}": "cannot render",
    "{{ raise_exception('no') }}": "no",
    "{{ messages[99].content }}": "cannot render",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}": "cannot render",
    "{% include '/etc/passwd' %}": "cannot render",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}": "cannot render",
    "{{ range(10 ** 12) }}": "cannot render",
    DOUBLED: "cannot render",
    "{{ 'a' * 10 ** 12 }}": "cannot render",
    "nothing": "",
    LOOP: "takes longer than",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_hostile_templates_are_refused(
    folder: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actwise.template.render._SECONDS", 1.0)
    (folder / "chat_template.jinja").write_text(template)
    assert TEMPLATES[template] in refusal(folder)


# Adapters


@pytest.fixture
def adapters(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """Trained adapters with their tokenizer, as peft saves them."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny_model_dir),
        LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    model.save_pretrained(tmp_path / "adapters")
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(tmp_path / "adapters")
    return tmp_path / "adapters"


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(torch.tensor([[5, 6, 7, 8]])).logits
    return found


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("with_tokenizer", [True, False])
def test_adapters_are_merged_trained_and_saved_as_a_whole_model(
    adapters: Path, tmp_path: Path, rank: int | None, with_tokenizer: bool
) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    if not with_tokenizer:
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            (adapters / name).unlink()
    policy = Policy.load(str(adapters), lora_rank=rank)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.add_(0.01)
    policy.save(tmp_path / "saved")
    saved, report = AutoModelForCausalLM.from_pretrained(
        tmp_path / "saved", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert not (tmp_path / "saved" / "adapter_config.json").exists()
    untrained = logits(AutoPeftModelForCausalLM.from_pretrained(adapters))
    assert not torch.allclose(logits(saved), untrained, atol=1e-3)
    again = Policy.load(str(adapters))
    again.save(tmp_path / "untouched")
    untouched = AutoModelForCausalLM.from_pretrained(tmp_path / "untouched")
    torch.testing.assert_close(logits(untouched), untrained)


def test_adapters_that_lack_weights_are_refused(adapters: Path) -> None:
    file = adapters / "adapter_model.safetensors"
    weights = load_file(file)
    first = sorted(weights)[0]
    del weights[first]
    save_file(weights, file)
    assert f"lack {first}, which would be random" in refusal(adapters)


@pytest.mark.parametrize("base", ["", None, 7, "no-such/model-anywhere", "/no/such/folder", "SELF"])
def test_adapters_without_their_model_are_refused(adapters: Path, base: Any) -> None:
    name = str(adapters) if base == "SELF" else base
    change_json(adapters / "adapter_config.json", base_model_name_or_path=name)
    refusal(adapters)


def test_adapters_for_another_model_are_refused(adapters: Path) -> None:
    change_json(adapters / "adapter_config.json", target_modules=["q_proj"])
    assert "for which the model has no place" in refusal(adapters)


# Saving


def test_a_model_that_was_not_saved_as_it_is_is_told(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actwise.errors import RunError

    policy = Policy.load(str(tiny_model_dir))
    save = type(policy.model).save_pretrained

    def lossy(model: Any, folder: Path, state_dict: dict[str, torch.Tensor]) -> None:
        halves = {name: w.bfloat16().float() for name, w in state_dict.items()}
        save(model, folder, state_dict=halves)

    monkeypatch.setattr(type(policy.model), "save_pretrained", lossy)
    with pytest.raises(RunError, match="the saved model is not the trained one"):
        policy.save(tmp_path / "saved")


# Many


def mutated(text: bytes, draw: random.Random) -> bytes:
    """Return a file with a few changes of the kinds that disks, editors and attackers make."""
    data = bytearray(text)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            del data[at : at + draw.randint(1, 40)]
        elif kind == 1:
            data[at:at] = draw.choice([b"{", b"]", b'"', b"null", b"1e999", b"-1", b"\xff", b"\0"])
        elif kind == 2 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        elif kind == 3:
            data[at : at + 10] = data[: draw.randint(0, 40)]
        else:
            data = data[:at]
    return bytes(data)


def check_mutated(model: Path, folder: Path, numbers: range) -> None:
    names = sorted(file.name for file in model.iterdir())
    for number in numbers:
        draw = random.Random(number)
        shutil.copytree(model, folder)
        file = folder / draw.choice(names)
        file.write_bytes(mutated(file.read_bytes(), draw))
        try:
            Policy.load(str(folder))
        except ModelError as error:
            assert len(str(error)) < 700
        shutil.rmtree(folder)


def test_mutated_folders_are_loaded_or_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    check_mutated(tiny_model_dir, tmp_path / "model", range(40))


@pytest.mark.exhaustive
def test_many_mutated_folders_are_loaded_or_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    check_mutated(tiny_model_dir, tmp_path / "model", range(40, 1040))
