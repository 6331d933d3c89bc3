"""A model folder or hub name as a model of transformers, or why it cannot be one.

Nothing of the model's is executed: weights are read as safetensors only, code that comes with a
model is never imported.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from actwise.errors import ModelError


def open_model(name: str, *, dtype: torch.dtype, attention: str) -> Any:
    """Read a model.

    Args:
        name: Folder or hub name.
        dtype: Of its weights.
        attention: Name under which transformers knows the attention.

    Raises:
        ModelError: If it is no model, would have to be executed, or is not whole.
    """
    check_folder(name)
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
        auto = AutoModelForCausalLM if known else AutoModelForImageTextToText
        model, report = auto.from_pretrained(
            name,
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # reported, and refused below
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"no model can be loaded from {name}: {first_line}") from error
    if report["mismatched_keys"]:
        weight, found, expected = min(report["mismatched_keys"])
        raise ModelError(
            f"the weight {weight} in {name} is {tuple(found)}, by its config.json it should be "
            f"{tuple(expected)}; fetch the model again"
        )
    if report["missing_keys"]:
        some = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(
            f"{len(report['missing_keys'])} weights are missing in {name} and would be random "
            f"({some}); fetch the model again"
        )
    return model


def check_folder(name: str) -> None:
    """Refuse what is no model folder that can be read without executing anything.

    Raises:
        ModelError: With what to do instead.
    """
    path = Path(name)
    if path.suffix == ".gguf" or (path.is_dir() and _has_only(path, "*.gguf")):
        folder = path if path.is_dir() else path.parent
        file = next(iter(path.glob("*.gguf"))) if path.is_dir() else path
        raise ModelError(
            f"{name} is in GGUF, which is not trained; make a folder of it: pip install gguf; "
            'python -c "from transformers import AutoModelForCausalLM as M, AutoTokenizer as T, '
            f"GgufConfig as G; d, f = {str(folder)!r}, {file.name!r}; "
            "T.from_pretrained(d, gguf_file=f).save_pretrained('model'); M.from_pretrained(d, "
            "gguf_file=f, quantization_config=G(dequantize=True)).save_pretrained('model')\""
        )
    if not path.is_dir():
        return
    adapter = path / "adapter_config.json"
    if adapter.exists() and not (path / "config.json").exists():
        base = json.loads(adapter.read_text("utf-8")).get("base_model_name_or_path")
        raise ModelError(
            f"{name} holds an adapter, not a model; merge it into its base ({base}): "
            'python -c "from peft import AutoPeftModelForCausalLM as A; '
            f"A.from_pretrained({name!r}).merge_and_unload().save_pretrained('model')\", and copy "
            "the tokenizer's files beside it"
        )
    if not any(path.glob("*.safetensors")) and any(path.glob("*.bin")):
        raise ModelError(
            f"the weights in {name} are pickled, and what is pickled can run code when it is read; "
            'if you trust it: python -c "from transformers import AutoModelForCausalLM as A; '
            f'A.from_pretrained({name!r}, use_safetensors=False).save_pretrained({name!r})"'
        )
    config = path / "config.json"
    if config.exists() and (code := _own_code(config)):
        raise ModelError(
            f"{name} comes with code of its own ({code}), which actwise does not run; use a model "
            "whose architecture transformers has, or one converted to such"
        )


def _has_only(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern)) and not (folder / "config.json").exists()


def _own_code(config: Path) -> str | None:
    """Return the file that would be executed, where transformers has no class for the model."""
    try:
        record = json.loads(config.read_text("utf-8"))
        AutoConfig.for_model(record.get("model_type", ""))
    except ValueError:
        classes = record.get("auto_map") or {}
        return f"{next(iter(classes.values())).split('.')[0]}.py" if classes else None
    return None


def text_layers(model: nn.Module) -> nn.Module:
    """Return the part of a model that reads and writes text, without its output layer."""
    decoder: nn.Module = model.get_decoder()  # type: ignore[operator]
    return decoder


def check_vocabulary(model: Any, tokenizer: Any, name: str) -> None:
    """Refuse a model that has no embedding for some of its tokenizer's tokens."""
    rows = len(model.get_input_embeddings().weight)
    if len(tokenizer) > rows:
        raise ModelError(
            f"the tokenizer of {name} has {len(tokenizer)} tokens, the model {rows}; use the "
            "tokenizer that the model was made with"
        )
