"""What contests are held on: one shape on one machine, and the records of what came out.

A record holds "rows" (a table, a dictionary for each line), "aims" and "notes".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from actwise.bench import limits, ours, peers, rows
from actwise.bench.shapes import Shape, Workload, conversations_of, workload
from actwise.bench.timing import Seconds, Timing, interleaved, timed
from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.model.policy import Policy
from actwise.model.threads import fastest_threads, workers_beside
from actwise.run.progress import Progress

Record = dict[str, Any]
Make = Callable[[Workload], Callable[[], Seconds]]
"""Prepares a contestant for a workload; what it returns does the work and tells the seconds."""


@dataclass
class Bench:
    """One shape on one machine, ready to be measured."""

    shape: Shape
    folder: Path
    """Folder of the model."""
    device: torch.device
    conversations: int
    repeats: int
    logs: Sequence[Conversation]
    progress: Progress
    trl: bool
    """Whether TRL takes part."""
    threads: int
    """Cores of a CPU that each contestant may use."""
    lora_rank: int | None = None
    """Of adapters that we train; all weights where None."""
    rows: int | None = None
    """See `Workload.rows`."""

    @cached_property
    def config(self) -> RunConfig:
        """The defaults, but for the size of a pass."""
        return RunConfig(max_batch_tokens=self.shape.max_batch_tokens)

    @cached_property
    def policy(self) -> Policy:
        """Our model."""
        policy = self._load()
        policy.workers = workers_beside(fastest_threads(policy, self.threads), self.threads, policy)
        return policy

    def new_policy(self) -> Policy:
        """Load our model once more."""
        policy = self._load()
        policy.workers = self.policy.workers
        return policy

    def _load(self) -> Policy:
        return Policy.load(
            str(self.folder),
            dtype=self.shape.dtype,
            lora_rank=self.lora_rank,
            device=str(self.device),
        )

    @property
    def own_threads(self) -> int:
        """Threads of torch on which each of our passes is computed."""
        return self.threads // self.policy.workers

    @cached_property
    def model(self) -> Any:
        """The same model as transformers has it."""
        return peers.load_model(self.folder, self.device)

    @cached_property
    def work(self) -> Workload:
        """The shape's conversations with completions."""
        return self.sampled(
            conversations_of(self.shape, self.policy.template, self.conversations, self.logs),
            self.shape.num_generations,
        )

    @cached_property
    def dimensions(self) -> limits.Dimensions:
        """Dimensions of the model."""
        return limits.Dimensions.of(self.policy.model.config, self.shape.dtype)

    def sampled(self, conversations: Sequence[Conversation], num_generations: int) -> Workload:
        """Return conversations with completions of the shape's length."""
        work = workload(
            self.policy,
            conversations,
            num_generations=num_generations,
            completion_tokens=self.shape.completion_tokens,
        )
        return replace(work, rows=self.rows)

    def our_update(self, work: Workload) -> Callable[[], Seconds]:
        """Prepare our update."""
        return self.own(ours.Update(self.policy, work, self.config, self.policy.weights()))

    def row_update(self, work: Workload) -> Callable[[], Seconds]:
        """Prepare the update row by row."""
        return self.peer(rows.Update(self.model, work, self.config))

    def own(self, work: Callable[[], object]) -> Callable[[], Seconds]:
        """Prepare to time work of ours, whose workers share the threads."""
        return self.on_threads(self.own_threads, lambda: timed(work, self.device))

    def peer(self, work: Callable[[], object]) -> Callable[[], Seconds]:
        """Prepare to time work that divides each operation among the threads."""
        return self.on_threads(self.threads, lambda: timed(work, self.device))

    def on_threads(self, threads: int, run: Callable[[], Seconds]) -> Callable[[], Seconds]:
        """Let torch have some threads for a run."""

        def with_threads() -> Seconds:
            torch.set_num_threads(threads)
            return run()

        return with_threads

    def compare(self, title: str, makes: Mapping[str, Make], work: Workload) -> dict[str, Timing]:
        """Time contestants on the same workload, after one decision of it to warm up."""
        for make in makes.values():
            make(work.part([0]))()
        return self.time(title, {name: make(work) for name, make in makes.items()})

    def time(self, title: str, runs: Mapping[str, Callable[[], Seconds]]) -> dict[str, Timing]:
        """Time what is prepared."""
        label = f"{title} {self.shape.name}"
        with self.progress.track(label, self.repeats * len(runs)) as show:
            return interleaved(runs, self.repeats, show)


def described(work: Workload) -> str:
    """Return how much work there is."""
    trees, as_rows = limits.tree_tokens(work), limits.row_tokens(work)
    return (
        f"{len(work.conversations)} conversations, {work.num_decisions} decisions, "
        f"{work.num_generations} completions of {work.completion_tokens} tokens each; "
        f"{trees.computed:,} tokens as trees, {as_rows.computed:,} as rows "
        f"({as_rows.computed / trees.computed:.1f} times as many)"
    )


def at_least(aim: str, wanted: float, reached: float) -> Record:
    """Return whether an aim is met that more is better for."""
    return {"aim": aim, "wanted": f">= {wanted:g}", "reached": reached, "met": reached >= wanted}


def at_most(aim: str, wanted: float, reached: float) -> Record:
    """Return whether an aim is met that less is better for."""
    return {"aim": aim, "wanted": f"<= {wanted:g}", "reached": reached, "met": reached <= wanted}
