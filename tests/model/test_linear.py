"""Products by oneDNN, against torch's own in double precision."""

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_product_is_that_with_the_transpose(dtype: torch.dtype, transposed: bool) -> None:
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


def test_other_kinds_of_layers_are_left_alone() -> None:
    class Special(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(2, 2), Special(2, 2), nn.LayerNorm(2))
    use_fast_products(model)
    assert [type(layer) for layer in model] == [Linear, Special, nn.LayerNorm]
