"""Families of models that users choose: their templates, and tiny models of their architectures.

Templates come whole from the `trl` package where it has them; the others were written by hand after
the published formats (`tests/templates/README.md`).
"""

import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

TRL = Path(importlib.util.find_spec("trl").origin).parent / "chat_templates"
BY_HAND = Path(__file__).parent / "templates"

CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
QWEN = (*CHATML, "<think>", "</think>", "<tool_call>", "</tool_call>")
LLAMA = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
)
LFM = ("<|startoftext|>", *CHATML, "<|tool_call_start|>", "<|tool_call_end|>")
GEMMA4 = (
    "<bos>",
    "<eos>",
    "<|turn>",
    "<turn|>",
    "<|tool>",
    "<tool|>",
    "<|tool_call>",
    "<tool_call|>",
    "<|tool_response>",
    "<tool_response|>",
    "<|channel>",
    "<channel|>",
    '<|"|>',
)
FUNCTION_GEMMA = (
    "<bos>",
    "<eos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_function_declaration>",
    "<end_function_declaration>",
    "<start_function_call>",
    "<end_function_call>",
    "<start_function_response>",
    "<end_function_response>",
    "<escape>",
)
PHI = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|tool|>",
    "<|/tool|>",
    "<|tool_call|>",
    "<|/tool_call|>",
    "<|tool_response|>",
)
MISTRAL = (
    "<s>",
    "</s>",
    "[INST]",
    "[/INST]",
    "[SYSTEM_PROMPT]",
    "[/SYSTEM_PROMPT]",
    "[AVAILABLE_TOOLS]",
    "[/AVAILABLE_TOOLS]",
    "[TOOL_CALLS]",
    "[ARGS]",
    "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]",
)
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "pad_token_id": 0,
}


@dataclass(frozen=True)
class Family:
    """What is common to the models of a family."""

    name: str
    models: str
    """Which models these are, for people."""
    template: str
    """File of the chat template, in TRL's folder or ours."""
    tokens: tuple[str, ...]
    """Added to the tokenizer; the second-to-last argument's end token is among them."""
    eos: str
    syntax: str
    """Row of the table of syntaxes that has to be chosen."""
    added: tuple[str, ...] = ()
    """What has to be added to the template."""
    stops: tuple[str, ...] = ()
    """What the generation configuration names beside the tokenizer's end token."""
    bos: str | None = None
    architecture: str = ""
    """Prefix of the classes in transformers."""
    layers: str = "full attention"
    """What its layers are, for people."""
    settings: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 2e-5
    """Of gradients, relative: recurrences add up in another order than whole sequences do."""
    shipped: bool = False
    """Whether the template that comes with actwise is used in place of the model's."""
    several: bool = True
    """Whether a turn may hold several calls."""
    words: bool = True
    """Whether a call may follow words to the user in one turn."""

    @cached_property
    def source(self) -> Path:
        return next(f for f in (TRL / self.template, BY_HAND / self.template) if f.exists())

    @property
    def by_hand(self) -> bool:
        return self.source.parent == BY_HAND


JSON_SYNTAXES = {"qwen", "phi", "mistral", "llama", "list"}
"""Those of the families here whose calls have JSON for arguments."""
FAMILIES = (
    Family(
        "Qwen3",
        "Qwen3 0.6B to 8B",
        "qwen3.jinja",
        QWEN,
        "<|im_end|>",
        "qwen",
        architecture="Qwen3",
        settings={"head_dim": 8},
    ),
    Family(
        "Qwen3-2507",
        "Qwen3-4B-Instruct-2507",
        "qwen3_instruct_2507.jinja",
        QWEN,
        "<|im_end|>",
        "qwen",
        ("thoughts folded", "thought opened"),
        stops=("<|endoftext|>",),
        architecture="Qwen3",
        settings={"head_dim": 8},
    ),
    Family(
        "Qwen2.5",
        "Qwen2.5, Hammer 2.1",
        "qwen2_5.jinja",
        (*CHATML, "<tool_call>", "</tool_call>"),
        "<|im_end|>",
        "qwen",
        ("thoughts folded", "thought opened"),
        stops=("<|endoftext|>",),
        architecture="Qwen2",
    ),
    Family(
        "Granite 4",
        "Granite 4.0, 4.1 (dense)",
        "granite4.jinja",
        ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<tool_call>", "</tool_call>"),
        "<|end_of_text|>",
        "qwen",
        ("thoughts folded", "thought opened"),
        architecture="Granite",
        layers="full attention; logits divided",
        settings={
            "logits_scaling": 3.0,
            "embedding_multiplier": 6.0,
            "residual_multiplier": 0.3,
            "attention_multiplier": 0.2,
        },
    ),
    Family(
        "Phi-4-mini",
        "Phi-4-mini-instruct",
        "phi4-mini.jinja",
        PHI,
        "<|endoftext|>",
        "phi",
        ("thoughts folded", "thought opened"),
        stops=("<|end|>",),
        architecture="Phi3",
        layers="full attention",
        settings={"partial_rotary_factor": 0.75, "sliding_window": None},
    ),
    Family(
        "SmolLM2",
        "SmolLM2 135M to 1.7B",
        "smollm2.jinja",
        CHATML,
        "<|im_end|>",
        "qwen",
        shipped=True,
        architecture="Llama",
    ),
    Family(
        "SmolLM3",
        "SmolLM3-3B",
        "smollm3.jinja",
        (*CHATML, "<think>", "</think>"),
        "<|im_end|>",
        "qwen",
        ("date pinned", "tools handed on", "calls written", "thoughts folded"),
        architecture="SmolLM3",
        settings={"no_rope_layers": [1, 0]},
    ),
    Family(
        "Llama 3.2",
        "Llama 3.2 1B, 3B",
        "llama3_2.jinja",
        LLAMA,
        "<|eot_id|>",
        "llama",
        ("date pinned", "thoughts folded", "thought opened"),
        stops=("<|end_of_text|>", "<|eom_id|>"),
        bos="<|begin_of_text|>",
        architecture="Llama",
        several=False,
        words=False,
    ),
    Family(
        "xLAM-2",
        "xLAM-2 1b to 8b",
        "xlam2.jinja",
        CHATML,
        "<|im_end|>",
        "list",
        ("thoughts folded", "thought opened"),
        architecture="Qwen2",
        words=False,
    ),
    Family(
        "MiniCPM5",
        "MiniCPM5-1B, 2B",
        "minicpm5.jinja",
        ("<s>", *QWEN),
        "<|im_end|>",
        "minicpm",
        bos="<s>",
        architecture="Llama",
    ),
    Family(
        "Ministral 3",
        "Ministral 3 3B, 8B Instruct (text part)",
        "ministral3.jinja",
        MISTRAL,
        "</s>",
        "mistral",
        ("thoughts folded", "thought opened"),
        bos="<s>",
        architecture="Ministral3",
        settings={"head_dim": 8},
    ),
    Family(
        "Qwen3.5",
        "Qwen3.5 0.8B to 4B, 3.6, 3.8",
        "qwen3_5_think.jinja",
        QWEN,
        "<|im_end|>",
        "qwen-xml",
        stops=("<|endoftext|>",),
        architecture="Qwen3_5Text",
        layers="Gated DeltaNet with convolutions, full attention",
        settings={
            "head_dim": 8,
            "num_hidden_layers": 4,
            "layer_types": ["linear_attention"] * 3 + ["full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
        },
        tolerance=1e-4,
    ),
    Family(
        "LFM2",
        "LFM2 350M to 2.6B",
        "lfm2_v2.jinja",
        LFM,
        "<|im_end|>",
        "lfm-escaped",
        ("thoughts folded", "thought opened"),
        bos="<|startoftext|>",
        architecture="Lfm2",
        layers="short convolutions, full attention",
        settings={"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]},
    ),
    Family(
        "LFM2.5",
        "LFM2.5 230M to 2.6B",
        "lfm2_2_5_v2.jinja",
        LFM,
        "<|im_end|>",
        "lfm",
        ("thought opened",),
        bos="<|startoftext|>",
        architecture="Lfm2",
        layers="short convolutions, full attention",
        settings={"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"]},
    ),
    Family(
        "LFM3",
        "LFM3-1.7B (its own template was not to be had: that of LFM2.5)",
        "lfm2_2_5_v2.jinja",
        LFM,
        "<|im_end|>",
        "lfm",
        ("thought opened",),
        bos="<|startoftext|>",
        architecture="Lfm3",
        layers="short convolutions, sliding windows, full attention",
        settings={
            "num_hidden_layers": 4,
            "head_dim": 8,
            "sliding_window": 12,
            "layer_types": ["conv", "sliding_attention", "full_attention", "conv"],
        },
    ),
    Family(
        "Gemma 3",
        "Gemma 3 270M to 4B",
        "gemma3.jinja",
        ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
        "<eos>",
        "qwen",
        stops=("<end_of_turn>",),
        bos="<bos>",
        shipped=True,
        architecture="Gemma3Text",
        layers="sliding windows, full attention",
        settings={
            "num_hidden_layers": 3,
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        },
    ),
    Family(
        "gpt-oss",
        "gpt-oss 20B",
        "gptoss.jinja",
        ("<|startoftext|>", "<|endoftext|>", "<|return|>"),
        "<|return|>",
        "qwen",
        shipped=True,
        architecture="GptOss",
        layers="sliding windows, full attention; attention sinks, experts",
        settings={
            "head_dim": 8,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "full_attention"],
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        },
    ),
    Family(
        "FunctionGemma",
        "FunctionGemma 270M",
        "functiongemma.jinja",
        FUNCTION_GEMMA,
        "<eos>",
        "functiongemma",
        ("thoughts folded", "thought opened"),
        stops=("<end_of_turn>", "<start_function_response>"),
        bos="<bos>",
        architecture="Gemma3Text",
        layers="sliding windows, full attention",
        settings={
            "head_dim": 8,
            "query_pre_attn_scalar": 8,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    Family(
        "Gemma 4",
        "Gemma 4 E2B, E4B",
        "gemma4_v5.jinja",
        GEMMA4,
        "<eos>",
        "gemma",
        stops=("<turn|>", "<|tool_response>"),
        bos="<bos>",
        architecture="Gemma4Text",
        layers="sliding windows, full attention; shared keys and values, capped logits",
        settings={
            "num_hidden_layers": 4,
            "head_dim": 8,
            "global_head_dim": 16,
            "num_global_key_value_heads": 1,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "num_kv_shared_layers": 2,
            "hidden_size_per_layer_input": 8,
            "vocab_size_per_layer_input": 256 + len(GEMMA4),
            "final_logit_softcapping": 3.0,
        },
        tolerance=1e-4,
        words=False,
    ),
    Family(
        "Granite 4 h",
        "Granite 4.0 h-350m to h-micro",
        "granite4.jinja",
        ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", "<tool_call>", "</tool_call>"),
        "<|end_of_text|>",
        "qwen",
        ("thoughts folded", "thought opened"),
        architecture="GraniteMoeHybrid",
        layers="Mamba2, full attention; logits divided",
        settings={
            "num_hidden_layers": 3,
            "layer_types": ["linear_attention", "full_attention", "linear_attention"],
            "num_local_experts": 0,
            "shared_intermediate_size": 48,
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_d_state": 8,
            "mamba_chunk_size": 16,
            "position_embedding_type": None,
            "logits_scaling": 3.0,
            "attention_multiplier": 0.2,
        },
        tolerance=1e-4,
    ),
    Family(
        "Nemotron 3",
        "Nemotron 3 Nano",
        "nemotron_3_nano.jinja",
        QWEN,
        "<|im_end|>",
        "qwen-xml",
        architecture="NemotronH",
        layers="Mamba2, full attention",
        settings={
            "layers_block_type": ["linear_attention", "mlp", "full_attention", "linear_attention"],
            "head_dim": 8,
            "mamba_num_heads": 4,
            "mamba_head_dim": 16,
            "ssm_state_size": 8,
            "n_groups": 2,
            "chunk_size": 16,
        },
        tolerance=1e-4,
    ),
)
BY_NAME = {family.name: family for family in FAMILIES}


def make_tokenizer(family: Family) -> Any:
    """A byte-level tokenizer with the family's added tokens and chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in family.tokens])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=family.eos, bos_token=family.bos
    )
    fast.chat_template = family.source.read_text()
    return fast


def save_tokenizer(family: Family, folder: Path) -> Path:
    """Write the tokenizer and what generation stops at, as a hub's folder has them."""
    from transformers import GenerationConfig

    tokenizer = make_tokenizer(family)
    tokenizer.save_pretrained(folder)
    stops = tokenizer.convert_tokens_to_ids([family.eos, *family.stops])
    GenerationConfig(eos_token_id=stops).save_pretrained(folder)
    return folder


def make_model(family: Family, *, seed: int = 0, **settings: Any) -> Any:
    """An ordinary random model of the family's architecture, far from uniform."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM

    config_class: Callable[..., Any] = getattr(transformers, f"{family.architecture}Config")
    vocab_size = 256 + len(family.tokens)
    config = config_class(
        **{**SIZES, "vocab_size": vocab_size, "eos_token_id": 1, **family.settings, **settings}
    )
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def save_model(family: Family, folder: Path) -> Path:
    """Write a whole model folder."""
    model = make_model(family)
    save_tokenizer(family, folder)
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig.from_pretrained(folder)
    model.save_pretrained(folder)
    return folder


PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- families:begin -->\n", "<!-- families:end -->\n"


def page_table(folder: Path) -> str:
    """The table of docs/models.md, from what is found out about each template."""
    from actwise.template.render import Template

    rows = [
        "| family | models | layers | calls | thoughts | added to the template | limits |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for family in FAMILIES:
        saved = save_tokenizer(family, folder / family.name)
        found = Template.load(str(saved), shipped=family.shipped).expression
        thoughts = "folded" if "thoughts folded" in found.added else "its own"
        limits = [] if found.says_words_with_calls else ["no words before a call"]
        limits += [] if family.several else ["one call a turn"]
        cells = [
            family.name,
            family.models,
            family.layers,
            found.syntax.name,
            "of the shipped template" if family.shipped else thoughts,
            "`model.template=actwise`" if family.shipped else ", ".join(found.added) or "nothing",
            ", ".join(limits) or "none",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def write_page() -> None:
    """Write the table into docs/models.md."""
    with tempfile.TemporaryDirectory() as folder:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(before + BEGIN + page_table(Path(folder)) + END + after, "utf-8")


if __name__ == "__main__":
    write_page()
