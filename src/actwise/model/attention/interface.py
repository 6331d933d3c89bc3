"""Attention over a forest of segments, plugged into transformers' models as they are.

A model loaded with `attn_implementation=IMPLEMENTATION` hands its queries, keys and values to what
is passed as `tree=` to its forward call: a `TreeAttention` here, a decoding step in the sampler.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from actwise.errors import ModelError
from actwise.model.attention.cpu import AttentionByParts
from actwise.model.attention.gpu import (
    BLOCK,
    block_mask,
    fused_flex_attention,
    kernel_options,
)
from actwise.model.recurrence import Recurs, TreeRecurrence
from actwise.tree.layout import Layout

IMPLEMENTATION = "actwise_tree"


class Attends(Recurs, Protocol):
    """What a forward call is given as `tree=`."""

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        window: int | None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        """Return the outputs (batch, heads, tokens, dim) of one layer.

        Args:
            layer: Its number.
            q: Queries.
            k: Keys.
            v: Values.
            scale: Multiplies the scores.
            window: How many tokens a token sees at most, itself among them.
            sinks: By head, the score of a key without a value that every token sees, too.
        """
        ...


class TreeAttention(TreeRecurrence):
    """Attention in which every token of a layout sees its ancestors and itself."""

    def __init__(self, layout: Layout, *, keep: Sequence[int] = ()) -> None:
        """Prepare for one forward pass.

        Args:
            layout: The only row of the batch is this layout.
            keep: Last indices of prompts, for whose decoding each layer's keys, values and states
                are kept.
        """
        super().__init__(layout, keep)
        self.layout = layout
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        """Keys and values, by layer; of layers that attend, where they are kept."""
        self._keep = bool(keep)
        self._layouts: dict[int | None, Layout] = {}
        self._masks: dict[int | None, Tensor] = {}
        self._block_masks: dict[int | None, BlockMask] = {}

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        window: int | None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        """Return (1, heads, N, dim)."""
        if self._keep:
            self.kept[layer] = k, v
        layout = self._within(window)
        if q.device.type == "cpu":
            return AttentionByParts.apply(q, k, v, layout, scale, sinks)  # type: ignore[no-untyped-call]
        if q.device.type == "cuda" and q.shape[2] > BLOCK:
            return self.attend_flexibly(q, k, v, scale, layout, fused_flex_attention(), sinks)
        return self.attend_densely(q, k, v, scale, layout, sinks)

    def _within(self, window: int | None) -> Layout:
        if window not in self._layouts:
            self._layouts[window] = self.layout if window is None else self.layout.within(window)
        return self._layouts[window]

    def attend_flexibly(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        layout: Layout,
        attention: Callable[..., Any],
        sinks: Tensor | None = None,
    ) -> Tensor:
        """Do the same with `flex_attention`, compiled or not."""
        if layout.window not in self._block_masks:
            self._block_masks[layout.window] = block_mask(layout)
        found = attention(
            q,
            k,
            v,
            block_mask=self._block_masks[layout.window],
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
            kernel_options=kernel_options(q.dtype),
            return_aux=None if sinks is None else AuxRequest(lse=True),
        )
        if sinks is None:
            out: Tensor = found
            return out
        # The sink takes its share of the softmax.
        share: Tensor = (found[1].lse - sinks[:, None]).sigmoid()[..., None]
        out = found[0] * share.to(q.dtype)
        return out

    def attend_densely(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        layout: Layout,
        sinks: Tensor | None = None,
    ) -> Tensor:
        """Do the same with a dense mask, on any device."""
        if layout.window not in self._masks:
            self._masks[layout.window] = layout.visible()
        return _attend_masked(q, k, v, self._masks[layout.window], scale, sinks)


class ContinuedAttention(TreeAttention):
    """The same behind tokens that were computed before, which all tokens of the layout follow."""

    def __init__(
        self, layout: Layout, past: Mapping[int, tuple[Tensor, Tensor]], *, keep: Sequence[int]
    ) -> None:
        """Prepare for one forward pass.

        Args:
            layout: The new tokens; their depths count from the first new one.
            past: By layer, keys and values (1, K, T, D) of the tokens before.
            keep: See `TreeAttention`; what is kept is that of the new tokens.
        """
        super().__init__(layout, keep=keep)
        self._past = past

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        window: int | None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        """Return (1, heads, N, dim)."""
        self.kept[layer] = k, v
        past_k, past_v = self._past[layer]
        if window not in self._masks:
            self._masks[window] = self._mask(past_k.shape[2], window)
        k, v = torch.cat([past_k, k], 2), torch.cat([past_v, v], 2)
        return _attend_masked(q, k, v, self._masks[window], scale, sinks)

    def _mask(self, length: int, window: int | None) -> Tensor:
        """Return (N, T + N), True where a token sees what is before it."""
        depth_N = self.layout.position_ids
        past_T = torch.arange(-length, 0, device=depth_N.device)
        seen_NT = torch.ones(len(depth_N), length, dtype=torch.bool, device=depth_N.device)
        if window is not None:
            seen_NT = depth_N[:, None] - past_T < window
        return torch.cat([seen_NT, self._within(window).visible()], 1)


def _attend_masked(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, sinks: Tensor | None
) -> Tensor:
    if sinks is not None:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        scores = (q @ k.transpose(2, 3) * scale).float().masked_fill(~mask, -torch.inf)
        sink = sinks.float()[None, :, None, None].expand(*scores.shape[:3], 1)
        return torch.cat([scores, sink], -1).softmax(-1)[..., :-1].to(v.dtype) @ v
    return scaled_dot_product_attention(
        q, k, v, attn_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    )


def _forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    tree: Attends | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    if tree is None:
        raise ModelError(
            f"{type(module).__name__} was not handed tree=, so its model cannot be used for trees; "
            "use one whose forward call passes its keyword arguments on"
        )
    if softcap is not None:
        raise ModelError(
            f"{type(module).__name__} caps its scores, which tree attention does not cover; use a "
            "model of a family in docs/models.md"
        )
    if query.shape[-1] != value.shape[-1]:
        raise ModelError(
            f"{type(module).__name__} has keys and values of different sizes, which tree attention "
            "does not cover; use a model of a family in docs/models.md"
        )
    if dropout:
        raise ModelError("attention dropout is not supported; set attention_dropout to 0")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    # Under autocast, norms and rotations of queries and keys come out in float32.
    query, key = query.to(value.dtype), key.to(value.dtype)
    layer: int = module.layer_idx  # type: ignore[assignment]
    out = tree.attend(layer, query, key, value, scale, sliding_window, s_aux)
    return out.transpose(1, 2), None


AttentionInterface.register(IMPLEMENTATION, _forward)
