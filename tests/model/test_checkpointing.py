"""Activations computed again: the same gradients, from less memory."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from actwise.config import validated
from actwise.conversation import Conversation
from actwise.data.fit import longest_prompt
from actwise.model import checkpointing
from actwise.model.checkpointing import choose_checkpointing, kept_bytes, use_checkpointing
from actwise.model.memory import tensor_peak
from actwise.model.policy import Policy
from families import FAMILIES, Family, save_model
from talks import says, talk, user
from trees import for_trees, make_case


def gradients(policy: Policy, seed: int) -> dict[str, Tensor]:
    case = make_case(seed, longest=60)
    policy.model.zero_grad(set_to_none=True)
    (policy.score(case.layout, case.indices).logprobs * case.weights).sum().backward()
    return {n: p.grad for n, p in policy.trainable().items() if p.grad is not None}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("lora_rank", [None, 4])
def test_gradients_are_the_same(family: Family, lora_rank: int | None, tmp_path: Path) -> None:
    folder = save_model(family, tmp_path / "model")
    policy = Policy.load(str(folder), shipped_template=family.shipped, lora_rank=lora_rank)
    expected = gradients(policy, 1)
    use_checkpointing(policy)
    found = gradients(policy, 1)
    assert expected.keys() == found.keys() and len(found) > 4
    for name in found:  # kernels may add up in another order the second time
        assert torch.allclose(expected[name], found[name], rtol=1e-4, atol=1e-6), name
    layers = policy.model.config.get_text_config().num_hidden_layers
    wrapped = [m for m in policy.model.modules() if vars(m).get("forward") and is_recomputed(m)]
    assert len(wrapped) == layers


def is_recomputed(module: torch.nn.Module) -> bool:
    return getattr(vars(module)["forward"], "func", None) is checkpointing._recomputed


def test_less_is_kept() -> None:
    config = LlamaConfig(
        vocab_size=64, hidden_size=48, intermediate_size=96, num_attention_heads=4,
        num_hidden_layers=12,
    )  # fmt: skip
    policy = Policy(for_trees(LlamaForCausalLM(config)), None)
    case = make_case(3, longest=400)

    def update() -> None:
        (policy.score(case.layout, case.indices).logprobs * case.weights).sum().backward()

    update()
    kept = tensor_peak(update)
    use_checkpointing(policy)
    # Of twelve layers one is whole at a time, and twelve inputs of some thirty tensors as large.
    assert tensor_peak(update) < 0.4 * kept


def test_what_a_layer_keeps_is_counted_once(tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    whole = kept_bytes(policy)
    config = policy.model.config
    hidden = 4 * checkpointing._PROBED * config.hidden_size
    # At least the inputs of two norms and of attention and the gated layer, of each layer; at most
    # a few times the widest of all that a layer computes.
    assert 4 * hidden * config.num_hidden_layers < whole < 40 * hidden * config.num_hidden_layers


@pytest.mark.parametrize("completion", [20, 900])
@pytest.mark.parametrize("asked", [None, False, True])
def test_it_is_chosen_from_the_memory_at_hand(
    asked: bool | None, completion: int, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy.load(str(tiny_model_dir))
    train = [talk(user("Where is it?"), says("Here."))]
    parameters = sum(p.numel() for p in policy.model.parameters())
    trained = sum(p.numel() for p in policy.trainable().values())
    # In float32: weights; gradient and two moments; the best weights and those at the beginning.
    state = 4 * parameters + 20 * trained
    longest = longest_prompt(policy.template, train)
    # A pass ends with a whole decision, of eight completions.
    tokens = max(2048, 4 * longest) + 8 * completion
    activations = round(kept_bytes(policy) / checkpointing._PROBED * tokens)
    for memory, short in ((state + activations, True), (2 * (state + activations), False)):
        monkeypatch.setattr(checkpointing, "device_memory", lambda device, m=memory: m)
        fresh = Policy.load(str(tiny_model_dir))
        config = validated({"model": {"checkpointing": asked}})
        needs = choose_checkpointing(fresh, config, train, completion)
        assert (needs.state, needs.activations, needs.memory) == (state, activations, memory)
        assert fresh.checkpointing == (short if asked is None else asked)


def test_the_longest_prompt_is_found(tiny_model_dir: Path) -> None:
    template = Policy.load(str(tiny_model_dir)).template
    conversations: list[Conversation] = [
        talk(user(n * "Where is it? "), says("Here.")) for n in (3, 50, 20, 7)
    ]
    lengths = [len(template.prompt(c.decisions()[-1], thinking=False)) for c in conversations]
    assert longest_prompt(template, conversations) == max(lengths)
