"""Value models: least squares by hand, and files that are not what they should be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from actwise.errors import ModelError
from actwise.model.policy import Policy
from actwise.model.value import FOLDER, ValueModel, fit, pairs_right

Floats = NDArray[np.float64]


def test_a_fit_is_that_of_least_squares_with_a_ridge() -> None:
    """State and worth are 0 and 1 in each of four conversations.

    About the mean the states are -1/2 and 1/2, so their squares add up to 2; the least ridge of all
    adds a thousandth of it, and the slope is 2 / 2.002.
    """
    states = torch.tensor([[0.0], [1.0]] * 4)
    values = torch.tensor([0.0, 1.0] * 4)
    conversations = torch.tensor([1, 1, 2, 2, 3, 3, 4, 4])
    found, figures = fit(states, values, conversations, node_N=conversations)
    slope = 2 / 2.002
    assert found.weights_D.tolist() == pytest.approx([slope])
    assert float(found.bias) == pytest.approx(0.5 - 0.5 * slope)
    # The fourth conversation was held out; the others have the same slope, and each of its two
    # worths is missed by half of what is lacking to 1, of a variance of 1/4.
    assert figures["explained"] == pytest.approx(1 - (0.5 * (1 - slope)) ** 2 / 0.25, abs=1e-9)
    assert (figures["pairs_right"], figures["ridge"]) == (1.0, 1e-3)
    assert figures["completions"] == 8


def test_the_ridge_is_the_one_that_is_best_on_what_was_held_out() -> None:
    """Against least squares on data with a row more for each feature, which is what a ridge is."""
    draw = np.random.default_rng(0)
    states = draw.normal(size=(24, 6)) * [1, 2, 3, 1, 1, 1]
    values = states[:, 0] + draw.normal(size=24)
    conversations = np.repeat(np.arange(1, 9), 3)
    held = conversations % 4 == 0

    def slopes(x: Floats, y: Floats, ridge: float) -> Floats:
        x, y = x - x.mean(0), y - y.mean()
        rows = np.eye(6) * np.sqrt(ridge * (x**2).sum(0).mean())
        found, *_ = np.linalg.lstsq(np.vstack([x, rows]), np.append(y, np.zeros(6)))
        return found

    errors = {}
    for ridge in (1e-3, 1e-2, 1e-1, 1.0, 10.0):
        x, y = states[~held], values[~held]
        found = (states[held] - x.mean(0)) @ slopes(x, y, ridge) + y.mean()
        errors[ridge] = float(((found - values[held]) ** 2).mean())
    best = min(errors, key=lambda ridge: errors[ridge])
    assert 1e-3 < best < 10.0
    numbers = torch.tensor(conversations)
    model, figures = fit(torch.tensor(states), torch.tensor(values), numbers, numbers)
    assert figures["ridge"] == best
    assert figures["explained"] == pytest.approx(1 - errors[best] / values[held].var(), abs=1e-5)
    assert model.weights_D.tolist() == pytest.approx(slopes(states, values, best), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_those_of_a_loop_over_all(seed: int) -> None:
    draw = np.random.default_rng(seed)
    found, values = (draw.integers(0, 4, 30).tolist() for _ in range(2))
    node = draw.integers(0, 6, 30).tolist()
    right = [
        0.5 if found[i] == found[j] else float(found[i] > found[j])
        for i in range(30)
        for j in range(30)
        if node[i] == node[j] and values[i] > values[j]
    ]
    expected = sum(right) / len(right)
    assert pairs_right(*map(torch.tensor, (found, values, node))) == pytest.approx(expected)


def test_only_children_of_one_node_are_compared_and_a_tie_is_half_right() -> None:
    found = torch.tensor([0.2, 0.1, 0.1, 0.9])
    values = torch.tensor([1.0, 0.0, 0.5, 0.0])
    node = torch.tensor([0, 0, 0, 1])
    assert pairs_right(found, values, node) == pytest.approx(2.5 / 3)
    assert pairs_right(found[3:], values[3:], node[3:]) == 0.5


def test_too_few_conversations_are_all_fitted() -> None:
    ones = torch.ones(2, dtype=torch.long)
    _, figures = fit(torch.tensor([[0.0], [1.0]]), torch.tensor([0.0, 1.0]), ones, ones)
    assert figures["completions"] == 2 and figures["pairs_right"] == 1.0


def test_a_saved_model_is_read_back_and_others_are_refused(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(tiny_model_dir))
    dimension = policy.model.get_output_embeddings().weight.shape[1]
    made = ValueModel(torch.arange(dimension).float(), torch.tensor(0.5))
    with pytest.raises(ModelError, match="no value model to search with"):
        ValueModel.of(policy, tmp_path)
    made.save(tmp_path, {"ridge": 0.1})
    again = ValueModel.of(policy, tmp_path)
    assert again(torch.eye(dimension)[:3]).tolist() == [0.5, 1.5, 2.5]
    # Servers load every file of weights that lies beside a model's.
    assert not list(tmp_path.glob("*.safetensors"))
    other = tmp_path / "other"
    other.mkdir()
    ValueModel(torch.zeros(dimension + 1), torch.tensor(0.0)).save(other, {})
    with pytest.raises(ModelError, match="of another model"):
        ValueModel.of(policy, other)
    file = tmp_path / FOLDER / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ModelError, match="is no value model"):
        ValueModel.of(policy, tmp_path)
