"""Kinds of sentences, on sentences whose kind anybody can tell."""

import pytest

from actwise.thoughts.kinds import kind_of, sentences, share_not_executing


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Price 46, shipping 8: 46 + 8 = 54.", "execution"),
        ("The waiter waits.", "execution"),
        ("Wait, the limit is 5.", "reflection"),
        ("Let me check the date.", "reflection"),
        ("That's correct.", "reflection"),
        ("That's incorrect.", "reflection"),
        ("Answer already? The price is not known yet.", "reflection"),
        ("Alternatively, look up the room.", "transition"),
        ("There is another way.", "transition"),
        ("Wait: another approach.", "transition"),
    ],
)
def test_a_sentence_is_what_its_words_say(sentence: str, kind: str) -> None:
    assert kind_of(sentence) == kind


def test_sentences_end_at_full_stops_and_lines_and_not_inside_numbers() -> None:
    thought = "Is 3.5 too much? No.\n\nLimit 4: 3.5 < 4\nDone."
    assert sentences(thought) == ["Is 3.5 too much?", "No.", "Limit 4: 3.5 < 4", "Done."]
    assert sentences("  ") == []


def test_the_share_that_does_not_execute() -> None:
    assert share_not_executing("It is 3. Wait. It is 4. Make sure.") == 0.5
    assert share_not_executing("") is None
