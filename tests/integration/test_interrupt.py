"""Ctrl-C ends a command whatever it waits for."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

REWARDS = """
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def computes(completion, decision):
    Path("begun").touch()
    hashlib.pbkdf2_hmac("sha256", b"outside", b"of Python", 2**31 - 1)


def waits_at_the_end(completion, decision):
    ThreadPoolExecutor().submit(time.sleep, 3600)
    Path("begun").touch()
    time.sleep(3600)


def swallows(completion, decision):
    Path("begun").touch()
    while True:
        try:
            time.sleep(3600)
        except KeyboardInterrupt:
            pass
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "log.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": tree}, {"role": "assistant", "content": "Yes."}]}
        for tree in ("alder", "birch", "cedar")
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "my_rewards.py").write_text(REWARDS)
    return file


def interrupted(folder: Path, arguments: list[Any], moment: Callable[[], bool]) -> str:
    """Interrupt a command when the moment has come; return what it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "actwise", *map(str, arguments)],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A shell lets its background jobs ignore the interrupt, and what they start inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            while not moment():
                assert process.poll() is None, process.communicate()[1]
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=20)  # what it waits for takes for ever
        finally:
            process.kill()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["computes", "waits_at_the_end", "swallows"])
def test_in_a_reward(tiny_model_dir: Path, tmp_path: Path, log: Path, name: str) -> None:
    # An answer of the right kind, or no reward is asked.
    asked = ["eval", log, "--model", "base", "--mode", "direct"]
    asked += ["--set", f"reward.custom.own={{function = 'my_rewards:{name}', weight = 1}}"]
    said = interrupted(tmp_path, asked, (tmp_path / "begun").exists)
    assert said.count("actwise: interrupted\n") == 1


@pytest.mark.slow
def test_at_a_silent_judge(tmp_path: Path, log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        asked = ["eval", log, "--model", "base", "--mode", "direct"]
        asked += ["--set", f"reward.endpoint={{url = '{url}', model = 'm', timeout = 3600}}"]
        connections = []

        def connected() -> bool:
            try:
                connections.append(server.accept())
            except BlockingIOError:
                return False
            return True

        said = interrupted(tmp_path, asked, connected)
    assert said.endswith("actwise: interrupted\n")


@pytest.mark.parametrize("verb", ["convert into", "check"])
def test_at_a_pipe_with_nobody_at_its_other_end(tmp_path: Path, log: Path, verb: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    asked = ["convert", log, "--out", "pipe"] if verb != "check" else ["check", "pipe"]
    begin = time.monotonic()
    interrupted(tmp_path, asked, lambda: time.monotonic() > begin + 3)
    assert (tmp_path / "pipe").is_fifo()


def test_a_command_that_keeps_what_it_did_says_so(tmp_path: Path, log: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    begin = time.monotonic()
    asked = ["run", "--data", "pipe", "--model", "base", "--out", "out"]
    said = interrupted(tmp_path, asked, lambda: time.monotonic() > begin + 3)
    last = said.splitlines()[-1]
    assert last == "actwise: interrupted; the same command goes on from here"
