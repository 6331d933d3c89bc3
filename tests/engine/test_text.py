"""Texts that grow token by token, against decoding all tokens again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from actwise.desk import MODEL
from actwise.engine.text import GrowingText
from actwise.template.render import Template

SHIPPED = Template.load(str(MODEL))
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SENTENCE = ["▁", "▁a", "b", "▁the", "é", "語", "▁▁", ".", "\n"]


class Decodes:
    """A tokenizer that is no template's, decoded as a template does."""

    stop_token_ids = (0,)
    decode = Template.decode

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def with_decoder(model: Any, decoder: Any) -> Decodes:
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoder
    return Decodes(tokenizer)


def vocabulary(*words: str) -> dict[str, int]:
    return {word: number for number, word in enumerate(["</s>", *words])}


def bpe(*words: str, fallback: bool = False) -> models.BPE:
    return models.BPE(vocab=vocabulary(*words), merges=[], byte_fallback=fallback)


# Of a sentence's first word the space is taken away; bytes are joined to characters.
LLAMA = with_decoder(
    bpe(*SENTENCE, *BYTES, fallback=True),
    decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    ),
)
METASPACE = with_decoder(bpe(*SENTENCE), decoders.Metaspace())
WORDS = vocabulary("the", "##ing", "go", ".", "##s")
PIECES = with_decoder(models.WordPiece(WORDS, unk_token="</s>"), decoders.WordPiece(cleanup=False))
SUFFIXES = with_decoder(bpe("a", "b</w>", "the</w>", ".</w>"), decoders.BPEDecoder())
KINDS: dict[str, Any] = {
    "shipped": SHIPPED,
    "llama": LLAMA,
    "metaspace": METASPACE,
    "wordpiece": PIECES,
    "suffixes": SUFFIXES,
}


def compare(kind: str, ids: list[int], given_ids: int = 0) -> GrowingText:
    template = KINDS[kind]
    text = GrowingText(template, ids[:given_ids])
    for end in range(given_ids + 1, len(ids) + 1):
        before = text.text[: text.num_fixed]
        text.add(ids[end - 1])
        assert text.text == template.decode(ids[:end])
        assert text.text.startswith(before) and text.num_fixed >= len(before)
    return text


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_text_is_that_of_all_tokens(kind: str, data: st.DataObject) -> None:
    size = len(KINDS[kind].tokenizer)
    # One beyond: a model may have more embeddings than there are tokens.
    ids = data.draw(st.lists(st.integers(1, size), min_size=40, max_size=120))
    compare(kind, ids, data.draw(st.integers(0, 40)))


@pytest.mark.parametrize("kind", ["shipped", "llama"])
@given(text=st.text("aé語🙂 \n", min_size=30, max_size=60), cut=st.integers(0, 3))
def test_characters_of_several_tokens(kind: str, text: str, cut: int) -> None:
    data = text.encode()
    tokenizer = KINDS[kind].tokenizer
    if kind == "llama":
        ids = tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in data])
    else:
        ids = SHIPPED.encode(text)
    compare(kind, ids[: len(ids) - cut])


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_last_tokens_are_decoded_again(kind: str) -> None:
    template = KINDS[kind]
    words = [i for i in range(1, len(template.tokenizer)) if template.decode([i]).strip().isascii()]
    ids = (words[:50] * 1000)[:1000] if kind != "llama" else [2, 3, 4] * 333
    text = compare(kind, ids)
    assert text.num_fixed >= len(template.decode(ids[:960]))
