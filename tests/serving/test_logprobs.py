"""The texts of single tokens, against the text of all of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.engine import SamplingParams
from actwise.engine.batch import Request, Token
from actwise.serving.protocol import written_logprobs
from engine.test_text import LLAMA, METASPACE, PIECES, SENTENCE, SHIPPED, SUFFIXES, WORDS

REQUEST = Request((1,), SamplingParams(9, (0,), 0.0))
KINDS: dict[str, tuple[Any, int]] = {
    "llama": (LLAMA, len(SENTENCE)),
    "metaspace": (METASPACE, len(SENTENCE)),
    "pieces": (PIECES, len(WORDS) - 1),
    "suffixes": (SUFFIXES, 4),
    "shipped": (SHIPPED, 1000),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_texts_of_the_tokens_are_the_text_of_all(kind: str, data: st.DataObject) -> None:
    template, number = KINDS[kind]
    ids = data.draw(st.lists(st.integers(1, number), min_size=1, max_size=12))
    first = data.draw(st.integers(0, len(ids) - 1))
    tokens = [Token(REQUEST, i, -0.5) for i in ids]
    told = [
        part
        for begin, end in ((0, first), (first, len(ids)))
        for part in written_logprobs(template, tokens[:end], begin)["content"]
    ]
    assert len(told) == len(ids)
    texts = [part["token"] for part in told]
    how = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    whole = template.tokenizer.decode(ids, **how)
    if "\ufffd" not in "".join(texts) + whole:
        assert "".join(texts) == whole
        assert [bytes(part["bytes"]).decode() for part in told] == texts
