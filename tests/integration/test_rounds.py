"""Rounds: the start and RL again on what RL has left, also where a run is killed in between."""

import json
from pathlib import Path

import pytest

from actwise.run.files import read_records
from runs import Runner, check_same_end, fork_server, write_logs


@pytest.mark.slow
def test_a_second_round_learns_from_the_first_ones_thoughts(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs.jsonl"
    write_logs(logs)
    rounds = {
        "rounds.number": 2,
        "rounds.conversations": 6,
        "sft.steps": 0,
        # Long enough for thoughts of its own, which are drawn near the likeliest.
        "think.steps": 80,
        "think.temperature": 0.3,
        "rl.steps": 2,
    }
    straight = Runner(fork_server(), tiny_model_dir, logs, tmp_path / "straight", rounds)
    assert straight() == 0
    killed = straight.elsewhere("killed")
    metrics = killed.folder / "metrics" / "think_2.jsonl"
    killed(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") >= 5)
    assert killed() == 0
    check_same_end(killed.folder, straight.folder)

    results = json.loads((straight.folder / "results.json").read_text())
    assert results["models"] == ["base", "think", "rl", "think_2", "rl_2"]
    assert {(p["model"], p["against"]) for p in results["paired"]} >= {
        ("rl_2 (thinking)", "rl (thinking)"),
        ("think_2 (thinking)", "rl (thinking)"),
    }
    thoughts = read_records(straight.folder / "thoughts" / "think_2.jsonl")
    assert thoughts and all(record["thought"] for record in thoughts)
    conversations = {record["decision"].rpartition("#")[0] for record in thoughts}
    assert len(conversations) <= 6
    page = (straight.folder / "report.html").read_text()
    assert "RL 2" in page and "round 2" in page
