"""What kept prefixes and shared steps are worth to whoever asks a server.

    python -m benchmarks.serving                 # the shipped model, a minute on one core
    python -m benchmarks.serving --model DIR --clients 8 --repeat 5

Prints a line of JSON for each measurement: seconds to the first token of a conversation's second
turn, with what was kept of the first and without, in turns on the same conversations; and tokens a
second until all clients have their completions, at once and one after another. Asked are the desk's
conversations, of the scheduler itself, without HTTP; where the completions of a pair differ in a
token, it ends with an error.
"""

import argparse
import json
import queue
import statistics
import time
from collections.abc import Callable, Sequence

import torch

from actwise.config import RunConfig
from actwise.desk import generate
from actwise.engine import SamplingParams
from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt, read_prompt
from actwise.model.loading import load_policy
from actwise.model.policy import Policy
from actwise.model.startup import model_path, prepare_torch
from actwise.serving.scheduler import Scheduler

_TOKENS = 48
"""Of each completion; ends of turns are not looked at, so that all have as many."""
_BYTES = 1 << 30


class Asker:
    """Asks a scheduler, and waits."""

    def __init__(self, policy: Policy, *, kept: bool, running: int = 32) -> None:
        """Start a scheduler that keeps prefixes or not, and decodes so many at once."""
        self._policy = policy
        self.scheduler = Scheduler(
            max_running=running, max_waiting=128, max_kept=_BYTES if kept else 0
        )

    def ask(self, prompts: Sequence[Prompt], tokens: int) -> tuple[float, float, list[list[int]]]:
        """Return seconds to the first token of all and to the end, and the completions."""
        params = SamplingParams(tokens, (), temperature=0)
        requests = [Request(prompt.token_ids, params) for prompt in prompts]
        found: dict[Request, list[int]] = {request: [] for request in requests}
        arrived: queue.SimpleQueue[Token | Exception] = queue.SimpleQueue()
        begin = time.perf_counter()
        first = None
        self.scheduler.submit(self._policy, requests, arrived.put)
        while any(len(of_one) < tokens for of_one in found.values()):
            token = arrived.get(timeout=600)
            if isinstance(token, Exception):
                raise token
            first = first or time.perf_counter() - begin
            found[token.request].append(token.id)
        assert first is not None
        return first, time.perf_counter() - begin, list(found.values())


def second_turns(policy: Policy, count: int) -> list[tuple[Prompt, Prompt]]:
    """Return the prompts of the last two decisions of conversations of the desk."""
    pairs = []
    for conversation in generate("test", count, seed=11):
        decisions = conversation.decisions()[-2:]
        pairs.append(
            tuple(
                read_prompt(
                    policy,
                    [message.to_dict(thought=False) for message in decision.history],
                    conversation.tools,
                    thinking=True,
                )
                for decision in decisions
            )
        )
    return [(first, second) for first, second in pairs]


def measure_second_turns(policy: Policy, pairs: Sequence[tuple[Prompt, Prompt]]) -> None:
    """Print seconds to the first token of second turns, with and without what was kept."""
    askers = {kept: Asker(policy, kept=kept) for kept in (True, False)}
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for first, second in pairs:
        completions = []
        for kept, asker in askers.items():
            asker.ask([first], 1)
            taken, _, found = asker.ask([second], 8)
            seconds[kept].append(taken)
            completions.append(found)
        assert completions[0] == completions[1]
    for asker in askers.values():
        asker.scheduler.close()
    ratios = [without / kept for kept, without in zip(seconds[True], seconds[False], strict=True)]
    tell(
        "second turn",
        prompt_tokens=round(statistics.mean(len(second.token_ids) for _, second in pairs)),
        kept_ms=spread(seconds[True], 1e3),
        computed_ms=spread(seconds[False], 1e3),
        ratio=spread(ratios),
    )


def measure_clients(policy: Policy, prompts: Sequence[Prompt], repeat: int) -> None:
    """Print seconds until all have their completions, at once and one after another."""
    together, alone = [], []
    for _ in range(repeat):
        asker = Asker(policy, kept=False)
        _, taken, found = asker.ask(prompts, _TOKENS)
        together.append(taken)
        begin = time.perf_counter()
        one_by_one = [asker.ask([prompt], _TOKENS)[2][0] for prompt in prompts]
        alone.append(time.perf_counter() - begin)
        asker.scheduler.close()
        assert one_by_one == found
    tokens = len(prompts) * _TOKENS
    tell(
        "clients",
        clients=len(prompts),
        together_tokens_per_second=spread([tokens / taken for taken in together]),
        alone_tokens_per_second=spread([tokens / taken for taken in alone]),
        ratio=spread([one / other for one, other in zip(alone, together, strict=True)]),
    )


def spread(values: Sequence[float], scale: float = 1) -> dict[str, float]:
    """Return the least, the median and the most, times a factor."""
    figures: dict[str, Callable[[Sequence[float]], float]] = {
        "least": min,
        "median": statistics.median,
        "most": max,
    }
    return {name: float(f"{scale * of(values):.4g}") for name, of in figures.items()}


def tell(what: str, **figures: object) -> None:
    """Print a measurement."""
    print(json.dumps({"what": what, "threads": torch.get_num_threads(), **figures}), flush=True)


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--model", default="base", help="folder, hub name or base")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    prepare_torch()
    torch.set_num_threads(given.threads)
    policy = load_policy(model_path(given.model), RunConfig())
    pairs = second_turns(policy, max(given.clients, 3 * given.repeat))
    measure_second_turns(policy, pairs[: 3 * given.repeat])
    measure_clients(policy, [second for _, second in pairs[: given.clients]], given.repeat)


if __name__ == "__main__":
    main()
