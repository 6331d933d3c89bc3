"""The local engine: one prefill of each trunk, then all completions decoded together on it.

Completions of a prompt that are equal so far are one row of the batch, which divides where they
first differ: a policy that is sure of itself computes little more than one completion of a group.
Rows that have ended leave the batch. The model is the policy itself, so what is sampled is what is
trained.

Letters in shapes: C completions, B rows, H histories (what the next rows have behind them),
P prompts, S tokens of a completion, V vocabulary.
"""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from actwise.engine import SamplingParams
from actwise.engine.prefill import Prompts, prefill
from actwise.engine.rollouts import Group, Sample, by_conversation
from actwise.engine.steering import Steered, Steering
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.run.processes import ALONE

_COLDEST = 1e-6
"""What lower temperatures count as: divided by them, logits are beyond single precision."""

Seeded = tuple[Group, Tensor]
"""A group, and the numbers by which its tokens are drawn."""


class LocalEngine:
    """Samples from a policy in this process."""

    def __init__(
        self, policy: Policy, *, max_rows: int = 512, steering: Steering | None = None
    ) -> None:
        """Take the policy.

        Args:
            policy: Sampled as it is at each call; later weights need no new engine.
            steering: What is added inside of thoughts, if anything.
            max_rows: Completions decoded together at most, unless one conversation has more.
        """
        self._policy = policy
        self._max_rows = max_rows
        self.steering = steering
        """What is added inside of thoughts."""
        self._copy: Policy | None = None

    @property
    def at_once(self) -> int:
        """See `Engine.at_once`; the processes of a run have to make the same calls in turn."""
        if self.steering is not None:
            return 1  # what is added to a layer is added for all threads
        return self._policy.workers if together() is ALONE else 1

    def snapshot(self) -> "LocalEngine":
        """See `Engine.snapshot`; it has a copy of the model."""
        if self._copy is None:
            self._copy = copy.copy(self._policy)
            self._copy.model = copy.deepcopy(self._policy.model)
        self._copy.set_weights(self._policy.weights())
        return LocalEngine(self._copy, max_rows=self._max_rows, steering=self.steering)

    @torch.no_grad()
    def generate(
        self,
        groups: Sequence[Group],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[Group]:
        """See `Engine.generate`."""
        uniforms = iter(uniform_numbers(len(groups), num_generations, params, generator))
        conversations = [
            [(group, next(uniforms)) for group in of_one] for of_one in by_conversation(groups)
        ]
        costs = [
            max(len(g.prompt) for g, _ in of_one)
            + len(of_one) * num_generations * params.max_tokens
            for of_one in conversations
        ]

        def complete(some: list[list[Seeded]]) -> list[list[list[Sample]]]:
            found: list[list[list[Sample]]] = []
            for chunk in self._chunks(some, num_generations):
                samples = iter(self._generate(chunk, num_generations, params))
                found += [[next(samples) for _ in of_one] for of_one in chunk]
            return found

        with self._policy.gathered():
            samples = together().dealt(complete, conversations, costs)
        return [
            group.with_samples(of_group)
            for of_one, found in zip(conversations, samples, strict=True)
            for (group, _), of_group in zip(of_one, found, strict=True)
        ]

    def _chunks(
        self, conversations: Sequence[list[Seeded]], num_generations: int
    ) -> Iterator[list[list[Seeded]]]:
        """Yield the conversations that are decoded together."""
        chunk: list[list[Seeded]] = []
        rows = 0
        for of_one in conversations:
            if chunk and rows + len(of_one) * num_generations > self._max_rows:
                yield chunk
                chunk, rows = [], 0
            chunk.append(of_one)
            rows += len(of_one) * num_generations
        if chunk:
            yield chunk

    def _generate(
        self,
        conversations: Sequence[Sequence[Seeded]],
        num_generations: int,
        params: SamplingParams,
    ) -> list[list[Sample]]:
        """Return the samples of each prompt of some conversations."""
        device = self._policy.device
        prompts = prefill(self._policy, [[g.prompt for g, _ in of_one] for of_one in conversations])
        order = sorted(range(len(prompts.prefixes)), key=lambda i: prompts.prefixes[i])
        prompt_C = torch.tensor(order, device=device).repeat_interleave(num_generations)
        steered = None
        if self.steering is not None:
            groups = [group for of_one in conversations for group, _ in of_one]
            inside = torch.tensor([self.steering.thinking(g.prompt) for g in groups], device=device)
            steered = Steered(self.steering, inside[prompt_C])
        uniforms = [uniform_GS for of_one in conversations for _, uniform_GS in of_one]
        uniform_CS = torch.cat([uniforms[i] for i in order]).to(device)
        tokens_CS, logprobs_CS = self._decode(prompts, prompt_C, uniform_CS, params, steered)
        is_stop_CS = torch.isin(
            tokens_CS, torch.tensor(params.stop_token_ids, dtype=torch.long, device=device)
        )
        stops = is_stop_CS.any(1).tolist()
        lengths = (is_stop_CS.int().argmax(1) + 1).tolist()
        samples: list[list[Sample]] = [[] for _ in order]
        for i, tokens, logprobs, stopped, length in zip(
            prompt_C.tolist(), tokens_CS.tolist(), logprobs_CS.tolist(), stops, lengths, strict=True
        ):
            end = length if stopped else params.max_tokens
            reason: Literal["stop", "length"] = "stop" if stopped else "length"
            samples[i].append(Sample(tuple(tokens[:end]), tuple(logprobs[:end]), reason))
        return samples

    def _decode(
        self,
        prompts: Prompts,
        prompt_C: Tensor,
        uniform_CS: Tensor,
        params: SamplingParams,
        steered: Steered | None,
    ) -> tuple[Tensor, Tensor]:
        """Return tokens and log-probs, (C, max_tokens); what follows a stop token is arbitrary."""
        device = prompt_C.device
        tokens_CS = torch.zeros(len(prompt_C), params.max_tokens, dtype=torch.long, device=device)
        logprobs_CS = torch.zeros(tokens_CS.shape, device=device)
        stops = torch.tensor(params.stop_token_ids, dtype=torch.long, device=device)
        prompt_B, row_C = prompt_C.unique_consecutive(return_inverse=True)  # type: ignore[no-untyped-call]
        logits_BV, positions_B = prompts.logits_PV[prompt_B], prompts.lengths_P[prompt_B]
        decoding = prompts.decoding(prompt_B)
        going_C = torch.arange(len(prompt_C), device=device)
        for step in range(params.max_tokens):
            tokens_C, logprobs_C = draw(logits_BV, row_C, params, uniform_CS[going_C, step])
            tokens_CS[going_C, step], logprobs_CS[going_C, step] = tokens_C, logprobs_C
            open_C = ~torch.isin(tokens_C, stops)
            if step + 1 == params.max_tokens or not open_C.any():
                break
            going_C, row_C, tokens_C = going_C[open_C], row_C[open_C], tokens_C[open_C]
            # Completions that are equal so far are one row.
            rows, vocabulary = logits_BV.shape
            history_H, number_C = (row_C * vocabulary + tokens_C).unique(return_inverse=True)
            parent_H, token_H = history_H // vocabulary, history_H % vocabulary
            if 8 * len(parent_H) > 7 * rows and not (parent_H.diff() == 0).any():
                # To follow copies the cache, so a few ended rows are carried along for a while.
                row_C, tokens_B = parent_H[number_C], torch.zeros_like(positions_B)
                tokens_B[parent_H] = token_H
            else:
                row_C, tokens_B, positions_B = number_C, token_H, positions_B[parent_H]
                decoding.follow(parent_H)
            with (
                contextlib.nullcontext()
                if steered is None
                else steered.at(going_C, tokens_C, row_C, len(tokens_B))
            ):
                logits_BV = self._policy.model(
                    input_ids=tokens_B[:, None],
                    position_ids=positions_B[:, None],
                    use_cache=False,
                    tree=decoding.next_step(),
                ).logits[:, -1]
            positions_B = positions_B + 1
        return tokens_CS, logprobs_CS


def uniform_numbers(
    count: int, num_generations: int, params: SamplingParams, generator: torch.Generator | None
) -> list[Tensor]:
    """Return, for each group, the (G, S) numbers in [0, 1) by which its tokens are drawn.

    They are a group's own: whatever it is completed beside, and in whichever process, its
    completions are the same.

    Args:
        count: Groups.
        num_generations: G, completions of each.
        params: Say how many tokens they have at most, S, and whether any is drawn.
        generator: Gives a seed for each group; torch's own where None.
    """
    if params.temperature == 0:
        return [torch.zeros(num_generations, params.max_tokens)] * count
    device = "cpu" if generator is None else generator.device
    seeds = torch.randint(2**62, (count,), generator=generator, device=device)
    return [
        # Step by step, so that a larger budget changes nothing before.
        torch.rand(
            params.max_tokens,
            num_generations,
            generator=torch.Generator().manual_seed(seed),
            dtype=torch.float64,
        ).T
        for seed in seeds.tolist()
    ]


def draw(
    logits_BV: Tensor, row_C: Tensor, params: SamplingParams, uniform_C: Tensor
) -> tuple[Tensor, Tensor]:
    """Draw a token for each completion, which goes on from a row; return tokens and log-probs.

    Args:
        logits_BV: Of the rows.
        row_C: Ascending.
        params: How tokens are drawn.
        uniform_C: In [0, 1), in double precision; not used at temperature 0.
    """
    logits_BV = logits_BV.float()
    if params.temperature == 0:
        logprobs_BV = logits_BV.log_softmax(-1)
        tokens_C = logits_BV.argmax(-1)[row_C]
    else:
        logprobs_BV = (logits_BV / max(params.temperature, _COLDEST)).log_softmax(-1)
        candidates_BV = _nucleus(logprobs_BV, params.top_p) if params.top_p < 1 else logprobs_BV
        # One uniform number a completion: one for each token would cost a tenth of the decoding.
        # In double precision, so that rounding up to the total practically never happens.
        cumulative_BV = candidates_BV.exp().cumsum(-1, dtype=torch.float64)
        cumulative_BV /= cumulative_BV[:, -1:].clone()
        # Row after row on one line, so that a row of several completions need not be copied.
        cumulative_BV += torch.arange(len(cumulative_BV), device=row_C.device)[:, None]
        # To the right of equal values, so that a token of probability 0 is never drawn.
        found_C = torch.searchsorted(cumulative_BV.flatten(), uniform_C + row_C, right=True)
        vocabulary = logits_BV.shape[1]
        tokens_C = (found_C - row_C * vocabulary).clamp_(max=vocabulary - 1)
    return tokens_C, logprobs_BV[row_C, tokens_C]


def _nucleus(logprobs_BV: Tensor, top_p: float) -> Tensor:
    ordered, index = logprobs_BV.sort(-1, descending=True)
    probabilities = ordered.exp()
    beyond = probabilities.cumsum(-1) - probabilities >= top_p
    return torch.full_like(logprobs_BV, -torch.inf).scatter(
        1, index, ordered.masked_fill(beyond, -torch.inf)
    )
