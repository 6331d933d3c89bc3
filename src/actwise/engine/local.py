"""The local engine: one prefill of each trunk, then all completions decoded together on it.

Rows that have ended leave the batch. The model is the policy itself, so what is sampled is what is
trained.

Letters in shapes: B rows (completions still decoding), P prompts, S tokens of a completion,
V vocabulary.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from actwise.engine import Sample, SamplingParams
from actwise.engine.prefill import Prompts, prefill
from actwise.policy import Policy


class LocalEngine:
    """Samples from a policy in this process."""

    def __init__(self, policy: Policy, *, max_rows: int = 512) -> None:
        """Take the policy.

        Args:
            policy: Sampled as it is at each call; later weights need no new engine.
            max_rows: Completions decoded together at most, unless one conversation has more.
        """
        self._policy = policy
        self._max_rows = max_rows

    @torch.no_grad()
    def generate(
        self,
        conversations: Sequence[Sequence[Sequence[int]]],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[list[list[Sample]]]:
        """See `Engine.generate`."""
        samples: list[list[list[Sample]]] = []
        chunk: list[Sequence[Sequence[int]]] = []
        rows = 0
        for prompts in conversations:
            if chunk and rows + len(prompts) * num_generations > self._max_rows:
                samples += self._generate(chunk, num_generations, params, generator)
                chunk, rows = [], 0
            chunk.append(prompts)
            rows += len(prompts) * num_generations
        if chunk:
            samples += self._generate(chunk, num_generations, params, generator)
        return samples

    def _generate(
        self,
        conversations: Sequence[Sequence[Sequence[int]]],
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None,
    ) -> list[list[list[Sample]]]:
        device = self._policy.device
        prompts = prefill(self._policy, conversations)
        order = sorted(range(len(prompts.readings)), key=lambda i: prompts.readings[i])
        prompt_B = torch.tensor(order, device=device).repeat_interleave(num_generations)
        tokens_BS, logprobs_BS = self._decode(prompts, prompt_B, params, generator)
        is_stop_BS = torch.isin(
            tokens_BS, torch.tensor(params.stop_token_ids, dtype=torch.long, device=device)
        )
        stops = is_stop_BS.any(1).tolist()
        lengths = (is_stop_BS.int().argmax(1) + 1).tolist()
        groups: list[list[Sample]] = [[] for _ in order]
        for i, tokens, logprobs, stopped, length in zip(
            prompt_B.tolist(), tokens_BS.tolist(), logprobs_BS.tolist(), stops, lengths, strict=True
        ):
            end = length if stopped else params.max_tokens
            reason: Literal["stop", "length"] = "stop" if stopped else "length"
            groups[i].append(Sample(tuple(tokens[:end]), tuple(logprobs[:end]), reason))
        of_prompt = iter(groups)
        return [[next(of_prompt) for _ in of_one] for of_one in conversations]

    def _decode(
        self,
        prompts: Prompts,
        prompt_B: Tensor,
        params: SamplingParams,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Return tokens and log-probs, (B, max_tokens); what follows a stop token is arbitrary."""
        device = prompt_B.device
        decoding = prompts.decoding(prompt_B)
        logits_BV = prompts.logits_PV[prompt_B]
        positions_B = prompts.lengths_P[prompt_B]
        tokens_BS = torch.zeros(len(prompt_B), params.max_tokens, dtype=torch.long, device=device)
        logprobs_BS = torch.zeros(tokens_BS.shape, device=device)
        stops = torch.tensor(params.stop_token_ids, dtype=torch.long, device=device)
        rows_B = torch.arange(len(prompt_B), device=device)
        ended_B = torch.zeros(len(prompt_B), dtype=torch.bool, device=device)
        for step in range(params.max_tokens):
            tokens_B, logprobs_B = draw(logits_BV, params, generator)
            tokens_BS[rows_B, step], logprobs_BS[rows_B, step] = tokens_B, logprobs_B
            ended_B |= torch.isin(tokens_B, stops)
            ended = int(ended_B.sum())
            if step + 1 == params.max_tokens or ended == len(ended_B):
                break
            # Dropping rows copies the cache, so a few ended rows are carried along for a while.
            if 8 * ended >= len(ended_B):
                keep = (~ended_B).nonzero().squeeze(1)
                rows_B, ended_B = rows_B[keep], ended_B[keep]
                tokens_B, positions_B = tokens_B[keep], positions_B[keep]
                decoding.keep_rows(keep)
            logits_BV = self._policy.model(
                input_ids=tokens_B[:, None],
                position_ids=positions_B[:, None],
                use_cache=False,
                tree=decoding.next_step(),
            ).logits[:, -1]
            positions_B = positions_B + 1
        return tokens_BS, logprobs_BS


def draw(
    logits_BV: Tensor, params: SamplingParams, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw one token a row; returns tokens and log-probs, both (B,)."""
    logits_BV = logits_BV.float()
    if params.temperature == 0:
        logprobs_BV = logits_BV.log_softmax(-1)
        tokens_B = logits_BV.argmax(-1)
    else:
        logprobs_BV = (logits_BV / params.temperature).log_softmax(-1)
        candidates_BV = _nucleus(logprobs_BV, params.top_p) if params.top_p < 1 else logprobs_BV
        # One uniform number a row: a number for each token would cost a tenth of the decoding.
        # In double precision, so that rounding up to the total practically never happens.
        cumulative_BV = candidates_BV.exp().cumsum(-1, dtype=torch.float64)
        total_B1 = cumulative_BV[:, -1:]
        uniform_B1 = torch.rand(
            total_B1.shape, generator=generator, dtype=torch.float64, device=total_B1.device
        )
        # To the right of equal values, so that a token of probability 0 is never drawn.
        tokens_B1 = torch.searchsorted(cumulative_BV, uniform_B1 * total_B1, right=True)
        tokens_B = tokens_B1.squeeze(1).clamp_(max=logits_BV.shape[-1] - 1)
    return tokens_B, logprobs_BV.gather(1, tokens_B[:, None]).squeeze(1)


def _nucleus(logprobs_BV: Tensor, top_p: float) -> Tensor:
    ordered, index = logprobs_BV.sort(-1, descending=True)
    probabilities = ordered.exp()
    beyond = probabilities.cumsum(-1) - probabilities >= top_p
    return torch.full_like(logprobs_BV, -torch.inf).scatter(
        1, index, ordered.masked_fill(beyond, -torch.inf)
    )
