"""Conversations on the disk behave as a list of them does, in whatever is done with them."""

import gc
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actwise.config import RunConfig
from actwise.conversation import Conversation, Message, Remark, ToolCall
from actwise.data.choose import covering
from actwise.data.fingerprint import Sides
from actwise.data.grown import longest_records
from actwise.data.load import read_logs
from actwise.data.rename import rename_share
from actwise.data.split import Splits, split
from actwise.data.stored import Mapped, Store, View, chosen, where
from actwise.desk.conversations import generate
from actwise.errors import RunError
from talks import says, talk, user

DESK = generate("train", 12)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
QUESTIONS = ["Hi!", "What does the red lamp cost?", "Please cancel order number 5 for me."]


@st.composite
def logs(draw: st.DrawFn) -> list[Conversation]:
    """Conversations that begin alike, go on from one another, and form groups."""
    made = []
    for number in range(draw(st.integers(1, 9))):
        messages: list[Message] = []
        for _ in range(draw(st.integers(1, 3))):
            messages.append(user(draw(st.sampled_from(QUESTIONS))))
            messages.append(
                says(draw(st.sampled_from(["Yes.", "No."])), draw(st.sampled_from([None, "Hm."])))
            )
        group = draw(st.sampled_from([None, None, None, "a", "b"]))
        # Ids whose order is not that of the records.
        made.append(talk(*messages, id=f"c{7 * number % 10}").model_copy(update={"group": group}))
    return made


@given(arguments=st.dictionaries(st.text(), VALUES, max_size=3), text=st.text())
def test_what_is_stored_comes_back_as_it_was(arguments: dict[str, object], text: str) -> None:
    call = ToolCall(name="lookup", arguments=arguments, id="c")
    given = talk(user(text), Message(role="assistant", tool_calls=(call,))).model_copy(
        update={"remarks": (Remark("unread_key", text),), "group": text}
    )
    (found,) = Store([given])
    assert found == given
    assert repr(found) == repr(given)  # 1 and 1.0 are equal


def test_a_store_and_its_views_are_sequences() -> None:
    store = Store(DESK)
    assert list(store) == DESK
    assert store[-1] == DESK[-1]
    assert list(store[2:9:3]) == DESK[2:9:3]
    assert list(store[2:9][1:3]) == DESK[3:5]
    assert list(reversed(chosen(store, [4, 0]))) == [DESK[0], DESK[4]]
    assert list(where(store, lambda c: c.id.endswith("1"))) == [DESK[1], DESK[11]]
    assert list(Mapped(lambda c: c.id, store)[3:5]) == [DESK[3].id, DESK[4].id]
    assert chosen(DESK, [3, 1]) == [DESK[3], DESK[1]]
    assert isinstance(store[1:], View)
    with pytest.raises(IndexError):
        store[12]
    with pytest.raises(IndexError):
        View(store, [1])[1]


def ids(splits: Splits) -> list[list[str]]:
    return [[c.id for c in side] for side in (splits.train, splits.dev, splits.tests["test"])]


def families(conversations: Sequence[Conversation]) -> set[frozenset[str]]:
    """What belongs together, by trying all pairs until nothing changes."""
    keys = {}
    for c in conversations:
        first = next(i for i, m in enumerate(c.messages) if m.role == "assistant")
        text = tuple((m.role, m.content) for m in c.messages)
        keys[c.id] = {text, ("group", c.group)} - {("group", None)}
        if len(c.messages[0].content.split()) > 1:
            keys[c.id].add(c.messages[:first])
    together = {c.id: {c.id} for c in conversations}
    for _ in conversations:
        for one in keys:
            for other in keys:
                if keys[one] & keys[other] or together[one] & together[other]:
                    together[one] = together[other] = together[one] | together[other]
    return set(map(frozenset, together.values()))


@given(given=logs(), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=200)
def test_logs_are_prepared_alike_from_the_disk_and_from_memory(
    given: list[Conversation], seed: int
) -> None:
    store = Store(given)
    kept, beginnings = longest_records(given)
    for found, wanted in zip(longest_records(store), (kept, beginnings), strict=True):
        assert list(found) == list(wanted)
    assert [c.id for c in covering(store, 3)] == [c.id for c in covering(given, 3)]
    assert list(rename_share(store, 0.5, seed)) == list(rename_share(given, 0.5, seed))
    try:
        listed = split(given, dev=0.2, test=0.2, seed=seed)
    except Exception as error:  # too few families
        with pytest.raises(type(error)):
            split(store, dev=0.2, test=0.2, seed=seed)
        return
    stored = split(store, dev=0.2, test=0.2, seed=seed)
    assert ids(stored) == ids(listed)
    sides = Sides.of({"train": stored.train, "test": stored.tests["test"]})
    of_list = Sides.of({"train": listed.train, "test": listed.tests["test"]})
    assert sides.to_json() == of_list.to_json()


@given(given=logs(), seed=st.integers(0, 9))
@settings(deadline=None)
def test_no_family_is_divided(given: list[Conversation], seed: int) -> None:
    singles = [talk(user(f"the {word} one please now"), says("Yes."), id=word) for word in "xyzuvw"]
    found = ids(split([*given, *singles], dev=0.1, test=0.1, seed=seed))
    # Too many openings that are equal are told apart by a turn more.
    of_opening = [c.messages[0].content for c in given]
    if max(map(of_opening.count, QUESTIONS)) > (len(given) + len(singles)) / 2:
        return
    for family in families(given):
        assert sum(bool(family & set(side)) for side in found) == 1


def test_a_full_disk_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = """
        import resource, signal
        from actwise.data.stored import Store
        from actwise.desk.conversations import generate
        from actwise.errors import ActwiseError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            Store(generate("train", 20))
        except ActwiseError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"{tmp_path}: the conversations cannot be kept there (File too")
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("actwise.data.stored._folder", lambda: tmp_path / "gone")
    with pytest.raises(RunError, match="cannot be kept there"):
        Store([])


def test_memory_does_not_grow_with_the_logs(tmp_path: Path) -> None:
    def held(count: int) -> int:
        """Return what is held of so many conversations of 50,000 characters each."""
        log = tmp_path / f"{count}.jsonl"
        texts = (f"{number} " * 10_000 for number in range(10_000, 10_000 + count))
        log.write_text(
            "".join(f"{talk(user(t), says('Yes.'), id=t[:5]).to_json()}\n" for t in texts)
        )
        tracemalloc.start()
        logs = read_logs([log], RunConfig())
        assert len(logs.conversations) == count
        gc.collect()
        found, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    held(10)  # caches and modules
    assert held(60) - held(20) < 40 * 2000
