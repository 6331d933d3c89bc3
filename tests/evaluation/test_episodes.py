"""Whole turns and whole conversations measured."""

import json
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

import actwise
from acting import LIMITS, Fake, actor, called, desk, golden, shipped_template
from actwise.cli import cli
from actwise.conversation import Conversation, Decision, ToolCall
from actwise.desk import MODEL, generate
from actwise.engine.episodes import EpisodeRunner
from actwise.environments import Environment
from actwise.environments.recorded import RecordedEnvironment
from actwise.environments.script import turns_of
from actwise.errors import ModelError
from actwise.evaluation.episodes import EpisodeEvaluator, EpisodeJudge
from actwise.model.value import ValueModel
from actwise.report import write_episodes
from actwise.results.episodes import episode_row
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import Progress
from talks import calls, result, says, talk, user

SETTINGS = JudgeConfig()
CONVERSATIONS = generate("test", 30) + generate("shifted", 10)
QUIET = Progress(Console(quiet=True))


def recorded(conversation: Conversation) -> Environment:
    return RecordedEnvironment(conversation, SETTINGS)


def measured(
    actor: EpisodeRunner,
    conversations: list[Conversation],
    opens: Callable[[Conversation], Environment] = desk,
    *,
    whole: bool,
) -> list[dict[str, Any]]:
    judge = EpisodeJudge(opens, SETTINGS, actor.template)
    evaluator = EpisodeEvaluator(actor, judge, LIMITS)
    return evaluator.evaluate(conversations, whole=whole, progress=QUIET, title="")


def decision(of: Callable[[Decision], bool]) -> Decision:
    return next(d for c in CONVERSATIONS for d in c.decisions() if of(d))


@pytest.mark.parametrize("opens", [desk, recorded])
@pytest.mark.parametrize("whole", [False, True])
def test_who_acts_as_recorded_always_succeeds(opens: Any, whole: bool) -> None:
    records = measured(golden(*CONVERSATIONS), CONVERSATIONS, opens, whole=whole)
    assert len(records) == (40 if whole else sum(r["turns"] for r in records))
    assert all(r["success"] is True for r in records)
    assert all(r["end"] == "answered" for r in records)


def acting(d: Decision) -> bool:
    return "act" in d.gold.labels


@pytest.mark.parametrize("whole", [False, True])
def test_an_act_that_was_only_promised_is_no_success(whole: bool) -> None:
    """The customer is told that it is done, and nothing was done."""
    act = decision(acting)
    conversation = act.conversation
    done = conversation.messages[act.index + 2].content
    model = golden(conversation, changes={act.key: done})
    records = measured(model, [conversation], whole=whole)
    failed = [r for r in records if r["success"] is False]
    assert len(failed) == 1
    assert failed[0]["end"] == "answered"
    assert all(r["success"] for r in records if r is not failed[0])


def test_a_wrong_amount_is_no_success_whatever_is_said() -> None:
    amounts = ("amount", "dollars", "refund", "repaid")
    act = decision(
        lambda d: acting(d) and any(a in d.gold.tool_calls[0].arguments for a in amounts)
    )
    (call,) = act.gold.tool_calls
    (key,) = (a for a in amounts if a in call.arguments)
    wrong = ToolCall(name=call.name, arguments={**call.arguments, key: call.arguments[key] + 1})
    model = golden(act.conversation, changes={act.key: called(wrong)})
    records = measured(model, [act.conversation], whole=False)
    assert [r["success"] for r in records].count(False) == 1


def test_looking_up_more_than_recorded_does_no_harm_at_the_desk() -> None:
    """What counts is the state, not the calls; replayed logs cannot know that."""
    lookup = decision(lambda d: "lookup" in d.gold.labels and len(d.gold.tool_calls) == 1)
    twice = called(*lookup.gold.tool_calls, *lookup.gold.tool_calls)
    conversation = lookup.conversation
    index = lookup.index
    # The record with the same result twice, in which the model finds itself.
    call = lookup.gold.tool_calls[0]
    messages = list(conversation.messages)
    messages[index] = lookup.gold.model_copy(
        update={"tool_calls": (call, call.model_copy(update={"id": "again"}))}
    )
    messages.insert(index + 1, messages[index + 1].model_copy(update={"tool_call_id": "again"}))
    own = conversation.model_copy(update={"messages": tuple(messages)})
    model = golden(own, conversation, changes={lookup.key: twice})
    at_desk = measured(model, [conversation], whole=True)
    assert [r["success"] for r in at_desk] == [True]
    assert at_desk[0]["calls"] == len([c for m in messages for c in m.tool_calls])
    replayed = measured(model, [conversation], recorded, whole=False)
    assert [r["success"] for r in replayed].count(False) == 1


def test_where_no_state_can_be_seen_no_recorded_call_is_made_to_look_for_it() -> None:
    fake = Fake()
    conversation = CONVERSATIONS[0]
    judge = EpisodeJudge(lambda _: fake, SETTINGS, shipped_template())
    assert judge.recorded_states(conversation) == [None] * len(turns_of(conversation))
    assert fake.closed
    assert fake.resets == 0


def test_another_call_diverges_in_recorded_logs_and_is_counted() -> None:
    log = talk(
        user("What is 1?"), calls("a", number=1), result("one", "a"), says("It is one."),
        user("And 2?"), calls("b", number=2), result("two", "b"), says("It is two."),
    )  # fmt: skip
    wrong = called(ToolCall(name="lookup", arguments={"number": 3}))
    model = golden(log, changes={log.decisions()[2].key: wrong})
    turns = measured(model, [log], recorded, whole=False)
    assert [(r["success"], r["end"]) for r in turns] == [(True, "answered"), (False, "diverged")]
    (whole,) = measured(model, [log], recorded, whole=True)
    assert (whole["success"], whole["end"], whole["turns"]) == (False, "diverged", 2)
    row = episode_row("m", "direct", "data", "turn", turns)
    assert row["metrics"]["diverged"]["value"] == 0.5
    assert row["metrics"]["success"]["value"] == 0.5
    assert row["ends"] == {"answered": 1, "diverged": 1}


def test_an_answer_that_cannot_be_checked_is_left_open() -> None:
    log = talk(user("How is it?"), says("The trail follows the old railway."))
    (key,) = (d.key for d in log.decisions())
    model = golden(log, changes={key: "It runs along where trains once went."})
    records = measured(model, [log], recorded, whole=False)
    assert [r["success"] for r in records] == [None]
    row = episode_row("m", "direct", "data", "turn", records)
    assert "success" not in row["metrics"]
    assert row["metrics"]["left_open"]["value"] == 1


def test_calls_and_tokens_are_counted_up_to_the_first_word_of_the_answer() -> None:
    log = talk(user("What is 1?"), calls("a", number=1), result("one", "a"), says("It is one."))
    model = golden(log)
    (record,) = measured(model, [log], recorded, whole=False)
    tokens = model.template.encode(called(*log.messages[1].tool_calls))
    assert record["calls_before_answer"] == [1]
    assert record["tokens_before_answer"] == [len(tokens) + 1]
    assert record["tokens"] == len(tokens) + 1 + len(model.template.encode("It is one.")) + 1


def test_tokens_are_counted_up_to_the_first_act() -> None:
    """A call can be seen once its thought is over, however long the turn goes on after it."""
    log = talk(user("What is 1?"), calls("a", number=1), result("one", "a"), says("It is one."))
    thought = "<think>\nLook it up first.\n</think>"
    template = shipped_template()
    first, second = (template.prompt_text(d, thinking=True) for d in log.decisions())
    script = {
        first: f"{thought}\n\n{called(*log.messages[1].tool_calls)}",
        second: "<think>\nNow say it.\n</think>\n\nIt is one.",
    }
    (record,) = measured(actor(script.__getitem__, thinking=True), [log], recorded, whole=False)
    assert record["success"] is True
    assert record["tokens_before_act"] == [len(template.encode(thought))]
    assert record["tokens_before_answer"][0] > len(template.encode(script[first]))


def test_who_does_not_think_acts_at_once_and_who_never_acts_is_not_counted() -> None:
    log = talk(user("What is 1?"), says("It is one."))
    (record,) = measured(golden(log), [log], recorded, whole=False)
    assert record["tokens_before_act"] == [0]
    endless = actor(lambda prompt: "<think>\nHm.", thinking=True)
    (record,) = measured(endless, [log], recorded, whole=False)
    assert record["tokens_before_act"] == []
    assert "tokens_before_act" not in episode_row("m", "m", "s", "turn", [record])["metrics"]


def test_the_table_has_success_with_its_interval_and_says_what_went_wrong() -> None:
    log = [talk(user(f"How many in {i}?"), says("It is 7."), id=str(i)) for i in range(4)]
    model = golden(*log, changes={f"{i}#1": "It is 8." for i in (0, 1, 2)})
    records = measured(model, log, recorded, whole=True)
    assert [r["success"] for r in records] == [False, False, False, True]
    table = write_episodes([episode_row("base", "direct", "data", "conversation", records)])
    cells = table.splitlines()[3].split()
    assert cells[:6] == ["base", "direct", "data", "conversation", "4", "25.0"]
    assert "3 diverged" in table


def test_the_shipped_model_is_measured_by_one_function(tmp_path: Path) -> None:
    told = StringIO()
    found = actwise.evaluate_episodes(
        "base",
        modes=["direct"],
        config={"desk": {"test": 2, "shifted": 1}},
        console=Console(file=told),
    )
    rows = found.results["episodes"]
    assert [(r["split"], r["unit"]) for r in rows] == [
        ("test", "turn"),
        ("test", "conversation"),
        ("shifted", "turn"),
        ("shifted", "conversation"),
    ]
    assert rows[1]["episodes"] == 2
    assert json.loads(json.dumps(found.records))["direct"][0]["conversation"] == "desk-test-0-0"
    assert "direct test turn" in told.getvalue()


def test_the_command_line_writes_every_episode(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text(CONVERSATIONS[0].to_json() + "\n")
    found = CliRunner().invoke(
        cli,
        [
            *("eval", str(log), "--model", "base", "--mode", "direct", "--quiet"),
            *("--episodes", "recorded", "--out", str(tmp_path / "out")),
        ],
        catch_exceptions=False,
    )
    assert found.exit_code == 0
    assert "conversation" in found.output
    records = (tmp_path / "out" / "direct.jsonl").read_text().splitlines()
    units = [json.loads(record)["unit"] for record in records]
    assert units.count("conversation") == 1
    assert units.count("turn") == len(turns_of(CONVERSATIONS[0]))
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [row["unit"] for row in results["episodes"]] == ["turn", "conversation"]


def test_a_search_needs_episodes_and_a_value_model() -> None:
    found = CliRunner().invoke(cli, ["eval", "log.jsonl", "--model", "base", "--search", "4"])
    assert found.exit_code == 2 and "add --episodes" in found.output
    config = {"desk": {"test": 1, "shifted": 1}, "evaluate": {"search": 4}}
    with pytest.raises(ModelError, match="no value model to search with"):
        actwise.evaluate_episodes("base", config=config)


def test_a_search_stands_beside_what_is_done_greedily(tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    dimension = json.loads((model / "config.json").read_text())["hidden_size"]
    ValueModel(torch.ones(dimension), torch.tensor(0.0)).save(model, {})
    found = actwise.evaluate_episodes(
        str(model),
        modes=["direct"],
        config={
            "desk": {"test": 1, "shifted": 1},
            "evaluate": {"max_completion_tokens": 40, "search": 2},
        },
    )
    rows = [(r["split"], r["unit"], r["search"]) for r in found.results["episodes"]]
    assert rows == [
        (split, unit, search)
        for split in ("test", "shifted")
        for unit in ("turn", "conversation")
        for search in (0, 2)
    ]
    assert "turn, best of 2" in found.table
    assert {record["search"] for record in found.records["direct"]} == {0, 2}


@pytest.mark.parametrize(
    "options", [[], ["--episodes", "recorded"], ["log.jsonl", "--episodes", "desk"]]
)
def test_files_are_asked_for_where_they_are_needed(options: list[str]) -> None:
    found = CliRunner().invoke(cli, ["eval", *options, "--model", "base"])
    assert found.exit_code == 2
    assert "FILES" in found.output
