"""Measure what of a GRPO step is divided among processes, and reckon what it takes on many GPUs.

    python benchmarks/processes.py measure --processes 1 2
    python benchmarks/processes.py reckon

`measure` takes one step on the desk in so many processes on this machine, and prints the CPU
seconds of each part; on a busy machine the clock says nothing. `reckon` is arithmetic on a card's
figures. docs/experiments/scale.md has both.
"""

import argparse
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

CONVERSATIONS, GENERATIONS, TOKENS = 4, 4, 40


def step() -> dict[str, float]:
    """Return the CPU seconds of each part of a step in this process, and what it sends."""
    import torch

    from actwise.config import RlConfig
    from actwise.conversation import all_decisions
    from actwise.desk import MODEL
    from actwise.desk.conversations import generate
    from actwise.engine import SamplingParams
    from actwise.engine.local import LocalEngine
    from actwise.engine.rollouts import groups_of
    from actwise.evaluation.judging import judge_groups
    from actwise.model.policy import Policy
    from actwise.model.processes import join, sum_gradients
    from actwise.rewards.settings import JudgeConfig
    from actwise.training.advantages import with_advantages
    from actwise.training.update import accumulate

    processes = join()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    policy = Policy.load(str(MODEL))
    weights = list(policy.trainable().values())
    conversations = generate("train", CONVERSATIONS)
    spent: dict[str, float] = {}

    def timed(name: str, part: Callable[[], T]) -> T:
        begin = time.process_time()
        found = part()
        spent[name] = time.process_time() - begin
        return found

    def roll_out(groups: Any) -> Any:
        return LocalEngine(policy).generate(
            groups,
            num_generations=GENERATIONS,
            params=SamplingParams(TOKENS, policy.template.stop_token_ids),
            generator=torch.Generator().manual_seed(0),
        )

    def prompts() -> Any:
        return groups_of(policy.template, all_decisions(conversations), thinking=True)

    def judged(groups: Any) -> Any:
        return judge_groups(policy.template, groups, thinking=True, settings=JudgeConfig())

    def update(groups: Any, samples: Any) -> Any:
        return accumulate(
            policy,
            groups,
            (len(samples), sum(len(sample.token_ids) for sample in samples)),
            policy.weights(),
            RlConfig(),
            max_tokens=TOKENS,
            max_batch_tokens=8192,
        )

    for _ in range(2):  # the first one also loads and compiles
        groups = timed("prompts", prompts)
        groups = timed("sampling", partial(roll_out, groups))
        sent = sum(len(pickle.dumps([r.sample for r in g.rollouts])) for g in groups)
        groups = timed("judging", partial(judged, groups))
        advantages = partial(with_advantages, groups, RlConfig(), JudgeConfig())
        groups = timed("advantages", advantages)
        samples = [r.sample for g in groups for r in g.rollouts]
        tokens = sum(len(sample.token_ids) for sample in samples)
        timed("update", partial(update, groups, samples))
        timed("sum of gradients", lambda: sum_gradients(weights))
        policy.model.zero_grad()
    processes.agreed(lambda: None)
    return spent | {"completion tokens": tokens, "bytes of samples": sent}


def measure(counts: list[int]) -> None:
    """Print a table with a column for each number of processes."""
    columns = {}
    for count in counts:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        started = []
        for rank in range(count):
            env = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            env |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
            command = [sys.executable, __file__, "step"]
            started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
        found = [json.loads(process.communicate()[0]) for process in started]
        columns[count] = {name: [of_one[name] for of_one in found] for name in found[0]}
    print("| part | " + " | ".join(f"processes: {count}" for count in counts) + " |")
    print("|---|" + "---|" * len(counts))
    for name in columns[counts[0]]:
        cells = [" and ".join(f"{value:.3g}" for value in columns[c][name]) for c in counts]
        print(f"| {name} | " + " | ".join(cells) + " |")


def reckon() -> None:
    """Print what a step takes on so many cards, part by part, from the card's figures.

    All are stated here, so that whoever has others can change them.
    """
    parameters = 1.7e9
    decisions, generations, completion, trunk = 5, 8, 150, 3000  # of a conversation; tokens
    flops, memory = 0.4 * 989e12, 3.35e12  # an H100 in bfloat16, 40 % of its peak; bytes a second
    links = {8: 300e9, 64: 40e9}  # bytes a second and card: NVLink; a network card for each
    prompt_seconds = 1e-3  # to render and tokenize the prompt of a decision
    sample_seconds, token_seconds = 0.9e-7, 0.33e-7  # to take in a token: of a completion, a prompt
    heads = ("cards", "conversations", "sampling", "update", "gradients", "told", "step", "busy")
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|---|")
    for cards, conversations in ((1, 8), (8, 8), (8, 64), (64, 64), (64, 512)):
        own = max(1, conversations / cards)
        tokens = own * (trunk + decisions * generations * completion)
        # Prefill, then each token reads all weights and computes all rows that are its card's.
        rows = own * decisions * generations
        decode = completion * max(2 * parameters / memory, rows * 2 * parameters / flops)
        sampling = own * trunk * 2 * parameters / flops + decode
        update = tokens * 8 * parameters / flops  # forward, backward, and the reference's forward
        moved = 2 * (cards - 1) / cards * 4 * parameters
        gradients = moved / links[cards] if cards > 1 else 0.0
        every = conversations * decisions
        told = every * prompt_seconds / cards
        if cards > 1:
            told += every * (trunk * token_seconds + generations * completion * sample_seconds)
        total = sampling + update + gradients + told
        busy = (sampling + update) / total
        cells = f"{sampling:.2f} | {update:.2f} | {gradients:.2f} | {told:.2f} | {total:.2f}"
        print(f"| {cards} | {conversations} | {cells} | {busy:.0%} |")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["measure", "reckon", "step"])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    if given.what == "measure":
        measure(given.processes)
    elif given.what == "reckon":
        reckon()
    else:
        print(json.dumps(step()))


if __name__ == "__main__":
    main()
