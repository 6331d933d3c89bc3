"""The audit, on rollouts written by hand."""

import json
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from actwise.audit import Audit, audit_run
from actwise.audit.copying import Context
from actwise.audit.figures import change, histogram, influence
from actwise.audit.reading import facts, independent_verdict, read, values_beyond, words
from actwise.cli.audit import audit as audit_command
from actwise.conversation import Message, ToolCall
from actwise.errors import InputError, RunError
from actwise.results.stats import Interval

FIND = '<tool_call>\n{"name": "find", "arguments": {"id": "W1"}}\n</tool_call>'
THINK = "<think>\nLook.\n</think>\n\n"


def called(name: Any, arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


# --- reading and the independent verdict --------------------------------------------------------


def test_a_completion_is_cut_at_its_tags() -> None:
    reading = read(f"<think>\nLook it up.\n</think>\n\nOne moment.\n{FIND}\n{FIND}")
    assert reading.thought_words == ["look", "it", "up"]
    assert [json.loads(call)["name"] for call in reading.calls] == ["find", "find"]
    assert reading.answer == "One moment."
    assert not reading.unclosed


def test_an_unclosed_thought_is_all_there_is() -> None:
    reading = read(f"<think>\nI call {FIND}")
    assert reading.unclosed
    assert (reading.calls, reading.answer) == ((), "")


def test_an_unclosed_call_is_a_call() -> None:
    assert read('<tool_call>\n{"name":').calls == ('{"name":',)


@given(st.lists(st.sampled_from(["ab 1", "<", "{}\n", "<think>", "</think>", "<tool_call>", FIND])))
def test_any_text_is_read(pieces: list[str]) -> None:
    reading = read("".join(pieces))
    gold = Message(role="assistant", content="It is 12.")
    assert 0 <= independent_verdict(reading, gold, stopped=True) <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs $1,250.50 on 2024-06-03.", {"1,250.50", "2024-06-03"}),
        ("Order W123 at 17:05", {"123", "17:05"}),
        ("You can't have 20.", {"not", "20"}),
        ("Notable and nothing", set()),
    ],
)
def test_facts_are_tokens_with_digits_and_a_negation(text: str, expected: set[str]) -> None:
    assert facts(text) == expected


CALLS = Message(
    role="assistant",
    tool_calls=(
        ToolCall(name="find", arguments={"id": 7, "all": True}),
        ToolCall(name="wait", arguments={}),
    ),
)


def calls(*records: dict[str, Any]) -> str:
    return "".join(f"<tool_call>{json.dumps(record)}</tool_call>" for record in records)


FIND_7 = {"name": "find", "arguments": {"all": True, "id": 7}}
WAIT = {"name": "wait", "arguments": {}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (calls(FIND_7, WAIT), 1.0),
        (calls(WAIT, FIND_7), 1.0),
        (calls(FIND_7), 0.5),
        (calls(FIND_7, FIND_7), 0.5),
        (calls(FIND_7, WAIT, WAIT), 2 / 3),
        (calls({"name": "find", "arguments": {"all": True, "id": "7"}}, WAIT), 0.5),
        (calls(FIND_7, WAIT) + "<tool_call>{broken", 2 / 3),
        ("I have found 7.", 0.0),
    ],
)
def test_calls_are_compared_as_plain_json(text: str, expected: float) -> None:
    assert independent_verdict(read(text), CALLS, stopped=True) == pytest.approx(expected)
    assert independent_verdict(read(text), CALLS, stopped=False) == 0


@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        ("You get 20 dollars on 3 June", "20 dollars, June 3", 1.0),
        ("You get 20 or 30 dollars", "20 dollars", 0.5),
        ("You cannot have 20 dollars", "20 dollars", 0.5),
        ("Yes please", "Yes, please!", 1.0),
        ("Yes please wait", "Yes please", 2 / 3),
        ("", "Yes", 0.0),
        (calls(WAIT), "Yes", 0.0),
    ],
)
def test_answers_are_compared_by_tokens(text: str, gold: str, expected: float) -> None:
    message = Message(role="assistant", content=gold)
    assert independent_verdict(read(text), message, stopped=True) == pytest.approx(expected)


# Tags cannot stand in a call of a record: reading refuses them.
WORDS = st.text(min_size=1).filter(lambda text: "<" not in text)


@given(st.text(), st.lists(st.tuples(WORDS, st.dictionaries(WORDS, st.integers()))))
def test_the_record_itself_is_confirmed(content: str, recorded: list[tuple[str, Any]]) -> None:
    gold = Message(
        role="assistant",
        content="" if recorded else content.replace("<", "").strip(),
        tool_calls=tuple(ToolCall(name=name, arguments=given) for name, given in recorded),
    )
    text = gold.content + calls(*({"name": n, "arguments": a} for n, a in recorded))
    assert independent_verdict(read(THINK + text), gold, stopped=True) == 1


def test_copied_words_stand_in_long_runs_of_the_context() -> None:
    context = Context(["Your order 12 is on its way to you", "Where is my order"])
    copied = context.copied(words("Well, order 12 is on its way, where is it?"))
    assert copied.longest == 6  # order 12 is on its way
    assert copied.share == 6 / 10
    assert context.copied(words("order 12 is")).longest == 0
    assert context.copied([]).share == 0


FEW_WORDS = st.lists(st.sampled_from(["0", "1"]), max_size=12)


@given(st.lists(FEW_WORDS, max_size=3), FEW_WORDS)
def test_copied_runs_are_those_of_the_naive_search(texts: list[list[str]], said: list[str]) -> None:
    held = {tuple(t[i:j]) for t in texts for i in range(len(t)) for j in range(i + 4, len(t) + 1)}
    runs = [
        (i, j)
        for i in range(len(said))
        for j in range(i + 4, len(said) + 1)
        if tuple(said[i:j]) in held
    ]
    copied = Context(map(" ".join, texts)).copied(said)
    assert copied.longest == max((j - i for i, j in runs), default=0)
    inside = sum(any(i <= place < j for i, j in runs) for place in range(len(said)))
    assert copied.share == (inside / len(said) if said else 0)


def test_the_contexts_of_thousands_of_decisions_fit_into_memory() -> None:
    text = " ".join(f"word{number}" for number in range(3000))
    Context([text])  # what is made once, at the first one, is none of theirs
    tracemalloc.start()
    try:
        contexts = [Context([text]) for _ in range(5)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 5 * (2 * len(text) + 10_000)
    assert contexts[0].copied(words(text)).longest == 3000


def test_one_word_over_and_over_ends() -> None:
    # Each of its places in the context against each in the answer would take an hour.
    copied = Context(["0 " * 25_000]).copied(["0"] * 500)
    assert (copied.longest, copied.share) == (500, 1)


def test_a_change_combines_two_intervals_by_squaring_and_adding() -> None:
    found = change(Interval(1.0, 0.7, 1.4), Interval(2.0, 1.8, 2.3))
    assert found is not None
    assert found.value == 1.0
    assert found.low == pytest.approx(1 - math.sqrt(0.2**2 + 0.4**2))
    assert found.high == pytest.approx(1 + math.sqrt(0.3**2 + 0.3**2))
    assert change(None, Interval(1.0, 0.7, 1.4)) is None


# --- whole runs ---------------------------------------------------------------------------------

Sampled = Callable[[int, int], dict[str, Any]]
"""What is sampled in a step, by the step (0 to 8) and the number of the completion in its group."""


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[Sampled], Path]:
    """Return a function that writes the folder of a run of 9 steps, 8 conversations each."""

    def make(sampled: Sampled) -> Path:
        log = tmp_path / "log.jsonl"
        lines = []
        for name in range(8):
            call = {
                "id": "c",
                "type": "function",
                "function": {"name": "find", "arguments": {"id": f"W{name}"}},
            }
            messages = [
                {"role": "user", "content": f"Where is W{name}?"},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "content": "12 km", "tool_call_id": "c"},
                {"role": "assistant", "content": "It is 12 km away."},
            ]
            function = {"name": "find", "parameters": {"type": "object", "properties": {}}}
            tools = [{"type": "function", "function": function}]
            lines.append(json.dumps({"id": f"c{name}", "messages": messages, "tools": tools}))
        log.write_text("\n".join(lines) + "\n")
        folder = tmp_path / "run"
        (folder / "rollouts").mkdir(parents=True)
        (folder / "run.json").write_text(
            json.dumps(
                {
                    "actwise": "0",
                    "seed": 0,
                    "config": {"rl": {"mode": "thinking"}},
                    "data": [
                        {
                            "file": str(log),
                            "conversations": 8,
                            "sha256": sha256(log.read_bytes()).hexdigest(),
                        }
                    ],
                }
            )
        )
        records = [
            {
                "step": step + 1,
                "stop": "stop",
                "advantage": 0.0,
                "right": False,
                "reward": 0.0,
                "decision": f"c{name}#{index}",
                "text": THINK + "It is 12 km away.",
            }
            | sampled(step, generation)
            for step in range(9)
            for name in range(8)
            for index in (1, 3)
            for generation in range(2)
        ]
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "rollouts" / "rl.jsonl").write_text(text)
        return folder

    return make


def codes(audit: Audit) -> dict[str, str]:
    return {finding.code: finding.severity for finding in audit.findings}


def test_reward_that_rises_without_correctness_is_found(make_run: Any) -> None:
    audit = audit_run(
        make_run(lambda step, generation: {"reward": 0.05 * step, "right": generation == 0})
    )
    assert audit.rollouts == 9 * 8 * 2 * 2
    assert [(w.first_step, w.last_step) for w in audit.windows] == [(1, 3), (4, 6), (7, 9)]
    assert audit.changes["reward"].value == pytest.approx(0.3)
    assert audit.changes["right"].value == 0
    assert codes(audit)["reward_without_right"] == "warning"


def test_reward_that_rises_while_correctness_falls_is_an_error(make_run: Any) -> None:
    audit = audit_run(make_run(lambda step, generation: {"reward": 0.05 * step, "right": step < 5}))
    assert audit.findings[0].code == "reward_without_right"
    assert audit.findings[0].severity == "error"


def test_nothing_is_said_of_a_reward_that_is_correctness(make_run: Any) -> None:
    def sampled(step: int, generation: int) -> dict[str, Any]:
        right = generation == 0 or step > 4
        return {"reward": float(right), "right": right, "advantage": 0.5 if right else -0.5}

    found = codes(audit_run(make_run(sampled)))
    assert "reward_without_right" not in found
    assert "gap_widened" not in found
    # In the last third both completions are right: nothing is left to learn.
    assert found["few_live_groups"] == "warning"


def test_live_groups_are_those_whose_rewards_differ(make_run: Any) -> None:
    audit = audit_run(make_run(lambda step, generation: {"reward": 0.5 * (step < 3) * generation}))
    assert [window.live_groups for window in audit.windows] == [1.0, 0.0, 0.0]


def test_a_trick_that_spreads_and_pays_is_a_warning(make_run: Any) -> None:
    def sampled(step: int, generation: int) -> dict[str, Any]:
        if step > 5 and generation == 0:
            text = "<think>\nI do <tool_call>this</tool_call>.\n</think>\n\nIt is 12 km away."
            return {"text": text, "advantage": 0.4}
        return {"advantage": -0.4}

    audit = audit_run(make_run(sampled))
    (trick,) = [f for f in audit.findings if f.code == "calls_in_thought"]
    assert trick.severity == "warning"
    assert "50.0 %" in trick.message and "+0.400" in trick.message
    assert audit.windows[0].figures["calls_in_thought"].value == 0


@pytest.mark.parametrize("kept", [True, False])
def test_completions_that_were_not_kept_to_learn_from_are_audited(
    make_run: Any, kept: bool
) -> None:
    """`rl.selection.keep`, as in the recipe t1, leaves them without an advantage."""

    def sampled(step: int, generation: int) -> dict[str, Any]:
        text = f"{THINK}{FIND}Done."
        return {"text": text, "advantage": 0.25 if kept and generation == 0 else None}

    audit = audit_run(make_run(sampled))
    assert audit.rollouts == 9 * 8 * 2 * 2
    (trick,) = [f for f in audit.findings if f.code == "text_after_call"]
    assert f"mean advantage {'+0.250' if kept else '+0.000'}" in trick.message


@pytest.mark.parametrize(
    ("text", "trick"),
    [
        (THINK + "Well <think> so", "stray_tags"),
        (THINK + "</think> It is.", "several_thoughts"),
        ("<think>\nOn and on", "unclosed_thought"),
        ("<think>\n\n</think>\n\nIt is.", "empty_thought"),
        (THINK + FIND + FIND, "repeated_calls"),
        (THINK + FIND + "\nIt is 12 km away.", "text_after_call"),
        (THINK + "It is 12 or 13 or 14 km away.", "listed_candidates"),
        (THINK + "so it is as it is and " * 5, "repetition"),
    ],
)
def test_tricks_are_recognised(make_run: Any, text: str, trick: str) -> None:
    audit = audit_run(make_run(lambda step, generation: {"text": text} if step > 5 else {}))
    assert audit.windows[0].figures[trick].value == 0
    # Candidates can only be listed where an answer was recorded; the other tricks anywhere.
    assert audit.windows[-1].figures[trick].value == 1


def test_the_largest_excess_over_the_independent_verdict_comes_first(make_run: Any) -> None:
    def sampled(step: int, generation: int) -> dict[str, Any]:
        if step == 8 and generation == 1:
            return {"text": THINK + "It is 99 km away.", "reward": 0.9}
        return {"reward": 0.0}

    folder = make_run(sampled)
    suspects = audit_run(folder, examples=3).suspects
    assert len(suspects) == 3
    # Of c0 the call decision and the answer decision: calls and answers come by turns.
    assert [s.decision.partition("#")[2] for s in suspects] == ["1", "3", "1"]
    assert {(s.reward, s.independent, s.step, s.times) for s in suspects} == {(0.9, 0.0, 9, 1)}
    assert suspects[0].gold == '{"name": "find", "arguments": {"id": "W0"}}'
    assert suspects[1].gold == "It is 12 km away."
    assert suspects[1].place.endswith("log.jsonl:1")
    assert audit_run(folder, examples=0).suspects == []


def test_calls_beyond_the_record_are_counted(make_run: Any) -> None:
    audit = audit_run(make_run(lambda step, generation: {"text": THINK + FIND * (step // 3)}))
    # One call is recorded at every other decision: 0, 1, 2 calls are -1/2, 1/2, 3/2 beyond it.
    extra = [window.figures["extra_calls"].value for window in audit.windows]
    assert extra == [-0.5, 0.5, 1.5]
    assert [w.figures["needless_calls"].value for w in audit.windows] == [0.0, 1.0, 1.0]
    assert [w.figures["missed_calls"].value for w in audit.windows] == [1.0, 0.0, 0.0]
    assert codes(audit)["calls_grew"] == "warning"


def test_values_beyond_the_recorded_call_are_counted(make_run: Any) -> None:
    def sampled(step: int, generation: int) -> dict[str, Any]:
        # "id" is recorded; in the last third there are two more, one of them in a list.
        more = {"note": "soon", "options": [{"milk": None}]} if step > 5 else {}
        return {"text": THINK + called("find", {"id": "W1"} | more) + called("lose", {"a": [1, 2]})}

    audit = audit_run(make_run(sampled))
    assert [w.figures["extra_values"].value for w in audit.windows] == [0.0, 0.0, 2.0]
    assert codes(audit)["values_grew"] == "warning"


@pytest.mark.parametrize(
    ("calls", "beyond"),
    [
        ((("find", {"id": 1}),), -1.0),  # the fullest of the recorded calls holds two
        ((("find", {"id": [[1], [2, {"x": 3}]]}), ("find", {})), -0.5),
        ((("wait", {"for": 1}),), None),
        ((([], {}), (None, [])), None),
        ((("find", "W1"),), -1.0),
        ((), None),
    ],
)
def test_values_are_counted_at_any_depth(
    calls: tuple[tuple[Any, Any], ...], beyond: float | None
) -> None:
    gold = Message(
        role="assistant",
        content="",
        tool_calls=(
            ToolCall(name="find", arguments={"id": 1, "how": ["fast"]}),
            ToolCall(name="find", arguments={"id": 1}),
        ),
    )
    reading = read("".join(called(name, arguments) for name, arguments in calls) + "<tool_call>\n{")
    assert values_beyond(reading, gold) == beyond


def test_the_stages_own_figures_are_taken_by_window(make_run: Any) -> None:
    folder = make_run(lambda step, generation: {"reward": 0.1 * step})
    (folder / "metrics").mkdir()
    steps = [
        {"step": step, "entropy": 1.0 if step < 4 else 0.1, "kl": 0.3}
        | ({"dev_action_accuracy": 0.5 - 0.01 * step} if step % 4 == 0 else {})
        for step in range(1, 10)
    ]
    (folder / "metrics" / "rl.jsonl").write_text("\n".join(map(json.dumps, steps)) + "\n")
    audit = audit_run(folder)
    assert audit.metrics["entropy"] == pytest.approx([1.0, 0.1, 0.1])
    assert audit.development == [(4, 0.46), (8, 0.42)]
    found = codes(audit)
    assert {"entropy_collapse", "far_from_start", "reward_without_development"} <= set(found)


def test_logs_that_have_moved_can_be_named(make_run: Any, tmp_path: Path) -> None:
    folder = make_run(lambda step, generation: {})
    moved = tmp_path / "moved.jsonl"
    (tmp_path / "log.jsonl").rename(moved)
    audit = audit_run(folder)
    assert "not there" in audit.not_examined[0]
    assert "extra_calls" not in audit.windows[0].figures
    assert audit.suspects == []
    assert audit_run(folder, [moved]).not_examined == []
    moved.write_text(moved.read_text().replace("12 km", "13 km"))
    with pytest.raises(InputError, match="content differs"):
        audit_run(folder, [moved])
    with pytest.raises(InputError, match="made from 1"):
        audit_run(folder, [moved, moved])


def test_the_last_line_may_be_half_written_and_no_other(make_run: Any) -> None:
    folder = make_run(lambda step, generation: {})
    path = folder / "rollouts" / "rl.jsonl"
    whole = path.read_text()
    path.write_text(whole + '{"step": 10, "deci')
    assert audit_run(folder).rollouts == whole.count("\n")
    path.write_text('{"step": 1}\n' + whole)
    with pytest.raises(InputError, match=r"rl\.jsonl:1: no rollout: decision"):
        audit_run(folder)


def test_a_run_without_rollouts_is_refused(make_run: Any, tmp_path: Path) -> None:
    folder = make_run(lambda step, generation: {})
    path = folder / "rollouts" / "rl.jsonl"
    path.write_text("")
    with pytest.raises(RunError, match="no whole rollout"):
        audit_run(folder)
    path.unlink()
    with pytest.raises(RunError, match="nothing to audit"):
        audit_run(folder)
    with pytest.raises(RunError, match="no run folder"):
        audit_run(tmp_path)


def test_one_step_has_no_trend(make_run: Any) -> None:
    folder = make_run(lambda step, generation: {})
    path = folder / "rollouts" / "rl.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().split("\n")[:32]))
    audit = audit_run(folder)
    assert len(audit.windows) == 1
    assert audit.changes == {}
    assert audit.not_examined == ["trends over thirds, for there are 1 steps"]


def test_a_few_conversations_have_no_trend(make_run: Any) -> None:
    """One would give an interval without a width, by which any change is certain."""
    folder = make_run(lambda step, generation: {"reward": 0.05 * step, "right": step < 5})
    path = folder / "rollouts" / "rl.jsonl"
    every = path.read_text().splitlines(keepends=True)
    for number, told in ((1, False), (4, False), (5, True)):
        kept = [line for line in every if int(json.loads(line)["decision"][1]) < number]
        path.write_text("".join(kept))
        audit = audit_run(folder)
        assert bool(audit.changes) is ("reward_without_right" in codes(audit)) is told
        few = f"what changed, for a third of the steps has completions of {number} conversations"
        assert any(few in what for what in audit.not_examined) is not told


def test_the_command_writes_json_and_a_page(make_run: Any) -> None:
    folder = make_run(
        lambda step, generation: {"text": THINK + "<b>99</b> km", "reward": 1.0, "right": True}
    )
    outcome = CliRunner().invoke(audit_command, [str(folder)])
    assert outcome.exit_code == 0
    assert "288 completions sampled in 9 steps of rl" in outcome.output
    assert "independent verdict 0.00" in outcome.output
    written = json.loads((folder / "audit.json").read_text())
    printed = json.loads(CliRunner().invoke(audit_command, [str(folder), "--json"]).output)
    assert written == printed
    assert written["windows"][0]["figures"]["reward"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    page = (folder / "audit.html").read_text()
    assert "&lt;b&gt;99&lt;/b&gt;" in page and "<b>99</b>" not in page


@pytest.mark.parametrize(("given", "key"), [(None, "thought_tokens"), (9, "max_completion_tokens")])
def test_cut_completions_get_advice_that_has_an_effect(
    make_run: Any, given: int | None, key: str
) -> None:
    folder = make_run(lambda step, generation: {"stop": "length"})
    record = json.loads((folder / "run.json").read_text())
    record["config"]["evaluate"] = {"max_completion_tokens": given}
    (folder / "run.json").write_text(json.dumps(record))
    (finding,) = (f for f in audit_run(folder).findings if f.code == "cut_off")
    assert finding.remedy.startswith(f"Raise evaluate.{key}, ")


def test_an_audit_that_cannot_be_written_is_still_printed(make_run: Any) -> None:
    folder = make_run(lambda step, generation: {"text": THINK + FIND})
    (folder / "audit.html" / "in").mkdir(parents=True)
    outcome = CliRunner().invoke(audit_command, [str(folder)])
    assert "288 completions sampled" in outcome.output
    assert isinstance(outcome.exception, RunError)
    assert str(outcome.exception).endswith("make the folder of the run writable, or copy it")


def test_the_audit_needs_no_torch(make_run: Any) -> None:
    folder = make_run(lambda step, generation: {})
    code = (
        "import sys; from actwise.audit import audit_run, write_audit; from pathlib import Path\n"
        "folder = Path(sys.argv[1]); write_audit(audit_run(folder), folder)\n"
        "assert not {'torch', 'transformers', 'tokenizers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    assert (folder / "audit.html").exists()


@pytest.mark.parametrize(
    ("rates", "shares", "mean"),
    [
        ([0.0, 1.0], [0.5, 0, 0, 0, 0, 0.5], 0.0),
        ([0.5], [0, 0, 1, 0, 0, 0], 0.5),
        # sqrt(1/8 * 7/8), the root of 0.1875 twice, and of 7/64
        ([0.125, 0.25, 0.75, 0.875], [0, 0.5, 0, 0.25, 0.25, 0], (2 * 0.330719 + 2 * 0.433013) / 4),
        ([], [0, 0, 0, 0, 0, 0], 0.0),
    ],
)
def test_influence_is_largest_where_half_are_right(
    rates: list[float], shares: list[float], mean: float
) -> None:
    assert histogram(rates) == shares
    assert influence(rates) == pytest.approx(mean, abs=1e-6)
