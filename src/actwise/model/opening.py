"""A model folder or hub name as a model of transformers, or why it cannot be one.

Nothing of the model's is executed: weights are read as safetensors only, code that comes with a
model is never imported. Nothing is made up: transformers would fill weights that are missing with
random numbers. Whatever a damaged or hostile folder makes libraries raise is said in a line.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from actwise.errors import ModelError
from actwise.model.startup import HUB_NAME, check_hub
from actwise.template.source import base_of_adapters, check_config


def open_model(name: str, *, dtype: torch.dtype, attention: str) -> Any:
    """Read a model; adapters are merged into the model they were trained for.

    Args:
        name: Folder or hub name.
        dtype: Type of its weights.
        attention: Name under which transformers knows the attention.

    Raises:
        ModelError: If it is no model, would have to be executed, is not whole, or holds weights
            that are no numbers.
    """
    check_folder(name)
    try:
        base = base_of_adapters(name)
        if base is None:
            model = _open_whole(name, dtype, attention)
        else:
            model = _merged(name, open_model(base, dtype=dtype, attention=attention))
    except ModelError:
        raise
    except Exception as error:  # of a damaged or hostile folder, libraries raise anything
        raise ModelError(f"no model can be loaded from {name}: {error_line(error)}") from error
    for weight, values in model.named_parameters():
        if not values.isfinite().all():
            raise ModelError(
                f"{name}: the weight {weight} holds what is no number (NaN or infinite); take an "
                "earlier checkpoint, or fetch the model again"
            )
    return model


def error_line(error: Exception) -> str:
    """Return what a library raised, in a line that is not too long."""
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, OSError | ValueError) and text else f"{type(error).__name__}: "
    return f"{kind}{text if len(text) <= 300 else text[:297] + '...'}"


def _open_whole(name: str, dtype: torch.dtype, attention: str) -> Any:
    check_config(name)
    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    auto = AutoModelForCausalLM if known else AutoModelForImageTextToText
    try:
        model, report = auto.from_pretrained(
            name,
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except RuntimeError as error:
        if "ignore_mismatched_sizes" in str(error):
            _name_mismatch(name, auto, config)
        raise
    if report["missing_keys"]:
        some = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(
            f"{len(report['missing_keys'])} weights are missing in {name} and would be random "
            f"({some}); fetch the model again"
        )
    left_out = sorted(report["unexpected_keys"])
    if left_out:
        print(
            f"actwise: {name}: {type(model).__name__} has no place for {_some(left_out)}; they "
            "are left out",
            file=sys.stderr,
        )
    return model


def _name_mismatch(name: str, auto: Any, config: Any) -> None:
    """Say which weight of a folder has another shape than its configuration says."""
    with torch.device("meta"):
        expected = {n: tuple(w.shape) for n, w in auto.from_config(config).state_dict().items()}
    for file in sorted(Path(name).glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for weight in sorted(weights.keys()):
                found = tuple(weights.get_slice(weight).get_shape())
                if expected.get(weight, found) != found:
                    raise ModelError(
                        f"the weight {weight} in {name} is {found}, by its config.json it should "
                        f"be {expected[weight]}; fetch the model again"
                    )


def _merged(name: str, base: Any) -> Any:
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils import load_peft_weights

    model = PeftModel.from_pretrained(base, name)
    held, needed = set(load_peft_weights(name, device="cpu")), set(get_peft_model_state_dict(model))
    if needed - held:
        raise ModelError(
            f"{name}: the adapters lack {_some(sorted(needed - held))}, which would be random; "
            "fetch them again"
        )
    if held - needed:
        raise ModelError(
            f"{name}: the adapters hold {_some(sorted(held - needed))}, for which the model has no "
            "place; they were trained for another one"
        )
    if model.peft_config["default"].is_prompt_learning:
        raise ModelError(f"{name}: these adapters cannot be merged; use LoRA, or a whole model")
    # What peft has frozen is trained like any model's.
    return model.merge_and_unload().requires_grad_(True)


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more weights"


_check_hub = cache(check_hub)
"""What was found is not asked for again: a policy looks before its template and its model."""


def check_folder(name: str) -> None:
    """Refuse what is no model folder that can be read without executing anything.

    A hub's name is refused where the hub does not have it, or cannot be reached.

    Raises:
        ModelError: With what to do instead.
    """
    path = Path(name)
    if path.suffix == ".gguf" or (path.is_dir() and _has_only(path, "*.gguf")):
        file = next(iter(path.glob("*.gguf"))) if path.is_dir() else path
        raise ModelError(
            f"{name} is in GGUF, which is not trained; make a folder of it: pip install "
            f"'actwise[gguf]'; actwise fetch-model {file} --to FOLDER"
        )
    if not path.is_dir():
        if HUB_NAME.fullmatch(name):
            _check_hub(name)
        return
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
        classes = dict(record.get("auto_map") or {})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None  # no configuration, as is said when it is loaded
    try:
        AutoConfig.for_model(record.get("model_type", ""))
    except (ValueError, TypeError):
        return f"{str(next(iter(classes.values()))).split('.')[0]}.py" if classes else None
    return None


def text_layers(model: nn.Module) -> nn.Module:
    """Return the part of a model that reads and writes text, without its output layer."""
    decoder: nn.Module = model.get_decoder()  # type: ignore[operator]
    return decoder


def check_vocabulary(model: Any, tokenizer: Any, name: str) -> None:
    """Refuse a model that has no embedding for some of its tokenizer's tokens.

    Special tokens that its template never writes are let pass: some models were published so.
    """
    rows = len(model.get_input_embeddings().weight)
    template = str(tokenizer.chat_template)
    unused = {
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special and token.content != tokenizer.eos_token and token.content not in template
    }
    if any(i >= rows and token not in unused for token, i in tokenizer.get_vocab().items()):
        raise ModelError(
            f"the tokenizer of {name} has {len(tokenizer)} tokens, the model {rows}; use the "
            "tokenizer that the model was made with"
        )
