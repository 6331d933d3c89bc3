"""`actwise serve` as a process."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2 as httpx

from integration.conftest import actwise as actwise  # the command line, as a fixture


def test_it_serves_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "actwise", "serve", "base", "--port", "0", "--mode", "direct"]
    environment = {**os.environ, "ACTWISE_API_KEY": "sk-right\n"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        line = process.stdout.readline()
        found = re.fullmatch(r"serving base at (http://\S+:\d+) \(Ctrl-C ends it\)\n", line)
        assert found, line + process.stderr.read()
        key = {"authorization": "Bearer sk-right"}
        (model,) = httpx.get(f"{found[1]}/v1/models", headers=key).json()["data"]
        assert (model["id"], model["enable_thinking"]) == ("base", False)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "Traceback" not in process.stderr.read()


def test_mistakes_are_told_in_one_line(actwise: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("ACTWISE_API_KEY", raising=False)
    key = actwise("serve", "base", "--host", "0.0.0.0").complaint
    assert "an API key is needed" in key
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "choose another --port" in actwise("serve", "base", "--port", port).complaint
    for key in ("", " ", "two words", "schlüssel", "sk-\x7f"):
        complaint = actwise("serve", "base", "--api-key", key).complaint
        assert complaint.startswith("--api-key or ACTWISE_API_KEY holds ")
        assert not key.strip() or key not in complaint
    elsewhere = ("--host", "192.0.2.1", "--api-key", "sk-right")  # an address of no machine
    assert "choose another --host" in actwise("serve", "base", *elsewhere).complaint
    assert "no such folder" in actwise("serve", tmp_path / "absent").complaint
    assert "has no model 'rl'" in actwise("serve", "base", "--stage", "rl").complaint
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    monkeypatch.delitem(sys.modules, "actwise.serving.app", raising=False)
    missing = actwise("serve", "base", "--port", 0).complaint
    assert "pip install 'actwise[serve]'" in missing
