"""Requests decoded together, a token at a time: what chat and serving sample with.

`LocalEngine` completes all it is given before it returns. Here each request has sampling
parameters and randomness of its own, each token is seen as it is drawn, a request can be dropped in
between, and others can join. What prompts share is computed once, as there; the tokens are drawn by
the same function, so a request and a group of one completion with the same seed are the same
completion.
"""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from actwise.engine import SamplingParams
from actwise.engine.local import draw, uniform_numbers
from actwise.engine.prefill import prefill
from actwise.engine.prefixes import KeptPrefixes
from actwise.engine.steering import Steering
from actwise.model.policy import Policy

if TYPE_CHECKING:  # its library comes with serving only
    from actwise.engine.grammar import Grammar


@dataclass(frozen=True, eq=False)
class Request:
    """One completion that somebody waits for."""

    prompt: tuple[int, ...]
    """Token ids; at least one."""
    params: SamplingParams
    seed: int = 0
    """Of its randomness, whatever else is in the batch."""
    steering: Steering | None = None
    """What is added inside of its thought, if anything."""
    grammar: "Grammar | None" = None
    """What the completion is held to, if anything; log-probs are those among what it allows."""


@dataclass(frozen=True)
class Token:
    """One token of a completion."""

    request: Request
    id: int
    logprob: float
    """See `Sample.logprobs`."""
    stop_reason: Literal["stop", "length"] | None = None
    """Why it is the last one; None where more follow."""
    reused: int = 0
    """With the first token: how many tokens of the prompt were kept from an earlier one."""


class Batch:
    """Requests that are decoded together."""

    @torch.no_grad()
    def __init__(
        self, policy: Policy, requests: Sequence[Request], kept: KeptPrefixes | None = None
    ) -> None:
        """Compute the prompts; at least one.

        Args:
            policy: The model.
            requests: What is to be completed.
            kept: Where beginnings of prompts are looked for and kept, if anywhere.
        """
        prompts = prefill(policy, [[request.prompt] for request in requests], kept)
        order = sorted(range(len(requests)), key=lambda i: prompts.prefixes[i])
        prompt_B = torch.tensor(order, device=policy.device)
        self._policy = policy
        self._rows = [requests[i] for i in order]
        self._reused = {requests[i]: prompts.reused[i] for i in order}
        self._uniforms = {
            r: uniform_numbers(1, 1, r.params, torch.Generator().manual_seed(r.seed))[0][0]
            for r in requests
        }
        self._matchers = {r: r.grammar.matcher() for r in requests if r.grammar is not None}
        self._written = dict.fromkeys(requests, 0)
        self._logits_BV = prompts.logits_PV[prompt_B]
        self._positions_B = prompts.lengths_P[prompt_B]
        self._decoding = prompts.decoding(prompt_B)
        inside = [r.steering is not None and r.steering.thinking(r.prompt) for r in self._rows]
        self._inside_B = torch.tensor(inside, device=policy.device)
        self._going: dict[int, int | None] = dict.fromkeys(range(len(order)))
        """By row that is not complete, the token that was drawn for it and not yet computed."""

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
    def join(self, other: "Batch") -> None:
        """Take over the requests of another batch of the same policy, each from where it is.

        Both have some.
        """
        for batch in (self, other):
            batch._advance()
        first = len(self._rows)
        self._rows += other._rows
        self._going |= {first + row: None for row in other._going}
        self._reused |= other._reused
        self._uniforms |= other._uniforms
        self._matchers |= other._matchers
        self._written |= other._written
        self._logits_BV = torch.cat([self._logits_BV, other._logits_BV])
        self._positions_B = torch.cat([self._positions_B, other._positions_B])
        self._inside_B = torch.cat([self._inside_B, other._inside_B])
        self._decoding.join(other._decoding)

    @torch.no_grad()
    def step(self) -> list[Token]:
        """Draw one more token of each request that is not complete."""
        self._advance()
        drawn = self._draw()
        tokens = []
        for request, (token, logprob) in zip(self._rows, drawn, strict=True):
            self._written[request] += 1
            if request in self._matchers:
                self._matchers[request].follow(token)
            reused = self._reused.pop(request, 0)
            reason = self._stop_reason(request, token)
            tokens.append(Token(request, token, logprob, reason, reused))
        self._going = {row: t.id for row, t in enumerate(tokens) if t.stop_reason is None}
        return tokens

    def _stop_reason(self, request: Request, token: int) -> Literal["stop", "length"] | None:
        if token in request.params.stop_token_ids:
            return "stop"
        return "length" if self._written[request] >= request.params.max_tokens else None

    def _draw(self) -> list[tuple[int, float]]:
        """Return a token and its log-prob for each row; rows that draw alike are drawn at once."""
        device = self._policy.device
        logits_BV = self._allowed()
        drawn: dict[int, tuple[int, float]] = {}
        order = sorted(range(len(self._rows)), key=self._how)
        for _, of_one in groupby(order, key=self._how):
            rows = list(of_one)
            requests = [self._rows[row] for row in rows]
            uniforms = [self._uniforms[r][self._written[r]] for r in requests]
            tokens, logprobs = draw(
                logits_BV[torch.tensor(rows, device=device)],
                torch.arange(len(rows), device=device),
                requests[0].params,
                torch.stack(uniforms).to(device),
            )
            drawn |= zip(rows, zip(tokens.tolist(), logprobs.tolist(), strict=True), strict=True)
        return [drawn[row] for row in range(len(self._rows))]

    def _allowed(self) -> Tensor:
        """Return the logits without those of tokens that no grammar allows."""
        if not self._matchers:
            return self._logits_BV
        logits_BV = self._logits_BV.clone()
        for row, request in enumerate(self._rows):
            if request in self._matchers:
                forbidden_V = self._matchers[request].forbidden(logits_BV.shape[1])
                logits_BV[row].masked_fill_(forbidden_V.to(logits_BV.device), -torch.inf)
        return logits_BV

    def _how(self, row: int) -> tuple[float, float]:
        params = self._rows[row].params
        return params.temperature, params.top_p

    def _advance(self) -> None:
        """Leave out what is complete, and compute what follows the tokens that were drawn last."""
        tokens = list(self._going.values())
        self._keep(list(self._going))
        if not self._rows or tokens[0] is None:  # none is drawn, or each is
            return
        tokens_B = torch.tensor(tokens, device=self._policy.device)
        with self._steered(tokens_B):
            self._logits_BV = self._policy.model(
                input_ids=tokens_B[:, None],
                position_ids=self._positions_B[:, None],
                use_cache=False,
                tree=self._decoding.next_step(),
            ).logits[:, -1]
        self._positions_B = self._positions_B + 1
        self._going = dict.fromkeys(self._going)

    @contextlib.contextmanager
    def _steered(self, tokens_B: Tensor) -> Iterator[None]:
        """Steer the rows that are to be, in the forward calls that are made meanwhile."""
        with contextlib.ExitStack() as stack:
            for steering in dict.fromkeys(request.steering for request in self._rows):
                if steering is not None:
                    self._inside_B = steering.follow(self._inside_B, tokens_B)
                    of_it = [request.steering is steering for request in self._rows]
                    its_B = torch.tensor(of_it, device=tokens_B.device)
                    steered_B = its_B & self._inside_B & steering.separators_V[tokens_B]
                    if steered_B.any():
                        stack.enter_context(steering.on(steered_B))
            yield

    def _keep(self, rows: Sequence[int]) -> None:
        if len(rows) == len(self._rows):
            return
        self._rows = [self._rows[row] for row in rows]
        self._going = dict(enumerate(self._going.values()))
        self._uniforms = {request: self._uniforms[request] for request in self._rows}
        self._written = {request: self._written[request] for request in self._rows}
        self._matchers = {r: m for r, m in self._matchers.items() if r in self._written}
        if rows:
            parent_B = torch.tensor(rows, device=self._policy.device)
            self._decoding.follow(parent_B)
            self._logits_BV = self._logits_BV[parent_B]
            self._positions_B = self._positions_B[parent_B]
            self._inside_B = self._inside_B[parent_B]
