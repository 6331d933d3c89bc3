"""Findings about what is written: answers, scripts, secrets, lengths."""

import random
from pathlib import Path

import pytest

from actwise.conversation import Conversation
from actwise.doctor import examine, personal, secrets
from actwise.doctor.answers import _WINDOW, _Frequent
from actwise.findings.finding import case_of
from actwise.formats import read_files
from talks import calls, finding, result, says, talk, user


def answered(*answers: str) -> list[Conversation]:
    return [talk(user("Hi"), says(text), id=str(n)) for n, text in enumerate(answers)]


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("...", True),
        ("None", True),
        ("null", True),
        ("-", True),
        ("No", False),
        ("👍", False),
        ("好", False),
        ("7", False),
        ("None of them.", False),
    ],
)
def test_empty_answers(text: str, empty: bool) -> None:
    assert (finding(examine(answered(text)), "empty_answer") is not None) is empty


def test_boilerplate_is_frequent_and_a_share_of_all() -> None:
    unlike = [f"Your order {n} is on its way." for n in range(380)]
    nineteen = examine(answered(*unlike[:100], *["Goodbye!"] * 19))
    twenty = examine(answered(*unlike, *["Goodbye!"] * 19, "Goodbye! "))
    rare = examine(answered(*unlike, "Goodbye!", *unlike, *["Goodbye!"] * 19))
    assert finding(nineteen, "boilerplate_answer") is None
    assert finding(rare, "boilerplate_answer") is None
    found = finding(twenty, "boilerplate_answer")
    assert found is not None
    assert (found.severity, found.count) == ("note", 1)
    assert found.examples == ['log.jsonl:380: messages[1] answers "Goodbye!", 20 times']


def test_frequent_texts_are_counted_in_bounded_memory() -> None:
    texts = _Frequent()
    stream = [str(n) for n in range(3 * _WINDOW)] + ["often"] * 500
    random.Random(0).shuffle(stream)
    for number, text in enumerate(stream):
        texts.add(text, str(number))
    entries = texts.entries()
    assert entries[0][1] == "often"
    assert 500 - 4 <= entries[0][0] <= 500
    assert len(entries) <= _WINDOW + 500


KOREAN = "주문한 물건이 아직 도착하지 않았어요 어디쯤 있나요 확인해 주세요"
ENGLISH = "I am still waiting for the thing that I ordered last week."
JAPANESE = "注文した商品がまだ届いていません。今どこにあるか調べてください。"


def test_answers_in_another_script() -> None:
    logs = [
        talk(user(KOREAN), says(KOREAN), id="ko"),
        talk(user(ENGLISH), says(ENGLISH), id="en"),
        talk(user(JAPANESE), says(JAPANESE), id="ja"),
        talk(user(KOREAN), says(ENGLISH), id="wrong"),
        talk(user(KOREAN), says("OK"), id="short"),
        talk(user(KOREAN), says(f"{KOREAN} DHL Express, parcel locker"), id="mixed"),
    ]
    diagnosis = examine(logs)
    assert diagnosis.scripts == {"hangul": 4, "latin": 1, "east asian": 1}
    found = finding(diagnosis, "answer_in_other_script")
    assert found is not None
    assert found.examples == ["log.jsonl:wrong: latin after hangul"]
    assert finding(diagnosis, "rare_script") is None


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("コーヒー" * 6, "east asian"),  # half of it is the mark of a long vowel
        ("ｺｰﾋｰｦﾋﾄﾂ" * 4, "east asian"),
        ("人々の時々の" * 5, "east asian"),
        ("Ｈｅｌｌｏ　ｗｏｒｌｄ" * 3, "latin"),
    ],
)
def test_characters_of_every_width_are_of_their_script(text: str, script: str) -> None:
    assert examine([talk(user(text), says("ok"))]).scripts == {script: 1}


def test_a_script_that_hardly_anybody_writes() -> None:
    logs = [talk(user(f"{ENGLISH} {n}"), says(ENGLISH), id=str(n)) for n in range(99)]
    mixed = talk(user(f"{KOREAN} and then {KOREAN} in two languages"), says("OK"), id="mixed")
    korean = talk(user(KOREAN), says(KOREAN), id="ko")
    found = finding(examine([*logs, mixed, korean]), "rare_script")
    assert found is not None
    assert (found.count, found.examples) == (1, ["log.jsonl:ko: hangul"])


def test_outliers_of_length() -> None:
    logs = [talk(user("a" * 100), says(f"{n:010}"), id=str(n)) for n in range(99)]
    below, above = (talk(user("a" * n), says("b" * 10), id=str(n)) for n in (540, 541))
    assert finding(examine([*logs, below]), "very_long_conversation") is None
    found = finding(examine([*logs, above]), "very_long_conversation")
    assert found is not None
    assert found.examples == ["log.jsonl:541: 551 characters"]


def test_secrets_are_found_everywhere_and_never_quoted() -> None:
    found_in = [
        talk(user("my key is key-1"), says("ok"), id="content"),
        talk(user("a"), calls(token="key-1"), result("{}"), id="arguments"),
        talk(user("a"), says("b", "key-1"), id="thought"),
        talk(user("key 1"), says("no"), id="none"),
    ]
    family = secrets.family(3, {"Test Key": lambda text: "key-1" in text})
    for conversation in found_in:
        family.note(family.look(case_of(conversation)))
    (found,) = family.findings()
    assert found.examples == [
        "log.jsonl:content: messages[0] holds: Test Key",
        "log.jsonl:arguments: messages[1] holds: Test Key",
        "log.jsonl:thought: messages[1] holds: Test Key",
    ]


def test_without_detect_secrets_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "find_spec", lambda name: None)
    diagnosis = examine(answered("yes"))
    assert any("detect-secrets" in what for what in diagnosis.not_examined)


def test_the_detectors_of_detect_secrets() -> None:
    pytest.importorskip("detect_secrets", reason="detect-secrets is not installed")
    made_up = "AKIA" + "QWERTYUIOPASDFGH"
    diagnosis = examine([talk(user(f"the key is {made_up}"), says("Never show me that."))])
    found = finding(diagnosis, "secret")
    assert found is not None
    assert "AWS" in found.examples[0] and made_up not in str(diagnosis)
    assert not any("detect-secrets" in what for what in diagnosis.not_examined)
    for harmless in ("order ORD-123456789", "my password is on a note", "sk-8 skis, card 7334"):
        assert finding(examine([talk(user(harmless), says("ok"))]), "secret") is None


needs_private = pytest.mark.skipif(
    personal.installed_detectors() is None, reason="phonenumbers and python-stdnum not installed"
)


@needs_private
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jo.doe+x@mail-shop.co.uk please", "mail address"),
        ("call +44 20 7946 0958", "phone number"),
        ("my number is (650) 253-0000.", "phone number"),
        # Numbers that the networks publish for tests.
        ("card 4111 1111 1111 1111, thanks", "card number"),
        ("card 5555-5555-5555-4444", "card number"),
        ("card 2223003122003222", "card number"),
        ("card 3782 822463 10005", "card number"),
        ("card 30569309025904", "card number"),
        ("card 3530111333300000", "card number"),
        ("card 6011111111111117", "card number"),
        ("card 6205500000000000004", "card number"),
        ("pay to GB82 WEST 1234 5698 7654 32", "account number (IBAN)"),
        ("SSN 536-90-4399", "social security number"),
    ],
)
def test_personal_data_is_found_by_kind(text: str, kind: str) -> None:
    found = finding(examine([talk(user(text), says("ok"))]), "personal_data")
    assert found is not None
    assert found.examples[0].endswith(f"holds: {kind}")
    assert text not in str(found)


@needs_private
@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112",  # fails the check digit
        "GB82 WEST 1234 5698 7654 33",
        "flight HAT136 on 2024-05-17 at 10:30, 1234567 and 650-25",
        "me@example.com, you@shop.test",
        "reservation #W2378156, zip 98101",
        "000-12-3456",
        '{"from": 1700000000004, "to": 1704067200001002}',  # times with a right check digit
    ],
)
def test_numbers_of_other_kinds_are_not_personal(text: str) -> None:
    assert finding(examine([talk(user(text), says("ok"))]), "personal_data") is None


def test_without_the_libraries_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal, "find_spec", lambda name: None)
    assert any("phonenumbers" in what for what in examine(answered("yes")).not_examined)


def test_airline(shared_data: Path) -> None:
    folder = shared_data / "tau-bench-v1"
    runs = folder / "historical_trajectories" / "gpt-4o-airline.json.gz"
    diagnosis = examine(read_files([runs], tools=folder / "airline" / "tools.json.gz"))
    # Counted by hand with `grep -o '"content": "Error: '` over the runs.
    assert (diagnosis.results, diagnosis.error_results) == (1164, 73)
    assert diagnosis.scripts == {"latin": 200}
    # Two customers with the same first words; sums, "tomorrow" as a date, and payment methods that
    # the agent made up; nothing else, but for mail addresses outside example.com.
    codes = [f.code for f in diagnosis.findings if f.code != "personal_data"]
    assert codes == ["same_opening", "unreachable_argument"]
    assert diagnosis.unreachable_decisions == 27
