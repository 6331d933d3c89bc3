"""Dialogs of Taskmaster and runs of tau-bench."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actwise.conversation import Conversation, Message
from actwise.errors import InputError
from actwise.formats import Rejected, read_files
from actwise.formats.readers import taskmaster4 as tm4
from formats.chats import HELLO, LOOKUP, call, calling, conversation, read_one, result, write_lines

DATA = Path(__file__).parents[3] / "shared" / "data"


AIRLINE = DATA / "tau-bench-v1"


def annotations(name: str, request: str | None, response: str, number: int = 0) -> list[Any]:
    call_context, response_context = f"api_call_{number}", f"api_response_{number}"
    out = [{"name": "api_call", "value": name, "context": call_context}]
    if request is not None:
        out.append({"name": "request", "value": request, "context": call_context})
    out.append({"name": "api_response", "value": name, "context": response_context})
    out.append({"name": "response", "value": response, "context": response_context})
    return out


def said(speaker: str, text: str, *calls: list[Any]) -> dict[str, Any]:
    return {
        "speaker": speaker,
        "text": text,
        "annotations": [part for call in calls for part in call],
    }


def test_taskmaster_calls_come_between_utterances(tmp_path: Path) -> None:
    first = annotations("show_menu", None, '{"success":true}', 0)
    second = annotations("get_menu_items", '{"query": "té"}', '{"menu_items":["té"]}', 1)
    record = {
        "conversation_id": "dlg-1",
        "utterances": [
            said("user", "Hello"),
            said("user", "tea?", first, second),
            said("assistant", "Yes."),
            said("assistant", "Which one?"),
        ],
    }
    item = conversation(tmp_path, record)
    assert (item.id, item.tools) == ("dlg-1", tm4.TOOLS)
    system, *messages = item.messages
    assert system == Message(role="system", content=tm4.SYSTEM_PROMPT)
    assert [m.to_dict() for m in messages] == [
        {"role": "user", "content": "Hello\ntea?"},
        calling(call({}, "show_menu", "api_call_0"), content=""),
        {**result("api_call_0", '{"success": true}'), "name": "show_menu"},
        calling(call({"query": "té"}, "get_menu_items", "api_call_1"), content=""),
        {**result("api_call_1", '{"menu_items": ["té"]}'), "name": "get_menu_items"},
        {"role": "assistant", "content": "Yes.\nWhich one?"},
    ]


def test_all_broken_texts_of_a_dialog_are_named(tmp_path: Path) -> None:
    first = annotations("get_menu_items", '{"query": ""x""}', "{", 0)
    second = annotations("finish_order", '{"order_id": "1"}', "oops", 1)
    rejected = read_one(tmp_path, {"utterances": [said("user", "x", first, second)]})
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.count) == ("broken_json", 3)
    assert "request of get_menu_items (api_call_0, utterance 0)" in rejected.detail
    assert "response of get_menu_items (api_call_0, utterance 0)" in rejected.detail
    assert "response of finish_order (api_call_1, utterance 0)" in rejected.detail


MENU = annotations("get_menu_items", '{"query": "x"}', "{}")


@pytest.mark.parametrize(
    ("reason", "utterance"),
    [
        ("unknown_role", said("waiter", "x")),
        ("non_text_content", {"speaker": "user", "text": None}),
        ("misplaced_calls", said("assistant", "x", MENU)),
        ("bad_annotations", said("user", "x", MENU[1:])),
        ("bad_annotations", said("user", "x", MENU[:3])),
        ("bad_annotations", said("user", "x", MENU[:2] + annotations("show_menu", None, "{}")[1:])),
        ("undeclared_tool", said("user", "x", annotations("refund", "{}", "{}"))),
        ("arguments_not_object", said("user", "x", annotations("show_menu", "[]", "{}"))),
        ("bad_arguments", said("user", "x", annotations("get_menu_items", '{"query": 1}', "{}"))),
        ("bad_arguments", said("user", "x", annotations("show_menu", '{"page": 1}', "{}"))),
        ("no_assistant", said("user", "x")),
    ],
)
def test_unusable_taskmaster_dialogs(
    tmp_path: Path, reason: str, utterance: dict[str, Any]
) -> None:
    rejected = read_one(tmp_path, {"utterances": [utterance]})
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


def test_all_of_taskmaster() -> None:
    path = DATA / "taskmaster4" / "dialogs.jsonl.gz"
    if not path.exists():
        pytest.skip("the Taskmaster-4 dialogs are not beside the checkout")
    items = list(read_files([path]))
    rejected = [item for item in items if isinstance(item, Rejected)]
    kept = [item for item in items if isinstance(item, Conversation)]
    assert (len(items), len(kept), len(rejected)) == (3040, 3025, 15)
    # Counted with json.loads alone: 34 responses and 21 requests are not JSON.
    assert {item.reason for item in rejected} == {"broken_json"}
    assert sum(item.count for item in rejected) == 55
    kinds = Counter(decision.kind for item in kept for decision in item.decisions())
    # 12,064 calls and 5,601 answers stand in the file; the rest is in the 15 rejected dialogs.
    assert kinds == {"call": 11988, "answer": 5567}


def test_tau_bench_runs_form_groups_by_task(tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([LOOKUP]))
    run = {"task_id": 4, "trial": 1, "reward": 0.0, "traj": [*HELLO, calling(call("{}"))]}
    path = write_lines(tmp_path / "runs.jsonl", {**run, "traj": HELLO}, run, {**run, "trial": "1"})
    good, bad_call, bad_trial = read_files([path], tools=tools)
    assert isinstance(good, Conversation)
    assert (good.id, good.group, good.tools) == ("task-4-trial-1", "task-4", (LOOKUP,))
    assert isinstance(bad_call, Rejected)
    assert isinstance(bad_trial, Rejected)
    assert (bad_call.reason, bad_trial.reason) == ("bad_arguments", "bad_field")
    with pytest.raises(InputError, match="--tools"):
        list(read_files([path]))


def test_all_of_tau_bench_airline() -> None:
    path = AIRLINE / "historical_trajectories" / "gpt-4o-airline.json.gz"
    if not path.exists():
        pytest.skip("the tau-bench runs are not beside the checkout")
    items = list(read_files([path], tools=AIRLINE / "airline" / "tools.json.gz"))
    kept = [item for item in items if isinstance(item, Conversation)]
    assert len(items) == len(kept) == 200
    assert Counter(item.group for item in kept) == {f"task-{task}": 4 for task in range(50)}
    kinds = Counter(decision.kind for item in kept for decision in item.decisions())
    assert kinds == {"call": 1164, "answer": 1290}
