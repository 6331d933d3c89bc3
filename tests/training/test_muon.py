"""Muon against singular values, and against torch's own with and without its rounding."""

import pytest
import torch

from actwise.training.muon import Muon, orthogonal
from actwise.training.optimisers import TORCHS_MUON

SHAPES = [(5, 5), (3, 40), (40, 3), (1, 7), (96, 128), (130, 97)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_iteration_maps_singular_values_by_its_polynomial(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    u, values, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.square().sum().sqrt()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    expected = u @ values.diag() @ v
    found = orthogonal(matrix)
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 1e-4 * expected.norm()


def test_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


def trained(make: object, matrices: list[torch.Tensor]) -> list[torch.Tensor]:
    """Take ten steps with falling rates, a gradient of noise each; one matrix has none at first."""
    torch.manual_seed(1)
    parameters = [torch.nn.Parameter(matrix.clone()) for matrix in matrices]
    optimiser = make(parameters, lr=0.05, weight_decay=0.1)  # type: ignore[operator]
    for step in range(10):
        for number, parameter in enumerate(parameters):
            noise = torch.randn(parameter.shape)
            parameter.grad = None if number == step == 0 else noise.to(parameter.dtype)
        optimiser.param_groups[0]["lr"] = 0.05 / (step + 1)
        optimiser.step()
    return [parameter.detach().double() for parameter in parameters]


def distances(ones: list[torch.Tensor], others: list[torch.Tensor]) -> list[float]:
    return [
        float((one - other).norm() / other.norm()) for one, other in zip(ones, others, strict=True)
    ]


def test_it_is_torchs_but_for_the_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    matrices = [torch.randn(shape) for shape in SHAPES]
    ours = trained(Muon, matrices)
    rounded = distances(trained(TORCHS_MUON, matrices), ours)
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.double)
    doubles = [matrix.double() for matrix in matrices]
    assert max(distances(ours, trained(TORCHS_MUON, doubles))) < 1e-5
    assert 1e-4 < max(rounded) < 1e-2


def test_half_precision_weights_are_moved_by_the_same_update() -> None:
    torch.manual_seed(0)
    matrices = [torch.randn(shape).bfloat16() for shape in SHAPES]
    halves = trained(Muon, matrices)
    assert max(distances(halves, trained(Muon, [m.float() for m in matrices]))) < 0.03
