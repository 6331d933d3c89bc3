"""Damaged records of every format, through reader, doctor and the way back: none is lost."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation
from actwise.data.grown import longest_records
from actwise.data.split import openings
from actwise.doctor import examine
from actwise.formats import FORMATS, Rejected, read_files
from actwise.rewards.judge import judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion
from formats.reading import places, replaced
from formats.samples import SAMPLES

COUNT = 600


def junk(draw: random.Random) -> Any:
    deep: Any = "x"
    for level in range(draw.choice((5, 95, 150))):
        deep = [deep] if level % 2 else {"properties": {"a": deep}}
    return draw.choice(
        [
            None,
            True,
            0,
            -1,
            1.5,
            10**400,
            "",
            " ",
            "x",
            "{}",
            "[1]",
            "null",
            [],
            [None],
            [[]],
            {},
            {"id": 1},
            {"type": "text"},
            {"role": "assistant"},
            {"$ref": "#"},
            {"$ref": 3},
            {"$ref": "#/properties"},
            {"$id": "http://[", "type": "object"},
            {"type": "STRING"},
            {"pattern": "(a+)+$", "type": "string"},
            {"multipleOf": 1e-300},
            {"const": None},
            "</think>",
            "<think>",
            "<tool_call>",
            "<tool_call>{}</tool_call>",
            "<|im_end|>",
            "\x1b[2J\u202e",
            "é" * 3000,
            "a" * 5000,
            "[" * 200,
            '{"a":' * 60,
            "1" * 4000,
            ["a"] * 300,
            {str(n): n for n in range(200)},
            deep,
        ]
    )


def mutated(draw: random.Random, sample: Any) -> Any:
    """Return a record with one to four places damaged."""
    for _ in range(draw.randint(1, 4)):
        path = draw.choice(places(sample))
        kind = draw.random()
        if kind < 0.6 or not path:
            sample = replaced(sample, path, junk(draw))
            continue
        sample = copy.deepcopy(sample)
        holder = sample
        for key in path[:-1]:
            holder = holder[key]
        if kind < 0.75:
            del holder[path[-1]]
        elif kind < 0.85 and isinstance(holder, list):
            holder.insert(0, copy.deepcopy(holder[path[-1]]))
        elif isinstance(holder, dict):
            other = SAMPLES[draw.choice(list(SAMPLES))]
            holder[draw.choice([*other, *holder])] = draw.choice(list(other.values()))
        else:
            draw.shuffle(holder)
    return sample


def records(seed: int, count: int) -> Iterator[str]:
    draw = random.Random(seed)
    for _ in range(count):
        text = json.dumps(mutated(draw, SAMPLES[draw.choice(list(SAMPLES))]))
        if draw.random() < 0.1:  # damage the text, too
            at = draw.randrange(len(text) + 1)
            cut = draw.randrange(3)
            text = text[:at] + draw.choice(["", '"', "}", "\\ud800", ","]) + text[at + cut :]
        # A comma alone stands between records.
        yield text if text.strip(" ,") else "{}"


def run(folder: Path, seed: int, count: int) -> tuple[int, int, list[str]]:
    """Send records through; return conversations, rejections, and those by no known reason."""
    log = folder / "log.jsonl"
    good = json.dumps(
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    )
    texts = [good, *records(seed, count)]
    log.write_text("\n".join(texts) + "\n", encoding="utf-8")
    items = list(read_files([log]))
    lines = {i.line if isinstance(i, Rejected) else int(i.source.rpartition(":")[2]) for i in items}
    assert lines == set(range(1, len(texts) + 1)), "each record is read or rejected"
    kept = [item for item in items if isinstance(item, Conversation)]
    diagnosis = examine(items)
    assert diagnosis.conversations == len(kept)
    assert sum(diagnosis.rejected.values()) == len(items) - len(kept)
    assert not [f for f in diagnosis.findings if f.code == "not_examined"]
    longest_records(kept)
    openings(kept)
    again = folder / "again.jsonl"
    again.write_text("".join(item.to_json() + "\n" for item in kept), encoding="utf-8")
    forgotten = {"source": "", "remarks": ()}
    for before, after in zip(kept, read_files([again]), strict=True):
        assert isinstance(after, Conversation), (after, before)
        assert after.model_copy(update=forgotten) == before.model_copy(update=forgotten)
    unknown = [i.detail for i in items if isinstance(i, Rejected) and i.reason == "unreadable"]
    return len(kept), len(items) - len(kept), unknown


@pytest.mark.parametrize("seed", range(3))
def test_damaged_records_are_read_or_rejected_and_none_is_lost(tmp_path: Path, seed: int) -> None:
    kept, rejected, _ = run(tmp_path, seed, COUNT // 3)
    assert kept
    assert rejected


@pytest.mark.parametrize("name", FORMATS)
def test_no_recogniser_fails_whatever_it_is_shown(name: str) -> None:
    draw = random.Random(name)
    for _ in range(60):
        damaged = mutated(draw, SAMPLES[draw.choice(list(SAMPLES))])
        assert FORMATS[name].recognises(damaged) in (True, False)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(10, 30))
def test_many_damaged_records_are_read_or_rejected_and_none_is_lost(
    tmp_path: Path, seed: int
) -> None:
    run(tmp_path, seed, 1000)


SCHEMA: dict[str, Any] = {
    "$defs": {"place": {"type": "object", "properties": {"city": {"type": "string"}}}},
    "type": "object",
    "properties": {
        "number": {"type": "integer", "minimum": 1, "multipleOf": 1},
        "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 40, "default": "x"},
        "kind": {"enum": ["a", "b", None]},
        "place": {"$ref": "#/$defs/place"},
        "list": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
    },
    "required": ["number"],
    "additionalProperties": False,
}


@pytest.mark.exhaustive
def test_hostile_schemas_are_read_or_rejected_and_judged_by(tmp_path: Path) -> None:
    draw = random.Random(5)
    arguments = {"number": 3, "name": "abc", "kind": "a", "place": {"city": "Rome"}, "list": ["x"]}
    lines = []
    for _ in range(500):
        function = {"name": "f", "parameters": mutated(draw, SCHEMA)}
        call = {"id": "c", "function": {"name": "f", "arguments": arguments}}
        messages = [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [call]},
        ]
        tools = [{"type": "function", "function": function}]
        lines.append(json.dumps({"messages": messages, "tools": tools}))
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines) + "\n")
    items = list(read_files([log]))
    assert len(items) == len(lines)
    settings = JudgeConfig()
    for item in items:
        if isinstance(item, Conversation):
            gold = item.messages[1]
            said = ParsedCompletion(None, gold.tool_calls, "", ())
            assert judge(said, gold, item.tools, thinking=False, settings=settings).right
