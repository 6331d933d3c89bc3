"""Products by oneDNN and without bfloat16 units, against torch's own in double precision."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from actwise.model.kernels import linear
from actwise.model.kernels.linear import Linear, product, use_fast_products


@pytest.fixture(autouse=True)
def by_onednn_whatever_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_FEW", 0)
    monkeypatch.setattr(linear, "_FASTER", torch.backends.mkldnn.is_available())


@pytest.mark.parametrize(
    ("written", "intel"),
    [
        ("vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Processor\n", True),
        ("vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n", False),
        ("CPU implementer\t: 0x41\n", False),
        (None, True),  # Windows has no such file
    ],
)
def test_processors_of_intel_are_known(
    written: str | None, intel: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "_CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("platform.processor", lambda: "Intel64 Family 6 Model 186, GenuineIntel")
    if written is not None:
        (tmp_path / "cpuinfo").write_text(written)
    assert linear._is_intel() is intel


KINDS = [
    (torch.float32, True),
    (torch.float64, True),
    (torch.bfloat16, True),
    (torch.bfloat16, False),
]


@pytest.mark.parametrize(("dtype", "has_bfloat16"), KINDS)
@pytest.mark.parametrize("transposed", [False, True])
def test_the_product_is_that_with_the_transpose(
    dtype: torch.dtype, has_bfloat16: bool, transposed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "_HAS_BFLOAT16", has_bfloat16)
    torch.manual_seed(0)
    x = torch.randn(2, 17, 5, dtype=dtype)
    weight = torch.randn(5, 9, dtype=dtype).t() if transposed else torch.randn(9, 5, dtype=dtype)
    expected = x.double() @ weight.double().T
    error = (product(x, weight).double() - expected).norm() / expected.norm()
    assert error < 4 * torch.finfo(dtype).eps
    bias = torch.randn(9, dtype=dtype)
    error = (product(x, weight, bias).double() - expected - bias.double()).norm() / expected.norm()
    assert error < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("shape", [(3, 20), (20, 3), (7, 7)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [1, 40])
def test_layers_have_the_outputs_and_gradients_of_ordinary_ones(
    shape: tuple[int, int], bias: bool, rows: int
) -> None:
    torch.manual_seed(0)
    exact = nn.Linear(*shape, bias=bias, dtype=torch.float64)
    fast = nn.Linear(*shape, bias=bias)
    fast.load_state_dict(exact.state_dict())
    use_fast_products(fast)
    assert type(fast) is Linear
    x = torch.randn(2, rows, shape[0])
    grad = torch.randn(2, rows, shape[1])
    results = []
    for layer, dtype in ((exact, torch.float64), (fast, torch.float32)):
        given = x.to(dtype).requires_grad_()
        out = layer(given)
        out.backward(grad.to(dtype))
        with torch.no_grad():
            assert torch.allclose(layer(given), out)
        results.append([out, given.grad, *(p.grad for p in layer.parameters())])
    for theirs, ours in zip(*results, strict=True):
        assert (ours - theirs).norm() < 1e-6 * theirs.norm()
        assert ours.is_contiguous()


@pytest.mark.parametrize("rows", [1, 40])
def test_without_bfloat16_products_are_those_of_the_same_numbers_rounded(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "_HAS_BFLOAT16", False)
    torch.manual_seed(0)
    layer = nn.Linear(20, 30).bfloat16()
    exact = nn.Linear(20, 30, dtype=torch.float64)
    exact.load_state_dict(layer.state_dict())
    use_fast_products(layer)
    x, grad = torch.randn(rows, 20).bfloat16(), torch.randn(rows, 30).bfloat16()
    results = []
    for of_one, dtype in ((exact, torch.float64), (layer, torch.bfloat16)):
        given = x.to(dtype).requires_grad_()
        out = of_one(given)
        out.backward(grad.to(dtype))
        results.append([out, given.grad, *(p.grad for p in of_one.parameters())])
    for theirs, ours in zip(*results, strict=True):
        assert ours.dtype == torch.bfloat16
        assert (ours.double() - theirs).norm() < torch.finfo(torch.bfloat16).eps * theirs.norm()


def test_a_torch_without_onednn_will_do() -> None:
    # As on Apple silicon, where torch has none of its operators.
    code = """
import torch
torch.backends.mkldnn.is_available = lambda: False
torch.ops.mkldnn = object()
from actwise.desk import MODEL
from actwise.model.policy import Policy
for dtype in (torch.float32, torch.bfloat16):
    policy = Policy.load(str(MODEL), dtype=dtype)
    layer = policy.model.get_submodule("model.layers.0.mlp.up_proj")
    x = torch.ones(40, layer.in_features, dtype=dtype, requires_grad=True)
    torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, layer.weight))
    layer(x).sum().backward()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_kinds_of_layers_are_left_alone() -> None:
    class Special(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(2, 2), Special(2, 2), nn.LayerNorm(2))
    use_fast_products(model)
    assert [type(layer) for layer in model] == [Linear, Special, nn.LayerNorm]
