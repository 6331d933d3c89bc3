"""The parts of the benchmark: each measures one shape and returns a record."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

import torch

from actwise.bench import limits, memory, ours, peers, rows
from actwise.bench.contest import Bench, Make, Record, at_least, at_most, described
from actwise.bench.shapes import Workload, compose, pool_of
from actwise.bench.timing import Seconds, Timing
from actwise.training.muon import Muon
from actwise.training.optimisers import TORCHS_MUON, layer_matrices

OURS, ROWS, TRL = "ours", "row by row", "TRL 1.16"
DYNAMIC, STATIC = "generate, dynamic cache", "generate, static cache"
DECISIONS = (1, 2, 4, 8, 12)
DECISIONS_BY_ROW = (1, 4, 12)
"""Fewer, because they take so long."""
GENERATIONS = (4, 8, 16, 32)

_FASTER = {
    ("update", "desk"): 8.0,
    ("update", "service"): 15.0,
    ("step", "desk"): 30.0,
    ("step", "service"): 40.0,
    ("rollout", "desk"): 15.0,
    ("rollout", "service"): 10.0,
}
"""How many times as fast as the fastest peer we mean to be."""


def update(bench: Bench) -> Record:
    """The gradient of one GRPO step over given completions."""
    makes: dict[str, Make] = {OURS: bench.our_update, ROWS: bench.row_update}
    if bench.trl:

        def trl(work: Workload) -> Callable[[], Seconds]:
            return bench.peer(peers.TrlUpdate(bench.folder, work, bench.config, bench.device))

        makes[TRL] = trl
    return _compared(bench, "update", makes, aim_at=[TRL])


def rollout(bench: Bench) -> Record:
    """Sampling every completion."""

    def sample(work: Workload) -> Callable[[], Seconds]:
        return bench.own(
            lambda: ours.sample(
                bench.policy, work, bench.config.rl, max_tokens=work.completion_tokens
            )
        )

    def generate(cache: str | None) -> Make:
        def make(work: Workload) -> Callable[[], Seconds]:
            return bench.peer(peers.Generate(bench.model, work, bench.config, cache))

        return make

    makes: dict[str, Make] = {OURS: sample, DYNAMIC: generate(None), STATIC: generate("static")}
    return _compared(bench, "rollout", makes, aim_at=[DYNAMIC, STATIC])


def step(bench: Bench) -> Record:
    """One whole GRPO step: sampling, advantages, gradient, optimiser."""

    def our_step(work: Workload) -> Callable[[], Seconds]:
        return bench.own(ours.Step(bench.new_policy(), work, bench.config))

    makes: dict[str, Make] = {OURS: our_step}
    if bench.trl:
        makes[TRL] = lambda work: bench.on_threads(
            bench.threads, peers.trl_step(bench.folder, work, bench.config, bench.device)
        )
    return _compared(bench, "step", makes, aim_at=[TRL])


def sft(bench: Bench) -> Record:
    """The gradient of one supervised step on the recorded actions."""

    def our_sft(work: Workload) -> Callable[[], Seconds]:
        return bench.own(ours.Sft(bench.policy, work, bench.config))

    def row_sft(work: Workload) -> Callable[[], Seconds]:
        trees = ours.Sft(bench.policy, work, bench.config).trees
        return bench.peer(rows.Sft(bench.model, trees, work.rows))

    record = _compared(bench, "sft", {OURS: our_sft, ROWS: row_sft}, aim_at=[])
    trees = ours.Sft(bench.policy, bench.work, bench.config).trees
    as_trees = sum(tree.num_tokens for tree in trees)
    as_rows = sum(sum(map(len, tree.prompts)) + tree.num_branch_tokens for tree in trees)
    record["notes"] = [
        f"{len(trees)} conversations, {bench.work.num_decisions} recorded actions; "
        f"{as_trees:,} tokens as trees, {as_rows:,} as rows"
    ]
    return record


def optimiser(bench: Bench) -> Record:
    """One step of Muon over the matrices of the layers, beside torch's own and AdamW."""
    makes: dict[str, ours.MakeOptimiser] = {
        OURS: Muon,
        "torch's Muon": TORCHS_MUON,
        "AdamW": torch.optim.AdamW,
    }
    steps = {name: ours.OptimiserStep(bench.new_policy(), make) for name, make in makes.items()}
    for step in steps.values():
        step()
    timings = bench.time("optimiser", {name: bench.own(step) for name, step in steps.items()})
    matrices = layer_matrices(bench.policy)
    numbers = sum(matrix.numel() for matrix in matrices)
    note = f"{len(matrices)} matrices of the layers, {numbers:,} numbers in all, moved once each"
    return {"rows": _lines(timings), "aims": [], "notes": [note]}


def _lines(timings: Mapping[str, Timing]) -> list[Record]:
    return [
        {"contestant": name, **timing.columns(), "times ours": timing.times(timings[OURS])}
        for name, timing in timings.items()
    ]


def _compared(
    bench: Bench, part: str, makes: Mapping[str, Make], *, aim_at: Iterable[str]
) -> Record:
    timings = bench.compare(part, makes, bench.work)
    mine = timings[OURS]
    wanted = _FASTER.get((part, bench.shape.name))
    reached = [timings[name].times(mine) for name in aim_at if name in timings]
    aims = []
    if wanted is not None and reached:
        aims.append(at_least(f"{part}: times as fast as the fastest peer", wanted, min(reached)))
    return {"rows": _lines(timings), "aims": aims, "notes": [described(bench.work)]}


def peak_memory(bench: Bench) -> Record:
    """The peak memory of an update."""
    names = [name for name in memory.UPDATES if bench.trl or name != TRL]
    growth: dict[str, list[memory.Growth]] = {name: [] for name in names}
    with bench.progress.track(f"memory {bench.shape.name}", bench.repeats * len(names)) as show:
        for turn in range(bench.repeats):
            for i, name in enumerate(names):
                task = memory.Task(
                    name,
                    bench.folder,
                    bench.work,
                    bench.config,
                    str(bench.device),
                    bench.shape.dtype,
                    bench.own_threads if name == OURS else bench.threads,
                    bench.policy.workers,
                )
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
            **(
                {
                    "resident MiB": median(resident[name]) / 2**20,
                    "least": min(resident[name]) / 2**20,
                    "most": max(resident[name]) / 2**20,
                }
                if resident[name]
                else {}
            ),
        }
        for name in names
    ]
    aims = [at_most("memory: share of row by row, tensors", 1 / 3, tensors[OURS] / tensors[ROWS])]
    if resident[OURS]:
        share = median(resident[OURS]) / median(resident[ROWS])
        aims.append(at_most("memory: share of row by row, resident", 1 / 3, share))
    notes = [
        described(bench.work),
        "growth of memory during the update, each in a process of its own; passes of about "
        f"{bench.config.max_batch_tokens} tokens in ours, of "
        f"{rows.micro_batch(bench.work, bench.device)} rows elsewhere",
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
            {
                "axis": axis,
                "number": n,
                "contestant": who,
                "tokens": tokens.computed,
                **timing.columns(),
            }
        )

    def times(axis: str, who: str) -> list[float]:
        return [timings[f"{a}/{n}/{w}"].median for a, n, w, _ in cases if (a, w) == (axis, who)]

    mine, theirs = times("decisions", OURS), times("decisions", ROWS)
    bend = _bend(GENERATIONS, times("completions of each", OURS))
    return {
        "rows": lines,
        "aims": [
            at_most("scaling: 12 decisions against 1, in time", 2.5, mine[-1] / mine[0]),
            at_most("scaling: deviation from a line in G from 4 to 32", 0.1, bend),
        ],
        "notes": [
            f"one conversation of {len(most.groups[-1].prompt):,} tokens, of whose decisions some "
            f"are learned from, the last among them; row by row 12 decisions take "
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
        return bench.own(lambda: ours.sample(policy, work, config.rl, max_tokens=tokens))

    whole, first = "sampling", "first token"
    timings = bench.time(
        "limits",
        {
            "update": bench.own(update_once),
            whole: sample(work.completion_tokens),
            first: sample(1),
        },
    )
    torch.set_num_threads(bench.threads)
    rates = limits.machine(bench.dimensions, bench.device, bench.shape.dtype)
    reference = config.rl.kl_coefficient > 0
    costs = {
        "update": limits.update_cost(
            bench.dimensions,
            limits.tree_tokens(work),
            passes=update_once.num_passes,
            reference=reference,
            adapters=bench.lora_rank is not None,
        ),
        "sampling: trunks": limits.prefill_cost(
            bench.dimensions, limits.tree_tokens(work, completions=False)
        ),
        "sampling: decoding": limits.decode_cost(bench.dimensions, work),
    }
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
        "update": bench.own(update_once),
        "sampling": sample(work.completion_tokens),
    }
    workers, policy.workers = policy.workers, 1  # the profiler sees one thread
    top = [
        {"phase": phase, **line}
        for phase, run in profiled.items()
        for line in limits.profile(run, bench.device)
    ]
    policy.workers = workers  # for the parts that follow
    return {
        "rows": lines,
        "profile": top,
        "aims": [
            at_least("limits: share of the achievable, update", 0.5, lines[0]["share of the limit"])
        ],
        "notes": [
            described(work),
            f"this machine, all threads, same precision: matrix product {rates.matmul / 1e9:.1f} "
            f"GFLOP/s ({rates.side:,} tokens through the model's widest layer: "
            f"{rates.model_matmul / 1e9:.1f}), copy {rates.copy / 1e9:.1f} GB/s",
        ],
    }


PARTS: dict[str, Callable[[Bench], Record]] = {
    "update": update,
    "rollout": rollout,
    "step": step,
    "sft": sft,
    "optimiser": optimiser,
    "memory": peak_memory,
    "scaling": scaling,
    "limits": machine_limits,
}
