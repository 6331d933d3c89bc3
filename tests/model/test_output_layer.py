"""The output layer a few tokens at a time, against the softmax of all logits."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from actwise.model.kernels import output_layer as head
from actwise.model.kernels.output_layer import score_tokens


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_scores_and_gradients_are_those_of_the_whole_softmax(
    bias: bool, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_FEWEST", 7)
    monkeypatch.setattr(head, "_CPU_LOGITS", 0)
    torch.manual_seed(0)
    layer = nn.Linear(16, 50, bias=bias, dtype=torch.float64)
    hidden = torch.randn(30, 16, dtype=torch.float64, requires_grad=True)
    tokens, weights = torch.randint(50, (30,)), torch.randn(30, dtype=torch.float64)
    learned = [hidden, *layer.parameters()]

    scores = score_tokens(layer, hidden, tokens, temperature)
    bonus = torch.randn(30, dtype=torch.float64)

    def gradients(logprobs: Tensor, entropy: Tensor) -> list[Tensor]:
        losses = [(logprobs * weights).sum(), (entropy * bonus).sum()]
        return [
            grad
            for loss in (losses[0], losses[1], sum(losses))
            for grad in torch.autograd.grad(loss, learned, retain_graph=True)
        ]

    found = gradients(scores.logprobs, scores.entropy)

    whole = Categorical(logits=layer(hidden) / temperature)
    expected = gradients(whole.log_prob(tokens), whole.entropy())
    # Softmax is taken in float32.
    torch.testing.assert_close(scores.logprobs.double(), whole.log_prob(tokens), rtol=0, atol=1e-5)
    torch.testing.assert_close(scores.entropy.double(), whole.entropy(), rtol=0, atol=1e-5)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_no_logits_are_kept_for_the_gradient() -> None:
    layer, hidden = nn.Linear(4, 1000), torch.randn(300, 4, requires_grad=True)
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        score_tokens(layer, hidden, torch.zeros(300, dtype=torch.long), 1.0)
    assert sum(kept.values()) < 300 * 1000  # a quarter of the logits' bytes
