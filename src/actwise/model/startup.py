"""What is done before torch is imported: the model is found, the environment is set."""

import os
import re
from pathlib import Path

from actwise.desk import MODEL
from actwise.errors import ModelError
from actwise.model.kernels.allocator import keep_freed_memory


def model_path(name: str) -> str:
    """Return the folder of the shipped model for `base`, and any other name as it is.

    Raises:
        ModelError: The name can be neither a model's folder nor one of a hub.
    """
    if name == "base":
        return str(MODEL)
    remedy = "name a model's folder or hub name, or `base`"
    if Path(name).is_dir():
        if not any((Path(name) / f).exists() for f in ("config.json", "adapter_config.json")):
            raise ModelError(f"{name}: holds no model, for it has no config.json; {remedy}")
    # A hub name is NAME or OWNER/NAME; anything else can only be meant as a folder.
    elif not re.fullmatch(r"[\w-][\w.-]*(/[\w.-]+)?", name):
        raise ModelError(f"{name}: no such folder; {remedy}")
    return name


def prepare_torch() -> None:
    """Set what has to be set before torch is imported."""
    # Threads that spin while they wait slow each other down on shared cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    keep_freed_memory()  # threads that read weights already have arenas of their own otherwise
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils.logging import disable_progress_bar

    # Reading and writing weights takes moments; a download, which takes minutes, is shown.
    hidden = are_progress_bars_disabled()
    disable_progress_bar()
    if not hidden:
        enable_progress_bars()
