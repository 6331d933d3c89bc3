"""The gradient of a step is the same whatever number of processes shares it."""

import os
import socket
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.tensor import DTensor

from actwise.config import RlConfig
from actwise.conversation import all_decisions
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, Rollout, Sample, groups_of
from actwise.errors import RunError
from actwise.model.policy import Policy
from actwise.model.processes import join, shares, sum_gradients, together
from actwise.model.sharding import ShardedPolicy, full
from actwise.run.processes import ALONE
from actwise.training import update
from actwise.training.likelihood import explain
from actwise.training.stages import sft
from finding import CONVERSATIONS
from runs import fork_server


def rollouts(policy: Policy) -> list[Group]:
    """Return groups with made-up samples and advantages, of very different lengths."""
    draw = torch.Generator().manual_seed(3)
    groups = []
    for group in groups_of(policy.template, all_decisions(CONVERSATIONS), thinking=True):
        made = []
        for number in range(3):
            ids = torch.randint(5, 200, (4 + 9 * number,), generator=draw).tolist()
            logprobs = (-5 * torch.rand(len(ids), generator=draw)).tolist()
            advantage = torch.randn((), generator=draw).item()
            made.append(Rollout(Sample(tuple(ids), tuple(logprobs), "stop"), None, advantage))
        groups.append(Group(group.decision, group.prompt, tuple(made), live=True))
    return groups


def computed(model: str, lora_rank: int | None, sharded: bool = False) -> dict[str, Any]:
    """Return gradients and figures of a step of each kind, and completions."""
    torch.manual_seed(0)
    policy = Policy.load(model, lora_rank=lora_rank)
    if sharded:
        policy = ShardedPolicy(policy)
    weights = list(policy.trainable().values())
    found: dict[str, Any] = {}

    def keep(name: str, figures: Any) -> None:
        sum_gradients(weights)
        grads = [torch.zeros(1) if p.grad is None else full(p.grad).flatten() for p in weights]
        found[name] = (torch.cat(grads), figures)
        policy.model.zero_grad()

    trees = [sft.sft_tree(policy.template, of_one) for of_one in sft.direct_targets(CONVERSATIONS)]
    keep("sft", {"loss": sft.accumulate(policy, trees, 300)})
    groups = rollouts(policy)
    reference = {n: w + 0.01 * torch.ones_like(w) for n, w in policy.weights().items()}
    for name, of_step in (("rl", groups), ("one conversation", groups[:3])):
        samples = [r.sample for group in of_step for r in group.rollouts]
        figures = update.accumulate(
            policy,
            of_step,
            (len(samples), sum(len(sample.token_ids) for sample in samples)),
            reference,
            RlConfig(kl_coefficient=0.1),
            max_tokens=90,
            max_batch_tokens=300,
        )
        keep(name, figures)
    explained = [
        explain(policy.template, group.decision, group.prompt, ["Find it.", "Say."])
        for group in groups
    ]
    both = [one for pair in zip(groups, explained, strict=True) for one in pair]
    for name, learned in (("likelihood", explained), ("both", both)):
        figures = update.accumulate(
            policy,
            learned,
            (len(groups), 100),
            reference,
            RlConfig(),
            max_tokens=90,
            max_batch_tokens=300,
            likelihood_scale=0.5,
        )
        keep(name, figures)
    found["completions"] = [
        [r.sample.token_ids for r in group.rollouts]
        for temperature in (0.0, 1.0)
        for group in LocalEngine(policy).generate(
            groups,
            num_generations=3,
            params=SamplingParams(12, policy.template.stop_token_ids, temperature),
            generator=torch.Generator().manual_seed(5),
        )
    ]
    found["kept"] = sum(
        p.to_local().numel() if isinstance(p, DTensor) else p.numel()
        for p in policy.model.parameters()
    )
    return found


def in_company(
    rank: int, count: int, port: int, model: str, lora_rank: int | None, sharded: bool, out: Path
) -> None:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ.update({"RANK": str(rank), "WORLD_SIZE": str(count), **address})
    processes = join()
    assert (processes.rank, processes.count, processes.first) == (rank, count, rank == 0)
    found = computed(model, lora_rank, sharded)
    told = processes.agreed(lambda: f"from {rank}")
    doubled = processes.dealt(lambda own: [(2 * i, rank) for i in own], [*range(7)], [1] * 7)
    with pytest.raises(RunError, match="of process 1"):
        processes.dealt(partial(fail, rank), [0, 1], [1, 1])
    with pytest.raises(RunError, match="of process 0"):
        processes.agreed(partial(fail, rank + 1, []))
    assert processes.everywhere(lambda: rank) == rank
    with pytest.raises(RunError, match="of process 0"):
        processes.everywhere(partial(fail, rank + 1, []))
    sums = together().summed({"both": 1.0, f"of {rank}": 2.0})
    torch.save((found, told, doubled, sums), out)


def fail(rank: int, own: list[int]) -> list[int]:
    if rank == 1:
        raise RunError(f"of process {rank - 1 if not own else rank}")
    return own


@pytest.fixture(scope="module")
def alone(tiny_model_dir: Path) -> Callable[[int | None], dict[str, Any]]:
    """What one process computes."""
    return cache(partial(computed, str(tiny_model_dir)))


@pytest.mark.parametrize(
    ("count", "lora_rank", "sharded"),
    [(2, None, False), (4, None, False), (2, None, True), (3, None, True), (2, 4, True)],
)
def test_a_step_is_the_same_in_several_processes(
    count: int,
    lora_rank: int | None,
    sharded: bool,
    alone: Callable[[int | None], dict[str, Any]],
    tiny_model_dir: Path,
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outs = [tmp_path / f"{rank}.pt" for rank in range(count)]
    made = [
        fork_server().Process(
            target=in_company,
            args=(rank, count, port, str(tiny_model_dir), lora_rank, sharded, out),
        )
        for rank, out in enumerate(outs)
    ]
    for process in made:
        process.start()
    for process in made:
        process.join()
    assert [process.exitcode for process in made] == [0] * count
    first, *others = (torch.load(out, weights_only=False) for out in outs)
    of_one_process = alone(lora_rank)
    for found, told, doubled, sums in (first, *others):
        assert found["completions"] == of_one_process["completions"]
        # What is kept of a weight are whole rows, so shares are not quite even.
        assert found["kept"] <= of_one_process["kept"] * (1.1 / count if sharded else 1)
        for name in ("sft", "rl", "one conversation", "likelihood", "both"):
            (gradient, figures), (wanted, of_one) = found[name], of_one_process[name]
            assert (gradient - wanted).norm() <= 1e-6 * wanted.norm()
            assert figures == pytest.approx(of_one, rel=1e-5, abs=1e-7)
            assert torch.equal(gradient, first[0][name][0])
        assert told == "from 0"
        assert [value for value, _ in doubled] == [0, 2, 4, 6, 8, 10, 12]
        assert {rank for _, rank in doubled} == set(range(count))
        assert sums == {"both": count} | {f"of {rank}": 2.0 for rank in range(count)}


@given(costs=st.lists(st.integers(0, 1000)), count=st.integers(1, 5))
def test_shares_are_about_even(costs: list[int], count: int) -> None:
    owners = shares(costs, count)
    loads = [sum(c for c, o in zip(costs, owners, strict=True) if o == r) for r in range(count)]
    # Graham 1969: whoever ends last began its last item when nobody had less to do.
    assert max(loads) <= sum(costs) / count + max(costs, default=0) * (1 - 1 / count) + 1e-9


def test_one_process_alone_has_nothing_to_share() -> None:
    assert together() is ALONE
    assert ALONE.own("abc", [1, 2, 3]) == ["a", "b", "c"]
    assert ALONE.dealt(lambda own: own, "abc", [1, 2, 3]) == ["a", "b", "c"]
    assert ALONE.summed({"loss": 1.0}) == {"loss": 1.0}
    assert ALONE.agreed(lambda: 3) == 3
    assert ALONE.everywhere(lambda: 4) == 4
