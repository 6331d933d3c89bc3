"""The policy: its weights in memory and on disk, read back by transformers alone."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from actwise.errors import ModelError
from actwise.model.attention.interface import IMPLEMENTATION
from actwise.model.policy import Policy
from actwise.tree.forest import Forest
from actwise.tree.layout import lay_out

SEQUENCE = [70, 71, 72, 73, 74, 75, 76]


def scores(policy: Policy) -> torch.Tensor:
    forest = Forest()
    node = forest.insert(SEQUENCE)
    layout = lay_out(forest)
    with torch.no_grad():
        return policy.score(layout, torch.tensor(layout.indices(node, first=1))).logprobs


def change(policy: Policy) -> None:
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in policy.trainable().values():
            parameter.add_(0.1 * torch.randn_like(parameter))


@pytest.mark.parametrize("lora_rank", [None, 4])
def test_the_saved_folder_is_the_policy(
    lora_rank: int | None, tiny_model_dir: Path, tmp_path: Path
) -> None:
    policy = Policy.load(str(tiny_model_dir), lora_rank=lora_rank)
    untrained = scores(policy)
    change(policy)
    trained = scores(policy)
    assert not torch.allclose(trained, untrained, atol=1e-2)
    weights = policy.weights()
    policy.save(tmp_path)

    served = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        logits = served(input_ids=torch.tensor([SEQUENCE])).logits[0, :-1]
    expected = logits.log_softmax(-1)[torch.arange(len(SEQUENCE) - 1), SEQUENCE[1:]]
    assert torch.allclose(trained, expected, atol=1e-5)
    template = AutoTokenizer.from_pretrained(tmp_path).chat_template
    assert template == policy.template.tokenizer.chat_template
    # Saving leaves the policy as it was, bit for bit: a resumed run begins with what is on disk.
    assert torch.equal(scores(policy), trained)
    assert all(torch.equal(weights[name], w) for name, w in policy.weights().items())


def test_adapters_alone_are_trained_and_begin_without_effect(tiny_model_dir: Path) -> None:
    whole, adapted = (Policy.load(str(tiny_model_dir), lora_rank=rank) for rank in (None, 4))
    assert torch.allclose(scores(whole), scores(adapted), atol=1e-6)
    assert all("lora_" in name for name in adapted.trainable())
    assert sum(p.numel() for p in adapted.trainable().values()) < 0.5 * sum(
        p.numel() for p in whole.trainable().values()
    )


@pytest.mark.parametrize("lora_rank", [None, 4])
def test_other_weights_for_a_while(lora_rank: int | None, tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir), lora_rank=lora_rank)
    reference, at_start = policy.weights(), scores(policy)
    change(policy)
    changed = scores(policy)
    with pytest.raises(KeyboardInterrupt), policy.using(reference):
        assert torch.equal(scores(policy), at_start)
        raise KeyboardInterrupt
    assert torch.equal(scores(policy), changed)
    change(policy)  # training goes on in the policy's own weights, not in the reference
    policy.set_weights(reference)
    assert torch.equal(scores(policy), at_start)


def test_the_context_is_the_models(tiny_model_dir: Path) -> None:
    assert Policy.load(str(tiny_model_dir)).context_length == 8192


def test_longer_sequences_would_change_the_others(tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    longrope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "short_factor": [1.0] * 8,
        "long_factor": [3.0] * 8,
        "original_max_position_embeddings": 20,
    }
    config = LlamaConfig(
        vocab_size=100,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=80,
        rope_parameters=longrope,
        attn_implementation=IMPLEMENTATION,
    )
    torch.manual_seed(0)
    policy.model = LlamaForCausalLM(config).eval()
    assert policy.context_length == 20
    with torch.no_grad():
        alone, within, beyond = (
            first_scores(policy, length) for length in (5, policy.context_length, 21)
        )
    assert torch.allclose(within, alone)
    assert not torch.allclose(beyond, alone)


def first_scores(policy: Policy, longest: int) -> torch.Tensor:
    """Score a sequence of five tokens beside another one."""
    forest = Forest()
    end = forest.insert([1, 2, 3, 4, 5])
    forest.insert([7] * longest, tree=1)
    layout = lay_out(forest)
    return policy.score(layout, torch.tensor(layout.last_indices(end, 4))).logprobs


def test_a_folder_without_a_model_is_refused(tiny_tokenizer_dir: Path) -> None:
    with pytest.raises(ModelError, match="no model can be loaded from"):
        Policy.load(str(tiny_tokenizer_dir))
