"""Settings as a list, as TOML and as JSON."""

import json
import tomllib
from pathlib import Path

import pytest

from actwise.config import RunConfig, load_config
from integration.conftest import Actwise


def test_all_settings_as_toml_change_nothing(actwise: Actwise, tmp_path: Path) -> None:
    file = tmp_path / "all.toml"
    file.write_text(actwise("settings", "--toml").out)
    assert load_config(file) == RunConfig()
    assert tomllib.loads(file.read_text())["rl"]["selection"]["most"] == 4


@pytest.mark.parametrize("section", ["rl", "rl.anchor", "reward", "seed"])
def test_a_section_as_toml_changes_nothing(actwise: Actwise, tmp_path: Path, section: str) -> None:
    file = tmp_path / "part.toml"
    file.write_text(actwise("settings", section, "--toml").out)
    assert load_config(file) == RunConfig()
    assert set(tomllib.loads(file.read_text())) == {section.split(".")[0]}


def test_a_commented_section_can_be_taken_in(actwise: Actwise, tmp_path: Path) -> None:
    lines = actwise("settings", "reward.endpoint", "--toml").out.splitlines()
    # What a user does: the marks of the header and of two values are taken away.
    wanted = ("# [", "# url", "# model =", "# retries")
    text = "\n".join(line.removeprefix("# ") if line.startswith(wanted) else line for line in lines)
    file = tmp_path / "endpoint.toml"
    file.write_text(text.replace('url = "(to be given)"', 'url = "http://127.0.0.1:1/v1"'))
    endpoint = load_config(file).reward.endpoint
    assert endpoint is not None and endpoint.retries == 3


def test_a_section_of_the_list(actwise: Actwise) -> None:
    listed = actwise("settings", "rl.anchor").out
    keys = [line.split(" = ")[0] for line in listed.splitlines() if not line.startswith(" ")]
    assert keys == ["rl.anchor.kind", "rl.anchor.patience", "rl.anchor.decay"]
    assert "One of fixed, reset, average." in " ".join(listed.split())
    assert max(map(len, listed.splitlines())) <= 92
    # A name that only begins alike is no section.
    assert actwise("settings", "rl.anc").complaint.startswith("rl.anc: no such section or setting")


def test_settings_as_json(actwise: Actwise) -> None:
    settings = {s["key"]: s for s in json.loads(actwise("settings", "--json").out)}
    assert settings["rl.steps"]["default"] == 300
    assert settings["data.tools"]["default"] is None
    assert settings["rl.mode"]["choices"] == ["direct", "thinking"]
    assert all(setting["meaning"] for setting in settings.values())
