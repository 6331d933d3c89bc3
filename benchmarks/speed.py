"""How fast are update, sampling and a whole step, beside TRL on the same GPU?

Both contestants have the same model and the same decisions, each in a process of its own, so that
the peak memory is what each needs in all. Operations are counted by hand, and only what has to be
done (`actwise.bench.limits`): of ours the tokens of trees, of TRL those of rows.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from actwise.bench import limits, ours, peers
from actwise.bench.rows import micro_batch
from actwise.bench.shapes import Workload, conversations_of
from actwise.bench.timing import timed
from actwise.config import RunConfig
from actwise.model.policy import Policy
from actwise.template.render import Template
from benchmarks.check import Check, Figures, peak, restart_peak, work_of


@dataclass(frozen=True)
class Contest:
    """What both contestants compute, and what the GPU can do."""

    device: torch.device
    folder: Path
    """Of the model."""
    work: Workload
    config: RunConfig
    dimensions: limits.Dimensions
    rates: limits.Machine

    def time(
        self, work: Callable[[], object], repeats: int, cost: limits.Cost | None = None
    ) -> Figures:
        """Time some work that has been done before, and tell its peak memory.

        Args:
            work: Done as often as there are repeats.
            repeats: Of which the median counts.
            cost: What has to be done, where it is known.
        """
        restart_peak(self.device)
        times = [timed(work, self.device).wall for _ in range(repeats)]
        seconds = statistics.median(times)
        figures = {
            "median s": seconds,
            "fastest s": min(times),
            "slowest s": max(times),
            "completion tokens/s": self.work.num_rows * self.work.completion_tokens / seconds,
        }
        if cost is not None:
            figures |= {
                "TFLOP/s": cost.flops / seconds / 1e12,
                "share of the matrix rate": cost.flops / seconds / self.rates.matmul,
                "share of the limit": self.rates.seconds(cost) / seconds,
            }
        return figures | peak(self.device)

    def update_cost(self, tokens: limits.Tokens, passes: int) -> limits.Cost:
        """Return what an update has to do."""
        reference = self.config.rl.kl_coefficient > 0
        return limits.update_cost(self.dimensions, tokens, passes=passes, reference=reference)


def speed_ours(check: Check) -> None:
    """Update, sampling and step as actwise does them."""
    contest = _contest(check)
    work, config = contest.work, contest.config
    policy = Policy.load(str(contest.folder), dtype=check.large.dtype, device=str(check.device))
    update = ours.Update(policy, work, config, policy.weights())
    sampling = partial(ours.sample, policy, work, config.rl, max_tokens=work.completion_tokens)
    update_cost = contest.update_cost(limits.tree_tokens(work), update.num_passes)
    trunks = limits.tree_tokens(work, completions=False)
    sampling_cost = limits.prefill_cost(contest.dimensions, trunks)
    sampling_cost += limits.decode_cost(contest.dimensions, work)

    def first() -> Figures:
        sampled = ours.sample(policy, work.part([0]), config.rl, max_tokens=2)
        ours.Update(policy, sampled, config, policy.weights())()
        return {"passes of an update": update.num_passes}

    def step() -> Figures:
        policy.model.zero_grad(set_to_none=True)
        whole = ours.Step(policy, work, config)
        whole()
        return contest.time(whole, 2, update_cost + sampling_cost)

    check.run("first time", first)
    check.run("update", lambda: contest.time(update, 3, update_cost))
    check.run("sampling", lambda: contest.time(sampling, 2, sampling_cost))
    check.run("step", step)


def speed_peers(check: Check) -> None:
    """The same by TRL, which samples by the `generate` of transformers."""
    contest = _contest(check)
    work, config, device = contest.work, contest.config, check.device

    def sampling() -> Figures:
        model = peers.load_model(contest.folder, device)
        return contest.time(peers.Generate(model, work, config, None), 1)

    def step() -> Figures:
        one = peers.trl_step(contest.folder, work, config, device)
        restart_peak(device)
        return {"median s": one().wall, **peak(device)}

    def update() -> Figures:
        theirs = peers.TrlUpdate(contest.folder, work, config, device)
        rows = micro_batch(work, device)
        cost = contest.update_cost(limits.row_tokens(work), work.num_rows // rows)
        return {"rows at once": rows, **contest.time(theirs, 1, cost)}

    check.run("sampling", sampling)
    missing = peers.trl_missing()
    if missing is not None:
        check.run("TRL", lambda: {"missing": missing})
        return
    check.run("step", step)
    check.run("update", update)


def _contest(check: Check) -> Contest:
    from transformers import AutoConfig

    shape = check.large
    folder = check.model(shape)
    template = Template.load(str(folder))
    work = work_of(template, conversations_of(shape, template, 1), shape)
    dimensions = limits.Dimensions.of(AutoConfig.from_pretrained(folder), shape.dtype)
    rates = limits.machine(dimensions, check.device, shape.dtype)
    check.run(
        "machine",
        lambda: {
            "matrix TFLOP/s": rates.matmul / 1e12,
            "copy TB/s": rates.copy / 1e12,
            "prompts": [len(group.prompt) for group in work.groups],
            "tokens as trees": limits.tree_tokens(work).computed,
            "tokens as rows": limits.row_tokens(work).computed,
        },
    )
    config = RunConfig(max_batch_tokens=shape.max_batch_tokens)
    return Contest(check.device, folder, work, config, dimensions, rates)
