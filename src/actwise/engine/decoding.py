"""Keys and values while decoding: the prompts' shared, the completions' own.

Rows of one trunk read its keys as they lie, each up to its prompt's length: nothing is copied for a
row, and rows of prompts of similar length are one call of the attention kernel. What a row gathers
from its trunk then takes part in the softmax over its own tokens as if it were one more token, with
the trunk's log-sum-exp as its score.

Letters in shapes: B rows, H heads, K key-value heads, R = H / K, D head dimension, M queries (rows
times R), T tokens of a trunk, S own tokens of a row, P prompts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from actwise.model.recurrence import RowRecurrence

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

_CALL_COST = 12
"""What a kernel call costs on a CPU beyond its queries, in queries: it loads the trunk's keys."""


@dataclass(frozen=True)
class Trunk:
    """Keys and values of one line of tokens; by layer, (1, K, T, D)."""

    keys: dict[int, Tensor]
    values: dict[int, Tensor]


@dataclass(frozen=True, order=True)
class TrunkPrefix:
    """What the completions of a prompt see: the beginning of a trunk, then a tail of their own."""

    trunk: int
    length: int


@dataclass(frozen=True)
class _Call:
    trunk: Trunk
    seen: slice
    queries: slice
    mask: Tensor | None
    """(1, 1, M, T), added to the scores; None where all rows see the same."""


class Decoding:
    """One step after another for rows that are ordered by trunk and length."""

    def __init__(
        self,
        trunks: Sequence[Trunk],
        prefixes: Sequence[TrunkPrefix],
        tails: Mapping[int, tuple[Tensor, Tensor]],
        states: RowRecurrence,
    ) -> None:
        """Begin.

        Args:
            trunks: Shared.
            prefixes: What each row reads of a trunk, sorted.
            tails: By layer, keys and values (B, K, S, D) of the tokens between the trunk's part
                and the first token to be decoded; S may be 0.
            states: What the layers carry along each row.
        """
        self.convolve, self.scan = states.convolve, states.scan
        self._states = states
        self._trunks = trunks
        self._readings = list(prefixes)
        self._size = _length(tails)
        self._own = {
            layer: tuple(_with_room(x, self._size + 32) for x in pair)
            for layer, pair in tails.items()
        }
        self._calls: dict[tuple[int, int | None], list[_Call]] = {}
        """By queries of a row and how many tokens of its trunk it sees at most."""

    def next_step(self) -> "Decoding":
        """Make room for one more token a row."""
        if self._size == _length(self._own):
            self._change(lambda x: _with_room(x, 2 * self._size))
        self._size += 1
        self._calls = {key: calls for key, calls in self._calls.items() if key[1] is None}
        self._states.next_step()
        return self

    def follow(self, parent_B: Tensor) -> None:
        """Go on with rows that follow the given ones; sorted, some perhaps twice, some not."""
        self._change(lambda x: x[parent_B])
        self._readings = [self._readings[i] for i in parent_B.tolist()]
        self._calls = {}
        self._states.follow(parent_B)

    def _change(self, change: Callable[[Tensor], Tensor]) -> None:
        self._own = {layer: tuple(map(change, pair)) for layer, pair in self._own.items()}

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
        """Return (B, H, 1, D); the new keys and values are added to the rows' own.

        See `actwise.model.attention.interface.Attends.attend`.
        """
        rows, heads, _, dim = q.shape
        kv_heads = k.shape[1]
        repeat = heads // kv_heads
        for own, new in zip(self._own[layer], (k, v), strict=True):
            own[:, :, self._size - 1] = new.squeeze(2)
        first = 0 if window is None else max(0, self._size - window)
        own_k, own_v = (x[:, :, first : self._size].flatten(0, 1) for x in self._own[layer])
        q = (q * scale).view(rows, kv_heads, repeat, dim)
        # Of a row's window its own tokens take a part.
        room = None if window is None else window - self._size
        out, lse = self._attend_to_trunks(
            layer, q.transpose(0, 1).reshape(1, kv_heads, -1, dim), repeat, room
        )
        shape = kv_heads, rows, repeat, -1
        out, lse = (x.view(shape).transpose(0, 1).flatten(0, 1) for x in (out, lse))
        scores = torch.bmm(q.view(-1, repeat, dim), own_k.transpose(1, 2))
        seen = [scores.float(), lse]
        if sinks is not None:
            seen.append(sinks.float().view(kv_heads, repeat, 1).repeat(rows, 1, 1))
        weights = torch.cat(seen, -1).softmax(-1).to(v.dtype)
        last = self._size - first
        out = torch.baddbmm(out * weights[..., last : last + 1], weights[..., :last], own_v)
        return out.view(rows, heads, 1, dim)

    def _attend_to_trunks(
        self, layer: int, q: Tensor, repeat: int, room: int | None
    ) -> tuple[Tensor, Tensor]:
        """Return (1, K, M, D) and the log-sum-exp (1, K, M).

        Args:
            layer: Its number.
            q: Queries (1, K, M, D), scaled.
            repeat: How many of them belong to a row.
            room: How many tokens of its trunk a row sees at most.
        """
        if room is not None and room <= 0:
            return torch.zeros_like(q), q.new_full(q.shape[:3], -torch.inf, dtype=torch.float32)
        if room is not None and room >= max(reading.length for reading in self._readings):
            room = None
        if (repeat, room) not in self._calls:
            self._calls[repeat, room] = list(self._arrange(repeat, room, q))
        parts = [
            attend_part(
                q[:, :, call.queries],
                call.trunk.keys[layer][:, :, call.seen],
                call.trunk.values[layer][:, :, call.seen],
                call.mask,
            )
            for call in self._calls[repeat, room]
        ]
        return torch.cat([out for out, _ in parts], 2), torch.cat([lse for _, lse in parts], 2)

    def _arrange(self, repeat: int, room: int | None, like: Tensor) -> Iterator[_Call]:
        device = like.device
        call_cost = _CALL_COST if device.type == "cpu" else None
        begin = 0
        for trunk, lengths in _calls(self._readings, repeat, call_cost):
            end = begin + len(lengths) * repeat
            first = 0 if room is None else max(0, lengths[0] - room)
            mask = None
            if lengths[0] < lengths[-1]:
                length_M1 = torch.tensor(lengths, device=device).repeat_interleave(repeat)[:, None]
                place_T = torch.arange(first, lengths[-1], device=device)
                unseen = place_T >= length_M1
                if room is not None:
                    unseen |= place_T < length_M1 - room
                mask = torch.zeros(unseen.shape, dtype=like.dtype, device=device)
                mask = mask.masked_fill_(unseen, -torch.inf)[None, None]
            seen = slice(first, lengths[-1])
            yield _Call(self._trunks[trunk], seen, slice(begin, end), mask)
            begin = end


def _calls(
    prefixes: Sequence[TrunkPrefix], repeat: int, call_cost: int | None
) -> Iterator[tuple[int, list[int]]]:
    """Yield the trunk and the rows' lengths of each call of the kernel.

    Rows of several lengths share a call, with a mask, where the masked scores cost less than
    another call would; `call_cost` None never pays for another one.
    """
    for trunk, of_trunk in groupby(prefixes, lambda r: r.trunk):
        together: list[int] = []
        for length, same in groupby(r.length for r in of_trunk):
            rows = list(same)
            if together and call_cost is not None:
                wasted = len(together) * repeat * (length - together[-1])
                if wasted > call_cost * together[-1]:
                    yield trunk, together
                    together = []
            together = together + rows
        yield trunk, together


def attend_part(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return attention of scaled queries to some keys, and its log-sum-exp.

    Shape:
        q is (1, K, M, D), k and v are (1, K, T, D); returns (1, K, M, D) and (1, K, M).
    """
    if q.device.type == "cpu":
        out, lse = _flash(q, k, v, 0.0, False, attn_mask=mask, scale=1.0)
        return out, lse
    return attend_part_plainly(q, k, v, mask)


def attend_part_plainly(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Do the same on any device."""
    scores = q.float() @ k.float().transpose(2, 3)
    if mask is not None:
        scores = scores + mask.float()
    out = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
    return out, scores.logsumexp(-1)


def _length(pairs: Mapping[int, tuple[Tensor, ...]]) -> int:
    """Return for how many tokens there are keys and values."""
    return next(iter(pairs.values()))[0].shape[2]


def _with_room(x: Tensor, size: int) -> Tensor:
    """Return a copy of (B, K, S, D) with room for `size` tokens."""
    roomy = x.new_empty(*x.shape[:2], size, x.shape[3])
    roomy[:, :, : x.shape[2]] = x
    return roomy
