"""Keys and values while decoding: the prompts' shared, the completions' own.

Rows of one trunk read its keys as they lie, each up to its prompt's length: nothing is copied for a
row, and rows of prompts of similar length are one call of the attention kernel. What a row gathers
from its trunk then takes part in the softmax over its own tokens as if it were one more token, with
the trunk's log-sum-exp as its score. Rows that join later have their own tokens on the right, where
those of all rows end; what is on their left is no token of theirs.

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
    blind_M: Tensor | None = None
    """Queries whose window ends before the trunk; None where all see some of it."""


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
        self._absent_B: Tensor | None = None
        """How many of the places on the left are no tokens of a row; None where all are."""
        self._calls: dict[tuple[int, int | None], list[_Call]] = {}
        """By queries of a row and how many tokens of its trunk it sees at most, if it has a token
        at every place."""

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
        if self._absent_B is not None:
            absent_B = self._absent_B[parent_B]
            unused = int(absent_B.min())
            self._change(lambda x: x[:, :, unused:])
            self._size -= unused
            self._absent_B = absent_B - unused if (absent_B > unused).any() else None

    def join(self, other: "Decoding") -> None:
        """Go on with the rows of another behind one's own."""
        both = (self, other)
        size = max(self._size, other._size)
        absent_B = torch.cat([part._absent(size) for part in both])
        self._own = {
            layer: tuple(
                torch.cat([_on_the_right(part._own[layer][i], part._size, size) for part in both])
                for i in (0, 1)
            )
            for layer in self._own
        }
        read = sorted({reading.trunk for reading in self._readings})  # of the others nobody reads
        number = {trunk: n for n, trunk in enumerate(read)}
        self._readings = [
            *(TrunkPrefix(number[r.trunk], r.length) for r in self._readings),
            *(TrunkPrefix(len(read) + r.trunk, r.length) for r in other._readings),
        ]
        self._trunks = [*(self._trunks[trunk] for trunk in read), *other._trunks]
        self._size, self._calls = size, {}
        self._absent_B = absent_B if absent_B.any() else None
        self._states.join(other._states)

    def _absent(self, size: int) -> Tensor:
        """Return of how many places each row has no token when all have so many."""
        absent_B = self._absent_B
        if absent_B is None:
            device = next(iter(self._own.values()))[0].device
            absent_B = torch.zeros(len(self._readings), dtype=torch.long, device=device)
        return absent_B + (size - self._size)

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
        if self._absent_B is not None:
            place_S = torch.arange(first, self._size, device=q.device)
            absent_B1S = (place_S < self._absent_B[:, None])[:, None]
            scores = scores.masked_fill(absent_B1S.repeat_interleave(kv_heads, 0), -torch.inf)
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
            room: How many tokens of its trunk a row sees at most, if it has a token at every place.
        """
        most = 0 if room is None else room + self._most_absent
        if room is not None and most <= 0:
            return torch.zeros_like(q), q.new_full(q.shape[:3], -torch.inf, dtype=torch.float32)
        if room is not None and room >= max(reading.length for reading in self._readings):
            room = None
        if (repeat, room) not in self._calls:
            self._calls[repeat, room] = list(self._arrange(repeat, room, q))
        parts = [_attend_call(q, call, layer) for call in self._calls[repeat, room]]
        return torch.cat([out for out, _ in parts], 2), torch.cat([lse for _, lse in parts], 2)

    @property
    def _most_absent(self) -> int:
        return 0 if self._absent_B is None else int(self._absent_B.max())

    def _arrange(self, repeat: int, room: int | None, like: Tensor) -> Iterator[_Call]:
        device = like.device
        call_cost = _CALL_COST if device.type == "cpu" else None
        absent = [0] * len(self._readings) if self._absent_B is None else self._absent_B.tolist()
        row = 0
        for trunk, lengths in _calls(self._readings, repeat, call_cost):
            rows = slice(row, row + len(lengths))
            # The first token of its trunk that a row sees; a softmax has to have one.
            starts = [
                0 if room is None else max(0, length - max(1, room + of_row))
                for length, of_row in zip(lengths, absent[rows], strict=True)
            ]
            first = min(starts)
            mask = blind_M = None
            if room is not None and min(absent[rows]) + room <= 0:
                blind = torch.tensor(absent[rows], device=device) + room <= 0
                blind_M = blind.repeat_interleave(repeat)
            if lengths[0] < lengths[-1] or first < max(starts):
                start_M1, end_M1 = (
                    torch.tensor(x, device=device).repeat_interleave(repeat)[:, None]
                    for x in (starts, lengths)
                )
                place_T = torch.arange(first, lengths[-1], device=device)
                unseen = (place_T >= end_M1) | (place_T < start_M1)
                mask = torch.zeros(unseen.shape, dtype=like.dtype, device=device)
                mask = mask.masked_fill_(unseen, -torch.inf)[None, None]
            seen = slice(first, lengths[-1])
            queries = slice(rows.start * repeat, rows.stop * repeat)
            yield _Call(self._trunks[trunk], seen, queries, mask, blind_M)
            row = rows.stop


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


def _attend_call(q: Tensor, call: _Call, layer: int) -> tuple[Tensor, Tensor]:
    keys, values = (x[layer][:, :, call.seen] for x in (call.trunk.keys, call.trunk.values))
    out, lse = attend_part(q[:, :, call.queries], keys, values, call.mask)
    return out, lse if call.blind_M is None else lse.masked_fill(call.blind_M, -torch.inf)


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


def _on_the_right(x: Tensor, used: int, size: int) -> Tensor:
    """Return a copy of (B, K, S, D) with the tokens used at the end of `size` places, and room."""
    roomy = x.new_zeros(*x.shape[:2], size + 32, x.shape[3])
    roomy[:, :, size - used : size] = x[:, :, :used]
    return roomy


def _with_room(x: Tensor, size: int) -> Tensor:
    """Return a copy of (B, K, S, D) with room for `size` tokens."""
    roomy = x.new_empty(*x.shape[:2], size, x.shape[3])
    roomy[:, :, : x.shape[2]] = x
    return roomy
