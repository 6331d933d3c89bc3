"""The documentation can be built, and nothing in it leads nowhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_files_that_are_named_are_there() -> None:
    """NAME stands for what a reader is to put there."""
    named = re.compile(r"\b(?:tests|src|docs|benchmarks|examples|tools)/[\w./-]+\.\w+\b")
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    missing = [
        f"{text.relative_to(ROOT)}: {name}"
        for text in texts
        for name in named.findall(text.read_text("utf-8"))
        if "NAME" not in name and not (ROOT / name).exists()
    ]
    assert missing == []


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
