"""Recipes on the command line."""

import json
from pathlib import Path

import pytest

from actwise.recipes import names, read_recipe, recipe_file
from integration.conftest import Actwise


def test_recipes_lists_them_and_prints_a_file_to_copy(actwise: Actwise, tmp_path: Path) -> None:
    listed = json.loads(actwise("recipes", "--json").out)
    assert [recipe["name"] for recipe in listed] == names()
    assert actwise("recipes").out.count("2505.00024") == 1
    copy = tmp_path / "copy.toml"
    copy.write_text(actwise("recipes", "tool-n1").out)
    assert copy.read_bytes() == recipe_file("tool-n1").read_bytes()
    assert read_recipe(str(copy)) == read_recipe("tool-n1")
    assert "did you mean" in actwise("recipes", "tooln1").complaint


@pytest.mark.parametrize("verb", ["run", "preflight", "demo"])
def test_an_unknown_recipe_stops_a_run_before_anything_is_read(
    actwise: Actwise, tmp_path: Path, verb: str
) -> None:
    data = [] if verb == "demo" else ["--data", tmp_path / "none.jsonl", "--model", "none"]
    out = tmp_path / "out"
    assert "no such recipe" in actwise(verb, *data, "--out", out, "--recipe", "nil").complaint
    assert not out.exists()


def test_a_recipe_that_does_not_fit_the_data_says_what_is_missing(
    actwise: Actwise, tmp_path: Path, tiny_model_dir: Path
) -> None:
    log = tmp_path / "log.jsonl"
    trees = ("alder", "birch", "cedar", "elder", "fir", "gorse", "hazel", "ivy", "juniper")
    action = {"role": "assistant", "content": "Yes."}
    talks = [{"messages": [{"role": "user", "content": tree}, action]} for tree in trees]
    log.write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    out = tmp_path / "out"
    given = ["run", "--data", log, "--model", tiny_model_dir, "--out", out, "--recipe", "sparkle"]
    assert "no training conversation has a recorded thought" in actwise(*given).complaint
    assert not (out / "run.json").exists()  # nothing has begun
