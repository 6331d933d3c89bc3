"""Runs that sample by servers, which are fakes."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from actwise.model.policy import Policy
from finding import conversation
from integration.conftest import actwise as actwise
from integration.test_processes import SHORT, check_equal_figures
from runs import Runner, fork_server, write_logs
from vllm_fake import FakeVllm, running

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay", "kiwi", "lynx"]
SETTINGS = [
    "engine.kind=vllm",
    "model.threads=1",  # sums depend on their number, which is measured otherwise
    "sft.steps=4",
    "think.steps=0",
    "rl.steps=4",
    "rl.mode=direct",
    "rl.num_generations=4",
    "rl.conversations_per_step=3",
    "evaluate.max_completion_tokens=24",
]


@pytest.mark.parametrize(("ahead", "checkpoint_every"), [(0, 1), (1, 2)])
def test_a_run_without_servers_goes_on_with_others_as_if_nothing_had_been(
    actwise: Any, tiny_model_dir: Path, tmp_path: Path, ahead: int, checkpoint_every: int
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("".join(conversation(name).to_json() + "\n" for name in NAMES))

    def run(out: Path, *servers: FakeVllm) -> Any:
        urls = json.dumps([server.url for server in servers])
        own = (
            f"engine.urls={urls}",
            f"engine.ahead={ahead}",
            f"checkpoint_every={checkpoint_every}",
        )
        settings = [f"--set={one}" for one in (*SETTINGS, *own)]
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
            # Behind the first checkpoint of RL; what is measured is greedy.
            first = (broken / "metrics/rl.jsonl").exists()
            return 0 if first and body.get("temperature") == 1.0 else None

        first, second = server(), server()
        first.answer = second.answer = fails
        refused = run(broken, first, second)
        assert refused.code == 2
        assert refused.err.count("no vLLM server is left: ") == 1
        assert f"{first.url}: " in refused.err and f"{second.url}: " in refused.err
        assert len(metrics(broken)) == checkpoint_every
        done = run(broken, server(), server())
        assert done.code == 0, done.err
    assert metrics(broken) == metrics(whole)
    assert len(metrics(whole)) == 4
    assert any("mismatch_kl" in record for record in metrics(whole))


@pytest.mark.slow
@pytest.mark.parametrize("lora_rank", [None, 2])
def test_processes_that_divide_the_weights_hand_them_over_whole(
    tiny_model_dir: Path, tmp_path: Path, lora_rank: int | None
) -> None:
    write_logs(tmp_path / "logs.jsonl")
    policy = Policy.load(str(tiny_model_dir), lora_rank=lora_rank)
    with running(FakeVllm(policy)) as server:
        settings = SHORT | {"engine.kind": "vllm", "engine.urls": server.url}
        if lora_rank is not None:
            settings |= {"model.lora_rank": lora_rank, "model.train_embeddings": "false"}

        def make(name: str, **other: str) -> Runner:
            given = settings | {f"model.{key}": value for key, value in other.items()}
            folder = tmp_path / name
            return Runner(fork_server(), tiny_model_dir, tmp_path / "logs.jsonl", folder, given)

        alone, divided = make("alone"), make("divided", sharded="true")
        assert alone() == 0, alone.log.read_text()
        codes = divided.together(2)
        assert codes == [0, 0], "".join(divided.log_of(rank).read_text() for rank in range(2))
    check_equal_figures(divided.folder, alone.folder)
