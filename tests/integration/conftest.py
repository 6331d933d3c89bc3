"""The command line, called in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from actwise.cli import main


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on stderr, of a command that was refused, after what it was doing."""
        assert self.code == 2
        assert self.err.endswith("\n")
        *doing, last = self.err.splitlines()
        assert all(line.startswith(("reading ", "loading ")) for line in doing), self.err
        assert last.startswith("actwise: ")
        return last.removeprefix("actwise: ")


Actwise = Callable[..., Outcome]


@pytest.fixture
def actwise(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Actwise:
    """The command line, in this process."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["actwise", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as done:
            code = int(done.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
