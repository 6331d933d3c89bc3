"""The command lines of docs/experiments/scale.md start the processes of a run."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integration.test_processes import SHORT, check_equal_figures
from runs import Runner, files, fork_server, write_logs

BESIDE = Path(sys.executable).parent
"""Where the commands of this environment's packages are."""
LAUNCHERS = {
    "torchrun": "torchrun --nproc-per-node 2 --master-port",
    "accelerate": "accelerate launch --multi_gpu --num_processes 2 --main_process_port",
}


@pytest.fixture(scope="module")
def runner(
    tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Runner]:
    """Makes runners of one short run, which one process has made."""
    folder = tmp_path_factory.mktemp("launchers")
    write_logs(folder / "logs.jsonl")

    def make(name: str) -> Runner:
        return Runner(fork_server(), tiny_model_dir, folder / "logs.jsonl", folder / name, SHORT)

    assert make("alone")() == 0
    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_starts_two_processes(name: str, runner: Callable[[str], Runner]) -> None:
    launcher, *options = LAUNCHERS[name].split()
    if not (BESIDE / launcher).exists():
        pytest.skip(f"{name} is not installed")
    alone, two = runner("alone"), runner(name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    done = subprocess.run(
        [str(BESIDE / launcher), *options, port, "-m", "actwise", *two.arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert files(two.folder) == files(alone.folder)
    check_equal_figures(two.folder, alone.folder)
