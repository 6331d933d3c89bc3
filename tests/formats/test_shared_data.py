"""What is read of public data sets, pinned; each count beside what their provenance says of it."""

import gzip
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation
from actwise.errors import InputError
from actwise.formats import FORMATS, Rejected, read_files, write_conversations
from actwise.formats.source import read_texts


@dataclass
class Expected:
    """Files of one format, and what is in all of them together."""

    format: str
    files: str
    """A pattern below the folder of the data."""
    conversations: int
    calls: int
    """Decisions that call; `called` counts the calls in them."""
    answers: int
    called: int
    rejected: dict[str, int] = field(default_factory=dict)
    tools: str | None = None


EXPECTED = [
    # 6,652 dialogues, as upstream says; 621 of them hold no act of the wizard's (counted with
    # json.loads alone), for the user left. Of the 22,169 queries 692 are in rejected dialogues.
    Expected(
        "star",
        "star/dialogues.jsonl.gz",
        5934,
        21477,
        53006,
        21477,
        {"no_assistant": 621, "conflicting_arguments": 96, "bad_arguments": 1},
        tools="star/apis/apis",
    ),
    # 1,510 and 750 dialogues with 3,964 and 2,193 calls; 18 calls lack a slot that their schema
    # requires (counted with json.loads alone), each in a dialogue of its own.
    Expected(
        "sgd",
        "sgd/train.jsonl.gz",
        1492,
        3946,
        13947,
        3946,
        {"bad_arguments": 18},
        tools="sgd/schema_train.json.gz",
    ),
    Expected("sgd", "sgd/dev.jsonl.gz", 750, 2193, 7015, 2193, tools="sgd/schema_dev.json.gz"),
    # 264 dialogues, as upstream says, one of them empty; 508 calls stand in the file.
    Expected("api_bank", "api-bank/*.jsonl.gz", 263, 508, 855, 508, {"no_messages": 1}),
    # 400 rows, as upstream says. 17 thoughts speak of the tags themselves, two calls name no tool
    # of their row, one row describes a tool twice.
    Expected(
        "toolrl",
        "toolrl-rlla/rlla_sft.json.gz",
        312,
        302,
        72,
        463,
        {"bad_arguments": 68, "control_tag": 17, "undeclared_tool": 2, "bad_tools": 1},
    ),
    # 399 + 67 + 131 items, as upstream says. Their numbers and booleans are often texts, against
    # the types that their own prompts declare.
    Expected(
        "toolrl", "toolrl-rlla/api-bank-eval/level-1*", 349, 564, 900, 564, {"bad_arguments": 50}
    ),
    Expected(
        "toolrl",
        "toolrl-rlla/api-bank-eval/level-2*",
        55,
        72,
        108,
        72,
        {"bad_arguments": 6, "undeclared_tool": 6},
    ),
    Expected(
        "toolrl", "toolrl-rlla/api-bank-eval/level-3*", 77, 133, 0, 133, {"bad_arguments": 54}
    ),
    # 45 dialogues with 200 turns, as upstream says; one history holds a reply that is no turn.
    Expected("functionchat", "functionchat/*Dialog*", 45, 70, 131, 70),
    # 606 decisions, as upstream says; the other answers stand in their histories.
    Expected("functionchat", "functionchat/*CallDecision*", 606, 100, 767, 100),
    # 25 functions x 4 queries, as upstream says, x 5 lists of tools.
    Expected("functionchat", "functionchat/*Singlecall*", 500, 500, 0, 500),
    # 300 items, as upstream says; four calls break the schema of their own item.
    Expected("when2call", "when2call/*.jsonl.gz", 296, 96, 200, 96, {"bad_arguments": 4}),
    # 114 + 100 instructions, as upstream says.
    Expected(
        "toolalpaca",
        "toolalpaca/eval_real*",
        83,
        83,
        0,
        83,
        {"no_results": 20, "undeclared_tool": 6, "bad_arguments": 3, "arguments_not_json": 2},
    ),
    Expected(
        "toolalpaca",
        "toolalpaca/eval_simulated*",
        48,
        48,
        0,
        48,
        {"no_results": 43, "arguments_not_json": 6, "bad_arguments": 3},
    ),
    # 400 + 200 x 3 single-turn items, two with an accepted value of another type.
    Expected("bfcl", "bfcl-v4/BFCL_v4_simple_python*", 400, 400, 0, 400),
    Expected(
        "bfcl",
        "bfcl-v4/BFCL_v4_[mp]*[el].json.gz",
        598,
        598,
        0,
        1341,
        {"bad_arguments": 2, "needs_execution": 200},
    ),
    # 100 + 50, whose accepted values are expressions of the language in 18 places.
    Expected("bfcl", "bfcl-v4/BFCL_v4_simple_java*", 132, 132, 0, 132, {"bad_arguments": 18}),
    # 258 + 1,053 + 16 + 24. Two items accept no value for an argument at all (of the four that
    # upstream's own checker refuses, too).
    Expected(
        "bfcl",
        "bfcl-v4/BFCL_v4_live_[mps]*",
        1332,
        1332,
        0,
        1385,
        {"bad_arguments": 17, "no_gold": 2},
    ),
    # No call is right, or any: no action is recorded.
    Expected("bfcl", "bfcl-v4/BFCL_v4*relevance*", 0, 0, 0, 0, {"no_gold": 240 + 884 + 16}),
    Expected("bfcl", "bfcl-v4/BFCL_v4_multi_turn_[lm]*", 0, 0, 0, 0, {"needs_execution": 600}),
    Expected("bfcl", "bfcl-v4/BFCL_v4_memory*", 0, 0, 0, 0, {"needs_execution": 155}),
    Expected("bfcl", "bfcl-v4/memory_prereq_conversation/*", 0, 0, 0, 0, {"needs_execution": 37}),
    Expected("bfcl", "bfcl-v4/BFCL_v4_web_search*", 0, 0, 0, 0, {"needs_execution": 100}),
    # 1,023 English items, as upstream says, and 1,017 Chinese ones.
    Expected(
        "acebench",
        "acebench/data_en/data_normal_atom*",
        270,
        270,
        146,
        302,
        {"no_results": 27, "bad_arguments": 3},
    ),
    Expected(
        "acebench", "acebench/data_en/data_normal_multi*", 100, 100, 93, 100, {"no_results": 123}
    ),
    Expected("acebench", "acebench/data_en/data_normal_p*", 49, 49, 0, 49, {"bad_arguments": 1}),
    Expected(
        "acebench",
        "acebench/data_en/data_normal_si*",
        216,
        216,
        4,
        364,
        {"no_results": 29, "bad_arguments": 5},
    ),
    Expected("acebench", "acebench/data_en/data_special*", 50, 0, 50, 0, {"no_gold": 100}),
    Expected("acebench", "acebench/data_en/data_agent*", 0, 0, 0, 0, {"needs_execution": 50}),
    Expected(
        "acebench",
        "acebench/data_zh/data_normal_atom*",
        254,
        254,
        142,
        254,
        {"no_results": 41, "bad_arguments": 4, "bad_tools": 1},
    ),
    Expected(
        "acebench", "acebench/data_zh/data_normal_multi*", 100, 100, 97, 100, {"no_results": 117}
    ),
    Expected("acebench", "acebench/data_zh/data_normal_p*", 50, 50, 0, 55),
    Expected("acebench", "acebench/data_zh/data_normal_si*", 219, 219, 5, 404, {"no_results": 31}),
    Expected("acebench", "acebench/data_zh/data_special*", 50, 0, 50, 0, {"no_gold": 100}),
    Expected("acebench", "acebench/data_zh/data_agent*", 0, 0, 0, 0, {"needs_execution": 50}),
]


def first_record(path: Path) -> Any:
    item = next(iter(read_texts(path)))
    assert not isinstance(item, Rejected)
    return json.loads(item[1])


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda e: e.files)
def test_counts_and_the_way_back(expected: Expected, shared_data: Path, tmp_path: Path) -> None:
    """The counts hold, and what is written in the canonical form is read again as it was."""
    files = sorted(shared_data.glob(expected.files))
    tools = shared_data / expected.tools if expected.tools else None
    for file in files:
        record = first_record(file)
        assert [n for n, r in FORMATS.items() if r.recognises(record)] == [expected.format]
    items = list(read_files(files, tools=tools))
    kept = [item for item in items if isinstance(item, Conversation)]
    decisions = [decision for item in kept for decision in item.decisions()]
    kinds = Counter(decision.kind for decision in decisions)
    called = sum(len(decision.gold.tool_calls) for decision in decisions)
    rejected = Counter(item.reason for item in items if isinstance(item, Rejected))
    assert (len(kept), kinds["call"], kinds["answer"], called, rejected) == (
        expected.conversations,
        expected.calls,
        expected.answers,
        expected.called,
        expected.rejected,
    )
    # Every part of a large file would teach the same about the way back.
    written = list(islice(kept, 0, None, max(1, len(kept) // 200)))
    if written:
        out = tmp_path / "canonical.jsonl"
        write_conversations(written, out)
        again = [i for i in read_files([out]) if isinstance(i, Conversation)]
        forgotten = {"source": "", "remarks": ()}
        assert [i.model_copy(update=forgotten) for i in again] == [
            i.model_copy(update=forgotten) for i in written
        ]


def test_rows_of_toolrl_in_a_parquet_file(shared_data: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    items = list(read_files([shared_data / "toolrl-rlla" / "test.parquet"]))
    # 80 rows, as upstream says; 20 calls break the types that their own prompts declare, three of
    # them in what a `List[...]` holds.
    assert len(items) == 80
    rejected = Counter(item.reason for item in items if isinstance(item, Rejected))
    assert rejected == {"bad_arguments": 20, "undeclared_tool": 2}


@pytest.mark.parametrize(
    "file",
    [
        "bfcl-v4/BFCL_v4_format_sensitivity.json.gz",
        "bfcl-v4/multi_turn_func_doc/math_api.json.gz",
        "nestful/executable-data.json.gz",
        "seal-tools/dev.jsonl.gz",
        "taskmaster3-reward/reward.jsonl.gz",
        "taskmaster4/reward.jsonl.gz",
        "tau-bench-v1/few_shot_data/MockRetailDomainEnv-few_shot.jsonl.gz",
    ],
)
def test_what_holds_no_conversations_is_told_apart(file: str, shared_data: Path) -> None:
    """docs/formats.md says of each why it is not read."""
    with pytest.raises(InputError, match="the format is not recognised"):
        list(read_files([shared_data / file]))


def test_the_openapi_documents_of_toolalpaca_name_one_tool_for_every_operation(
    shared_data: Path,
) -> None:
    from actwise.formats.openapi import tools_of

    path = shared_data / "toolalpaca" / "eval_real.json.gz"
    for api in json.loads(gzip.decompress(path.read_bytes())):
        document = json.loads(api["Documentation"])
        # All operations are GETs; one document also nests paths in a path, where they are none.
        operations = sum("get" in item for item in document["paths"].values())
        assert len(tools_of(document)) == operations
