"""What a model's context holds, recorded thoughts included."""

import tracemalloc
from pathlib import Path

import pytest

from actwise.config import RunConfig
from actwise.conversation import Conversation
from actwise.data.fit import longest_prompt
from actwise.data.prepare import Prepared, fit
from actwise.data.split import Splits
from actwise.data.stored import Store
from actwise.errors import InputError
from actwise.template.render import Template
from actwise.training.stages.sft import Target, sft_tree
from finding import conversation

SOURCES = [("auto", True), ("recorded", True), ("both", True), ("derived", False)]


def thinking_long(words: int) -> Conversation:
    plain = conversation("W1")
    messages = list(plain.messages)
    messages[1] = messages[1].model_copy(update={"reasoning_content": "Look there. " * words})
    return plain.model_copy(update={"messages": tuple(messages)})


@pytest.mark.parametrize(("source", "left_out"), SOURCES)
def test_a_conversation_is_left_out_where_a_thought_that_is_trained_on_goes_beyond_the_context(
    tiny_model_dir: Path, source: str, left_out: bool
) -> None:
    template = Template.load(str(tiny_model_dir))
    short, long = conversation("W2"), thinking_long(300)
    prepared = Prepared(Splits([short, long], [long], {"test": [long]}), [], [])
    asked = {
        "model": {"max_length": 1024},
        "think": {"source": source},
        "data": {"bad_records": "skip"},
    }
    fitted = fit(prepared, RunConfig.model_validate(asked), template, 4096)
    assert (list(fitted.splits.train) == [short]) is left_out
    # What is measured on thinks for itself.
    assert [*fitted.splits.dev, *fitted.splits.tests["test"]] == [long, long]
    if left_out:
        trained = [Target(d, d.gold.reasoning_content) for d in short.decisions()]
        assert sft_tree(template, trained).num_tokens <= 1024
        stop = asked | {"data": {"bad_records": "stop"}}
        with pytest.raises(InputError, match="tokens and the model holds 1024"):
            fit(prepared, RunConfig.model_validate(stop), template, 4096)


def test_the_longest_prompt_is_looked_for_with_a_few_conversations_in_memory(
    tiny_model_dir: Path,
) -> None:
    def long(number: int) -> Conversation:
        plain = conversation("W1")
        first = plain.messages[0].model_copy(update={"content": "?" * (2_000 + number)})
        return plain.model_copy(update={"messages": (first, *plain.messages[1:])})

    def silent(number: int) -> Conversation:
        """Return a conversation whose tools say much."""
        return long(0).model_copy(
            update={"tools": ({"type": "function", "function": {"name": "f" * number}},)}
        )

    template = Template.load(str(tiny_model_dir))
    logs = Store([*map(long, range(400)), silent(4_000)])
    expected = len(template.prompt(logs[400].decisions()[-1], thinking=False))
    tracemalloc.start()
    try:
        assert longest_prompt(template, logs) == expected
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400 * 2_000
