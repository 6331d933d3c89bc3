"""Tree attention, against ordinary transformers models that read one whole sequence at a time."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention
from transformers import AutoModelForCausalLM, AutoTokenizer

from actwise.errors import ModelError
from actwise.model.attention.interface import TreeAttention
from actwise.model.kernels.linear import use_fast_products
from actwise.model.policy import Policy
from trees import assert_same_gradients, for_trees, gradients, make_case, row_by_row

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Mistral": {"num_key_value_heads": 2, "sliding_window": 7},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 12},
    "Llama": {"num_key_value_heads": 1},
    "GptOss": {  # attention sinks
        "num_key_value_heads": 2,
        "head_dim": 8,
        "sliding_window": 7,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
    },
    "GPTNeoX": {},  # parallel residual, partial rotary embedding, one fused projection
}


def make_model(name: str, *, seed: int = 0, **settings: Any) -> Any:
    """Return an ordinary random model whose outputs are far from uniform."""
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **settings})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_scores_and_gradients_are_those_of_whole_sequences(name: str, seed: int) -> None:
    ordinary = make_model(name, **ARCHITECTURES[name])
    policy = Policy(for_trees(ordinary), None)
    case = make_case(seed)
    expected = row_by_row(ordinary, case)
    scores = policy.score(case.layout, case.indices)
    assert torch.allclose(scores.logprobs, expected, atol=1e-5, rtol=0)
    assert_same_gradients(
        gradients(policy.model, (scores.logprobs * case.weights).sum()),
        gradients(ordinary, (expected * case.weights).sum()),
    )


def test_attention_that_is_all_on_one_token_has_finite_gradients() -> None:
    # exp() of these scores overflows, also in the padding of branches of different lengths.
    ordinary = make_model("Llama", **ARCHITECTURES["Llama"])
    with torch.no_grad():
        for layer in ordinary.model.layers:
            layer.self_attn.q_proj.weight.mul_(100)
            layer.self_attn.k_proj.weight.mul_(10)
    policy = Policy(for_trees(ordinary), None)
    case = make_case(0)
    scores = policy.score(case.layout, case.indices)
    ours = gradients(policy.model, (scores.logprobs * case.weights).sum())
    expected = row_by_row(ordinary, case)
    theirs = gradients(ordinary, (expected * case.weights).sum())
    assert torch.allclose(scores.logprobs, expected, atol=1e-3, rtol=0)
    a, b = (torch.cat([g.flatten() for g in of.values()]) for of in (ours, theirs))
    assert (a - b).norm() <= 1e-2 * b.norm()


def test_scores_at_another_temperature_and_entropy() -> None:
    ordinary = make_model("Qwen3", **ARCHITECTURES["Qwen3"])
    case = make_case(0)
    scores = Policy(for_trees(ordinary), None).score(case.layout, case.indices, temperature=0.7)
    assert torch.allclose(scores.logprobs, row_by_row(ordinary, case, 0.7), atol=1e-5, rtol=0)
    entropies = []
    for row, scored in zip(case.rows, case.scored, strict=True):
        logits = ordinary(input_ids=torch.tensor([row])).logits[0] / 0.7
        entropies += [
            torch.distributions.Categorical(logits=logits[i - 1]).entropy() for i, _ in scored
        ]
    assert torch.allclose(scores.entropy, torch.stack(entropies), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["Qwen3", "GPTNeoX"])
def test_adapters_get_the_gradients_of_whole_sequences(name: str) -> None:
    from peft import LoraConfig, get_peft_model

    ordinary = make_model(name, **ARCHITECTURES[name])
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(ordinary, lora).eval()
    with torch.no_grad():  # B begins at zero, and A would get no gradient
        for parameter_name, parameter in adapted.named_parameters():
            if "lora_B" in parameter_name:
                parameter.normal_(std=0.1)
    policy = Policy(for_trees(adapted), None)
    case = make_case(5)
    expected = row_by_row(adapted, case)
    scores = policy.score(case.layout, case.indices)
    assert torch.allclose(scores.logprobs, expected, atol=1e-5, rtol=0)
    ours = gradients(policy.model, (scores.logprobs * case.weights).sum())
    assert ours.keys() == policy.trainable().keys()
    assert all("lora_" in parameter_name for parameter_name in ours)
    assert_same_gradients(ours, gradients(adapted, (expected * case.weights).sum()))


class Dense(TreeAttention):
    """Tree attention as it is computed on other devices than a CPU."""

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        window: int | None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        layout = self.layout if window is None else self.layout.within(window)
        return self.attend_densely(q, k, v, scale, layout, sinks)


@pytest.mark.parametrize(("name", "seed"), [("Qwen3", 0), ("Mistral", 1), ("GptOss", 2)])
def test_the_dense_mask_gives_the_same(name: str, seed: int) -> None:
    ordinary = make_model(name, **ARCHITECTURES[name])
    model = for_trees(ordinary)
    case = make_case(seed)
    expected = row_by_row(ordinary, case)
    layout = case.layout
    logits = model(
        input_ids=layout.input_ids[None],
        position_ids=layout.position_ids[None],
        use_cache=False,
        tree=Dense(layout),
    ).logits[0]
    logprobs = logits.log_softmax(-1)[
        layout.predecessor[case.indices], layout.input_ids[case.indices]
    ]
    assert torch.allclose(logprobs, expected, atol=1e-5, rtol=0)
    assert_same_gradients(
        gradients(model, (logprobs * case.weights).sum()),
        gradients(ordinary, (expected * case.weights).sum()),
    )


class Flexible(TreeAttention):
    """Tree attention as it is computed on a GPU, but not fused."""

    def attend(
        self,
        layer: int,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float,
        window: int | None,
        sinks: Tensor | None = None,
    ) -> Tensor:
        layout = self.layout if window is None else self.layout.within(window)
        return self.attend_flexibly(q, k, v, scale, layout, flex_attention, sinks)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("name", "seed"), [("Qwen3", 0), ("Mistral", 1), ("GptOss", 2)])
def test_the_block_mask_gives_the_same_scores(name: str, seed: int) -> None:
    ordinary = make_model(name, **(ARCHITECTURES[name] | {"head_dim": 16}))
    case = make_case(seed)
    layout = case.layout
    with torch.no_grad():
        logits = for_trees(ordinary)(
            input_ids=layout.input_ids[None],
            position_ids=layout.position_ids[None],
            use_cache=False,
            tree=Flexible(layout),
        ).logits[0]
    before = layout.predecessor[case.indices]
    logprobs = logits.log_softmax(-1)[before, layout.input_ids[case.indices]]
    assert torch.allclose(logprobs, row_by_row(ordinary, case), atol=1e-5, rtol=0)


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("name", ["Qwen3", "Mistral"])
def test_long_segments_and_large_blocks_give_the_same(
    name: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actwise.tree.layout.PIECE", 4)
    monkeypatch.setattr(
        "actwise.model.kernels.linear._FASTER", torch.backends.mkldnn.is_available()
    )
    monkeypatch.setattr("actwise.model.kernels.linear._FEW", 0)
    monkeypatch.setattr("actwise.model.attention.cpu._FEW_SCORES", few)
    monkeypatch.setattr("actwise.model.attention.cpu._MANY_SCORES", 20)
    ordinary = make_model(name, **ARCHITECTURES[name])
    policy = Policy(for_trees(ordinary), None)
    use_fast_products(policy.model)
    case = make_case(3)
    expected = row_by_row(ordinary, case)
    scores = policy.score(case.layout, case.indices)
    assert torch.allclose(scores.logprobs, expected, atol=1e-5, rtol=0)
    assert_same_gradients(
        gradients(policy.model, (scores.logprobs * case.weights).sum()),
        gradients(ordinary, (expected * case.weights).sum()),
    )


def test_half_precision_is_as_near_as_its_rounding() -> None:
    ordinary = make_model("Qwen3", **ARCHITECTURES["Qwen3"])
    policy = Policy(for_trees(ordinary).bfloat16(), None)
    case = make_case(1)
    exact = row_by_row(ordinary, case)
    rounded = row_by_row(copy.deepcopy(ordinary).bfloat16(), case)
    scores = policy.score(case.layout, case.indices)
    error = (scores.logprobs - exact).norm()
    assert error < 1.5 * (rounded - exact).norm()
    ours = gradients(policy.model, (scores.logprobs * case.weights).sum())
    theirs = gradients(ordinary, (exact * case.weights).sum())
    a, b = (torch.cat([g.float().flatten() for g in of.values()]) for of in (ours, theirs))
    assert torch.cosine_similarity(a, b, dim=0) > 0.99


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("Gemma2", {"head_dim": 8, "layer_types": ["full_attention"] * 2}, "caps its scores"),
        ("StableLm", {}, "not handed tree="),
    ],
)
def test_attention_that_is_not_plain_is_refused(
    name: str, settings: dict[str, Any], reason: str
) -> None:
    model = for_trees(make_model(name, num_key_value_heads=2, **settings))
    case = make_case(0)
    with pytest.raises(ModelError, match=reason):
        Policy(model, None).score(case.layout, case.indices)


def test_dropout_is_refused() -> None:
    model = for_trees(make_model("Llama", attention_dropout=0.1)).train()
    case = make_case(0)
    with pytest.raises(ModelError, match="dropout"):
        Policy(model, None).score(case.layout, case.indices)


def test_a_call_without_a_tree_is_refused() -> None:
    model = for_trees(make_model("Llama"))
    with pytest.raises(ModelError, match="not handed tree="):
        model(input_ids=torch.tensor([[3, 4]]))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Mamba", {"state_size": 4}),
        ("Bloom", {"n_layer": 2, "n_head": 4}),
    ],
)
def test_models_in_which_branches_would_see_each_other_are_refused_when_loaded(
    name: str, settings: dict[str, Any], tiny_tokenizer_dir: Path, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_dir)
    make_model(name, **settings, vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="something connects tokens that cannot be computed"):
        Policy.load(str(tmp_path))


def test_an_output_layer_that_is_not_covered_is_refused_when_loaded(
    tiny_tokenizer_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_dir)
    make_model("Granite", vocab_size=len(tokenizer), logits_scaling=8.0).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    forward = transformers.GraniteForCausalLM.forward

    def other(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        output.logits = output.logits + 1
        return output

    monkeypatch.setattr(transformers.GraniteForCausalLM, "forward", other)
    with pytest.raises(ModelError, match="products of its output layer that is not covered"):
        Policy.load(str(tmp_path))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_plain_models_pass_the_check_when_loaded(dtype: torch.dtype, tiny_model_dir: Path) -> None:
    assert Policy.load(str(tiny_model_dir), dtype=dtype).model.dtype == dtype
