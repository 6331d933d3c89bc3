"""Tokens that are drawn, against their probabilities."""

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from actwise.engine import SamplingParams
from actwise.engine.local import draw


def test_drawn_frequencies_are_the_softmax() -> None:
    logits = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -2.0])
    count = 20_000
    for temperature in (1.0, 0.7):
        params = SamplingParams(1, (), temperature=temperature)
        # Completions of two rows, in turn; the distribution of one is the other's, turned round.
        rows = torch.arange(count) % 2
        tokens, logprobs = draw(torch.stack([logits, logits.flip(0)]), rows, params, uniform(count))
        probabilities = (logits / temperature).softmax(0)
        for row, expected in enumerate((probabilities, probabilities.flip(0))):
            drawn = tokens[rows == row]
            assert torch.allclose(logprobs[rows == row].exp(), expected[drawn], atol=1e-6)
            assert chi_square(drawn, expected) < chi2.ppf(0.999, df=5)


def chi_square(tokens: Tensor, probabilities: Tensor) -> float:
    expected = probabilities * len(tokens)
    observed = torch.bincount(tokens, minlength=len(probabilities))
    return float(((observed - expected) ** 2 / expected).sum())


def test_top_p_draws_from_the_nucleus_in_its_proportions() -> None:
    # Sorted 0.4 0.3 0.2 0.1: before the third 0.7 is reached, so 0.65 keeps two, 0.75 three.
    probabilities = torch.tensor([0.1, 0.4, 0.2, 0.3])
    for top_p, kept in ((0.05, [1]), (0.65, [1, 3]), (0.75, [1, 2, 3]), (0.95, [0, 1, 2, 3])):
        params = SamplingParams(1, (), top_p=top_p)
        tokens, logprobs = draw(
            probabilities.log()[None],
            torch.zeros(20_000, dtype=torch.long),
            params,
            uniform(20_000),
        )
        assert sorted(set(tokens.tolist())) == kept
        nucleus = probabilities[kept] / probabilities[kept].sum()
        ranks = torch.searchsorted(torch.tensor(kept), tokens)
        assert chi_square(ranks, nucleus) < chi2.ppf(0.999, df=max(1, len(kept) - 1))
        # Log-probs are those of the policy, not of the nucleus.
        assert torch.allclose(logprobs.exp(), probabilities[tokens], atol=1e-6)


def test_top_p_never_leaves_the_nucleus_of_any_row() -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(500, 300)
    params = SamplingParams(1, (), temperature=0.7, top_p=0.6)
    tokens, _ = draw(logits, torch.arange(500), params, uniform(500))
    for row, token in zip((logits / 0.7).softmax(-1).tolist(), tokens.tolist(), strict=True):
        larger = sum(p for p in row if p > row[token])
        assert larger < 0.6 + 1e-6


def uniform(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, dtype=torch.float64, generator=generator)


def test_greedy_takes_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0]])
    tokens, logprobs = draw(
        logits, torch.arange(2), SamplingParams(1, (), temperature=0), uniform(2)
    )
    assert tokens.tolist() == [1, 0]
    assert torch.allclose(logprobs, logits.log_softmax(-1)[[0, 1], [1, 0]])


@pytest.mark.parametrize("top_p", [1.0, 0.5])
@pytest.mark.parametrize("temperature", [1e-3, 1e-6, 1e-38, 1e-40, 5e-324])
def test_the_coldest_temperatures_take_the_likeliest(temperature: float, top_p: float) -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0], [300.0, -300.0, 299.0]])
    params = SamplingParams(1, (), temperature, top_p)
    tokens, logprobs = draw(logits, torch.arange(100) % 2, params, uniform(100))
    assert tokens.tolist() == [1, 0] * 50
    assert logprobs.tolist() == [0.0] * 100  # of a probability of 1
