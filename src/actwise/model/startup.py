"""What is done before torch is imported: the model is found, the environment is set."""

import difflib
import os
import re
import warnings
from pathlib import Path

from actwise.desk import MODEL
from actwise.errors import ModelError
from actwise.model.kernels.allocator import keep_freed_memory

_SECONDS = 8
"""Given to the hub for a first answer."""
HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?")
"""NAME or OWNER/NAME, as models of a hub are called."""
SHIPPED = "base"
"""Name of the model that comes with the package."""


def model_path(name: str) -> str:
    """Return the folder of the shipped model for `base`, and any other name as it is.

    Raises:
        ModelError: The name can be neither a model's folder nor one of a hub.
    """
    if name == SHIPPED:
        return str(MODEL)
    path = Path(name)
    if path.is_dir():
        if not _holds_model(path):
            raise ModelError(f"{name}: holds no model, for it has no config.json{_instead(path)}")
    # What is no hub name, or begins like a folder that is there, can only be meant as a folder.
    elif not HUB_NAME.fullmatch(name) or (path.parent != Path() and path.parent.is_dir()):
        raise ModelError(f"{name}: no such folder{_instead(path)}")
    return name


def model_name(path: str) -> str:
    """Return what `model_path` takes a model from, wherever this package is installed."""
    return SHIPPED if path == str(MODEL) else path


def _holds_model(folder: Path) -> bool:
    return any((folder / f).exists() for f in ("config.json", "adapter_config.json"))


def _instead(path: Path) -> str:
    """Name a model near a path that is none, if there is one."""
    inside = [*sorted(path.glob("*")), *sorted(path.glob("models/*"))]
    beside = [p for p in sorted(path.parent.glob("*")) if p.name in _alike(path)]
    near = [folder for folder in [*beside, *inside] if folder.is_dir() and _holds_model(folder)]
    meant = f"; did you mean {' or '.join(map(str, near[:3]))}?" if near else ""
    return meant or "; name a model's folder or hub name, or `base`"


def _alike(path: Path) -> list[str]:
    siblings = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
    return difflib.get_close_matches(path.name, siblings)


def check_hub(name: str) -> None:
    """See in seconds whether a model of the hub can be had; libraries would try for a minute.

    Where the hub cannot be reached, a copy in its cache is used.

    Args:
        name: From `model_path`.

    Raises:
        ModelError: It is neither there nor in the cache.
    """
    if Path(name).is_dir():
        return
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import (
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        HfApi().model_info(name, timeout=_SECONDS)
        return
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{name}: no such folder, and no such model on the hub, or a private one; name a "
            "model's folder or hub name, or `base`"
        ) from error
    except HfHubHTTPError:
        return  # the hub answers, and what it refuses it says again when files are fetched
    except OfflineModeIsEnabled:
        reason = "HF_HUB_OFFLINE is set"
    except Exception as error:  # whatever the library for HTTP, or a proxy, calls it
        reason = " ".join(str(error).split()) or type(error).__name__
    files = ("config.json", "adapter_config.json")
    if any(isinstance(try_to_load_from_cache(name, file), str) for file in files):
        constants.HF_HUB_OFFLINE = True
        return
    raise ModelError(
        f"{name}: no such folder, not in the cache of the hub, and the hub cannot be reached "
        f"({reason}); name a model's folder (`actwise fetch-model` makes one), or "
        "`base`, the small one that is shipped"
    )


def prepare_torch(model: str | None = None) -> None:
    """Set what has to be set before torch is imported.

    Args:
        model: The one that will be loaded, from `model_path`, where it is known.

    Raises:
        ModelError: See `check_hub`.
    """
    if model is not None:
        check_hub(model)
    # What libraries announce for their next versions is for who calls them, not for who calls us.
    libraries = r"(torch|transformers|peft|huggingface_hub|tokenizers|safetensors)\b"
    warnings.filterwarnings("ignore", category=FutureWarning, module=libraries)
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
