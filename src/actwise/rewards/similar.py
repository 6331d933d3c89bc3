"""A sentence-embedding model on this machine: how alike two texts are in meaning.

It needs the extra `similar` (sentence-transformers), which is imported only where such a model is
configured. What texts affirm or deny it hardly tells ("open" and "closed" are 0.83 alike for
all-MiniLM-L6-v2), so it decides only what nothing else does.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from actwise.errors import ConfigError
from actwise.rewards.settings import LocalEmbedding

_BATCH = 64


@cache
def encoder(settings: LocalEmbedding) -> Any:
    """Return the one model of a process for these settings.

    Raises:
        ConfigError: sentence-transformers is not installed, or there is no such model.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError(
            "reward.embedding: a model on this machine needs sentence-transformers; "
            "install actwise[similar], or give the url of an endpoint"
        ) from error
    try:
        return SentenceTransformer(settings.model, device=settings.device)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"reward.embedding.model: {settings.model} cannot be loaded: {reason}"
        ) from error


def local_similarities(settings: LocalEmbedding, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """Return the cosine of the embeddings of each pair of texts, at least 0.

    A text longer than the model reads is cut by it.
    """
    texts = sorted({text for pair in pairs for text in pair})
    if not texts:
        return []
    vectors = encoder(settings).encode(
        texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
    )
    place = {text: number for number, text in enumerate(texts)}
    cosines = (float(vectors[place[one]] @ vectors[place[other]]) for one, other in pairs)
    return [min(1.0, max(0.0, cosine)) for cosine in cosines]
