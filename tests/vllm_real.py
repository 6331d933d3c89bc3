"""A real vLLM on processors, in the environment that `make vllm` makes."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import pytest

PROGRAM = Path(__file__).parents[1] / ".venv-vllm" / "bin" / "vllm"

ON_PROCESSORS = (
    "--enforce-eager",
    "--max-model-len=2048",
    "--kv-cache-memory-bytes=268435456",
    # On processors a prompt with a seed that is computed in parts ends the server.
    "--no-enable-chunked-prefill",
    "--max-num-batched-tokens=4096",
)


@dataclass
class RealVllm:
    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(folder: Path, model: Path, arguments: Sequence[str]) -> Iterator[RealVllm]:
    """Run `vllm serve MODEL` with arguments; its log is in the folder."""
    if not PROGRAM.exists():
        pytest.skip("no vLLM; `make vllm` makes an environment with one")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / f"vllm-{port}.log"
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OMP_NUM_THREADS")},
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_SERVER_DEV_MODE": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    }
    command = [PROGRAM, "serve", model, "--host=127.0.0.1", f"--port={port}", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*map(str, command), *ON_PROCESSORS],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    server = RealVllm(f"http://127.0.0.1:{port}", process)
    try:
        while process.poll() is None:
            try:
                if httpx.get(f"{server.url}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.5)
        assert process.returncode is None, log.read_text()[-4000:]
        yield server
    finally:
        if process.poll() is None:
            server.kill()
