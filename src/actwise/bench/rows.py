"""The same work row by row: one whole prompt and completion a row, nothing shared.

What trainers do that know no trees, in our own code and without their overhead.

Letters in shapes: B rows, L tokens of a row, T scored tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from actwise.bench.ours import learned_from
from actwise.bench.shapes import Workload
from actwise.config import RunConfig
from actwise.training.objective import policy_loss
from actwise.tree.packing import Tree

_CPU_ROWS = 8
"""Rows of one forward and backward pass: on a CPU faster than more, for TRL as well."""
_GPU_TOKENS = 8192
"""Tokens of the rows of one pass on a GPU: enough to keep it busy, few enough that what is kept for
the backward pass of 1.7 billion parameters fits into 80 GB beside model and optimiser."""


def micro_batch(work: Workload, device: torch.device) -> int:
    """Return how many rows of one decision are computed at once; a divisor of them all."""
    longest = max(len(group.prompt) for group in work.groups) + work.completion_tokens
    suiting = _CPU_ROWS if device.type == "cpu" else max(1, _GPU_TOKENS // longest)
    rows = work.rows or suiting
    return max(n for n in range(1, rows + 1) if work.num_generations % n == 0)


class Update:
    """The gradient of one GRPO step, each decision's completions in micro-batches of rows."""

    def __init__(self, model: Any, work: Workload, config: RunConfig) -> None:
        """Take what is to be computed.

        Args:
            model: As transformers loads it.
            work: What is learned from.
            config: As for our own update.
        """
        self._model, self._config = model, config.rl
        self._reference = {n: p.detach().clone() for n, p in model.named_parameters()}
        self._max_tokens = work.completion_tokens
        self._total = work.num_decisions * work.num_generations
        size = micro_batch(work, model.device)
        self._batches = [
            (group.prompt, group.rollouts[i : i + size])
            for group in learned_from(work, config.rl)
            for i in range(0, work.num_generations, size)
        ]

    def __call__(self) -> None:
        """Leave the gradient in the model's parameters."""
        model, config = self._model, self._config
        model.zero_grad(set_to_none=True)
        for prompt, batch in self._batches:
            rows = torch.tensor(
                [[*prompt, *r.sample.token_ids] for r in batch], device=model.device
            )
            reference = None
            if config.kl_coefficient:
                with torch.no_grad():
                    own = {n: p.data for n, p in model.named_parameters()}
                    _point(model, self._reference)
                    reference = self._score(rows)
                    _point(model, own)
            parts = policy_loss(
                self._score(rows),
                torch.tensor([lp for r in batch for lp in r.sample.logprobs], device=model.device),
                torch.tensor([r.advantage for r in batch], device=model.device),
                torch.arange(len(batch), device=model.device).repeat_interleave(self._max_tokens),
                reference_logprobs_T=reference,
                clip_low=config.clip_low,
                clip_high=config.clip_high,
                kl_coefficient=config.kl_coefficient,
                ratio_level=config.ratio_level,
                aggregation=config.aggregation,
                num_completions=self._total,
                num_tokens=self._total * self._max_tokens,
                max_completion_tokens=self._max_tokens,
            )
            parts.loss.backward()  # type: ignore[no-untyped-call]

    def _score(self, rows_BL: Tensor) -> Tensor:
        """Return the log-probs of the completions, (T,)."""
        logits = self._model(
            input_ids=rows_BL, use_cache=False, logits_to_keep=self._max_tokens + 1
        ).logits[:, :-1]
        logprobs = log_softmax(logits.float() / self._config.temperature, -1)
        chosen = rows_BL[:, -self._max_tokens :, None]
        return logprobs.gather(2, chosen).flatten()


def _point(model: Any, weights: dict[str, Tensor]) -> None:
    for name, parameter in model.named_parameters():
        parameter.data = weights[name]


class Sft:
    """The gradient of one supervised step, one row for each decision."""

    def __init__(self, model: Any, trees: Sequence[Tree], at_once: int | None = None) -> None:
        at_once = at_once or _CPU_ROWS
        self._model = model
        rows = [
            (prompt, completion)
            for tree in trees
            for prompt, (completion,) in zip(tree.prompts, tree.completions, strict=True)
        ]
        rows.sort(key=lambda row: len(row[0]) + len(row[1]))  # so that little is padded
        self._batches = [rows[i : i + at_once] for i in range(0, len(rows), at_once)]
        self._total = sum(tree.num_branch_tokens for tree in trees)

    def __call__(self) -> None:
        """Leave the gradient in the model's parameters."""
        self._model.zero_grad(set_to_none=True)
        for batch in self._batches:
            longest = max(len(prompt) + len(completion) for prompt, completion in batch)
            # No attention mask: padding stands behind everything that counts.
            rows_BL = torch.zeros(len(batch), longest, dtype=torch.long)
            scored_BL = torch.zeros(len(batch), longest, dtype=torch.bool)
            for i, (prompt, completion) in enumerate(batch):
                end = len(prompt) + len(completion)
                rows_BL[i, :end] = torch.tensor([*prompt, *completion])
                scored_BL[i, len(prompt) : end] = True
            rows_BL, scored_BL = rows_BL.to(self._model.device), scored_BL.to(self._model.device)
            logits = self._model(input_ids=rows_BL, use_cache=False).logits[:, :-1]
            logprobs = log_softmax(logits[scored_BL[:, 1:]].float(), -1)
            chosen_T = rows_BL[scored_BL]
            loss = -logprobs.gather(1, chosen_T[:, None]).sum() / self._total
            loss.backward()  # type: ignore[no-untyped-call]
