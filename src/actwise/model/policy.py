"""A causal language model that scores forests: the policy that is trained.

Letters in shapes: N tokens of a layout, T scored tokens, U of them that differ, D dimension.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from actwise.errors import ModelError
from actwise.model.attention.interface import IMPLEMENTATION, TreeAttention
from actwise.model.kernels.lean import use_lean_layers
from actwise.model.kernels.linear import use_fast_products
from actwise.model.kernels.output_layer import LogitShape, Scores, score_tokens
from actwise.model.opening import check_folder, check_vocabulary, open_model, text_layers
from actwise.model.recurrence import use_tree_recurrence
from actwise.model.saving import save_model
from actwise.template.render import Template
from actwise.tree.forest import Forest
from actwise.tree.layout import Layout, lay_out

T = TypeVar("T")


class Policy:
    """A model, its template, and the parameters that are trained."""

    sharded = False
    """Whether the weights are divided among processes; see `actwise.model.sharding`."""

    def __init__(self, model: Any, template: Template) -> None:
        self.model = model
        self.template = template
        self.workers = 1
        """Passes that training computes at once; see `actwise.model.loading.choose_threads`."""
        self.checkpointing = False
        """Whether activations are computed again; see `actwise.model.checkpointing`."""
        self.version = 0
        """Counts how often the trained weights were overwritten."""

    @classmethod
    def load(
        cls,
        name: str,
        *,
        shipped_template: bool = False,
        dtype: torch.dtype = torch.float32,
        lora_rank: int | None = None,
        train_embeddings: bool = True,
        device: str = "cpu",
    ) -> "Policy":
        """Load a model folder or hub name.

        Args:
            name: Folder or hub name of a causal language model.
            shipped_template: See `Template.load`.
            dtype: Type of the weights. Gradients of smaller types than float32 are added up in it.
            lora_rank: Train adapters of this rank on all linear layers; None trains all weights.
            train_embeddings: Whether the embeddings and the output layer are trained, too, where
                all weights are.
            device: Where to put the model.

        Raises:
            ModelError: If the model cannot be loaded or its template cannot be used; see
                `open_model`.
        """
        check_folder(name)
        template = Template.load(name, shipped=shipped_template)
        model = open_model(name, dtype=dtype, attention=IMPLEMENTATION)
        check_vocabulary(model, template.tokenizer, name)
        model.to(device)
        use_tree_recurrence(model)
        _check_branches(model)
        text = text_layers(model)
        model.requires_grad_(False)  # parts for images and sound stay as they are
        for part in (text, model.get_output_embeddings()):
            part.requires_grad_(True)
        if not train_embeddings:
            embeddings = [m for m in text.modules() if isinstance(m, torch.nn.Embedding)]
            for layer in (*embeddings, model.get_output_embeddings()):
                layer.requires_grad_(False)
        if lora_rank is not None:
            model = _with_adapters(model, text, lora_rank)
        for parameter in model.parameters():
            if parameter.requires_grad:  # gradients of several passes are added up
                parameter.grad_dtype = torch.promote_types(parameter.dtype, torch.float32)
        use_fast_products(model)
        use_lean_layers(text)
        # A server stops where our sampler does.
        model.generation_config.eos_token_id = list(template.stop_token_ids)
        model.eval()  # nothing here uses dropout: sampling and training see the same model
        return cls(model, template)

    def digests(self) -> dict[str, str]:
        """Return digests of what the policy was loaded from, by what a person calls it.

        Adapters, which begin at random, do not count.
        """
        weights = hashlib.sha256()
        for name, values in self.model.state_dict().items():
            if "lora_" not in name:
                weights.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
                # A copy: memory that numpy has seen can never be given back (see `gathered`).
                bytes_of = values.to("cpu", copy=True).contiguous().view(-1).view(torch.uint8)
                weights.update(bytes_of.numpy().data)
        tokenizer = self.template.tokenizer
        vocabulary = json.dumps([sorted(tokenizer.get_vocab().items()), tokenizer.eos_token])
        return {
            "weights of the model": weights.hexdigest(),
            "tokenizer": hashlib.sha256(vocabulary.encode()).hexdigest(),
            "chat template": hashlib.sha256(tokenizer.chat_template.encode()).hexdigest(),
        }

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.model.parameters()).device

    @property
    def context_length(self) -> int:
        """The longest sequence that the policy may hold, in tokens.

        Mostly what the model was made for. With LongRoPE (arXiv:2402.13753) what it was pre-trained
        on: one longer sequence in a pass would change the angles of all positions, so that the
        others would be scored otherwise than they were sampled.
        """
        config = self.model.config.get_text_config()
        rope = getattr(config, "rope_parameters", None) or {}
        of_layer_types = [rope, *(x for x in rope.values() if isinstance(x, dict))]
        pretrained = [
            parameters["original_max_position_embeddings"]
            for parameters in of_layer_types
            if parameters.get("rope_type") == "longrope"
        ]
        return int(min([config.max_position_embeddings, *pretrained]))

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        """Return the parameters that are trained, by name."""
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad}

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the trained parameters."""
        return {name: p.detach().clone() for name, p in self.trainable().items()}

    def set_weights(self, weights: dict[str, Tensor]) -> None:
        """Overwrite the trained parameters."""
        with torch.no_grad():
            for name, parameter in self.trainable().items():
                parameter.copy_(weights[name])
        self.version += 1

    @contextlib.contextmanager
    def using(self, weights: dict[str, Tensor]) -> Iterator[None]:
        """Have other values of the trained parameters for a while, without copying any."""
        own = {name: p.data for name, p in self.trainable().items()}
        try:
            for name, parameter in self.trainable().items():
                parameter.data = weights[name]
            yield
        finally:
            for name, parameter in self.trainable().items():
                parameter.data = own[name]

    def score(self, layout: Layout, indices: Tensor, *, temperature: float = 1.0) -> Scores:
        """Score tokens of a layout given their ancestors.

        Args:
            layout: Tokens of one or more trees, on the model's device.
            indices: (T,) indices of the scored tokens; none may begin a tree. One that several
                completions have in common occurs several times.
            temperature: Divides the logits, as when the tokens were sampled; above 0.
        """
        once, number_T = indices.unique(return_inverse=True)  # type: ignore[no-untyped-call]
        hidden_UD = _hidden(self.model, layout)[layout.predecessor[once]]
        scores = score_tokens(
            self.model.get_output_embeddings(),
            hidden_UD,
            layout.input_ids[once],
            temperature,
            LogitShape.of(self.model.config.get_text_config()),
        )
        return Scores(*(x[number_T] for x in scores))

    def even(self, passes: Sequence[T]) -> list[T | None]:
        """Return passes of training as they are computed: None is one that other processes have."""
        return [*passes]

    def idle(self) -> Tensor:
        """Compute beside other processes a pass without gradient; return its loss, which is 0."""
        raise NotImplementedError("a policy that is whole waits for nobody")

    def gathered(self) -> contextlib.AbstractContextManager[None]:
        """Have all weights whole for a while; all processes begin that at the same time."""
        return contextlib.nullcontext()

    def to_save(self, state: Callable[[], T]) -> Callable[[], T]:
        """Return what gives a state of training with whole tensors, in the process that writes."""
        return state

    def states(self, layout: Layout) -> Tensor:
        """Return what the output layer is applied to at each token of a layout, (N, D)."""
        return _hidden(self.model, layout)

    def save(self, folder: Path) -> None:
        """Write model, tokenizer and template as a folder that `from_pretrained` reads.

        Adapters are merged into the written weights, not into the policy's own.

        Raises:
            RunError: What was written is not what was to be; see `save_model`.
        """
        model = getattr(self.model, "get_base_model", lambda: self.model)()
        save_model(model, _merged(model), self.template.tokenizer, folder)

    @property
    def has_adapters(self) -> bool:
        """Whether adapters are trained instead of the model's own weights."""
        return hasattr(self.model, "peft_config")

    def write_weights(self, folder: Path) -> None:
        """Write the weights that are trained, as a server of the same model loads them.

        Those are the adapters alone, or all weights of the model where there are none.
        """
        weights = self.model.state_dict() if self.has_adapters else _merged(self.model)
        copies: dict[int, Tensor] = {}  # as in `digests`; what is tied stays so
        chosen = {}
        for name, weight in weights.items():
            if not self.has_adapters or "lora_" in name:
                if weight.data_ptr() not in copies:
                    copies[weight.data_ptr()] = weight.detach().to("cpu", copy=True)
                chosen[name] = copies[weight.data_ptr()]
        self.model.save_pretrained(folder, state_dict=chosen)


def _with_adapters(model: Any, text: torch.nn.Module, rank: int) -> Any:
    """Return the model with adapters on the linear layers of the part that is for text."""
    from peft import LoraConfig, get_peft_model

    linear = {id(m) for m in text.modules() if isinstance(m, torch.nn.Linear)}
    # Fused kernels of Mamba2 layers take this weight past any adapter, so peft refuses it.
    linear -= {id(m.out_proj) for m in text.modules() if hasattr(m, "D") and hasattr(m, "A_log")}
    lora = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        target_modules=[name for name, m in model.named_modules() if id(m) in linear],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora)


@torch.no_grad()
def _merged(model: Any) -> dict[str, Tensor]:
    """Return the weights with those of adapters added, without changing any.

    Merging in place and taking the adapters out again would round the weights that training goes on
    with, and a resumed run, which reads them anew, would end elsewhere.
    """
    adapted = {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    state: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        name = name.replace("base_layer.", "")
        if name in adapted:
            weight = weight + adapted[name].get_delta_weight("default").to(weight.dtype)
        if "lora_" not in name:
            state[name] = weight
    return state


def _hidden(model: Any, layout: Layout) -> Tensor:
    """Return what the output layer is applied to, (N, D)."""
    body = getattr(model, "get_base_model", lambda: model)().base_model
    hidden: Tensor = body(
        input_ids=layout.input_ids[None],
        position_ids=layout.position_ids[None],
        use_cache=False,
        tree=TreeAttention(layout),
    ).last_hidden_state[0]
    return hidden


@torch.no_grad()
def _check_branches(model: Any) -> None:
    """Refuse a model in which a branch is influenced by its sibling.

    Layers that carry a state along the row (convolutions, state spaces, linear attention) and
    attention that transformers cannot replace know nothing of the tree, and nothing else would
    tell: the log-probs would be wrong without an error. So would they be where the model changes
    what its output layer returns.
    """
    alone, both = Forest(), Forest()
    alone.attach(alone.insert([1, 2, 3]), [7, 8])
    trunk = both.insert([1, 2, 3])
    for branch in ([4, 5, 6, 4], [7, 8]):
        both.attach(trunk, branch)
    logits = []
    for forest in (alone, both):
        layout = lay_out(forest, model.device)
        own = model(
            input_ids=layout.input_ids[None],
            position_ids=layout.position_ids[None],
            use_cache=False,
            tree=TreeAttention(layout),
        ).logits[0]
        logits.append(own[-2:].double())
        if not own.isfinite().all():
            raise ModelError(_not_finite(model))
        shape = LogitShape.of(model.config.get_text_config())
        if not torch.allclose(own, shape(model.get_output_embeddings()(_hidden(model, layout)))):
            raise ModelError(
                f"{type(model).__name__} does something with the products of its output layer that "
                "is not covered; use a model that takes, scales or caps them"
            )
    difference = (logits[0] - logits[1]).norm() / logits[0].norm()
    if not difference <= torch.finfo(model.dtype).eps ** 0.5:
        raise ModelError(
            f"in {type(model).__name__} something connects tokens that cannot be computed as a "
            "tree; use a model of a family in docs/models.md"
        )


def _not_finite(model: Any) -> str:
    """Say why a model computes no numbers."""
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return (
                f"the weight {name} holds what is no number (NaN or infinite); take an earlier "
                "checkpoint, or fetch the model again"
            )
    return f"{type(model).__name__} computes no numbers in {model.dtype}; set model.dtype=float32"
