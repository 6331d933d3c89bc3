"""Whether there is enough to choose checkpoints by, in numbers worked out by hand."""

import re

import pytest

from actwise.config import load_config
from actwise.data.split import Splits
from actwise.preflight.choosing import choice_findings, uncertainty
from preflight.test_preflight import conversation


def divided(train: int, dev: int, test: int) -> Splits:
    """Return conversations of two decisions each."""
    made = [conversation(f"W{n}") for n in range(train + dev + test)]
    return Splits(made[:train], made[train : train + dev], {"test": made[train + dev :]})


def test_a_score_of_few_decisions_is_far_off() -> None:
    config = load_config(None, ["evaluate.dev_conversations=8"])
    # 1.96 * sqrt(0.5 * 0.5 / 16), of eight conversations.
    assert uncertainty(divided(10, 30, 5), config) == (16, pytest.approx(0.245))


def test_a_hundred_decisions_are_enough() -> None:
    config = load_config(None)
    assert uncertainty(divided(300, 50, 60), config)[0] == 80  # of 40 conversations
    config = load_config(None, ["evaluate.dev_conversations=50"])
    assert list(choice_findings(divided(300, 50, 60), config)) == []


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        # 200 decisions are in 100 conversations, a quarter of 400.
        ((300, 20, 80), "data.dev_fraction=0.25 evaluate.dev_conversations=100"),
        ((600, 120, 80), "evaluate.dev_conversations=100"),
    ],
)
def test_the_remedy_helps(given: tuple[int, int, int], remedy: str) -> None:
    settings = ["evaluate.dev_conversations=8"]
    (finding,) = choice_findings(divided(*given), load_config(None, settings))
    assert finding.code == "few_to_choose_by" and "by 16 decisions" in finding.message
    named = re.findall(r"--set (\S+[^.\s])", finding.remedy)
    assert " ".join(named) == remedy
    config = load_config(None, [*settings, *named])
    share = config.data.dev_fraction if len(named) == 2 else given[1] / sum(given)
    dev = round(share * sum(given))
    again = divided(sum(given) - dev - given[2], dev, given[2])
    assert list(choice_findings(again, config)) == []


def test_the_remedy_counts_on_no_decisions_of_a_few_long_conversations() -> None:
    short = conversation("W")
    one = short.model_copy(update={"messages": short.messages[:2]})
    long = short.model_copy(update={"messages": short.messages * 500})
    assert (len(one.decisions()), len(long.decisions())) == (1, 1000)
    splits = Splits([long, *[one] * 800], [one] * 90, {"test": [one] * 90})
    (finding,) = choice_findings(splits, load_config(None, ["evaluate.dev_conversations=90"]))
    # As a mean of all, 200 decisions are in 100 conversations; of the split, in 200 of 981.
    assert finding.remedy == "--set data.dev_fraction=0.21 --set evaluate.dev_conversations=200."


def test_too_few_conversations_are_told_so() -> None:
    (finding,) = choice_findings(divided(100, 10, 20), load_config(None))
    assert finding.remedy.startswith("Collect more")
