"""The desk: its logs are reproducible, small and well formed, its shifted split is kept apart."""

import json
import re
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import pairwise

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.conversation import Conversation, Message, tool_name, tool_parameters
from actwise.desk import SPLITS, generate, open_world
from actwise.desk.domains import DOMAINS
from actwise.desk.wordings import small_talk
from actwise.errors import ConfigError
from desk_oracle import GOODS, PHRASES, WORDINGS, choices

MODULES = (*WORDINGS.values(), small_talk)


@pytest.fixture(scope="module")
def logs() -> dict[str, list[Conversation]]:
    return {split: generate(split, 300) for split in SPLITS}


def everything(logs: dict[str, list[Conversation]]) -> list[Conversation]:
    return [conversation for split in logs.values() for conversation in split]


def written(message: Message) -> str:
    """What a message shows: its text and its calls, without its thought."""
    calls = [json.dumps({"name": c.name, "arguments": c.arguments}) for c in message.tool_calls]
    return "\n".join([message.content, *calls])


# Logs


def test_same_seed_gives_same_conversations_and_more_extend_fewer() -> None:
    assert generate("dev", 5, seed=3) == generate("dev", 9, seed=3)[:5]
    assert [c.id for c in generate("dev", 2, seed=3)] == ["desk-dev-3-0", "desk-dev-3-1"]


def test_unknown_split_is_named() -> None:
    with pytest.raises(ConfigError, match="'validation'"):
        generate("validation", 1)


def test_no_conversation_occurs_in_two_splits_or_seeds(
    logs: dict[str, list[Conversation]],
) -> None:
    texts = Counter(
        "\n".join(m.content for m in c.messages)
        for c in everything(logs) + generate("train", 300, seed=1)
    )
    assert set(texts.values()) == {1}


def test_turns_are_in_order(logs: dict[str, list[Conversation]]) -> None:
    after = {
        "system": {"user"},
        "user": {"assistant"},
        "assistant": {"user", "tool"},
        "tool": {"tool", "assistant"},
    }
    for conversation in everything(logs):
        messages = conversation.messages
        assert messages[0].role == "system"
        assert messages[-1].role == "assistant" and messages[-1].content
        assert 3 <= len(conversation.decisions()) <= 8
        for one, following in pairwise(messages):
            assert following.role in after[one.role]
            assert bool(one.tool_calls) == (one.role == "assistant" and following.role == "tool")
        asked = [call.id for m in messages for call in m.tool_calls]
        assert asked == [m.tool_call_id for m in messages if m.role == "tool"]
        assert len(set(asked)) == len(asked)


def test_calls_fit_their_schemas(logs: dict[str, list[Conversation]]) -> None:
    for conversation in everything(logs):
        tools = {tool_name(tool): tool_parameters(tool) for tool in conversation.tools}
        assert 3 <= len(tools) == len(conversation.tools) <= 4
        for message in conversation.messages:
            for call in message.tool_calls:
                jsonschema.validate(call.arguments, tools[call.name])
                assert call.arguments.keys() == tools[call.name]["properties"].keys()


@settings(max_examples=50, deadline=None)
@given(split=st.sampled_from(SPLITS), seed=st.integers(0, 10**6))
def test_replayed_calls_give_the_recorded_results(split: str, seed: int) -> None:
    (conversation,) = generate(split, 1, seed)
    calls = [call for message in conversation.messages for call in message.tool_calls]
    recorded = [message.content for message in conversation.messages if message.role == "tool"]
    with closing(open_world(conversation.id)) as world:
        assert [world.run(call) for call in calls] == recorded
        assert world.tools() == conversation.tools


def test_size_and_share_of_reasoning(logs: dict[str, list[Conversation]]) -> None:
    for split in SPLITS:
        sizes = [
            len(json.dumps(c.tools)) + sum(len(written(m)) for m in c.messages) for c in logs[split]
        ]
        limit = 1700 if split != "shifted" else 1800
        assert sum(sizes) / len(sizes) < limit and max(sizes) < 2600
        decisions = [d for c in logs[split] for d in c.decisions()]
        assert 0.38 < sum("reasoning" in d.gold.labels for d in decisions) / len(decisions) < 0.5
        assert max(len(d.gold.reasoning_content or "") for d in decisions) < 130


def test_desk_needs_no_torch() -> None:
    code = "import sys, actwise.desk; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The shifted split


def _bag(wording: str) -> tuple[str, ...]:
    return tuple(sorted(re.findall(r"\w+", wording.lower())))


def test_each_kind_of_message_has_five_families_of_wordings_for_shifted_alone() -> None:
    """A family is one wording with all that fills its slots, and its typos and greetings."""
    for module in MODULES:
        for name, choice in choices(module).items():
            assert len(choice.train) >= (4 if name in PHRASES else 8), name
            assert len(choice.shifted) >= 5, name
            train, own = ({_bag(w) for w in pool} for pool in (choice.train, choice.shifted))
            assert len(own) == len(choice.shifted) and not own & train, name
            slots = [sorted(re.findall(r"\{\w+\}", w)) for w in choice.train + choice.shifted]
            assert name in {"GREETING", "THANKS"} or len({tuple(s) for s in slots}) == 1, name


def test_wordings_and_goods_of_shifted_occur_nowhere_else() -> None:
    """Train, dev and test are written from the same pools; all of them are searched."""
    conversations = [c for split in ("train", "dev", "test") for c in generate(split, 300)]
    told = {m.content for c in conversations for m in c.messages if m.role == "user"}
    text = "\n".join(told)
    for name, choice in ((n, c) for module in MODULES for n, c in choices(module).items()):
        for wording in choice.shifted:
            parts = [re.escape(part) for part in re.split(r"\{\w+\}", wording)]
            assert not re.search(".+".join(parts), text, re.IGNORECASE), (name, wording)
    for domain in DOMAINS:
        logs = [c for c in conversations if domain.business.name in c.decisions()[0].gold.labels]
        goods = GOODS[domain.business.name]
        assert not set(goods.train) & set(goods.shifted)
        text = "\n".join(written(m) for c in logs for m in c.messages[1:])
        words = set(re.findall(r"\w+", text.lower()))
        assert not words & set(goods.shifted)
        assert len(words & set(goods.train)) > 0.9 * len(goods.train)


def test_shifted_tools_policies_and_values_are_its_own(
    logs: dict[str, list[Conversation]],
) -> None:
    def names(conversations: list[Conversation]) -> set[str]:
        tools = [tool for c in conversations for tool in c.tools]
        properties = [tool_parameters(tool)["properties"] for tool in tools]
        return {tool_name(tool) for tool in tools} | {n for p in properties for n in p}

    def sentences(conversations: list[Conversation]) -> set[str]:
        texts = [c.messages[0].content for c in conversations]
        return {re.sub(r"\d+", "#", s) for t in texts for s in re.split(r"(?<=[.:;]) ", t)}

    assert names(logs["train"]) == names(logs["dev"]) == names(logs["test"])
    assert not names(logs["train"]) & names(logs["shifted"])
    assert not sentences(logs["train"]) & sentences(logs["shifted"])
    for domain in DOMAINS:
        specs = {**domain.business.lookups, **domain.business.acts, **domain.business.parameters}
        for key, spec in specs.items():
            assert len(spec.names.shifted) >= 2, key
            assert names(logs["train"]) >= set(spec.names.train), key
            assert names(logs["shifted"]) >= set(spec.names.shifted), key
        for key, choice in domain.business.values.items():
            assert not set(choice.train) & set(choice.shifted), (domain.business.name, key)
