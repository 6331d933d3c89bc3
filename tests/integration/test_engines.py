"""Runs that sample by servers, which are fakes."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from actwise.model.policy import Policy
from finding import conversation
from integration.conftest import actwise as actwise
from vllm_fake import FakeVllm, running

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kiwi", "lynx"]
SETTINGS = [
    "engine.kind=vllm",
    "checkpoint_every=1",
    "sft.steps=4",
    "think.steps=0",
    "rl.steps=3",
    "rl.mode=direct",
    "rl.num_generations=4",
    "rl.conversations_per_step=3",
    "evaluate.max_completion_tokens=24",
]


def test_a_run_without_servers_goes_on_with_others_as_if_nothing_had_been(
    actwise: Any, tiny_model_dir: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(conversation(name).to_json() + "\n" for name in NAMES))

    def run(out: Path, *servers: FakeVllm) -> Any:
        urls = json.dumps([server.url for server in servers])
        settings = [f"--set={one}" for one in (*SETTINGS, f"engine.urls={urls}")]
        return actwise(
            "run", f"--data={log}", f"--model={tiny_model_dir}", f"--out={out}", *settings
        )

    def metrics(out: Path) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (out / "metrics/rl.jsonl").open()]

    with ExitStack() as held:

        def server() -> FakeVllm:
            return held.enter_context(running(FakeVllm(Policy.load(str(tiny_model_dir)))))

        whole, broken = tmp_path / "whole", tmp_path / "broken"
        done = run(whole, server())
        assert done.code == 0, done.err

        def fails(path: str, body: dict[str, Any]) -> int | None:
            # In the second step of RL: what is measured is greedy.
            first = (broken / "metrics/rl.jsonl").exists()
            return 0 if first and body.get("temperature") == 1.0 else None

        first, second = server(), server()
        first.answer = second.answer = fails
        refused = run(broken, first, second)
        assert refused.code == 2
        assert refused.err.count("no vLLM server is left: ") == 1
        assert f"{first.url}: " in refused.err and f"{second.url}: " in refused.err
        assert len(metrics(broken)) == 1
        done = run(broken, server(), server())
        assert done.code == 0, done.err
    assert metrics(broken) == metrics(whole)
    assert len(metrics(whole)) == 3
    assert any("mismatch_kl" in record for record in metrics(whole))
