"""The table of the terminal."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from actwise.report import write_table
from reported import row_by_hand, write_run


def test_table(tmp_path: Path) -> None:
    results = json.loads((write_run(tmp_path / "run") / "results.json").read_text())
    text = write_table(results, width=120)
    rows = [line.split() for line in text.splitlines() if line]
    assert ["RL", "thinking", "test", "78.1", "73.1–83.1", "79.1", "58.1", "88.1"] + ["–"] * 4 + [
        "41.3"
    ] in rows
    assert ["(always", "answer)", "floor", "test", "21.4"] in rows
    assert all(line == line.rstrip() for line in text.splitlines())
    assert max(cell_len(line) for line in text.splitlines()) <= 120
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_column_of_the_table_is_cut_or_left_out(tmp_path: Path, width: int) -> None:
    results = json.loads((write_run(tmp_path / "run") / "results.json").read_text())
    text, _, besides = write_table(results, width=width).partition("On its own history\n")
    assert all(cell in besides for cell in ("57.0–67.0", "10 diverged", "90.0", "thought of 16"))
    lines = text.rstrip().splitlines()
    assert max(map(cell_len, lines[:-1])) <= width
    rows = [line.split() for line in lines if line.startswith("RL ")]
    found = [cell for row in rows if row[1:3] == ["thinking", "test"] for cell in row[3:]]
    assert found == ["78.1", "73.1–83.1", "79.1", "58.1", "88.1"] + ["–"] * 4 + ["41.3"]
    assert "…" not in "".join(lines)


def test_what_an_environment_said_does_not_steer_the_terminal(tmp_path: Path) -> None:
    results = json.loads((write_run(tmp_path / "run") / "results.json").read_text())
    results["episodes"][0]["problems"] = {"gone\x1b[2J": 1}
    assert "\nwent wrong: gone\\x1b[2J\n" in write_table(results)


def test_table_prints_names_as_they_are() -> None:
    text = write_table({"rows": [row_by_hand("[red]x[/red]", "direct", "[b]", 0.5)]})
    assert "[red]x[/red]" in text and "[b]" in text
