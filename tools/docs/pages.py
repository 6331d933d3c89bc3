"""What `make docs` adds to the pages of docs/: made from the code, so never out of date.

A hook of MkDocs. It adds the settings, the reference of the Python API, the examples and
CONTRIBUTING, and leads links to files beside docs/ to those pages.
"""

import itertools
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from actwise.cli.settings import Setting, describe

ROOT = Path(__file__).parents[2]
REFERENCE = {
    "Functions": ["actwise.api"],
    "Runs and measurements": ["actwise.api.runs.LoadedRun", "actwise.api.runs.Evaluation"],
    "Models that act": ["actwise.api.acting"],
    "Data": ["actwise.data.prepare.Prepared", "actwise.data.split.Splits", "actwise.conversation"],
    "What the doctor finds": ["actwise.doctor.Diagnosis", "actwise.findings.finding.Finding"],
    "Rewards of your own": ["actwise.template.parse.ParsedCompletion", "actwise.rewards.judge"],
    "Errors": ["actwise.errors"],
}
"""What a program may use, under its heading."""
_BESIDE = re.compile(r"\]\((?:\.\./)+(examples/\w+)\.py\)")
"""A link to an example."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code."""
    pages = {
        "settings.md": settings(),
        "reference.md": reference(),
        "contributing.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for example in sorted((ROOT / "examples").glob("*.py")):
        code = example.read_text(encoding="utf-8")
        title = f"# examples/{example.name}"
        pages[f"examples/{example.stem}.md"] = f"{title}\n\n```python\n{code}```\n"
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to files beside docs/ to their pages."""
    return _BESIDE.sub(r"](\1.md)", markdown.replace("](docs/", "]("))


def settings() -> str:
    """Return the page of all settings, a table for each section."""
    lines = [
        "# Settings",
        "",
        "Each can stand in a TOML file (`--config`) or behind `--set`. `actwise init LOGS` writes "
        "a file that fits the logs, `actwise settings SECTION --toml` one with all defaults.",
    ]
    by_section = itertools.groupby(
        sorted(describe(), key=_section), key=lambda setting: _section(setting)
    )
    for section, inside in by_section:
        lines += ["", f"## {section or 'Of the whole run'}", "", "| setting | default | meaning |"]
        lines += ["| --- | --- | --- |", *map(_row, inside)]
    return "\n".join(lines) + "\n"


def _section(setting: Setting) -> str:
    return setting.key.rpartition(".")[0]


def _row(setting: Setting) -> str:
    name = setting.key.rpartition(".")[2]
    default = "" if setting.default is None else f"`{setting.default}`"
    choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
    meaning = (setting.meaning + choices).replace("|", "\\|").replace("<", "&lt;")
    return f"| `{name}` | {default} | {meaning} |"


def reference() -> str:
    """Return the page of the API, which mkdocstrings fills from the docstrings."""
    lines = ["# Reference", "", "Made from the docstrings. The [guide](api.md) says what for."]
    for heading, names in REFERENCE.items():
        lines += ["", f"## {heading}", *(f"\n::: {name}" for name in names)]
    return "\n".join(lines) + "\n"
