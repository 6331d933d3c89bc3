"""The tokenizer of the base model: byte-level BPE shaped so that copying is easy.

A word is written with the same tokens wherever it stands: after a blank in a sentence, after a
quote in JSON, before a comma. So blanks are tokens of their own or belong to punctuation, and only
function words ("of", "the") take the blank before them; digits stand one by one; `_` is no part of
a word. The price is more tokens per sentence; what it buys is that a small model copies a value by
copying its tokens. JSON boilerplate of tool schemas is kept in one piece, so prompts stay short.
"""

import importlib
import inspect
import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from pydoc_data.topics import topics

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from tools.base_model.exercises import words

END_OF_TEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, IM_START, IM_END)
TAGS = (
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
"""Control tags that are plain text when decoded, as in Qwen3: the parser must see them."""

_CONTROL = re.compile("|".join(re.escape(text) for text in (*SPECIAL, *TAGS)))
_BOILERPLATE = (
    '{"type": "function", "function": {"name": "',
    '", "parameters": {"type": "object", "properties": {"',
    '", "parameters": {"type": "object", "properties": {}',
    '": {"type": "string", "description": "',
    '": {"type": "integer", "description": "',
    '": {"type": "number", "description": "',
    '": {"type": "boolean", "description": "',
    '": {"type": "string", "enum": ["',
    '": {"type": "array", "items": {"type": "string"}',
    '": {"type": "array", "items": {"type": "object", "properties": {"',
    '": {"type": "object", "properties": {"',
    '": {"type": "string"}',
    '": {"type": "integer"}',
    '": {"type": "number"}',
    '": {"type": "boolean"}',
    '"}}, "required": ["',
    '}, "required": ["',
    '}, "required": []}}}',
    '"]}}}',
    '\n{"name": "',
    '", "arguments": {"',
    '", "arguments": {}}\n',
)
_BOILERPLATE_COUNT = 3000
"""How often each piece counts in training, so that it ends as one token."""
_FUNCTION_WORDS = words(
    "a about after all also an and any are as at be been but by can did do does for from had has "
    "have he how if in into is it its me more my no not now of on one or our out please she so "
    "some than that the their them then there they this to too until up us was we were what when "
    "where which while who will with would you your"
)
_LITERALS = "|".join(re.escape(text).replace("\\\n", r"\n") for text in _BOILERPLATE)
_MARK = rf"(?:(?!{_LITERALS})[^\p{{L}}\p{{N}}\s])"
_PIECES = "|".join(
    [
        _LITERALS,
        rf" (?:{'|'.join(_FUNCTION_WORDS)})(?![\p{{L}}\p{{N}}_'-])",
        r"\p{Lu}?\p{Ll}+",
        r"\p{Lu}+(?!\p{Ll})",
        r"\p{L}",
        r"\p{N}",
        rf" ?{_MARK}+(?: {_MARK}+)*(?: |\n+)?",
        r"\n+",
        r" +",
        r"\s",
    ]
)
_ENGLISH_MODULES = (
    "argparse",
    "calendar",
    "collections",
    "csv",
    "datetime",
    "difflib",
    "email.message",
    "json",
    "logging",
    "mailbox",
    "pathlib",
    "random",
    "shutil",
    "sqlite3",
    "statistics",
    "string",
    "subprocess",
    "textwrap",
    "unittest",
    "zipfile",
)


def general_english() -> list[str]:
    """Return prose that every Python carries: its help topics and docstrings of its library."""
    texts = list(topics.values())
    for name in _ENGLISH_MODULES:
        module = importlib.import_module(name)
        texts.append(inspect.getdoc(module) or "")
        for _, member in sorted(vars(module).items()):
            if inspect.isclass(member) or inspect.isfunction(member):
                texts.append(inspect.getdoc(member) or "")
    return texts


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, chat_template: str
) -> PreTrainedTokenizerFast:
    """Train the tokenizer.

    Args:
        texts: What to learn the merges from.
        vocab_size: Number of tokens in all, special ones included.
        chat_template: Jinja source, saved with the tokenizer.
    """
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    added = [AddedToken(text, special=True, normalized=False) for text in SPECIAL]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(TAGS),
        special_tokens=added,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # The trainer does not know the control tags and would learn merges inside them.
    plain = (part for text in texts for part in _CONTROL.split(text))
    boilerplate = (text for text in _BOILERPLATE for _ in range(_BOILERPLATE_COUNT))
    tokenizer.train_from_iterator(itertools.chain(plain, boilerplate), trainer)
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=None,
        eos_token=IM_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[IM_START],
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
        chat_template=chat_template,
    )


def template_source() -> str:
    """Return the chat template that actwise renders with."""
    path = Path(__file__).parents[2] / "src" / "actwise" / "template" / "chat_template.jinja"
    return path.read_text(encoding="utf-8")
