"""The recipes: files that can be read, copied and edited, and how their settings are layered."""

from pathlib import Path

import pytest

from actwise.config import layered, validated
from actwise.errors import ConfigError
from actwise.recipes import names, read_recipe

OWN = """
name = "mine"
work = "Mine"
arxiv = "2501.00001"
ported = "all"
left_out = "nothing"
[[claims]]
metric = "action_accuracy"
sign = "+"
[settings.rl]
num_generations = 4
temperature = 0.7
[control.rl]
temperature = 1.0
"""


def refusal(given: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_recipe(given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", names())
def test_a_shipped_recipe_is_named_as_its_file_and_differs_from_its_control(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.name == name
    settings = validated(recipe.settings)
    assert all(settings != validated(control) for control in recipe.control_settings().values())


def test_a_control_has_the_settings_of_its_recipe_but_for_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(OWN)
    recipe = read_recipe(str(tmp_path / "mine.toml"))
    assert recipe.control_settings() == {
        "control": {"rl": {"num_generations": 4, "temperature": 1.0}}
    }
    assert recipe.settings == {"rl": {"num_generations": 4, "temperature": 0.7}}


def test_later_layers_overrule_key_by_key() -> None:
    below = {"seed": 1, "rl": {"num_generations": 4, "selection": {"keep": 3, "rest": 5}}}
    above = {"rl": {"steps": 2, "selection": {"keep": 2}}}
    config = layered([below, above], ["rl.selection.rest=7"])
    assert (config.seed, config.rl.num_generations, config.rl.steps) == (1, 4, 2)
    assert (config.rl.selection.keep, config.rl.selection.rest) == (2, 7)
    assert below["rl"]["selection"] == {"keep": 3, "rest": 5}  # type: ignore[index]


def test_an_unknown_recipe_is_refused_with_what_may_have_been_meant() -> None:
    assert refusal("toolN1") == "--recipe toolN1: no such recipe; did you mean tool-n1?"
    assert refusal("zzz").endswith("; there are " + ", ".join(names()))
    assert refusal("no/such.toml").endswith(
        "no/such.toml: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('sign = "+"', "", "claims.0.sign: is missing"),
        ('sign = "+"', 'sign = "up"', "claims.0.sign: "),
        (
            'sign = "+"',
            'sign = "+"\nagainst = "hot"',
            "claims: there is no [controls.hot]",
        ),
        ('work = "Mine"', 'work = "x"\nmore = 1', "more: means nothing in a recipe"),
        ('sign = "+"', 'sign = "+"\nmore = 1', "claims.0.more: means nothing in a recipe"),
        ("num_generations = 4", "generations = 4", "rl.generations: no such setting"),
        ("temperature = 1.0", "temperature = -1", "rl.temperature: "),
        ("[settings.rl]", "[settings.rl", "not TOML"),
    ],
)
def test_a_damaged_recipe_names_file_and_key(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN.replace(old, new))
    assert refusal(str(file)).startswith(f"{file}: {expected}")
