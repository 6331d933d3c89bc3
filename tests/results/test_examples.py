from actwise.conversation import Conversation, Message
from actwise.results.examples import choose_examples


def _conversation(answers: int) -> Conversation:
    messages = []
    for i in range(answers):
        messages += [
            Message(role="user", content=f"Question {i}?"),
            Message(role="assistant", content=f"Answer {i}.", labels=("easy",)),
        ]
    return Conversation(id="c", messages=tuple(messages))


def _records(rights: list[bool | None]) -> list[dict[str, object]]:
    return [
        {
            "decision": f"c#{2 * i + 1}",
            "text": f"<think>\nhm {i}\n</think>\n\nSaid {i}.",
            "thought": f"hm {i}",
            "verdict": {"right": right, "notes": ["a note"], "errors": ["truncated"]},
        }
        for i, right in enumerate(rights)
    ]


def test_only_decisions_on_which_models_differ_are_shown() -> None:
    records = {
        ("base", "direct"): _records([True, False, False]),
        ("rl", "thinking"): _records([True, True, False]),
    }
    (example,) = choose_examples(
        "test", [_conversation(3)], records, limit=5, gold_text=lambda d: d.gold.content
    )
    assert example["decision"] == "c#3"
    assert (example["split"], example["kind"], example["labels"]) == ("test", "answer", ["easy"])
    assert example["gold"] == "Answer 1."
    assert [m["content"] for m in example["context"]] == ["Question 0?", "Answer 0.", "Question 1?"]
    assert example["completions"][1] == {
        "model": "rl",
        "mode": "thinking",
        "text": "Said 1.",
        "thought": "hm 1",
        "right": True,
        "notes": ["a note", "truncated"],
    }


def test_models_do_not_differ_where_one_cannot_be_checked() -> None:
    records = {
        ("base", "direct"): _records([None, None, True]),
        ("rl", "thinking"): _records([True, False, None]),
    }
    chosen = choose_examples(
        "test", [_conversation(3)], records, limit=5, gold_text=lambda d: d.gold.content
    )
    assert chosen == []


def test_examples_are_spread_over_the_split_and_limited() -> None:
    records = {("a", "direct"): _records([True] * 9), ("b", "direct"): _records([False] * 9)}
    chosen = choose_examples(
        "test", [_conversation(9)], records, limit=3, gold_text=lambda d: d.gold.content
    )
    assert [e["decision"] for e in chosen] == ["c#1", "c#7", "c#13"]
    none = choose_examples("test", [_conversation(9)], records, limit=0, gold_text=lambda d: "")
    assert none == []
