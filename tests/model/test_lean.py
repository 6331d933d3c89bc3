"""Lean layers have transformers' outputs and gradients, and keep less."""

import copy

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, Qwen3Config
from transformers.models.gemma2.modeling_gemma2 import Gemma2Config, Gemma2MLP, Gemma2RMSNorm
from transformers.models.llama.modeling_llama import LlamaMLP, LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3MLP, Qwen3RMSNorm

from actwise.model.kernels import lean
from actwise.model.kernels.lean import use_lean_layers
from actwise.model.kernels.linear import use_fast_products

SIZES = {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 4}


def norm(kind: type[nn.Module]) -> nn.Module:
    layer = kind(24, eps=1e-5)
    nn.init.normal_(layer.weight, 1.0, 0.3)
    return layer


def fast(layer: nn.Module) -> nn.Module:
    use_fast_products(layer)
    return layer


LAYERS = {
    "Qwen3 norm": lambda: norm(Qwen3RMSNorm),
    "Llama norm": lambda: norm(LlamaRMSNorm),
    "Qwen3 gated": lambda: fast(Qwen3MLP(Qwen3Config(**SIZES))),
    "Qwen3 gated, other linear layers": lambda: Qwen3MLP(Qwen3Config(**SIZES)),
    "Llama gated with bias": lambda: LlamaMLP(LlamaConfig(**SIZES, mlp_bias=True)),
}


def run(layer: nn.Module, x: Tensor, grad: Tensor) -> list[Tensor]:
    given = x.clone().requires_grad_()
    out = layer(given)
    out.backward(grad)
    return [out.detach(), given.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_outputs_and_gradients_are_the_same(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(lean, "_CPU_SLICE", 4)  # of 15 tokens
    theirs = LAYERS[name]().to(dtype)
    ours = copy.deepcopy(theirs)
    use_lean_layers(ours)
    assert "forward" in vars(ours)
    x, grad = torch.randn(2, 3, 5, 24, dtype=dtype)
    for expected, found in zip(run(theirs, x, grad), run(ours, x, grad), strict=True):
        error = (found.double() - expected.double()).norm() / expected.double().norm()
        assert error < 4 * torch.finfo(dtype).eps
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


def test_the_input_may_lie_in_memory_in_any_order() -> None:
    torch.manual_seed(0)
    theirs = LAYERS["Qwen3 gated"]()
    ours = copy.deepcopy(theirs)
    use_lean_layers(ours)
    x, grad = torch.randn(2, 3, 5, 24).transpose(1, 2)
    assert not x.is_contiguous()
    for expected, found in zip(run(theirs, x, grad), run(ours, x, grad), strict=True):
        torch.testing.assert_close(found, expected)


def kept(layer: nn.Module, x: Tensor) -> int:
    """Return the bytes that a forward pass keeps besides input and parameters."""
    own = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters())}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = layer(x)  # held, so that no storage is used twice
    assert out.requires_grad
    return sum(found.values())


def test_less_is_kept() -> None:
    x = torch.randn(10, 24, requires_grad=True)
    layer = LAYERS["Qwen3 norm"]()
    before = kept(layer, x)
    use_lean_layers(layer)
    assert kept(layer, x) == 10 * 4  # one number a row
    assert before >= 10 * 24 * 4
    gated = LAYERS["Qwen3 gated"]()
    assert kept(gated, x) > 0
    use_lean_layers(gated)
    assert kept(gated, x) == 0
    gated = LAYERS["Qwen3 gated, other linear layers"]()
    before = kept(gated, x)
    use_lean_layers(gated)
    # Two operands and the product, which the last layer needs, less the activation.
    assert kept(gated, x) == before - 10 * 40 * 4 == 3 * 10 * 40 * 4


def test_layers_that_compute_something_else_are_left_alone() -> None:
    class Doubled(Qwen3MLP):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    class Shifted(Qwen3RMSNorm):
        def forward(self, hidden_states: Tensor) -> Tensor:
            return super().forward(hidden_states) + 1

    others = [
        norm(Gemma2RMSNorm),
        Gemma2MLP(Gemma2Config(**SIZES)),
        nn.LayerNorm(24),
        nn.RMSNorm(24),
        Doubled(Qwen3Config(**SIZES)),
        norm(Shifted),
    ]
    model = nn.Sequential(*others)
    use_lean_layers(model)
    assert not [layer for layer in model if "forward" in vars(layer)]
