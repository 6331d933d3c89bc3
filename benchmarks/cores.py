"""Measure whether sampling a step's completions in pieces, each by a thread, would pay on CPUs.

    python benchmarks/cores.py

For a model of each size: the seconds of all completions of a step decoded together, and of the same
in pieces: one after the other, by as many threads, and by as many processes, which share no lock.
Processor seconds say what pieces cost, the clock what threads save; the least of three is printed,
and on a busy machine threads and processes can be compared with each other only.
docs/experiments/scale.md has what was measured.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from actwise.conversation import all_decisions
from actwise.desk import MODEL
from actwise.desk.conversations import generate
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, groups_of
from actwise.model.policy import Policy

CONVERSATIONS, GENERATIONS = 4, 8
SIZES = {16: 40, 128: 40, 512: 16, 1024: 6}
"""Tokens of a completion by the width of the model. The shipped one has 128; with 16 there is next
to nothing to multiply, so that what is left is Python's and torch's own time."""


def policy_of(width: int, folder: Path) -> Policy:
    """Return the shipped model, or one like it that is wider and knows nothing."""
    if width == 128:
        return Policy.load(str(MODEL))
    config = AutoConfig.from_pretrained(MODEL)
    config.hidden_size, config.intermediate_size = width, 3 * width
    config.num_attention_heads = max(2, width // config.head_dim)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(MODEL).save_pretrained(folder)
    return Policy.load(str(folder))


def main() -> None:
    """Print a table with a line for each model and number of pieces."""
    torch.set_num_threads(1)
    fork = multiprocessing.get_context("fork")
    print("| parameters | pieces | processor, in turn | in turn | threads | processes |")
    print("|---|---|---|---|---|---|")
    for width, tokens in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            policy = policy_of(width, Path(folder))
        parameters = sum(p.numel() for p in policy.model.parameters())
        conversations = generate("train", CONVERSATIONS)
        params = SamplingParams(tokens, policy.template.stop_token_ids)
        pieces = [
            groups_of(policy.template, all_decisions([one]), thinking=True) for one in conversations
        ]

        def sample(
            piece: Sequence[Group], policy: Policy = policy, params: SamplingParams = params
        ) -> None:
            LocalEngine(policy).generate(
                piece,
                num_generations=GENERATIONS,
                params=params,
                generator=torch.Generator().manual_seed(0),
            )

        for count in (1, 2, 4):
            size = len(pieces) // count
            cut = [[*chain(*pieces[i : i + size])] for i in range(0, len(pieces), size)]
            spent, turn, threads, processes = [], [], [], []
            for _ in range(3):
                processor, begin = time.process_time(), time.perf_counter()
                for piece in cut:
                    sample(piece)
                spent.append(time.process_time() - processor)
                turn.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                with ThreadPoolExecutor(count) as pool:
                    list(pool.map(sample, cut))
                threads.append(time.perf_counter() - begin)
                begin = time.perf_counter()
                started = [fork.Process(target=sample, args=(piece,)) for piece in cut]
                for process in started:
                    process.start()
                for process in started:
                    process.join()
                processes.append(time.perf_counter() - begin)
            cells = " | ".join(
                f"{min(seconds):.2f}" for seconds in (spent, turn, threads, processes)
            )
            print(f"| {parameters / 1e6:.1f} M | {count} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
