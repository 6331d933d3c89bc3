"""Steering: a vector added to what one layer returns, where a thought begins a new sentence.

The vector points from sentences that look back or change course to sentences that carry out, in the
states with which a model begins them; adding it makes thoughts shorter without any training (SEAL,
arXiv:2504.07986). It acts while decoding alone, inside a thought, at the token before a sentence:
prompts are computed as ever, and so are actions. Completions that are equal so far are steered
alike, so they stay one row.

Letters in shapes: C completions, B rows, D dimension, V vocabulary.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from actwise.conversation import Decision
from actwise.engine.rollouts import after_thought
from actwise.errors import InputError, ModelError
from actwise.model.opening import text_layers
from actwise.model.policy import Policy
from actwise.template.render import Template
from actwise.thoughts.kinds import Kind, kind_of, placed_sentences
from actwise.tree.layout import Layout
from actwise.tree.packing import Tree, lay_out_pass, pack

_DEPTH = 0.7
"""Which layer is steered where none is named, as a share of all: SEAL takes 20 of 28."""
_PASS_TOKENS = 4096


@dataclass(frozen=True, eq=False)
class Steering:
    """What is added, and where."""

    policy: Policy
    layer: int
    vector_D: Tensor
    strength: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return what a file of a vector holds."""
        vector = self.vector_D.float().tolist()
        return {"layer": self.layer, "strength": self.strength, "vector": vector}

    @cached_property
    def separators_V(self) -> Tensor:
        """Whether each token ends a sentence or a line."""
        template = self.policy.template
        texts = (template.tokenizer.decode([i]) for i in range(len(template.tokenizer)))
        ends = [i for i, t in enumerate(texts) if t.rstrip(" ").endswith((".", "!", "?", "\n"))]
        rows = len(self.policy.model.get_output_embeddings().weight)  # some have no token
        separators_V = torch.zeros(max(rows, len(template.tokenizer)), dtype=torch.bool)
        separators_V[ends] = True
        return separators_V.to(self.policy.device)

    @cached_property
    def _tags(self) -> tuple[int, int]:
        """The tokens that begin and end a thought."""
        template = self.policy.template
        begin, end = ([*template.encode(tag.strip())] for tag in template.syntax.think)
        if len(begin) != 1 or len(end) != 1:
            raise ModelError(
                "steering needs a tokenizer with tokens for the begin and the end of a thought"
            )
        return begin[0], end[0]

    def thinking(self, prompt: Sequence[int]) -> bool:
        """Return whether a prompt ends inside a thought."""
        begin, end = self._tags
        last = next((token for token in reversed(prompt) if token in (begin, end)), end)
        return last == begin

    def follow(self, thinking_C: Tensor, tokens_C: Tensor) -> Tensor:
        """Return whether completions are inside a thought after another token."""
        begin, end = self._tags
        return (thinking_C | (tokens_C == begin)) & (tokens_C != end)

    @contextlib.contextmanager
    def on(self, steered_B: Tensor) -> Iterator[None]:
        """Steer some rows in the forward calls that are made meanwhile."""
        added_BD = steered_B[:, None] * (self.strength * self.vector_D)

        def add(layer: nn.Module, inputs: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (output[0] + added_BD[:, None].to(output[0].dtype), *output[1:])
            return output + added_BD[:, None].to(output.dtype)

        hook = layers_of(self.policy)[self.layer].register_forward_hook(add)
        try:
            yield
        finally:
            hook.remove()


class Steered:
    """Completions that are steered, one token after another."""

    def __init__(self, steering: Steering, inside_C: Tensor) -> None:
        """Begin.

        Args:
            steering: What is added to them.
            inside_C: Whether the prompt of each ends inside a thought.
        """
        self._steering = steering
        self._inside_C = inside_C

    def at(
        self, going_C: Tensor, tokens_C: Tensor, row_C: Tensor, rows: int
    ) -> contextlib.AbstractContextManager[None]:
        """Return in which context the next tokens are computed.

        Args:
            going_C: Numbers of the completions that go on.
            tokens_C: Their latest tokens.
            row_C: The row of each; completions of one row have the same tokens behind them.
            rows: Number of rows.
        """
        inside_C = self._steering.follow(self._inside_C[going_C], tokens_C)
        self._inside_C[going_C] = inside_C
        steered_B = torch.zeros(rows, dtype=torch.bool, device=row_C.device)
        steered_B[row_C] = inside_C & self._steering.separators_V[tokens_C]
        return self._steering.on(steered_B) if steered_B.any() else contextlib.nullcontext()


def read_steering(policy: Policy, file: Path) -> Steering:
    """Read the vector that a run or an evaluation has found for a model.

    Raises:
        InputError: It is no such file, or one of another model.
    """
    remedy = "take the steering/*.json of a run, or the steering.json of `actwise eval --out`"
    try:
        found = json.loads(file.read_bytes())
        layer, strength = int(found["layer"]), float(found["strength"])
        vector_D = torch.tensor(found["vector"], dtype=torch.float32, device=policy.device)
    except OSError as error:
        raise InputError(error.strerror or str(error), file=str(file), remedy=remedy) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError("holds no vector", file=str(file), remedy=remedy) from error
    size, layers = policy.model.get_input_embeddings().weight.shape[1], len(layers_of(policy))
    if vector_D.shape != (size,) or not 0 <= layer < layers:
        raise InputError(
            f"holds a vector of {vector_D.numel()} numbers for layer {layer}; the model has "
            f"{size} and layers 0 to {layers - 1}",
            file=str(file),
            remedy=remedy,
        )
    return Steering(policy, layer, vector_D, strength)


def layers_of(policy: Policy) -> nn.ModuleList:
    """Return the layers of a policy's model.

    Raises:
        ModelError: They are not a list of a name that we know.
    """
    model = getattr(policy.model, "get_base_model", lambda: policy.model)()
    layers = getattr(text_layers(model), "layers", None)
    if not isinstance(layers, nn.ModuleList):
        raise ModelError(f"{type(model).__name__} has no list of layers to steer")
    return layers


def find_steering(
    policy: Policy,
    thoughts: Sequence[tuple[Decision, str]],
    *,
    layer: int | None,
    strength: float,
) -> Steering | None:
    """Find the vector between kinds of sentences in thoughts.

    Args:
        policy: Whose states are taken.
        thoughts: About some decisions, best the policy's own.
        layer: Its number; at 70 % of the depth where None.
        strength: What the vector counts.

    Returns:
        None where no sentence but the first of a thought carries out, or none does anything else.

    Raises:
        ModelError: There is no such layer.
    """
    layers = layers_of(policy)
    layer = round(_DEPTH * len(layers)) if layer is None else layer
    if layer >= len(layers):
        raise ModelError(f"evaluate.steering.layer: the model has layers 0 to {len(layers) - 1}")
    groups = [after_thought(policy.template, d, thought) for d, thought in thoughts]
    trees = [Tree((g.prompt[: -len(g.given)],), ((g.given,),)) for g in groups if g.given]
    found: dict[bool, list[Tensor]] = {True: [], False: []}
    for packed in pack(trees, _PASS_TOKENS):
        layout, index_T = lay_out_pass(packed, policy.device)
        states_TD = _states(policy, layers[layer], layout)[index_T].float()
        lengths = [part.tree.num_branch_tokens for part in packed]
        for part, states_SD in zip(packed, torch.split(states_TD, lengths), strict=True):
            for place, kind in _begun(policy.template, *thoughts[part.conversation]):
                found[kind == "execution"].append(states_SD[place])
    if not all(found.values()):
        return None
    executing, other = (torch.stack(found[kind]).mean(0) for kind in (True, False))
    return Steering(policy, layer, executing - other, strength)


def _begun(template: Template, decision: Decision, thought: str) -> Iterator[tuple[int, Kind]]:
    """Yield for each sentence but the first the number of the token before it, and its kind."""
    for begin, sentence in placed_sentences(thought)[1:]:
        before = template.thought_text(decision, thought[:begin].rstrip(" "), closed=False)
        yield len(template.encode(before)) - 1, kind_of(sentence)


@torch.no_grad()
def _states(policy: Policy, layer: nn.Module, layout: Layout) -> Tensor:
    """Return what a layer returns for each token of a layout, (N, D)."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    hook = layer.register_forward_hook(keep)
    try:
        policy.score(layout, layout.predecessor.new_tensor([len(layout.input_ids) - 1]))
    finally:
        hook.remove()
    return kept[0][0]
