"""Findings that compare conversations: duplicates, leaks, conflicts."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Conversation
from actwise.doctor import examine
from actwise.doctor.copies import minima
from talks import calls, finding, result, says, talk, user

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def text(seed: int, words: int = 120) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(LETTERS, k=6)) for _ in range(words)]


def telling(words: list[str], id: str, group: str | None = None) -> Conversation:
    made = talk(user(" ".join(words)), says("yes"), id=id)
    return made.model_copy(update={"group": group})


def test_near_duplicates() -> None:
    words = text(0)
    one_changed = [*words[:60], "other", *words[61:]]
    numbered = " ".join(words).upper() + " 77"
    logs = [
        telling(words, "1"),
        telling(one_changed, "2"),
        talk(user(numbered), says("yes"), id="3"),
        telling(text(1), "4"),
        telling(words[:60] + text(2)[:60], "5"),
    ]
    found = finding(examine(logs), "near_duplicate")
    assert found is not None
    assert found.examples == [
        "log.jsonl:2: much like log.jsonl:1",
        "log.jsonl:3: much like log.jsonl:1",
    ]


def test_short_conversations_are_not_compared() -> None:
    logs = [talk(user(f"I want a mocha, number {n}"), says("Yes."), id=str(n)) for n in range(5)]
    assert finding(examine(logs), "near_duplicate") is None
    assert finding(examine(logs), "duplicate_conversation") is None


def test_system_prompts_and_results_do_not_make_two_conversations_alike() -> None:
    shared = " ".join(text(3, 500))
    logs = [
        talk(user(" ".join(text(n, 40))), calls(), result(shared), says("yes"), id=str(n))
        for n in (4, 5)
    ]
    assert finding(examine(logs), "near_duplicate") is None


@given(common=st.integers(0, 100), seed=st.integers(0, 1000))
def test_common_minima_estimate_the_share_of_common_shingles(common: int, seed: int) -> None:
    words, other = text(seed, 124), text(seed + 5000, 124)
    mixed = words[:common] + other[common:]

    def shingles(of: list[str]) -> set[tuple[str, ...]]:
        # What `telling` says: the words, and the assistant's "yes".
        said = [*of, "yes"]
        return {tuple(said[i : i + 5]) for i in range(len(said) - 4)}

    a, b = shingles(words), shingles(mixed)
    exact = len(a & b) / len(a | b)
    estimate = (minima(telling(words, "1")) == minima(telling(mixed, "2"))).mean()
    # Five standard deviations of 64 draws.
    assert abs(estimate - exact) <= 5 * (0.25 / 64) ** 0.5


def test_characters_stand_for_words_where_none_are_spaced() -> None:
    said = "我想订一张从上海到北京的火车票明天早上出发请帮我查一下还有没有座位谢谢"
    logs = [talk(user(f"{said}{end}"), says("好"), id=end) for end in ("一", "二")]
    assert minima(logs[0]).any()
    assert (minima(logs[0]) == minima(logs[1])).mean() > 0.5


def test_leaks() -> None:
    held_out = [telling(text(n), f"test-{n}", group=f"g{n}") for n in range(3)]
    words = text(1)
    logs = [
        telling(text(0), "same"),
        telling([*words[:70], "other", *words[71:]], "near"),
        telling(text(7), "grouped", group="g2"),
        telling(text(8), "fine", group="g8"),
        telling(text(8), "twice", group="g8"),
    ]
    diagnosis = examine(logs, held_out=held_out)
    assert diagnosis.conversations == 5
    found = {f.code: (f.severity, f.examples) for f in diagnosis.findings}
    assert found["leaked_conversation"] == (
        "error",
        ["log.jsonl:same: same as log.jsonl:test-0"],
    )
    assert found["nearly_leaked_conversation"] == (
        "warning",
        ["log.jsonl:near: much like log.jsonl:test-1"],
    )
    assert found["group_on_both_sides"] == ("warning", ["log.jsonl:grouped: group 'g2'"])
    assert found["duplicate_conversation"] == (
        "warning",
        ["log.jsonl:twice: same as log.jsonl:fine"],
    )


def test_copies_within_the_held_out_side_are_not_our_concern() -> None:
    twice = [telling(text(0), "1"), telling(text(0), "2")]
    codes = {f.code for f in examine([telling(text(1), "3")], held_out=twice).findings}
    assert codes == {"no_call", "tool_never_called"}


def acting(id: str, *turns: object, said: str = "abc") -> Conversation:
    return talk(user(said), *turns, id=id)  # type: ignore[arg-type]


def test_conflicting_actions() -> None:
    logs = [
        acting("1", calls(order="abc"), result("{}"), says("Done.")),
        acting("2", calls("other-id", order="abc"), result("{}", "other-id"), says("All done!")),
        acting("3", calls(order=" ABC"), result("{}"), says("Done.")),
        acting("4", says("Which order?")),
        acting("5", calls(order="ab")),
        acting("6", says("Pardon?")),
        acting("7", calls(order="ab"), said="xyz"),
    ]
    found = finding(examine(logs), "conflicting_action")
    assert found is not None
    assert (found.severity, found.count) == ("warning", 2)
    assert found.examples == [
        "log.jsonl:4: messages[1] acts otherwise than log.jsonl:1: messages[1]",
        "log.jsonl:5: messages[1] acts otherwise than log.jsonl:1: messages[1]",
    ]


def test_the_order_of_parallel_calls_is_no_conflict() -> None:
    def both(*names: str) -> Conversation:
        parts = [calls(name, order=name).tool_calls[0] for name in names]
        message = calls().model_copy(update={"tool_calls": tuple(parts)})
        return acting("-".join(names), message, said="abc abd")

    assert finding(examine([both("abc", "abd"), both("abd", "abc")]), "conflicting_action") is None


def test_other_tools_are_another_context() -> None:
    first = acting("1", calls(order="abc"))
    second = acting("2", says("no")).model_copy(update={"tools": first.tools[:1]})
    assert finding(examine([first, second]), "conflicting_action") is None


def test_other_tools_make_another_conversation() -> None:
    first = acting("1", says("no"))
    second = acting("2", says("no")).model_copy(update={"tools": first.tools[:1]})
    assert finding(examine([first, second]), "duplicate_conversation") is None


@pytest.mark.parametrize("thought", [None, "hm"])
def test_a_thought_makes_no_conflict_and_no_duplicate(thought: str | None) -> None:
    plain = acting("1", says("yes"), said="abc")
    thinking = acting("2", says("yes", thought), said="abc")
    diagnosis = examine([plain, thinking])
    assert finding(diagnosis, "conflicting_action") is None
    assert (finding(diagnosis, "duplicate_conversation") is None) is (thought is not None)
