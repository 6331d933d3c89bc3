"""The script that makes the virtual environment."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "environment.py"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, in an empty folder."""
    spec = importlib.util.spec_from_file_location("environment", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return module


def test_a_python_that_is_too_old_is_told_in_one_line(environment: ModuleType) -> None:
    with pytest.raises(SystemExit) as refused:
        environment.check_python((3, 10))
    assert "needs Python 3.11 or newer" in str(refused.value)
    assert "\n" not in str(refused.value)
    environment.check_python((3, 14))


def test_it_can_be_read_by_pythons_that_are_too_old() -> None:
    """Else they would show a syntax error in place of that line."""
    import ast

    ast.parse(SCRIPT.read_text(), feature_version=(3, 6))


def test_a_half_made_environment_is_made_anew(environment: ModuleType) -> None:
    assert not environment.usable()  # there is none
    environment.PYTHON.parent.mkdir(parents=True)
    environment.PYTHON.symlink_to(sys.executable + "-gone")
    assert not environment.usable()  # its Python was taken away
    environment.run([sys.executable, "-m", "venv", "--clear", "--without-pip", ".venv"])
    assert not environment.usable()  # it was interrupted before it had pip


def test_what_a_command_says_is_shown_only_where_it_fails(
    environment: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.run([sys.executable, "-c", "print('a line of two hundred')"])
    assert capfd.readouterr() == ("", "")
    with pytest.raises(SystemExit) as failed:
        environment.run([sys.executable, "-c", "print('no such package'); raise SystemExit(1)"])
    assert "no such package" in capfd.readouterr().err
    assert f"all of it is in {environment.LOG}" in str(failed.value)
    assert environment.LOG.read_text().split("\n")[:2] == [
        "a line of two hundred",
        "no such package",
    ]


@pytest.mark.parametrize(("gpu", "torch"), [(False, "torch=="), (True, "torch===")])
def test_a_gpu_takes_the_build_without_a_label(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, gpu: bool, torch: str
) -> None:
    from packaging.specifiers import SpecifierSet

    commands: list[list[str]] = []
    monkeypatch.setattr(environment, "run", commands.append)
    monkeypatch.setattr(environment, "usable", lambda: True)
    monkeypatch.setattr(sys, "argv", ["environment.py", "--dev", *(["--gpu"] if gpu else [])])
    environment.main()
    (install,) = commands
    (wanted,) = (part for part in install if part.startswith("torch"))
    assert install[-1] == ".[dev]"
    specifier = SpecifierSet(wanted.removeprefix("torch"))
    assert ("2.13.0" in specifier) and (("2.13.0+cpu" in specifier) is not gpu)


def test_make_takes_a_python_that_is_new_enough(tmp_path: Path) -> None:
    """Where `python3` is too old and a newer one is beside it."""
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 0\n")
    newer = tmp_path / "python3.12"
    newer.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for file in tmp_path.iterdir():
        file.chmod(0o755)
    shown = subprocess.run(
        ["make", "-n", "-B", "demo"],
        cwd=SCRIPT.parents[1],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    used = [line.split()[0] for line in shown.stdout.splitlines() if "environment.py" in line]
    assert len(used) == 1 and used[0] != "python3"
