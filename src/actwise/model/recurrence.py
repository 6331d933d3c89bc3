"""Layers that carry a state along the row, over a forest: convolutions and linear recurrences.

These layers of transformers hand their keyword arguments on to functions of their modules, so what
is passed as `tree=` to the model's forward call reaches them. Given one, the functions here compute
each token from its ancestors by the very functions they stand for; without one they are those.
"""

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from actwise.tree.layout import Layout
from actwise.tree.runs import Runs, ancestors, find_runs

Convolve = Callable[[Tensor], Tensor]
"""Convolves (batch, channels, tokens), each token with those before it."""
Scan = Callable[[Sequence[Tensor], Tensor | None], tuple[Tensor, Tensor]]
"""Takes inputs (batch, tokens, ...) and the states to start from; returns outputs and states.
Inputs of zeros leave a state as it is."""


class Recurs(Protocol):
    """What a layer with a state asks of what is passed as `tree=`."""

    def convolve(self, convolve: Convolve, x: Tensor, width: int) -> Tensor:
        """Convolve (batch, channels, tokens) with a kernel of some width."""
        ...

    def scan(self, scan: Scan, inputs: Sequence[Tensor]) -> Tensor:
        """Return the outputs (batch, tokens, ...) of a recurrence."""
        ...


class TreeRecurrence:
    """Convolutions and recurrences in which every token follows its predecessor in a layout."""

    def __init__(self, layout: Layout, ends: Sequence[int] = ()) -> None:
        """Prepare for one forward pass.

        Args:
            layout: The only row of the batch is this layout.
            ends: Places whose states are kept, for decoding.
        """
        self._layout, self._ends = layout, list(ends)
        self._broken: dict[int, tuple[Tensor, Tensor]] = {}
        self.states: list[Tensor] = []
        """One of each call, of all ends."""

    @cached_property
    def _runs(self) -> Runs:
        return find_runs(self._layout, self._ends)

    def convolve(self, convolve: Convolve, x: Tensor, width: int) -> Tensor:
        """See `Recurs.convolve`."""
        indices, seen = self._windows(width)
        padded = torch.cat([x[0], x.new_zeros(x.shape[1], 1)], 1)  # -1 is the column of zeros
        out = convolve(x)
        if len(indices):
            windows = padded[:, seen[indices]].transpose(0, 1)
            out = out.index_copy(2, indices, convolve(windows)[..., -1].t()[None])
        if self._ends:
            self.states.append(padded[:, seen[self._ends, 1:]].transpose(0, 1))
        return out

    def scan(self, scan: Scan, inputs: Sequence[Tensor]) -> Tensor:
        """See `Recurs.scan`."""
        states: dict[int, Tensor] = {}
        outputs = []
        for batch in self._runs.batches:
            padding = ~batch.real_RL
            rows = [x[0][batch.index_RL].masked_fill(_like(padding, x.ndim), 0) for x in inputs]
            start = [states[number] for number in batch.follows]
            out, final = scan(rows, torch.stack(start) if start else None)
            states |= zip(batch.numbers, final, strict=True)
            outputs.append(out[batch.real_RL])
        if self._ends:
            ending = self._runs.ending
            self.states.append(torch.stack([states[ending[index]] for index in self._ends]))
        return torch.cat(outputs)[self._runs.order_N][None]

    def _windows(self, width: int) -> tuple[Tensor, Tensor]:
        """Return where a token's last tokens are not beside it, and those of all tokens."""
        if width not in self._broken:
            seen = ancestors(self._layout, width)
            beside = seen[:, -1:] + torch.arange(1 - width, 1, device=seen.device)
            broken = (seen != beside.clamp_min(-1)).any(1)
            self._broken[width] = broken.nonzero().squeeze(1), seen
        return self._broken[width]


class RowRecurrence:
    """Convolutions and recurrences of rows that get one token at a time."""

    def __init__(self, states: Sequence[Tensor]) -> None:
        """Begin with the states that a `TreeRecurrence` has kept, one of each row."""
        self._states = list(states)
        self._call = 0

    def next_step(self) -> None:
        """Begin another pass over the layers."""
        self._call = 0

    def follow(self, parent_B: Tensor) -> None:
        """Go on with rows that follow the given ones."""
        self._states = [state[parent_B] for state in self._states]

    def join(self, other: "RowRecurrence") -> None:
        """Go on with the rows of another behind one's own."""
        self._states = [torch.cat(pair) for pair in zip(self._states, other._states, strict=True)]

    def convolve(self, convolve: Convolve, x: Tensor, width: int) -> Tensor:
        """See `Recurs.convolve`."""
        window = torch.cat([self._states[self._call], x], 2)
        self._keep(window[:, :, 1:])
        return convolve(window)[:, :, -1:]

    def scan(self, scan: Scan, inputs: Sequence[Tensor]) -> Tensor:
        """See `Recurs.scan`."""
        out, state = scan(inputs, self._states[self._call])
        self._keep(state)
        return out

    def _keep(self, state: Tensor) -> None:
        self._states[self._call] = state
        self._call += 1


def use_tree_recurrence(model: nn.Module) -> None:
    """Let the layers with a state of a model take what is passed as `tree=`."""
    for module in {sys.modules[type(layer).__module__] for layer in model.modules()}:
        for name, stand_in in _STAND_INS.items():
            own = getattr(module, name, None)
            if inspect.isfunction(own) and not hasattr(own, "stands_for"):
                setattr(module, name, stand_in(own))


def _standing_for(own: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def choose(*args: Any, tree: Recurs | None = None, **kwargs: Any) -> Any:
        return own(*args, **kwargs) if tree is None else function(tree, *args, **kwargs)

    choose.stands_for = own  # type: ignore[attr-defined]
    return choose


def _convolution(own: Callable[..., Any]) -> Callable[..., Any]:
    def convolution(
        tree: Recurs,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        activation: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        def convolve(rows: Tensor) -> Tensor:
            result: Tensor = own(rows, weight, bias, activation=activation)
            return result

        return tree.convolve(convolve, x, weight.shape[-1])

    return _standing_for(own, convolution)


def _delta_rule(own: Callable[..., Any]) -> Callable[..., Any]:
    def delta_rule(
        tree: Recurs,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        g: Tensor,
        beta: Tensor,
        chunk_size: int = 64,
        use_qk_l2norm_in_kernel: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, None]:
        def scan(inputs: Sequence[Tensor], state: Tensor | None) -> tuple[Tensor, Tensor]:
            query, key, value, g, beta = inputs
            result: tuple[Tensor, Tensor] = own(
                query,
                key,
                value,
                g=g,
                beta=beta,
                chunk_size=min(chunk_size, query.shape[1]),
                initial_state=state,
                output_final_state=True,
                use_qk_l2norm_in_kernel=use_qk_l2norm_in_kernel,
            )
            return result

        return tree.scan(scan, (query, key, value, g, beta)), None

    return _standing_for(own, delta_rule)


def _state_space(own: Callable[..., Any]) -> Callable[..., Any]:
    def state_space(
        tree: Recurs,
        x: Tensor,
        dt: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        chunk_size: int,
        D: Tensor | None = None,
        dt_bias: Tensor | None = None,
        dt_softplus: bool = False,
        dt_limit: tuple[float, float] = (0.0, float("inf")),
        **kwargs: Any,
    ) -> Tensor:
        # Here, so that a step of zero, of padding, stays one.
        dt = dt if dt_bias is None else dt + dt_bias.to(dt.dtype)
        dt = (softplus(dt) if dt_softplus else dt).clamp(*dt_limit)

        def scan(inputs: Sequence[Tensor], state: Tensor | None) -> tuple[Tensor, Tensor]:
            x, dt, B, C = inputs
            result: tuple[Tensor, Tensor] = own(
                x,
                dt,
                A,
                B,
                C,
                chunk_size=min(chunk_size, x.shape[1]),
                D=D,
                initial_states=state,
                return_final_states=True,
            )
            return result

        return tree.scan(scan, (x, dt, B, C))

    return _standing_for(own, state_space)


def _like(mask_RL: Tensor, dimensions: int) -> Tensor:
    return mask_RL.view(*mask_RL.shape, *(1,) * (dimensions - 2))


_STAND_INS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "causal_conv1d_fn": _convolution,
    "torch_chunk_gated_delta_rule": _delta_rule,
    "mamba2_chunk_scan": _state_space,
}
