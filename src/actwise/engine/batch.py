"""Requests decoded together, a token at a time: what chat and serving sample with.

`LocalEngine` completes all it is given before it returns. Here each request has sampling
parameters and randomness of its own, each token is seen as it is drawn, and a request can be
dropped in between. What prompts share is computed once, as there; the tokens are drawn by the same
function, so a request and a group of one completion with the same seed are the same completion.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from actwise.engine import SamplingParams
from actwise.engine.local import draw, uniform_numbers
from actwise.engine.prefill import prefill
from actwise.model.policy import Policy


@dataclass(frozen=True, eq=False)
class Request:
    """One completion that somebody waits for."""

    prompt: tuple[int, ...]
    """Token ids; at least one."""
    params: SamplingParams
    seed: int = 0
    """Of its randomness, whatever else is in the batch."""


@dataclass(frozen=True)
class Token:
    """One token of a completion."""

    request: Request
    id: int
    logprob: float
    """See `Sample.logprobs`."""
    stop_reason: Literal["stop", "length"] | None = None
    """Why it is the last one; None where more follow."""


class Batch:
    """Requests that began together."""

    @torch.no_grad()
    def __init__(self, policy: Policy, requests: Sequence[Request]) -> None:
        """Compute the prompts; at least one."""
        prompts = prefill(policy, [[request.prompt] for request in requests])
        order = sorted(range(len(requests)), key=lambda i: prompts.prefixes[i])
        prompt_B = torch.tensor(order, device=policy.device)
        self._policy = policy
        self._rows = [requests[i] for i in order]
        self._uniforms = {
            r: uniform_numbers(1, 1, r.params, torch.Generator().manual_seed(r.seed))[0][0]
            for r in requests
        }
        self._logits_BV = prompts.logits_PV[prompt_B]
        self._positions_B = prompts.lengths_P[prompt_B]
        self._decoding = prompts.decoding(prompt_B)
        self._going: dict[int, int] = dict.fromkeys(range(len(order)), -1)
        """By row that is not complete, the token that was drawn last."""
        self._steps = 0

    @property
    def requests(self) -> list[Request]:
        """Those that are not complete."""
        return [self._rows[row] for row in self._going]

    def drop(self, requests: Collection[Request]) -> None:
        """Compute nothing more for some of the requests."""
        self._going = {
            row: token for row, token in self._going.items() if self._rows[row] not in requests
        }

    @torch.no_grad()
    def step(self) -> list[Token]:
        """Draw one more token of each request that is not complete."""
        tokens_B = list(self._going.values())
        self._keep(list(self._going))
        if not self._rows:
            return []
        if self._steps:
            self._compute(tokens_B)
        self._steps += 1
        row_C = torch.zeros(1, dtype=torch.long, device=self._policy.device)
        step = self._steps - 1
        uniforms = [self._uniforms[r][step : step + 1].to(self._policy.device) for r in self._rows]
        drawn = [
            draw(self._logits_BV[row : row + 1], row_C, r.params, uniforms[row])
            for row, r in enumerate(self._rows)
        ]
        ids, logprobs = (torch.cat(part).tolist() for part in zip(*drawn, strict=True))
        tokens = [
            Token(request, token, logprob, self._stop_reason(request, token))
            for request, token, logprob in zip(self._rows, ids, logprobs, strict=True)
        ]
        self._going = {row: t.id for row, t in enumerate(tokens) if t.stop_reason is None}
        return tokens

    def _stop_reason(self, request: Request, token: int) -> Literal["stop", "length"] | None:
        if token in request.params.stop_token_ids:
            return "stop"
        return "length" if self._steps >= request.params.max_tokens else None

    def _compute(self, tokens_B: Sequence[int]) -> None:
        """Compute what follows the tokens that were drawn last."""
        self._logits_BV = self._policy.model(
            input_ids=torch.tensor(tokens_B, device=self._policy.device)[:, None],
            position_ids=self._positions_B[:, None],
            use_cache=False,
            tree=self._decoding.next_step(),
        ).logits[:, -1]
        self._positions_B = self._positions_B + 1

    def _keep(self, rows: Sequence[int]) -> None:
        if len(rows) == len(self._rows):
            return
        self._rows = [self._rows[row] for row in rows]
        if rows:
            parent_B = torch.tensor(rows, device=self._policy.device)
            self._decoding.follow(parent_B)
            self._logits_BV = self._logits_BV[parent_B]
            self._positions_B = self._positions_B[parent_B]
