"""Models that cannot be had are refused before torch is imported."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from huggingface_hub import constants

from actwise.errors import ModelError
from actwise.model.startup import check_hub, model_name, model_path
from integration.conftest import Actwise
from integration.conftest import actwise as actwise  # the command line, as a fixture


def a_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def refusal(name: str) -> str:
    with pytest.raises(ModelError) as refused:
        model_path(name)
    return str(refused.value)


def test_the_shipped_model_has_a_name_wherever_it_lies(tmp_path: Path) -> None:
    folder = model_path("base")
    assert Path(folder).is_absolute() and model_name(folder) == "base"
    mine = str(a_model(tmp_path / "mine"))
    assert model_name(model_path(mine)) == mine


def test_a_mistyped_folder_is_never_taken_for_a_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a_model(Path("runs/first"))
    assert refusal("runs/frist") == "runs/frist: no such folder; did you mean runs/first?"
    assert refusal("runs/other").endswith("; name a model's folder or hub name, or `base`")
    assert model_path("Qwen/Qwen3-1.7B") == "Qwen/Qwen3-1.7B"  # there is no folder Qwen


def test_a_run_folder_in_the_place_of_a_model_names_its_models(tmp_path: Path) -> None:
    run = tmp_path / "run"
    a_model(run / "models" / "rl")
    assert refusal(str(run)) == (
        f"{run}: holds no model, for it has no config.json; did you mean {run}/models/rl?"
    )


def test_torch_is_not_imported_to_refuse_a_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from actwise.cli import main; sys.argv = ['actwise', 'run', '--data', 'x', "
        f"'--model', {str(tmp_path / 'modle')!r}, '--out', 'y']\n"
        "try: main()\nexcept SystemExit: print({'torch', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
    assert "no such folder" in done.stderr


def test_a_hub_that_is_switched_off_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"no such folder, not in the cache .*HF_HUB_OFFLINE is"):
        check_hub("nobody/nothing")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[BaseHTTPRequestHandler]]:
    """A hub on this machine; tests say what it answers."""

    class Answer(BaseHTTPRequestHandler):
        code: ClassVar = 404
        headers_sent: ClassVar = {"X-Error-Code": "RepoNotFound"}

        def do_GET(self) -> None:
            self.send_response(self.code)
            for name, value in self.headers_sent.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield Answer
    server.shutdown()
    server.server_close()


def test_a_model_that_the_hub_does_not_have(hub: type[BaseHTTPRequestHandler]) -> None:
    with pytest.raises(ModelError, match="no such folder, and no such model on the hub"):
        check_hub("nobody/nothing")


def test_a_hub_that_refuses_is_left_to_say_so_itself(hub: type[BaseHTTPRequestHandler]) -> None:
    hub.code, hub.headers_sent = 429, {}
    check_hub("nobody/nothing")
    assert not constants.HF_HUB_OFFLINE


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub, as on a machine without a network; returns its cache."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_a_hub_that_cannot_be_reached_is_tried_once(unreachable: Path) -> None:
    with pytest.raises(ModelError) as refused:
        check_hub("nobody/nothing")
    assert "the hub cannot be reached (" in str(refused.value)
    assert str(refused.value).endswith(
        "name a model's folder (`actwise fetch-model` makes one), or `base`, the small one that is "
        "shipped"
    )


@pytest.mark.parametrize("verb", ["chat", "serve --port 0", "export --to out", "eval log.jsonl"])
def test_every_verb_says_in_seconds_that_there_is_no_hub(
    verb: str, unreachable: Path, actwise: Actwise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(unreachable)
    message = '{"messages": [{"role": "user", "content": "Hi"}, '
    Path("log.jsonl").write_text(message + '{"role": "assistant", "content": "Hello."}]}\n')
    model = ["--model"] if verb.startswith("eval") else []
    done = actwise(*verb.split(), *model, "nobody/nothing")
    assert "the hub cannot be reached (" in done.complaint


def test_a_copy_in_the_cache_is_used_where_there_is_no_hub(unreachable: Path) -> None:
    repository = unreachable / "models--nobody--nothing"
    a_model(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    check_hub("nobody/nothing")
    assert constants.HF_HUB_OFFLINE
