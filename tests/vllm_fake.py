"""A vLLM server that is a fake: real HTTP on loopback, with a tiny policy of its own behind it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from peft import set_peft_model_state_dict
from safetensors.torch import load_file

from actwise.conversation import Conversation, Decision
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group
from actwise.model.policy import Policy

Answer = Callable[[str, dict[str, Any]], Any]
"""Given a path and a body: None for the right answer, bytes to send instead, or an int: that
status, 0 to hang up, -1 to say nothing."""


class FakeVllm:
    """The part of vLLM's interface that is asked for."""

    def __init__(self, policy: Policy, answer: Answer | None = None) -> None:
        self.policy = policy
        self.answer: Answer = answer or (lambda path, body: None)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.adapters: list[str] = []
        self.url = ""
        self.closing = threading.Event()
        self._computing = threading.Lock()

    @property
    def completed(self) -> list[dict[str, Any]]:
        """The requests for completions, those that check the weights aside."""
        wanted = [body for path, body in self.asked if path == "/v1/completions"]
        return [body for body in wanted if body["stop_token_ids"]]

    def reply(self, path: str, body: dict[str, Any]) -> Any:
        if path == "/v1/models":
            adapters = [{"id": name, "parent": "tiny"} for name in self.adapters]
            return {"data": [*adapters, {"id": "tiny", "parent": None}]}
        if path == "/v1/load_lora_adapter":
            weights = load_file(Path(body["lora_path"]) / "adapter_model.safetensors")
            set_peft_model_state_dict(self.policy.model, weights)
            self.adapters.append(body["lora_name"])
        elif path == "/v1/unload_lora_adapter":
            self.adapters.remove(body["lora_name"])
        elif path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            weights = load_file(Path(body["kwargs"]["weights_path"]) / "model.safetensors")
            self.policy.model.load_state_dict(weights, strict=False)
        elif path == "/v1/completions":
            assert body["model"] in [*self.adapters[-1:], *([] if self.adapters else ["tiny"])]
            return self._complete(body)
        return {"success": True}

    def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        group = Group(Decision(Conversation(id="", messages=()), 0), tuple(body["prompt"]))
        params = SamplingParams(
            body["max_tokens"], tuple(body["stop_token_ids"]), body["temperature"], body["top_p"]
        )
        generator = torch.Generator().manual_seed(body["seed"])
        with self._computing:
            (group,) = LocalEngine(self.policy).generate(
                [group], num_generations=body["n"], params=params, generator=generator
            )
        return {
            "choices": [
                {
                    "index": number,
                    "token_ids": rollout.sample.token_ids,
                    "logprobs": {"token_logprobs": rollout.sample.logprobs},
                    "finish_reason": rollout.sample.stop_reason,
                }
                for number, rollout in enumerate(group.rollouts)
            ][::-1]
        }


@contextmanager
def running(server: FakeVllm) -> Iterator[FakeVllm]:
    """Let a server answer on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *given: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            body = json.loads(content or b"{}")
            server.asked.append((self.path, body))
            answer = server.answer(self.path, body)
            if answer == 0:
                self.close_connection = True
            elif answer == -1:
                server.closing.wait(60)
            else:
                self.send(answer, body)

        def send(self, answer: Any, body: dict[str, Any]) -> None:
            if answer is None:
                answer = json.dumps(server.reply(self.path, body)).encode()
            status = answer if isinstance(answer, int) else 200
            content = answer if isinstance(answer, bytes) else b'{"error": "it is broken"}'
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
