"""The benchmark of the server's scheduler."""

import json
import sys

import pytest

from benchmarks import serving


@pytest.mark.slow
def test_it_measures_both_and_ends_where_tokens_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["serving", "--clients", "2", "--repeat", "1"])
    monkeypatch.setattr(serving, "_TOKENS", 4)
    serving.main()
    turn, clients = map(json.loads, capsys.readouterr().out.splitlines())
    assert turn["what"] == "second turn" and turn["ratio"]["median"] > 0
    assert clients["clients"] == 2 and clients["ratio"]["median"] > 0
    with pytest.raises(AssertionError):
        asker = serving.Asker.ask
        monkeypatch.setattr(
            serving.Asker,
            "ask",
            lambda self, prompts, tokens: (*asker(self, prompts, tokens)[:2], [[id(self)]]),
        )
        serving.main()
