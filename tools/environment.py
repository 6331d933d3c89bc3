"""Make the virtual environment that `make` works in: quietly, whole, and mended where it is not.

    python tools/environment.py            what actwise needs, in .venv
    python tools/environment.py --dev      what its tests need, too
    python tools/environment.py --gpu      the build of torch that the index offers for GPUs

pip takes, of builds of one version, the one with a local label: a CPU build, where one is offered.
Everything that pip says is in .venv/install.log; only what fails is shown.

It runs in the Python that a machine has, so it needs nothing but that Python, and says so where
that is too old.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
TORCH = "2.13.0"
ENVIRONMENT = Path(".venv")
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOG = ENVIRONMENT / "install.log"
SHOWN = 15
"""Lines of pip's that are shown where it fails."""


def main() -> None:
    """Make or mend the environment; exit code 2 where this Python or a package cannot be used."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--dev", action="store_true", help="what the tests need, too")
    parser.add_argument("--docs", action="store_true", help="what the documentation needs, too")
    parser.add_argument("--gpu", action="store_true", help="torch for GPUs")
    given = parser.parse_args()
    check_python(sys.version_info[:2])
    if not usable():
        run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)])
    extras = [name for name in ("dev", "docs") if getattr(given, name)]
    package = ".[{}]".format(",".join(extras)) if extras else "."
    # A version that is equal as text has no local label.
    torch = "torch{}{}".format("===" if given.gpu else "==", TORCH)
    build = " for GPUs" if given.gpu else ""
    say(f"installing torch {TORCH}{build} and what goes with it, some minutes; log: {LOG}")
    begin = time.time()
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    run([*pip, "-c", "constraints.txt", torch, "-e", package])
    say(f"installed after {time.time() - begin:.0f} s")


def check_python(version: "tuple[int, int]") -> None:
    """End with one line, before anything is fetched, where a Python is too old."""
    if version < OLDEST:
        sys.exit(
            "actwise needs Python {}.{} or newer, and {} is {}.{}; name another one: "
            "make demo PYTHON=python3.12".format(*OLDEST, sys.executable, *version)
        )


def usable() -> bool:
    """Whether the environment has a Python, not too old, that can install something."""
    code = f"import sys, pip; sys.exit(sys.version_info < {OLDEST})"
    try:
        done = subprocess.run([str(PYTHON), "-c", code], stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def run(command: "list[str]") -> None:
    """Run a command with its output in the log; where it fails, show the end of that."""
    ENVIRONMENT.mkdir(exist_ok=True)
    # A new environment is cleared first, so its log is written when it is there.
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with LOG.open("ab") as log:
        log.write(done.stdout)
    if done.returncode:
        lines = done.stdout.decode(errors="replace").splitlines()
        print("\n".join(lines[-SHOWN:]), file=sys.stderr)
        sys.exit("failed: {}; all of it is in {}".format(" ".join(command), LOG))


def say(text: str) -> None:
    """Tell what is going on."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
