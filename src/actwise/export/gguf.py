"""A model's folder as one file of GGUF, which llama.cpp and what is built on it load.

The names of tensors are those of the package `gguf`; what they hold is as llama.cpp's own script
`convert_hf_to_gguf.py` writes it. Weights keep their precision.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from actwise.errors import ModelError, RunError
from actwise.run.files import write_atomically

if TYPE_CHECKING:
    from gguf import GGUFWriter

ARCHITECTURES = {"qwen2": "QWEN2", "qwen3": "QWEN3", "llama": "LLAMA"}
"""By the `model_type` of transformers, what the package `gguf` calls them."""
_REMEDY = "export without --gguf, and convert the folder by llama.cpp's convert_hf_to_gguf.py"
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DIVISIONS = {_WORDS % "": "qwen2", _WORDS % "{1,3}": "llama-bpe"}
"""By the expression with which a tokenizer divides text into words, llama.cpp's name for it."""


def check_gguf(config: Any) -> None:
    """Refuse what cannot be written.

    Args:
        config: The model's, of transformers.

    Raises:
        RunError: The package is not installed.
        ModelError: The model is of another architecture, or of a variant that is not covered.
    """
    if importlib.util.find_spec("gguf") is None:
        raise RunError("--gguf needs the package gguf: pip install 'actwise[gguf]'")
    kind = config.model_type
    if kind not in ARCHITECTURES:
        raise ModelError(
            f"--gguf: models of the type {kind!r} are not written, only "
            f"{', '.join(ARCHITECTURES)}; {_REMEDY}"
        )
    rope = config.rope_parameters["rope_type"]
    if rope not in ("default", "linear", "llama3"):
        raise ModelError(f"--gguf: positions of the type {rope!r} are not written; {_REMEDY}")
    if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
        raise ModelError(f"--gguf: sliding windows are not written; {_REMEDY}")


def write_gguf(folder: Path, file: Path, *, name: str) -> str | None:
    """Write the model of a folder; the file appears when it is whole.

    Args:
        folder: As transformers loads it, with safetensors.
        file: What is written.
        name: What it calls the model.

    Returns:
        What is to be known before text is given to it; None where llama.cpp divides text into the
        model's own tokens.

    Raises:
        RunError: The package `gguf` is not installed.
        ModelError: See `check_gguf`; or the tokenizer is not of the kind that is covered.
    """
    config = AutoConfig.from_pretrained(folder)
    check_gguf(config)
    from gguf import GGUFWriter

    tokenizer = AutoTokenizer.from_pretrained(folder)
    parts = json.loads((folder / "tokenizer.json").read_bytes())
    if not _is_byte_level(parts):
        raise ModelError(
            "--gguf: the tokenizer is no byte-level BPE, the only kind that is written; " + _REMEDY
        )
    division = _division(parts["pre_tokenizer"])

    def write(path: Path) -> None:
        writer = GGUFWriter(path, ARCHITECTURES[config.model_type].lower(), use_temp_file=True)
        writer.add_name(name)
        _add_sizes(writer, config)
        _add_vocabulary(writer, config, tokenizer, parts, division or "default")
        generation = GenerationConfig.from_pretrained(folder)
        _add_ends(writer, tokenizer, generation.eos_token_id)
        _add_weights(writer, config, folder)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    write_atomically(file, write)
    if division is not None:
        return None
    return (
        "llama.cpp does not know how this tokenizer divides text into words, and would read a text "
        "as other tokens; give it token ids as prompts"
    )


def _add_sizes(writer: "GGUFWriter", config: Any) -> None:
    heads = config.num_attention_heads
    dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(dim)
    writer.add_value_length(dim)
    writer.add_rope_dimension_count(dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add_vocabulary(
    writer: "GGUFWriter", config: Any, tokenizer: Any, parts: dict[str, Any], division: str
) -> None:
    from gguf import TokenType

    words = {number: word for word, number in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for number in range(config.vocab_size):
        kind = TokenType.NORMAL
        if number not in words:
            kind = TokenType.UNUSED
        elif number in added:
            kind = TokenType.CONTROL if added[number].special else TokenType.USER_DEFINED
        tokens.append(words.get(number, f"[PAD{number}]"))
        kinds.append(kind)
    pairs = parts["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(division)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([p if isinstance(p, str) else " ".join(p) for p in pairs])
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _add_ends(writer: "GGUFWriter", tokenizer: Any, stops: int | list[int] | None) -> None:
    first = stops[0] if isinstance(stops, list) else stops
    end = tokenizer.eos_token_id if first is None else first
    if end is not None:
        writer.add_eos_token_id(end)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    # Chat templates write the token themselves, where there is one.
    writer.add_add_bos_token(False)


def _add_weights(writer: "GGUFWriter", config: Any, folder: Path) -> None:
    import gguf

    arch = gguf.MODEL_ARCH[ARCHITECTURES[config.model_type]]
    names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
    kinds = {
        torch.float32: gguf.GGMLQuantizationType.F32,
        torch.bfloat16: gguf.GGMLQuantizationType.BF16,
        torch.float16: gguf.GGMLQuantizationType.F16,
    }
    for name, tensor in _tensors(folder):
        found = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ModelError(f"{folder}: GGUF has no name for the tensor {name}")
        if config.model_type == "llama":
            tensor = _interleaved(name, tensor, config)
        # Norms and biases are float32 in every file.
        kind = kinds[tensor.dtype] if tensor.ndim > 1 else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(tensor.float().numpy(), kind)
        writer.add_tensor(found, data, raw_dtype=kind)
    factors = _rope_factors(config)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors.float().numpy())


def _tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118  (it is no mapping)
                yield name, weights.get_tensor(name)


def _interleaved(name: str, tensor: Tensor, config: Any) -> Tensor:
    """Order rows of a Llama's queries and keys as llama.cpp rotates them: pairs side by side."""
    for part, heads in (
        ("q_proj", config.num_attention_heads),
        ("k_proj", config.num_key_value_heads),
    ):
        if f".{part}." in name:
            halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
            return halves.transpose(1, 2).reshape(tensor.shape).contiguous()
    return tensor


def _rope_factors(config: Any) -> Tensor | None:
    """Return by what each frequency of the positions is divided; None where by nothing."""
    if config.rope_parameters["rope_type"] == "default":
        return None
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    rotary = type(model.model.rotary_emb)(config)
    dim = 2 * len(rotary.inv_freq)
    plain = config.rope_parameters["rope_theta"] ** -(torch.arange(0, dim, 2) / dim)
    return plain / rotary.inv_freq


def _is_byte_level(parts: dict[str, Any]) -> bool:
    bpe = parts["model"]["type"] == "BPE" and not parts["model"].get("byte_fallback")
    return bpe and '"ByteLevel"' in json.dumps(parts["pre_tokenizer"])


def _division(pre_tokenizer: dict[str, Any]) -> str | None:
    """Return llama.cpp's name for how text is divided into words; None where it has none."""
    steps = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    kinds = [step["type"] for step in steps]
    by_itself = steps[-1].get("use_regex", True)
    if kinds == ["ByteLevel"] and by_itself:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and by_itself and steps[0]["individual_digits"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not by_itself and not steps[0]["invert"]:
        return _DIVISIONS.get(steps[0]["pattern"].get("Regex"))
    return None
