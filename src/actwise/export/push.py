"""A bundle on a hub of models."""

import re
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HFValidationError

from actwise.errors import ConfigError, RunError


def check_push(repo: str) -> None:
    """Refuse, before anything is computed, what cannot be uploaded.

    Raises:
        ConfigError: It is no name of a repository, or there is no token for the hub.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise ConfigError(f"--push {repo}: no name of a repository; name it OWNER/NAME")
    if get_token() is None:
        raise ConfigError(
            f"--push {repo}: there is no token for Hugging Face's hub; make one that may write at "
            "huggingface.co/settings/tokens, then: hf auth login, or set HF_TOKEN"
        )


def push(folder: Path, repo: str, *, public: bool, api: HfApi | None = None) -> str:
    """Upload a bundle into a repository, which is made where there is none.

    Args:
        folder: The bundle.
        repo: Name of the repository, OWNER/NAME.
        public: Whether everybody may read it, where it is made.
        api: The hub; the one that huggingface_hub is set up for where None.

    Returns:
        Its address.

    Raises:
        RunError: The hub cannot be reached, or does not let this user.
    """
    hub = HfApi() if api is None else api
    try:
        made = hub.create_repo(repo, private=not public, exist_ok=True)
        hub.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="Upload by actwise export"
        )
    except (OSError, HTTPError, HFValidationError) as error:  # its own errors are OSErrors
        reason = " ".join(str(error).split())[:300]
        raise RunError(
            f"--push {repo}: {reason}; {folder} is written, so mend that and upload it: "
            f"hf auth login; hf upload {repo} {folder}"
        ) from error
    return str(made)
