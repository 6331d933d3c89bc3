"""A model written as a folder that is known to be whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer

from actwise.errors import RunError
from actwise.model.opening import error_line


def save_model(model: Any, weights: Mapping[str, Tensor], tokenizer: Any, folder: Path) -> None:
    """Write a model and its tokenizer, load both again, and compare.

    Args:
        model: A model of transformers, without adapters.
        weights: All of its weights as they are to be saved, by name.
        tokenizer: With its template.
        folder: Where they are written.

    Raises:
        RunError: What was written is not what was to be.
    """
    model.save_pretrained(folder, state_dict=dict(weights))
    tokenizer.save_pretrained(folder)
    try:
        # On the CPU: next to the model on a GPU there may be no room for another.
        saved, report = type(model).from_pretrained(
            folder, dtype=model.dtype, output_loading_info=True
        )
        again = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # whatever it is, the folder is no model
        raise _not_saved(folder, error_line(error)) from error
    found = saved.state_dict()
    lost = sorted([*report["missing_keys"], *report["unexpected_keys"]])
    lost += [name for name in weights if name not in found]
    lost += [n for n, w in weights.items() if n in found and not torch.equal(found[n], w.cpu())]
    if lost:
        raise _not_saved(folder, f"{lost[0]} and {len(lost) - 1} more weights differ")
    if again.chat_template != tokenizer.chat_template or again.get_vocab() != tokenizer.get_vocab():
        raise _not_saved(folder, "its tokenizer or template differs")


def _not_saved(folder: Path, problem: str) -> RunError:
    return RunError(
        f"{folder}: loaded again, the saved model is not the trained one: {problem}; the run's "
        "checkpoint has the weights, so the same command tries again"
    )
