"""Processes whose network is cut, whose disk is full, whose clock jumps, or that stand still."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from integration.test_processes import SHORT, jump
from runs import Runner, check_same_end, fork_server, write_logs


@pytest.fixture(scope="module")
def runner(
    tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Runner]:
    """Makes runners of one short run, which two processes have made without interruption."""
    folder = tmp_path_factory.mktemp("network")
    write_logs(folder / "logs.jsonl")

    def make(name: str) -> Runner:
        return Runner(fork_server(), tiny_model_dir, folder / "logs.jsonl", folder / name, SHORT)

    assert make("both").together(2) == [0, 0]
    return make


def may_cut() -> bool:
    """Whether a network of its own can be made here, which cuts nobody else's."""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    command = ["unshare", "--map-root-user", "--net", "ip", "link", "set", "lo", "up"]
    return subprocess.run(command, capture_output=True).returncode == 0


CUT = """
ip link set lo up
RANK=0 LOCAL_RANK=0 "$@" & first=$!
RANK=1 LOCAL_RANK=1 "$@" & second=$!
while [ ! -e "$begun" ]; do sleep 0.1; done
ip link set lo down
sleep 60
ip link set lo up
wait $first && wait $second
"""


@pytest.mark.slow
@pytest.mark.skipif(not may_cut(), reason="no network of its own can be made here")
def test_a_network_that_is_cut_for_a_minute_costs_nothing(runner: Callable[[str], Runner]) -> None:
    cut = runner("cut")
    given = {
        "begun": str(cut.folder / "metrics" / "sft.jsonl"),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
    }
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", CUT, "cut"]
    begin = time.monotonic()
    done = subprocess.run(
        [*command, sys.executable, "-m", "actwise", *cut.arguments],
        capture_output=True,
        text=True,
        env=os.environ | given,
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin > 60
    check_same_end(cut.folder, runner("both").folder)


def wait_seconds(seconds: float) -> None:
    """Let this process wait so long for another one."""
    from actwise.model import processes

    processes._PATIENCE = timedelta(seconds=seconds)


def wait_long() -> None:
    wait_seconds(120)


def wait_shortly() -> None:
    wait_seconds(8)


def stand_still(seconds: float) -> Callable[[BaseProcess], None]:
    """Return what lets a process do nothing for a while."""

    def strike(process: BaseProcess) -> None:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGCONT)

    return strike


@pytest.mark.slow
def test_a_process_that_stands_still_is_waited_for(runner: Callable[[str], Runner]) -> None:
    still = runner("still")
    begun = still.folder / "metrics" / "sft.jsonl"
    codes = still.together(
        2, begun.exists, victim=1, first=wait_long, each=wait_long, strike=stand_still(10)
    )
    assert codes == [0, 0]
    check_same_end(still.folder, runner("both").folder)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_who_waits_too_long_ends_with_a_line(victim: int, runner: Callable[[str], Runner]) -> None:
    left = runner(f"left-{victim}")
    begun = left.folder / "metrics" / "think.jsonl"
    codes = left.together(
        2,
        begun.exists,
        victim=victim,
        first=wait_shortly,
        each=wait_shortly,
        strike=stand_still(30),
    )
    assert codes == [2, 2]
    for rank in range(2):
        (said,) = left.log_of(rank).read_text().splitlines()[-1:]
        assert said.startswith("actwise: another process of this run has ended"), rank
    assert left.together(2) == [0, 0]
    check_same_end(left.folder, runner("both").folder)


def fill_disk() -> None:
    """See to it that no file of this process holds all logs."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_where_one_cannot_keep_the_logs_all_end_with_one_line(
    victim: int, runner: Callable[[str], Runner]
) -> None:
    full = runner(f"full-{victim}")
    assert full.together(2, first=fill_disk, victim=victim) == [2, 2]
    told = full.log_of(victim).read_text() + full.log_of(1 - victim).read_text()
    said = [line for line in told.splitlines() if line.startswith("actwise: ")]
    assert len(said) == 1
    assert "the conversations cannot be kept there" in said[0]
    assert full.together(2) == [0, 0]
    check_same_end(full.folder, runner("both").folder)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_clock_that_jumps_changes_nothing(victim: int, runner: Callable[[str], Runner]) -> None:
    jumping = runner(f"jumping-{victim}")
    assert jumping.together(2, first=jump, victim=victim) == [0, 0]
    check_same_end(jumping.folder, runner("both").folder)
