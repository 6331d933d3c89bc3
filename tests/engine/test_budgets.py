"""Writing under a budget, against counting the whole thought again with each token."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from actwise.conversation import Conversation, Decision, Message
from actwise.desk import MODEL
from actwise.engine import SamplingParams
from actwise.engine.batch import Request, Token
from actwise.engine.prompt import Prompt, read_prompt
from actwise.engine.writing import Writing
from actwise.errors import InputError
from actwise.template.calls import FormatError
from actwise.template.render import Template
from families import FAMILIES, Family, make_tokenizer

TEMPLATE = Template.load(str(MODEL))
END = TEMPLATE.stop_token_ids[0]
HI = Conversation(id="hi", messages=(Message(role="user", content="Hi"),), tools=())
PIECES = [
    "order",
    " W123",
    " is",
    "Hmm",
    ".",
    ", ",
    "\n",
    " ",
    "_",
    "é",
    "語。",
    "🙂",
    "ﷺ",
    "think",
]
MARKS = ["<think>", "</think>", "<", "<tool_call>"]


def make(budget: int, *, opened: bool, template: Template = TEMPLATE) -> Writing:
    prompt = Prompt(template, Decision(HI, 1), True, (1, 2, 3), opened, 1000)
    params = SamplingParams(999, template.stop_token_ids, 0.0)
    return Writing(prompt, Request(prompt.token_ids, params, 0), budget)


def first_cut(prompt: Prompt, ids: list[int], budget: int) -> tuple[int, str] | None:
    """After how many tokens the thought is cut, and to what, by parsing and counting all of it."""
    for end in range(1, len(ids) + 1):
        parsed = prompt.parse_written(TEMPLATE.decode(ids[:end]))
        thought = parsed.thought or ""
        whole = ids[end - 1] == END or FormatError.UNCLOSED_THOUGHT not in parsed.errors
        if not whole:
            words = list(regex.finditer(r"\w(?=(?!_)[\s\p{P}])", thought))
            thought = thought[: words[-1].end()] if words else ""
        counted = TEMPLATE.encode(thought)
        if len(counted) > budget:
            return end, TEMPLATE.decode(counted[:budget])
        if whole and parsed.thought is not None:
            return None
    return None


@example(
    begin="<think>\n",
    pieces=["order", " W123", "Hmm", "Hmm", "Hmm", " is", "_"],
    budget=17,
    opened=False,
)
@given(
    begin=st.sampled_from(["<think>\n", "<think>", "", " <think>", "\n"]),
    pieces=st.lists(st.sampled_from([*PIECES * 3, *MARKS]), max_size=80),
    budget=st.integers(0, 60),
    opened=st.booleans(),
)
def test_a_thought_is_cut_where_all_of_it_is_counted_again(
    begin: str, pieces: list[str], budget: int, opened: bool
) -> None:
    writing = make(budget, opened=opened)
    ids = [i for piece in [begin, *pieces] for i in TEMPLATE.encode(piece)] + [END]
    expected = first_cut(writing.prompt, ids, budget)
    told = ""
    for number, i in enumerate(ids, 1):
        reason = "stop" if i == END else None
        instead = writing.add(Token(writing.request, i, 0.0, reason))
        assert writing.text == TEMPLATE.decode([token.id for token in writing.tokens])
        assert (writing.prompt.parse_written(writing.text).thought or "").startswith(told)
        told = writing.prompt.parse_written(writing.certain).thought or ""
        if expected is not None and number == expected[0]:
            given_ids = writing.prompt.closed_thought(expected[1])
            assert instead is not None and instead.prompt == (1, 2, 3, *given_ids)
            assert tuple(token.id for token in writing.tokens) == given_ids
            return
        assert instead is None
    assert expected is None


SAID = {
    "s": {"role": "system", "content": "Be kind."},
    "u": {"role": "user", "content": "Hi"},
    "a": {"role": "assistant", "content": "Hello"},
    "c": {
        "role": "assistant",
        "tool_calls": [{"id": "c12345678", "function": {"name": "find", "arguments": "{}"}}],
    },
    "r": {"role": "tool", "tool_call_id": "c12345678", "content": "{}"},
}


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if not f.shipped], ids=lambda family: family.name
)
@pytest.mark.parametrize("history", ["u", "ucr", "s", "a", "sa", "ua", "uaa", "uc", "cr", "su"])
def test_a_thought_is_cut_behind_every_history_that_is_rendered(
    family: Family, history: str
) -> None:
    template = Template(make_tokenizer(family))
    policy: Any = SimpleNamespace(template=template, context_length=10**5)
    try:
        prompt = read_prompt(policy, [SAID[letter] for letter in history], thinking=True)
    except InputError:
        assert history not in ("u", "ucr", "su")
        return
    params = SamplingParams(500, template.stop_token_ids, 0.0)
    writing = Writing(prompt, Request(prompt.token_ids, params), budget=7)
    thought = "One two three four"
    begun = thought if prompt.opened else template.syntax.think[0] + thought
    written = (writing.add(Token(writing.request, i, 0.0)) for i in template.encode(begun))
    instead = next(cut for cut in written if cut is not None)
    given = instead.prompt[len(prompt.token_ids) :]
    parsed = prompt.parse_written(template.decode(list(given)) + "Hello")
    assert (parsed.thought, parsed.answer, parsed.errors) == ("One two", "Hello", ())


class Counting(Template):
    """Counts what is decoded and encoded."""

    def __init__(self, tokenizer: Any) -> None:
        self.decoded = self.encoded = 0
        super().__init__(tokenizer)

    def decode(self, token_ids: list[int]) -> str:
        self.decoded += len(token_ids)
        return super().decode(token_ids)

    def encode(self, text: str) -> list[int]:
        self.encoded += len(text)
        return super().encode(text)


def work(num_words: int) -> Iterator[float]:
    template = Counting(TEMPLATE.tokenizer)
    ids = TEMPLATE.encode("<think>\n" + "The order is W123. " * num_words)
    writing = make(len(ids) + 1, opened=False, template=template)
    template.decoded = template.encoded = 0
    for i in ids:
        writing.add(Token(writing.request, i, 0.0))
    yield template.decoded / len(ids)
    yield template.encoded / len(ids)


@pytest.mark.parametrize("kind", [0, 1], ids=["decoded", "encoded"])
def test_the_work_for_a_token_does_not_grow_with_the_text(kind: int) -> None:
    short, long = (list(work(number))[kind] for number in (100, 800))
    # Eight times as long: all over again it would be eight times as much for each token.
    assert long < 2 * short
