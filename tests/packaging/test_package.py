"""What is built for others is whole, and runs on systems that lack what Linux has."""

import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tracked(*folders: str) -> set[str]:
    """Return the files under version control, without those that only git and CI read."""
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    return {name for name in listed.stdout.split("\n") if name and not name.startswith(".")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it, as `make dist` does."""
    pytest.importorskip("build")
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tree / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (file,) = built.glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
        text = wheel.read(metadata).decode()
    assert {f"src/{name}" for name in names} == tracked("src")
    assert "\nRequires-Python: >=3.11\n" in text
    assert "\nLicense-Expression: Apache-2.0\n" in text
    assert "\n# actwise\n" in text  # the README


@pytest.mark.slow
def test_the_sdist_holds_all_that_is_needed_to_build_test_and_read(built: Path) -> None:
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert tracked() - names == set()


def test_the_metadata_names_only_what_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (ROOT / project["readme"]).is_file() and (ROOT / project["license-files"][0]).is_file()
    versions = [c for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)]
    lowest = project["requires-python"].removeprefix(">=")
    assert versions[0].endswith(lowest)


def test_nothing_that_only_unix_has_is_imported_to_check_report_or_measure(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    """Windows has none of these modules, and what libraries import is their own affair."""
    code = """
        import builtins, sys, types

        import_any = builtins.__import__

        def import_portable(name, globals=None, *more, **named):
            importer = (globals or {}).get("__name__") or ""
            if importer.startswith("actwise") and name in UNIX:
                raise ModuleNotFoundError(f"{importer} imports {name}")
            return import_any(name, globals, *more, **named)

        builtins.__import__ = import_portable
        from actwise.cli import main
        import actwise.api, actwise.pipeline, actwise.run.limits

        # It limits memory where it is told that it is on Linux.
        actwise.run.limits.sys = types.SimpleNamespace(platform="win32")

        for verb in (["check", "log.jsonl"], ["eval", "log.jsonl", "--model", MODEL,
                     "--set", "evaluate.max_completion_tokens=2", "--mode", "direct"],
                     ["report", "nowhere"]):
            sys.argv = ["actwise", *verb]
            try:
                main()
            except SystemExit as done:
                print(verb[0], done.code)
    """
    given = f"MODEL = {str(tiny_model_dir)!r}\n"
    given += "UNIX = {'fcntl', 'resource', 'grp', 'pwd', 'termios'}\n"
    message = '{"messages": [{"role": "user", "content": "Hi"}, '
    message += '{"role": "assistant", "content": "The bus leaves at 9."}]}\n'
    (tmp_path / "log.jsonl").write_text(message)
    done = subprocess.run(
        [sys.executable, "-c", given + textwrap.dedent(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "wrong direct: 1 decisions" in done.stdout
    assert "report 2" in done.stdout  # refused in a line, for there is no run
