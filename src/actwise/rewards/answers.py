"""Compare an answer with the recorded one: first its facts, then its wording.

The rule for facts resists listing candidates. Of each kind of fact that the record states
(numbers, dates, ..., the names of one field) the prediction has to state the same ones and no
others: one that the record does not hold voids the whole kind. Facts of other kinds are allowed if
they stand in the conversation so far, and are contradictions if they stand nowhere. So stating a
number that is not in the record never raises the score, whatever right numbers come with it. The
price: an answer that repeats a true number which the record leaves out counts as wrong.

A name need not be repeated if the customer has just said it and no other of its field; another one
in its place is a contradiction all the same. A number in words stands for the digits of the other
answer; beside digits of the record it is a contradiction, too ("one" excepted: "this one").

    correctness = (share * facts + (1 - share) * wording) / (1 + contradictions)

`facts` is the share of what the record claims that the prediction claims too (its facts; that it
refuses; that it asks, if the record only asks), `wording` the F1 of the words as multisets, facts
left out, or the similarity that an embedding model finds. A record that claims nothing is judged
by wording alone, one without words by its facts. Refusing what the record grants, granting what it
refuses, or "no" for "yes" scores 0.
"""

from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass

from actwise.rewards.facts import Fact, Reading, read
from actwise.rewards.names import names
from actwise.rewards.settings import JudgeSettings


@dataclass(frozen=True)
class AnswerMatch:
    """How an answer compares with the recorded one."""

    correctness: float
    """In [0, 1]."""
    right: bool
    """Every claim of the record is made and none contradicted; the wording is free."""
    notes: tuple[str, ...]
    """What differs, in short sentences."""


def match_answer(
    predicted: str,
    gold: str,
    context: Sequence[str],
    settings: JudgeSettings,
    *,
    asked: str = "",
    similarity: float | None = None,
) -> AnswerMatch:
    """Compare an answer with the recorded one.

    Args:
        predicted: The answer of the model; an empty one is wrong.
        gold: The recorded answer.
        context: The texts of the conversation so far, facts of which may be quoted.
        settings: The share of the facts.
        asked: What the customer said last.
        similarity: Of the wordings, in [0, 1], from a model; the F1 of the words where None.
    """
    if not predicted.strip():
        return AnswerMatch(0.0, False, ("no answer",))
    ours, theirs = _read_both(predicted, gold, tuple(context))
    opposite = _opposite(ours, theirs)
    foreign = _foreign(ours, theirs, context)
    said = names(asked, tuple(context))
    claims = _claims(ours, theirs, {fact.kind for fact in foreign}, said)
    facts = sum(made for _, made in claims) / len(claims) if claims else None
    wording = _wording(ours, theirs, predicted, gold)
    if wording is not None and similarity is not None:
        wording = similarity
    correctness = 0.0 if opposite else _mix(facts, wording, settings) / (1 + len(foreign))
    notes = [opposite] if opposite else []
    notes += [f"not in the record: {_short(fact.text)}" for fact in foreign]
    notes += [f"missing: {claim}" for claim, made in claims if not made]
    right = not opposite and not foreign and all(made for _, made in claims)
    return AnswerMatch(correctness, right, tuple(notes))


def _read_both(predicted: str, gold: str, context: tuple[str, ...]) -> tuple[Reading, Reading]:
    """Read both answers, with the names of the fields from which the record names something."""
    theirs = names(gold, context)
    named = {name.kind for name in theirs}
    ours = tuple(name for name in names(predicted, context) if name.kind in named)
    return read(predicted).with_facts(ours), read(gold).with_facts(theirs)


def _opposite(ours: Reading, theirs: Reading) -> str | None:
    if ours.refuses and not theirs.refuses:
        return "refuses where the record does not"
    if theirs.refuses and not ours.refuses:
        return "does not refuse where the record does"
    if ours.opening and theirs.opening and ours.opening != theirs.opening:
        return f"says {ours.opening} where the record says {theirs.opening}"
    return None


def _foreign(ours: Reading, theirs: Reading, context: Sequence[str]) -> list[Fact]:
    """Return the facts of ours that contradict the record."""
    stated = {fact.kind for fact in theirs.facts}
    in_words = [
        fact
        for fact in ours.spelled
        if fact.kind in stated and fact.value != "1" and not theirs.states(fact)
    ]
    return in_words + [
        fact
        for fact in ours.facts
        if not theirs.states(fact)
        and (fact.kind in stated or not any(read(text).states(fact) for text in context))
    ]


def _claims(
    ours: Reading, theirs: Reading, void: Set[str], said: Sequence[Fact]
) -> list[tuple[str, bool]]:
    """Return what the record claims, and whether the prediction claims it too.

    Args:
        ours: The prediction.
        theirs: The record.
        void: Kinds of which the prediction states a wrong fact.
        said: The names in what the customer said last.
    """
    times_said = Counter(name.kind for name in said)
    understood = {name for name in said if times_said[name.kind] == 1}
    claims = [
        (f"{fact.kind} {_short(fact.text)}", fact.kind not in void and ours.states(fact))
        for fact in theirs.facts
        if fact not in understood
    ]
    if theirs.refuses:
        claims.append(("refusal", ours.refuses))
    if theirs.only_asks:
        claims.append(("question", ours.asks))
    return claims


def _wording(ours: Reading, theirs: Reading, predicted: str, gold: str) -> float | None:
    """Return the F1 of the words; None where the record is made of facts alone."""
    if not theirs.words:
        if theirs.facts:
            return None
        return float(predicted.strip() == gold.strip())
    common = sum((Counter(ours.words) & Counter(theirs.words)).values())
    return 2 * common / (len(ours.words) + len(theirs.words))


def _mix(facts: float | None, wording: float | None, settings: JudgeSettings) -> float:
    if wording is None:
        return facts or 0.0
    if facts is None:
        return wording
    return settings.answer_facts * facts + (1 - settings.answer_facts) * wording


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
