"""The documentation can be built, and nothing in it leads nowhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from actwise.cli import cli
from actwise.cli.init import _examined, starter
from actwise.cli.settings import describe
from actwise.config import load_config
from actwise.data.prepare import prepare
from actwise.desk import MODEL, generate
from actwise.model.loading import load_policy
from actwise.preflight.outline import outline

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_files_that_are_named_are_there() -> None:
    """NAME stands for what a reader is to put there."""
    named = re.compile(r"\b(?:tests|src|docs|benchmarks|examples|tools)/[\w./-]+\.\w+\b")
    missing = [
        f"{text.relative_to(ROOT)}: {name}"
        for text in PAGES
        for name in named.findall(text.read_text("utf-8"))
        if "NAME" not in name and not (ROOT / name).exists()
    ]
    assert missing == []


def _options(command: click.Command) -> Iterator[click.Option]:
    yield from (p for p in command.params if isinstance(p, click.Option))
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _options(inner)


def test_settings_and_options_that_are_named_are_there() -> None:
    """With `reward.tools.NAME` and the like, whose names are the user's own."""
    keys = {setting.key for setting in describe()}
    parts = {key.rsplit(".", n)[0] for key in keys for n in range(4)}
    sections = {key.partition(".")[0] for key in keys if "." in key}
    setting = re.compile(rf"(?:`|--set )((?:{'|'.join(sections)})\.[a-z_.]+[a-z])(?=[`= ])")
    option = re.compile(r"\bactwise [a-z-]+ [^`\n#|]*?(--[a-z][a-z-]+)")
    options = {name for option in _options(cli) for name in option.opts}
    unknown = [
        f"{page.name}: {name}"
        for page in PAGES
        for text in [page.read_text("utf-8")]
        for name in {*setting.findall(text), *option.findall(text)}
        if not name.startswith(("reward.tools.", "reward.custom.")) and name not in parts | options
    ]
    assert unknown == []


def test_help_says_what_holds_where_an_option_is_absent() -> None:
    silent = [
        f"{option.opts[-1]}: {option.help}"
        for option in _options(cli)
        if option.default not in (None, False, (), 0) and not option.show_default
        if isinstance(option.default, (str, int, float, tuple, Path))
        if "absent" not in (option.help or "") and "default" not in (option.help or "")
    ]
    assert silent == []


def test_every_experiment_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = [f"experiments/{page.name}" for page in (ROOT / "docs/experiments").glob("*.md")]
    assert [page for page in pages if f"- {page}\n" not in navigation] == []


@pytest.mark.slow
def test_a_run_begins_as_its_page_shows(tmp_path: Path) -> None:
    logs, settings = tmp_path / "logs.jsonl", tmp_path / "actwise.toml"
    logs.write_text("".join(c.to_json() + "\n" for c in generate("train", 300)))
    settings.write_text(starter(_examined([logs], None, None), "base"))
    config = load_config(settings)
    policy = load_policy(str(MODEL), config)
    model, *others = outline(str(MODEL), policy, prepare([logs], config), config)
    page = (ROOT / "docs/logs.md").read_text("utf-8")
    for line in (model.partition(" in float32")[0], *others):
        assert f"\n{line}" in page


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    reference = (tmp_path / "site" / "reference.html").read_text()
    assert "bad_records" in (tmp_path / "site" / "settings.html").read_text()
    for name in ("actwise.api.train", "actwise.api.runs.LoadedRun.models"):
        assert f'id="{name}"' in reference
    assert 'href="examples/grpo.html"' in (tmp_path / "site" / "api.html").read_text()
    assert "fonts.g" not in (tmp_path / "site" / "index.html").read_text()
