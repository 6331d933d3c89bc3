"""The parts of the benchmark: each measures one shape and returns a record.

A record holds "rows" (a table, a dictionary for each line), "aims" and "notes".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import torch

from actwise.bench import limits, memory, ours, peers, rows
from actwise.bench.shapes import Shape, Workload, compose, conversations_of, pool_of, workload
from actwise.bench.timing import Seconds, Timing, interleaved, timed
from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.policy import Policy
from actwise.progress import Progress

Record = dict[str, Any]
Make = Callable[[Workload], Callable[[], Seconds]]
"""Prepares a contestant for a workload; what it returns does the work and tells the seconds."""

OURS, ROWS, TRL = "ours", "row by row", "TRL 1.16"
DYNAMIC, STATIC = "generate, dynamic cache", "generate, static cache"
DECISIONS = (1, 2, 4, 8, 12)
DECISIONS_BY_ROW = (1, 4, 12)
"""Fewer, because they take so long."""
GENERATIONS = (4, 8, 16, 32)

_FASTER = {
    ("update", "desk"): 8.0,
    ("update", "service"): 15.0,
    ("step", "desk"): 8.0,
    ("step", "service"): 15.0,
    ("rollout", "desk"): 5.0,
    ("rollout", "service"): 10.0,
}
"""How many times as fast as the fastest peer we mean to be."""


@dataclass
class Bench:
    """One shape on one machine, ready to be measured."""

    shape: Shape
    folder: Path
    """Of the model."""
    device: torch.device
    conversations: int
    repeats: int
    logs: Sequence[Conversation]
    progress: Progress
    trl: bool
    """Whether TRL takes part."""

    @cached_property
    def config(self) -> RunConfig:
        """The defaults, but for the size of a pass."""
        return RunConfig(max_batch_tokens=self.shape.max_batch_tokens)

    @cached_property
    def policy(self) -> Policy:
        """Our model."""
        return Policy.load(str(self.folder), dtype=self.shape.dtype, device=str(self.device))

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
        """Of the model."""
        return limits.Dimensions.of(self.policy.model)

    def sampled(self, conversations: Sequence[Conversation], num_generations: int) -> Workload:
        """Return conversations with completions of the shape's length."""
        return workload(
            self.policy,
            conversations,
            num_generations=num_generations,
            completion_tokens=self.shape.completion_tokens,
        )

    def passes(self, work: Workload) -> int:
        """Return how many of our passes an update takes, if each holds one conversation or more."""
        size = limits.tree_tokens(work).computed
        return max(1, min(len(work.prompts), round(size / self.config.max_batch_tokens)))

    def our_update(self, work: Workload) -> Callable[[], Seconds]:
        """Prepare our update."""
        update = ours.Update(self.policy, work, self.config, self.policy.weights())
        return lambda: timed(update, self.device)

    def row_update(self, work: Workload) -> Callable[[], Seconds]:
        """Prepare the update row by row."""
        update = rows.Update(self.model, self.policy, work, self.config)
        return lambda: timed(update, self.device)

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


def update(bench: Bench) -> Record:
    """The gradient of one GRPO step over given completions."""
    makes: dict[str, Make] = {OURS: bench.our_update, ROWS: bench.row_update}
    if bench.trl:

        def trl(work: Workload) -> Callable[[], Seconds]:
            run = peers.TrlUpdate(bench.folder, bench.policy, work, bench.config, bench.device)
            return lambda: timed(run, bench.device)

        makes[TRL] = trl
    return _compared(bench, "update", makes, aim_at=[TRL])


def rollout(bench: Bench) -> Record:
    """Sampling every completion."""

    def sample(work: Workload) -> Callable[[], Seconds]:
        def run() -> object:
            return ours.sample(
                bench.policy, work, bench.config.rl, max_tokens=work.completion_tokens
            )

        return lambda: timed(run, bench.device)

    def generate(cache: str | None) -> Make:
        def make(work: Workload) -> Callable[[], Seconds]:
            run = peers.Generate(bench.model, work, bench.config, cache)
            return lambda: timed(run, bench.device)

        return make

    makes: dict[str, Make] = {OURS: sample, DYNAMIC: generate(None), STATIC: generate("static")}
    return _compared(bench, "rollout", makes, aim_at=[DYNAMIC, STATIC])


def step(bench: Bench) -> Record:
    """One whole GRPO step: sampling, advantages, gradient, optimiser."""

    def our_step(work: Workload) -> Callable[[], Seconds]:
        policy = Policy.load(str(bench.folder), dtype=bench.shape.dtype, device=str(bench.device))
        run = ours.Step(policy, work, bench.config)
        return lambda: timed(run, bench.device)

    makes: dict[str, Make] = {OURS: our_step}
    if bench.trl:
        makes[TRL] = lambda work: peers.trl_step(bench.folder, work, bench.config, bench.device)
    return _compared(bench, "step", makes, aim_at=[TRL])


def sft(bench: Bench) -> Record:
    """The gradient of one supervised step on the recorded actions."""

    def our_sft(work: Workload) -> Callable[[], Seconds]:
        run = ours.Sft(bench.policy, work, bench.config)
        return lambda: timed(run, bench.device)

    def row_sft(work: Workload) -> Callable[[], Seconds]:
        run = rows.Sft(bench.model, ours.Sft(bench.policy, work, bench.config).trees)
        return lambda: timed(run, bench.device)

    record = _compared(bench, "sft", {OURS: our_sft, ROWS: row_sft}, aim_at=[])
    trees = ours.Sft(bench.policy, bench.work, bench.config).trees
    as_trees = sum(tree.num_tokens for tree in trees)
    as_rows = sum(sum(map(len, tree.prompts)) + tree.num_branch_tokens for tree in trees)
    record["notes"] = [
        f"{len(trees)} conversations, {bench.work.num_decisions} recorded actions; "
        f"{as_trees:,} tokens as trees, {as_rows:,} as rows"
    ]
    return record


def _compared(
    bench: Bench, part: str, makes: Mapping[str, Make], *, aim_at: Iterable[str]
) -> Record:
    timings = bench.compare(part, makes, bench.work)
    mine = timings[OURS]
    lines = [
        {"contestant": name, **timing.columns(), "times ours": timing.times(mine)}
        for name, timing in timings.items()
    ]
    wanted = _FASTER.get((part, bench.shape.name))
    reached = [timings[name].times(mine) for name in aim_at if name in timings]
    aims = []
    if wanted is not None and reached:
        aims.append(_at_least(f"{part}: times as fast as the fastest peer", wanted, min(reached)))
    return {"rows": lines, "aims": aims, "notes": [_described(bench.work)]}


def _described(work: Workload) -> str:
    trees, as_rows = limits.tree_tokens(work), limits.row_tokens(work)
    return (
        f"{len(work.prompts)} conversations, {work.num_decisions} decisions, "
        f"{work.num_generations} completions of {work.completion_tokens} tokens each; "
        f"{trees.computed:,} tokens as trees, {as_rows.computed:,} as rows "
        f"({as_rows.computed / trees.computed:.1f} times as many)"
    )


def _at_least(aim: str, wanted: float, reached: float) -> Record:
    return {"aim": aim, "wanted": f">= {wanted:g}", "reached": reached, "met": reached >= wanted}


def _at_most(aim: str, wanted: float, reached: float) -> Record:
    return {"aim": aim, "wanted": f"<= {wanted:g}", "reached": reached, "met": reached <= wanted}


def peak_memory(bench: Bench) -> Record:
    """The peak memory of an update."""
    names = [name for name in memory.UPDATES if bench.trl or name != TRL]
    growth: dict[str, list[memory.Growth]] = {name: [] for name in names}
    with bench.progress.track(f"memory {bench.shape.name}", bench.repeats * len(names)) as show:
        for turn in range(bench.repeats):
            for i, name in enumerate(names):
                task = memory.Task(
                    name, bench.folder, bench.work, bench.config,
                    str(bench.device), bench.shape.dtype, torch.get_num_threads(),
                )  # fmt: skip
                growth[name].append(memory.peak_growth(task))
                show(turn * len(names) + i + 1)
    tensors = {name: median(g.tensors for g in found) for name, found in growth.items()}
    resident = {
        name: [g.resident for g in found if g.resident is not None]
        for name, found in growth.items()
    }
    lines = [
        {
            "contestant": name,
            "tensors MiB": tensors[name] / 2**20,
            "times ours": tensors[name] / tensors[OURS],
            **({
                "resident MiB": median(resident[name]) / 2**20,
                "least": min(resident[name]) / 2**20,
                "most": max(resident[name]) / 2**20,
            } if resident[name] else {}),
        }
        for name in names
    ]  # fmt: skip
    aims = [_at_most("memory: share of row by row, tensors", 1 / 3, tensors[OURS] / tensors[ROWS])]
    if resident[OURS]:
        share = median(resident[OURS]) / median(resident[ROWS])
        aims.append(_at_most("memory: share of row by row, resident", 1 / 3, share))
    notes = [
        _described(bench.work),
        "growth of memory during the update, each in a process of its own; passes of about "
        f"{bench.config.max_batch_tokens} tokens in ours, of "
        f"{min(rows.MICRO_BATCH, bench.work.num_generations)} rows elsewhere",
    ]
    return {"rows": lines, "aims": aims, "notes": notes}


def scaling(bench: Bench) -> Record:
    """How an update grows with decisions, and with completions of each."""
    whole = compose(
        bench.policy.template,
        pool_of(bench.logs, 0),
        tokens=max(bench.shape.policy_tokens, default=0),
        decisions=DECISIONS[-1],
    )
    most = bench.sampled([whole], GENERATIONS[-1])
    groups = bench.shape.num_generations
    of_decisions = {n: most.part(_spread(n), groups) for n in DECISIONS}
    of_groups = {n: most.part(_spread(8), n) for n in GENERATIONS}
    makes = {OURS: bench.our_update, ROWS: bench.row_update}
    cases = [
        *(("decisions", n, OURS, work) for n, work in of_decisions.items()),
        *(("decisions", n, ROWS, of_decisions[n]) for n in DECISIONS_BY_ROW),
        # What rows cost is proportional to their number, whichever grows.
        *(("completions of each", n, OURS, work) for n, work in of_groups.items()),
    ]
    for make in makes.values():
        make(of_decisions[1])()
    timings = bench.time(
        "scaling",
        {f"{axis}/{n}/{who}": makes[who](work) for axis, n, who, work in cases},
    )
    lines: list[Record] = []
    for axis, n, who, work in cases:
        tokens = limits.tree_tokens(work) if who == OURS else limits.row_tokens(work)
        timing = timings[f"{axis}/{n}/{who}"]
        lines.append(
            {"axis": axis, "number": n, "contestant": who, "tokens": tokens.computed,
             **timing.columns()}
        )  # fmt: skip

    def times(axis: str, who: str) -> list[float]:
        return [timings[f"{a}/{n}/{w}"].median for a, n, w, _ in cases if (a, w) == (axis, who)]

    mine, theirs = times("decisions", OURS), times("decisions", ROWS)
    bend = _bend(GENERATIONS, times("completions of each", OURS))
    return {
        "rows": lines,
        "aims": [
            _at_most("scaling: 12 decisions against 1, in time", 2.5, mine[-1] / mine[0]),
            _at_most("scaling: deviation from a line in G from 4 to 32", 0.1, bend),
        ],
        "notes": [
            f"one conversation of {len(most.prompts[0][-1]):,} tokens, of whose decisions some are "
            f"learned from, the last among them; row by row 12 decisions take "
            f"{theirs[-1] / theirs[0]:.1f} times as long as 1"
        ],
    }


def _spread(decisions: int) -> list[int]:
    """Return which of the decisions are taken: evenly spread, the last among them."""
    last = DECISIONS[-1]
    return [round((i + 1) * last / decisions) - 1 for i in range(decisions)]


def _bend(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the largest deviation from the line through both ends, relative to the line."""
    slope = (ys[-1] - ys[0]) / (xs[-1] - xs[0])
    return max(abs(y / (ys[0] + slope * (x - xs[0])) - 1) for x, y in zip(xs, ys, strict=True))


def machine_limits(bench: Bench) -> Record:
    """Each phase beside what the machine can do, and where its time goes."""
    work, policy, config = bench.work, bench.policy, bench.config
    update_once = ours.Update(policy, work, config, policy.weights())

    def sample(tokens: int) -> Callable[[], Seconds]:
        return lambda: timed(
            lambda: ours.sample(policy, work, config.rl, max_tokens=tokens), bench.device
        )

    whole, first = "sampling", "first token"
    timings = bench.time(
        "limits",
        {
            "update": lambda: timed(update_once, bench.device),
            whole: sample(work.completion_tokens),
            first: sample(1),
        },
    )
    rates = limits.machine(bench.dimensions, bench.device, bench.shape.dtype)
    reference = config.rl.kl_coefficient > 0
    costs = {
        "update": limits.update_cost(
            bench.dimensions, limits.tree_tokens(work),
            passes=bench.passes(work), reference=reference,
        ),
        "sampling: trunks": limits.prefill_cost(
            bench.dimensions, limits.tree_tokens(work, completions=False)
        ),
        "sampling: decoding": limits.decode_cost(bench.dimensions, work),
    }  # fmt: skip
    seconds = {
        "update": timings["update"].median,
        "sampling: trunks": timings[first].median,
        "sampling: decoding": timings[whole].median - timings[first].median,
    }
    lines: list[Record] = [
        {
            "phase": phase,
            "s": seconds[phase],
            "GFLOP": cost.flops / 1e9,
            "GFLOP/s": cost.flops / seconds[phase] / 1e9,
            "GB/s": cost.bytes / seconds[phase] / 1e9,
            "share of the limit": rates.seconds(cost) / seconds[phase],
        }
        for phase, cost in costs.items()
    ]
    profiled: dict[str, Callable[[], object]] = {
        "update": update_once,
        "sampling": sample(work.completion_tokens),
    }
    top = [
        {"phase": phase, **line}
        for phase, run in profiled.items()
        for line in limits.profile(run, bench.device)
    ]
    return {
        "rows": lines,
        "profile": top,
        "aims": [
            _at_least(
                "limits: share of the achievable, update", 0.5, lines[0]["share of the limit"]
            )
        ],
        "notes": [
            _described(work),
            f"this machine, same threads and precision: matrix product {rates.matmul / 1e9:.1f} "
            f"GFLOP/s (2,048 tokens through the model's widest layer: "
            f"{rates.model_matmul / 1e9:.1f}), copy {rates.copy / 1e9:.1f} GB/s",
        ],
    }


PARTS: dict[str, Callable[[Bench], Record]] = {
    "update": update,
    "rollout": rollout,
    "step": step,
    "sft": sft,
    "memory": peak_memory,
    "scaling": scaling,
    "limits": machine_limits,
}
