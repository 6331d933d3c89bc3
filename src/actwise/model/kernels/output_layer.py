"""The output layer: how likely tokens are, without all logits at once.

The logits of a pass can be larger than everything else it keeps: 8,000 tokens and a vocabulary of
150,000 are 5 GB in float32. Here they exist for a few tokens at a time, and again, for the
gradient, in the backward pass.

Letters in shapes: T scored tokens, D dimension, V vocabulary.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_CPU_LOGITS, _GPU_LOGITS = 2**19, 2**27
"""Logits that are computed at once: on a CPU they stay in the cache, on a GPU they are 512 MiB."""
_FEWEST = 128
"""Tokens that are computed at once at least; a product of fewer is slow."""


@dataclass(frozen=True)
class LogitShape:
    """What a model does with the products of its output layer."""

    factor: float = 1.0
    divisor: float = 1.0
    cap: float | None = None
    """Logits are squeezed into the interval from minus this to this."""

    @classmethod
    def of(cls, config: Any) -> "LogitShape":
        """Read it from a text model's configuration."""
        return cls(
            getattr(config, "logit_scale", None) or 1.0,
            getattr(config, "logits_scaling", None) or 1.0,
            getattr(config, "final_logit_softcapping", None),
        )

    def __call__(self, products: Tensor) -> Tensor:
        """Return the logits."""
        if self.factor != 1:
            products = products * self.factor
        if self.divisor != 1:
            products = products / self.divisor
        if self.cap is not None:
            products = torch.tanh(products / self.cap) * self.cap
        return products


_PRODUCTS = LogitShape()


class Scores(NamedTuple):
    """How likely tokens are, given what they see."""

    logprobs: Tensor
    """(T,) with gradient"""
    entropy: Tensor
    """(T,) of the distribution each token was drawn from, in nats, with gradient"""


def score_tokens(
    head: nn.Module,
    hidden_TD: Tensor,
    tokens_T: Tensor,
    temperature: float,
    shape: LogitShape = _PRODUCTS,
) -> Scores:
    """Score tokens by the hidden states before them.

    Args:
        head: The output layer.
        hidden_TD: What it is applied to.
        tokens_T: The tokens.
        temperature: Divides the logits.
        shape: What the model does with the layer's products.
    """
    weight = head.get_parameter("weight")
    logits = _CPU_LOGITS if weight.device.type == "cpu" else _GPU_LOGITS
    at_once = max(_FEWEST, logits // len(weight))
    parts: list[tuple[Tensor, Tensor]] = [
        checkpoint(
            _score,
            head,
            shape,
            hidden,
            tokens,
            temperature,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for hidden, tokens in zip(
            torch.split(hidden_TD, at_once), torch.split(tokens_T, at_once), strict=True
        )
    ]
    return Scores(*(torch.cat(of_all) for of_all in zip(*parts, strict=True)))


def _score(
    head: nn.Module, shape: LogitShape, hidden_TD: Tensor, tokens_T: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    logits_TV = shape(head(hidden_TD))
    found: tuple[Tensor, Tensor] = _Chosen.apply(logits_TV, tokens_T, temperature)  # type: ignore[no-untyped-call]
    return found


class _Chosen(torch.autograd.Function):
    """Log-probabilities of tokens and the entropies, keeping one (T, V) tensor for the gradient."""

    @staticmethod
    def forward(
        ctx: Any, logits_TV: Tensor, tokens_T: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        # Powers of two: exp() takes several times as long on a CPU.
        log_two = temperature * math.log(2)
        scores_TV = logits_TV.float() / log_two
        chosen_T = scores_TV.gather(1, tokens_T[:, None]).squeeze(1)
        top_T1 = scores_TV.amax(-1, keepdim=True)
        chances_TV = torch.exp2(scores_TV - top_T1)
        total_T1 = chances_TV.sum(-1, keepdim=True)
        chances_TV /= total_T1
        lse_T = (top_T1 + total_T1.log2()).squeeze(1)
        mean_T = torch.linalg.vecdot(chances_TV, scores_TV)
        entropy_T = (lse_T - mean_T) * math.log(2)
        ctx.save_for_backward(chances_TV, tokens_T, entropy_T)
        ctx.temperature, ctx.dtype = temperature, logits_TV.dtype
        ctx.set_materialize_grads(False)
        return (chosen_T - lse_T) * math.log(2), entropy_T

    @staticmethod
    def backward(
        ctx: Any, dlogprobs_T: Tensor | None, dentropy_T: Tensor | None
    ) -> tuple[Tensor, None, None]:
        chances_TV, tokens_T, entropy_T = ctx.saved_tensors
        dlogits_TV = torch.zeros((), device=chances_TV.device)
        if dlogprobs_T is not None:
            grad_T1 = dlogprobs_T[:, None] / ctx.temperature
            dlogits_TV = chances_TV * -grad_T1
            dlogits_TV.scatter_add_(1, tokens_T[:, None], grad_T1)
        if dentropy_T is not None:
            # xlogy: a probability that has underflowed to 0 takes no part.
            slope_TV = torch.xlogy(chances_TV, chances_TV) + chances_TV * entropy_T[:, None]
            dlogits_TV = dlogits_TV - slope_TV * (dentropy_T[:, None] / ctx.temperature)
        return dlogits_TV.to(ctx.dtype), None, None
