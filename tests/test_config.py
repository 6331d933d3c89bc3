from pathlib import Path

import pytest
from pydantic import BaseModel

import actwise
from actwise.cli.settings import describe
from actwise.config import RunConfig, load_config
from actwise.errors import ConfigError


def refusal(*settings: str, file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def written(folder: Path, text: str) -> Path:
    file = folder / "run.toml"
    file.write_text(text)
    return file


def test_without_a_file_everything_has_a_default() -> None:
    assert load_config(None) == RunConfig()


def test_settings_overrule_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'seed = 3\n[sft]\nsteps = 7\n[model]\ndevice = "cpu"\n')
    config = load_config(file, ["sft.steps=9", "rl.mode=direct", 'data.format="openai"'])
    assert (config.seed, config.sft.steps, config.model.device) == (3, 9, "cpu")
    assert (config.rl.mode, config.data.format) == ("direct", "openai")


def test_a_file_is_read_as_utf_8_wherever_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a Windows machine: an encoding of its own, and an editor that puts a mark before texts.
    monkeypatch.setattr("io.text_encoding", lambda encoding, _level=2: encoding or "cp1252")
    file = tmp_path / "run.toml"
    file.write_bytes('[data]\r\ntools = "Läden/道具.json"\r\n'.encode("utf-8-sig"))
    assert load_config(file).data.tools == Path("Läden/道具.json")


def test_a_value_may_hold_an_equals_sign() -> None:
    assert load_config(None, ["data.tools=a=b.json"]).data.tools == Path("a=b.json")


@pytest.mark.parametrize(
    ("setting", "unknown"),
    [
        ("steps=1", "steps"),
        ("sft.step=1", "sft.step"),
        ("rl.clip.low=1", "rl.clip"),
        ("nothing.at.all=1", "nothing"),
    ],
)
def test_an_unknown_key_is_named_in_full(setting: str, unknown: str) -> None:
    assert refusal(setting) == f"{unknown}: no such setting; see `actwise settings`"


def test_an_unknown_key_of_a_file_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, "[rl]\nnum_generation = 4\n")
    assert refusal(file=file).startswith("rl.num_generation: no such setting")


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("sft.steps=many", "sft.steps"),
        ("sft.steps=2.5", "sft.steps"),
        ("sft.steps=-1", "sft.steps"),
        ("rl.num_generations=1", "rl.num_generations"),
        ("rl.mode=loud", "rl.mode"),
        ("rl.temperature=0", "rl.temperature"),
        ("rl.temperature=inf", "rl.temperature"),
        ("rl.learning_rate=nan", "rl.learning_rate"),
        ("reward.format_weight=inf", "reward.format_weight"),
        ("rl.mask_truncated=perhaps", "rl.mask_truncated"),
        ("data.test_fraction=1", "data.test_fraction"),
        ("data.bad_records=[]", "data.bad_records"),
        ("model.lora_rank=0", "model.lora_rank"),
        ("reward.tool_accuracy=fuzzy", "reward.tool_accuracy"),
        ("rl=3", "rl"),
        ("seed=[1]", "seed"),
        ("seed=-1", "seed"),
    ],
)
def test_an_impossible_value_is_refused_with_its_key(setting: str, key: str) -> None:
    assert refusal(setting).startswith(f"{key}: ")


def test_settings_that_do_not_fit_each_other_are_refused() -> None:
    assert "leave nothing to train on" in refusal("data.dev_fraction=.45", "data.test_fraction=.45")
    assert refusal("engine.kind=vllm").startswith("engine: engine.kind=vllm goes with")
    assert refusal("engine.urls=http://a:1").startswith("engine: engine.kind=vllm goes with")
    servers = "engine.kind=vllm", "engine.urls=http://a:1"
    assert "rl.temperature=1 only" in refusal(*servers, "rl.temperature=0.9")
    assert "rl.optimiser_steps" in refusal("rl.optimiser_steps=9", "rl.conversations_per_step=8")


def test_one_server_or_several_can_be_named() -> None:
    kind = "engine.kind=vllm"
    assert load_config(None, [kind, "engine.urls=http://a:1"]).engine.urls == ("http://a:1",)
    several = load_config(None, [kind, 'engine.urls=["http://a:1", "http://b:2"]'])
    assert several.engine.urls == ("http://a:1", "http://b:2")


@pytest.mark.parametrize("setting", ["sft.steps", "=3", " =3", ""])
def test_a_malformed_setting_shows_how_to_write_one(setting: str) -> None:
    assert "write it as section.key=value" in refusal(setting)


def test_a_key_below_a_value_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "sft = 3\n")
    assert refusal("sft.steps=1", file=file) == "sft.steps: sft is no section"


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert refusal(file=missing) == f"{missing}: cannot be read: No such file or directory"
    assert refusal(file=tmp_path).startswith(f"{tmp_path}: cannot be read")
    broken = written(tmp_path, "[sft\nsteps = 3")
    assert refusal(file=broken).startswith(f"{broken}: not TOML: ")
    broken.write_bytes(b"a = '\xff'")
    assert refusal(file=broken).startswith(f"{broken}: not TOML: ")
    broken.write_text("a = " + "[" * 5000)
    assert refusal(file=broken).startswith(f"{broken}: not TOML: ")


def leaves(model: BaseModel, prefix: str = "") -> list[str]:
    keys = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        below = isinstance(value, BaseModel)
        keys += leaves(value, f"{prefix}{name}.") if below else [f"{prefix}{name}"]
    return keys


def test_every_setting_is_described() -> None:
    described = {s.key: (s.default, s.meaning) for s in describe()}
    assert set(leaves(RunConfig())) <= described.keys()  # those of optional sections come on top
    assert "reward.tools.<name>.arguments.<name>.ignore" in described
    assert [key for key, (_, meaning) in described.items() if not meaning] == []
    assert described["think.steps"][1] == described["sft.steps"][1]  # only the default differs


def test_the_described_default_is_what_a_run_gets() -> None:
    described = {s.key: s.default for s in describe()}
    for key in leaves(RunConfig()):
        value = RunConfig()
        for part in key.split("."):
            value = getattr(value, part)
        assert described[key] == value, key


def test_the_settings_of_the_demo_are_settings() -> None:
    demo = Path(actwise.__file__).parent / "desk" / "demo.toml"
    assert load_config(demo, ["rl.steps=2"]).rl.steps == 2


def test_arguments_of_tools_have_settings_of_their_own(tmp_path: Path) -> None:
    file = written(tmp_path, '[reward.tools."a.b".arguments.note]\nmatch = "similar"\n')
    tools = load_config(file, ["reward.tools.pay.arguments.amount.tolerance=0.1"]).reward.tools
    assert tools["a.b"].arguments["note"].match == "similar"
    assert tools["pay"].arguments["amount"].tolerance == 0.1
    unknown = refusal("reward.tools.pay.arguments.amount.like=1")
    assert unknown.startswith("reward.tools.pay.arguments.amount.like: no such setting")


def test_the_resolved_configuration_can_be_given_again(tmp_path: Path) -> None:
    config = load_config(None, ["model.lora_rank=4", "data.tools=t.json", "rl.mode=direct"])
    record = config.model_dump(mode="json")
    assert RunConfig.model_validate(record) == config
