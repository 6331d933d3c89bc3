"""A server on a port of this machine, in this process."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from openai import OpenAI

from actwise.desk import MODEL
from actwise.model.policy import Policy
from actwise.serving.app import Limits, Served, Server


@contextmanager
def listening(server: Server) -> Iterator[str]:
    """Serve in a thread; the address of the server."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(server.app, log_level="warning", timeout_graceful_shutdown=2)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    running.should_exit = True
    thread.join()


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The shipped model."""
    return Policy.load(str(MODEL))


@pytest.fixture(scope="session")
def url(policy: Policy) -> Iterator[str]:
    """A server of the shipped model under two names."""
    models = [Served("base", policy, True), Served("sft", policy, False)]
    with listening(Server(models, limits=Limits(max_tokens=200))) as address:
        yield address


@pytest.fixture(scope="session")
def client(url: str) -> OpenAI:
    """The official client."""
    return OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=120)


Start = Callable[..., str]


@pytest.fixture
def start(policy: Policy) -> Iterator[Start]:
    """Start a server of one's own; its address."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(
            listening(Server([Served("base", policy, True)], **how))
        )
