"""The local engine: one prefill of each trunk, then all completions decoded together on it.

Prompts of one conversation share their trunk's keys and values; every completion adds only its
own. Rows that have ended leave the batch. The model is the policy itself, so what is sampled is
what is trained.

Letters in shapes: C conversations still decoding, R most rows of one, B rows, H heads, K key-value
heads, D head dimension, S steps, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from actwise.attention import TreeAttention, merge_
from actwise.engine import Sample, SamplingParams
from actwise.policy import Policy
from actwise.tree import Forest, Layout, Node

_flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


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
        forest, nodes = _prompt_forest(conversations)
        rows = [
            _Row(tree, prompt, node)
            for tree, prompt_nodes in enumerate(nodes)
            for prompt, node in enumerate(prompt_nodes)
            for _ in range(num_generations)
        ]
        self._decode(forest, rows, params, generator)
        samples: list[list[list[Sample]]] = [[[] for _ in prompts] for prompts in conversations]
        for row in rows:
            samples[row.tree][row.prompt].append(row.sample(params))
        return samples

    def _decode(
        self,
        forest: Forest,
        rows: list["_Row"],
        params: SamplingParams,
        generator: torch.Generator | None,
    ) -> None:
        model, device = self._policy.model, self._policy.device
        layout = forest.layout(device)
        ends = torch.tensor([layout.places(row.node)[-1] for row in rows], device=device)
        prefill = TreeAttention(layout, keep=True)
        logits_BV = model(
            input_ids=layout.input_ids[None],
            position_ids=layout.position_ids[None],
            use_cache=False,
            logits_to_keep=ends,
            tree=prefill,
        ).logits[0]
        positions_B = layout.position_ids[ends] + 1
        decoding = _Decoding(forest, layout, prefill, [(r.tree, r.node) for r in rows])
        active = list(rows)
        for step in range(params.max_tokens):
            tokens_B, logprobs_B = draw(logits_BV, params, generator)
            for row, token, logprob in zip(
                active, tokens_B.tolist(), logprobs_B.tolist(), strict=True
            ):
                row.add(token, logprob, params)
            if step + 1 == params.max_tokens or all(row.ended for row in active):
                return
            # Dropping rows copies the cache, so a few ended rows are carried along for a while.
            ended = sum(row.ended for row in active)
            if 8 * ended >= len(active):
                keep = torch.tensor([not row.ended for row in active], device=device)
                keep = keep.nonzero().squeeze(1)
                active = [row for row in active if not row.ended]
                tokens_B, positions_B = tokens_B[keep], positions_B[keep]
                decoding.keep_rows(keep)
            logits_BV = model(
                input_ids=tokens_B[:, None],
                position_ids=positions_B[:, None],
                use_cache=False,
                tree=decoding.next_step(),
            ).logits[:, -1]
            positions_B = positions_B + 1


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


@dataclass
class _Row:
    tree: int
    prompt: int
    node: Node
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False

    def add(self, token: int, logprob: float, params: SamplingParams) -> None:
        if not self.ended:
            self.token_ids.append(token)
            self.logprobs.append(logprob)
            self.ended = token in params.stop_token_ids

    def sample(self, params: SamplingParams) -> Sample:
        reason = "stop" if self.ended else "length"
        return Sample(tuple(self.token_ids), tuple(self.logprobs), reason)  # type: ignore[arg-type]


def _prompt_forest(
    conversations: Sequence[Sequence[Sequence[int]]],
) -> tuple[Forest, list[list[Node]]]:
    forest = Forest()
    nodes = [forest.insert_all(prompts, tree=tree) for tree, prompts in enumerate(conversations)]
    return forest, nodes


class _Decoding:
    """Keys and values while decoding: the trunks' shared, the rows' own."""

    def __init__(
        self,
        forest: Forest,
        layout: Layout,
        prefill: TreeAttention,
        rows: Sequence[tuple[int, Node]],
    ) -> None:
        self._device = layout.input_ids.device
        visible = [
            [p for part in forest.path(node) for p in layout.places(part)] for _, node in rows
        ]
        trees = sorted({tree for tree, _ in rows})
        places = {
            tree: sorted({p for (t, _), seen in zip(rows, visible, strict=True) if t == tree
                          for p in seen})
            for tree in trees
        }  # fmt: skip
        longest = max(len(p) for p in places.values())
        index_CT = torch.tensor([places[t] + [0] * (longest - len(places[t])) for t in trees])
        index_CT = index_CT.to(self._device)
        self._trunk_keys = [_by_tree(k, index_CT) for k in prefill.keys]
        self._trunk_values = [_by_tree(v, index_CT) for v in prefill.values]
        self._tree_B = torch.tensor([trees.index(t) for t, _ in rows], device=self._device)
        self._mask_BT = torch.full((len(rows), longest), -torch.inf, dtype=prefill.keys[0].dtype)
        rank = {t: {p: i for i, p in enumerate(places[t])} for t in trees}
        for mask_T, (tree, _), seen in zip(self._mask_BT, rows, visible, strict=True):
            mask_T[[rank[tree][p] for p in seen]] = 0
        self._mask_BT = self._mask_BT.to(self._device)
        self._own_keys: list[Tensor] = []
        self._own_values: list[Tensor] = []
        self._step = -1
        self._arrange()

    def next_step(self) -> "_Decoding":
        """Make room for one more token a row."""
        self._step += 1
        return self

    def keep_rows(self, keep: Tensor) -> None:
        """Drop the rows that are not in `keep`."""
        self._tree_B, self._mask_BT = self._tree_B[keep], self._mask_BT[keep]
        self._own_keys = [k[keep] for k in self._own_keys]
        self._own_values = [v[keep] for v in self._own_values]
        left = torch.unique(self._tree_B)
        if len(left) < len(self._trunk_keys[0]):
            self._trunk_keys = [k[left] for k in self._trunk_keys]
            self._trunk_values = [v[left] for v in self._trunk_values]
            self._tree_B = torch.searchsorted(left, self._tree_B)
        self._arrange()

    def _arrange(self) -> None:
        """Arrange the rows as a grid of trees by rows; short trees repeat their first row."""
        counts = torch.bincount(self._tree_B)
        first = counts.cumsum(0) - counts  # rows are ordered by tree
        column_B = torch.arange(len(self._tree_B), device=self._device) - first[self._tree_B]
        width = int(counts.max())
        self._grid_CR = first[:, None].repeat(1, width)
        self._grid_CR[self._tree_B, column_B] = torch.arange(len(column_B), device=self._device)
        self._cell_B = self._tree_B * width + column_B
        self._mask_CRT = self._mask_BT[self._grid_CR][:, None]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """Return (B, heads, 1, dim); the new keys and values are added to the rows' own."""
        own_k, own_v = self._append(layer, k, v)
        out, lse = _attend(q, own_k, own_v, None, scale)
        q_CHRD = q.squeeze(2)[self._grid_CR].transpose(1, 2)
        trunk_out, trunk_lse = _attend(
            q_CHRD, self._trunk_keys[layer], self._trunk_values[layer], self._mask_CRT, scale
        )
        out_p = trunk_out.transpose(1, 2).flatten(0, 1)[self._cell_B][:, :, None]
        lse_p = trunk_lse.transpose(1, 2).flatten(0, 1)[self._cell_B][:, :, None]
        merge_(out, lse, out_p, lse_p)
        return out

    def _append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        if layer == len(self._own_keys):
            self._own_keys.append(_with_room(k, 32))
            self._own_values.append(_with_room(v, 32))
        if self._step == self._own_keys[layer].shape[2]:
            self._own_keys[layer] = _with_room(self._own_keys[layer], 2 * self._step)
            self._own_values[layer] = _with_room(self._own_values[layer], 2 * self._step)
        self._own_keys[layer][:, :, self._step] = k.squeeze(2)
        self._own_values[layer][:, :, self._step] = v.squeeze(2)
        end = self._step + 1
        return self._own_keys[layer][:, :, :end], self._own_values[layer][:, :, :end]


def _by_tree(x: Tensor, index_CT: Tensor) -> Tensor:
    """Return (C, K, T, D) from (1, K, N, D)."""
    return x[0].transpose(0, 1)[index_CT].transpose(1, 2).contiguous()


def _with_room(x: Tensor, size: int) -> Tensor:
    roomy = x.new_empty(*x.shape[:2], size, x.shape[3])
    roomy[:, :, : x.shape[2]] = x
    return roomy


def _attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Return attention over some keys and its log-sum-exp (..., queries)."""
    if q.device.type == "cpu":
        out, lse = _flash(q, k, v, 0.0, False, attn_mask=mask, scale=scale)
        return out, lse.clone()
    return _attend_plainly(q, k, v, mask, scale)


def _attend_plainly(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Do the same on any device."""
    repeat = q.shape[1] // k.shape[1]
    scores = (q.float() @ k.float().repeat_interleave(repeat, 1).transpose(2, 3)) * scale
    if mask is not None:
        scores = scores + mask.float()
    out = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=repeat > 1)
    return out, scores.logsumexp(-1)
