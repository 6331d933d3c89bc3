"""Uploading a bundle, to a hub that is a fake on this machine."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants

from actwise.errors import ConfigError, RunError
from actwise.export.push import check_push, push
from integration.conftest import actwise as actwise  # the command line, as a fixture


class Hub(BaseHTTPRequestHandler):
    """The part of a hub's interface that an upload of small files needs."""

    made: dict[str, Any]
    files: dict[str, bytes]
    token = "hf_right"

    def log_message(self, *given: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers["authorization"] != f"Bearer {self.token}":
            self.answer(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            self.made.update(json.loads(body))
            self.answer(200, {"url": f"http://{self.headers['host']}/me/{self.made['name']}"})
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"warnings": [], "errors": []})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            told = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked
            ]
            self.answer(200, {"files": told})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    value = entry["value"]
                    self.files[value["path"]] = base64.b64decode(value["content"])
            url = f"http://{self.headers['host']}/me/bundle/commit/{'0' * 40}"
            self.answer(200, {"commitUrl": url, "commitOid": "0" * 40, "success": True})
        else:
            self.answer(404, {"error": self.path})

    def do_GET(self) -> None:
        self.answer(404, {"error": self.path})

    def answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    Hub.made, Hub.files = {}, {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "README.md").write_text("---\ntags: [actwise]\n---\n# A card\n")
    (folder / "config.json").write_text("{}")
    return folder


def test_a_bundle_is_uploaded_and_private(hub: str, bundle: Path) -> None:
    address = push(bundle, "me/bundle", public=False, api=HfApi(hub, token="hf_right"))
    assert address == f"{hub}/me/bundle"
    assert (Hub.made["name"], Hub.made["visibility"]) == ("bundle", "private")
    assert Hub.files == {file.name: file.read_bytes() for file in bundle.iterdir()}


def test_a_hub_that_refuses_or_is_away_is_told_with_what_to_do(hub: str, bundle: Path) -> None:
    for api in (HfApi(hub, token="hf_wrong"), HfApi("http://127.0.0.1:9", token="hf_right")):
        with pytest.raises(RunError, match=r"--push me/bundle: .*hf upload me/bundle") as caught:
            push(bundle, "me/bundle", public=True, api=api)
        assert "\n" not in str(caught.value) and "hf_wrong" not in str(caught.value)
    assert Hub.files == {}


def test_what_cannot_be_uploaded_is_refused_before_anything_is_computed(
    actwise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "absent"))
    monkeypatch.setenv("HF_TOKEN", "hf_any")
    with pytest.raises(ConfigError, match=r"--push a/b/c: .*name it OWNER/NAME"):
        check_push("a/b/c")
    check_push("me/bundle")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    to = tmp_path / "bundle"
    told = actwise("export", "base", "--to", to, "--push", "me/bundle").complaint
    assert told.startswith("--push me/bundle: there is no token") and "hf auth login" in told
    assert not to.exists()
