"""Compare an answer with the recorded one: what it states, affirms and asks, then its wording.

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
by wording alone, one without words by its facts. The opposite of what the record says, in any
sentence, scores 0, and so do another label and another JSON value.

There are three verdicts. *Right*: the record claims something, every claim is made and nothing
contradicts it; or the two say the same in the same words. *Wrong*: a claim is missing, something
contradicts, or nothing is told at all. *Not checkable*: none of these decides, and no similarity
does. Then the score is the wording's alone.
"""

import re
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date

from actwise.rewards.bounds import bound_exchanged
from actwise.rewards.facts import Reading, read
from actwise.rewards.grammar import WEEKDAYS
from actwise.rewards.labels import another_label, label_of, parsed
from actwise.rewards.names import names, proper_names
from actwise.rewards.owners import ends_exchanged, names_exchanged, swapped
from actwise.rewards.readings import Fact
from actwise.rewards.scalars import same_json
from actwise.rewards.settings import JudgeConfig
from actwise.rewards.stance import (
    Stance,
    both_say_no,
    contradiction,
    same_topics,
    stance,
    topics_meet,
)
from actwise.rewards.typography import plain

_OUTER = " \t\r\n.!\"'*"
_WEEKDAYS = tuple(dict.fromkeys(WEEKDAYS.values()))


@dataclass(frozen=True)
class AnswerMatch:
    """How an answer compares with the recorded one."""

    correctness: float
    """In [0, 1]."""
    right: bool | None
    """Every claim of the record is made and none contradicted; the wording is free. None where
    nothing decides: the answer is not checkable."""
    notes: tuple[str, ...]
    """What differs, in short sentences."""


def match_answer(
    predicted: str,
    gold: str,
    context: Sequence[str],
    settings: JudgeConfig,
    *,
    asked: str = "",
    similarity: float | None = None,
) -> AnswerMatch:
    """Compare an answer with the recorded one.

    Args:
        predicted: The answer of the model; an empty one is wrong.
        gold: The recorded answer.
        context: The texts of the conversation so far, facts of which may be quoted.
        settings: The share of the facts, and from which similarity on it decides.
        asked: What the customer said last.
        similarity: How alike the wordings are, in [0, 1]; the F1 of the words where None.
    """
    if not predicted.strip():
        return AnswerMatch(0.0, False, ("no answer",))
    as_json = _match_json(predicted, gold)
    if as_json is None and _folded(predicted) == _folded(gold):
        return AnswerMatch(1.0, True, ())
    return (
        as_json
        or _match_label(predicted, gold)
        or _match_texts(predicted, gold, tuple(context), settings, asked, similarity)
    )


def is_checkable(gold: str, context: Sequence[str] = (), asked: str = "") -> bool:
    """Whether a recorded answer claims something, so that it can be given in other words.

    Of others only a contradiction and the same words can be told.

    Args:
        gold: The recorded answer.
        context: The texts of the conversation before it.
        asked: What the customer said last.
    """
    if parsed(gold) is not None or label_of(gold) is not None:
        return True
    theirs, recorded = read(gold), stance(gold)
    theirs = theirs.with_facts(names(gold, tuple(context)))
    acts = _acts(recorded, recorded, same_language=theirs.language is not None)
    return bool(
        acts
        or proper_names(read(""), theirs, asked).missing
        or _claims(theirs, theirs, set(), names(asked, tuple(context)))
    )


def _folded(text: str) -> str:
    return " ".join(plain(text).casefold().split()).strip(_OUTER)


def _match_json(predicted: str, gold: str) -> AnswerMatch | None:
    """Compare JSON objects and arrays; None where the record is none."""
    theirs = parsed(gold)
    if theirs is None:
        return None
    ours = parsed(predicted)
    if ours is not None and same_json(ours, theirs):
        return AnswerMatch(1.0, True, ())
    return AnswerMatch(0.0, False, ("not JSON" if ours is None else "other JSON than the record",))


def _match_label(predicted: str, gold: str) -> AnswerMatch | None:
    """Compare short labels ("refund", "not_spam"); None where the record is none.

    A sentence that holds the label is left to what follows.
    """
    label = label_of(gold)
    problem = label and another_label(predicted, label)
    return AnswerMatch(0.0, False, (problem,)) if problem else None


def _match_texts(
    predicted: str,
    gold: str,
    context: tuple[str, ...],
    settings: JudgeConfig,
    asked: str,
    similarity: float | None,
) -> AnswerMatch:
    ours, theirs = _read_both(predicted, gold, context)
    said, recorded = stance(predicted), stance(gold)
    same_language = ours.language is not None and ours.language == theirs.language
    opposite = contradiction(said, recorded) if same_language else None
    opposite = opposite or names_exchanged(ours, theirs) or ends_exchanged(ours, theirs)
    opposite = opposite or bound_exchanged(ours, theirs)
    empty = _tells_nothing(ours, said, theirs, recorded)
    proper = proper_names(ours, theirs, asked)
    foreign = _foreign(ours, theirs, context) + proper.foreign
    kinds = {fact.kind for fact in foreign}
    claims = _claims(ours, theirs, kinds, names(asked, context))
    claims += [(f"name {name}", False) for name in proper.missing]
    claims += _acts(said, recorded, same_language=same_language)
    facts = sum(made for _, made in claims) / len(claims) if claims else None
    wording = _wording(ours, theirs, predicted, gold)
    if wording is not None and similarity is not None:
        wording = similarity
    correctness = 0.0 if opposite else _mix(facts, wording, settings) / (1 + len(foreign))
    notes = [note for note in (opposite, empty) if note]
    notes += [f"not in the record: {_short(fact.text)}" for fact in foreign]
    notes += [f"missing: {claim}" for claim, made in claims if not made]
    english = ours.language == theirs.language == "en"
    # Elsewhere a denial in other words is not always found to be one of the same thing.
    undecided = not english and said.denies != recorded.denies
    right: bool | None = None
    if opposite or empty or foreign or not all(made for _, made in claims):
        right = False
    elif undecided:
        correctness = wording or 0.0
    elif claims or (same_language and _says_the_same(said, recorded)):
        right = True
    elif similarity is not None:
        right = _by_similarity(similarity, settings)
    if right is not False and not same_language:
        notes.append(_not_compared(ours, theirs))
    if right is None:
        notes.append("not checkable")
    return AnswerMatch(correctness, right, tuple(notes))


def _read_both(predicted: str, gold: str, context: tuple[str, ...]) -> tuple[Reading, Reading]:
    """Read both answers, with the names of the fields from which the record names something."""
    theirs = names(gold, context)
    named = {name.kind for name in theirs}
    ours = tuple(name for name in names(predicted, context) if name.kind in named)
    first, second = read(predicted), read(gold)
    first, second = _with_codes_joined(first, second), _with_codes_joined(second, first)
    return first.with_facts(ours), second.with_facts(theirs)


def _with_codes_joined(reading: Reading, other: Reading) -> Reading:
    """Write the codes of another text without the spaces and hyphens that group their signs."""
    text = reading.plain
    for fact in other.facts[:_MANY_CODES]:
        is_code = fact.value.isalnum() and fact.kind in ("identifier", "number")
        if is_code and _LONG_CODE <= len(fact.value) <= _LONGEST_CODE and not reading.states(fact):
            grouped = "[ -]?".join(fact.value)
            text = re.sub(rf"(?i)(?<!\w){grouped}(?!\w)", fact.value, text)
    return reading if text is reading.plain else read(text)


_LONG_CODE, _LONGEST_CODE = 6, 60
_MANY_CODES = 50


def _tells_nothing(ours: Reading, said: Stance, theirs: Reading, recorded: Stance) -> str | None:
    """Say so where the record tells something, and the prediction only asks or is polite."""
    tells = bool(recorded.topics or theirs.facts) and not recorded.asks
    if tells and said.only_asks and not ours.facts:
        return "asks where the record tells"
    if not re.search(r"\w", ours.plain) and recorded.topics:
        return "tells nothing"
    polite = not said.topics and not ours.facts and not ours.spelled and not said.refuses
    silent = polite and not any(clause.excluding or clause.denied for clause in said.clauses)
    if tells and silent and said.opening is None and ours.language == "en":
        return "tells nothing"
    return None


def _foreign(ours: Reading, theirs: Reading, context: Sequence[str]) -> list[Fact]:
    """Return the facts of ours that contradict the record."""
    stated = {fact.kind for fact in theirs.facts}
    weekdays = {_weekday_of(fact) for fact in theirs.facts if fact.kind == "date"}
    in_words = stated | {fact.kind for fact in theirs.spelled if fact.value != "1"}
    return [
        fact
        for fact in ours.spelled
        if fact.kind in in_words and fact.value != "1" and not theirs.states(fact)
    ] + [
        fact
        for fact in ours.facts
        if not theirs.states(fact)
        and not (fact.kind == "weekday" and fact.value in weekdays)
        and (fact.kind in stated or not any(read(text).states(fact) for text in context))
    ]


def _weekday_of(fact: Fact) -> str | None:
    """Return the weekday of a date with its year; None where the text leaves it open."""
    try:
        return _WEEKDAYS[date.fromisoformat(f"{fact.qualifier}-{fact.value}").weekday()]
    except ValueError:
        return None


def _claims(
    ours: Reading, theirs: Reading, void: Set[str], said: Sequence[Fact]
) -> list[tuple[str, bool]]:
    """Return what the record states, and whether the prediction states it too.

    Args:
        ours: The prediction.
        theirs: The record.
        void: Kinds of which the prediction states a wrong fact.
        said: The names in what the customer said last.
    """
    times_said = Counter(name.kind for name in said)
    understood = {name for name in said if times_said[name.kind] == 1}
    dated = any(fact.kind == "date" for fact in theirs.facts)
    in_place_of_another = swapped(ours, theirs)
    claims = [
        (
            f"{fact.kind} {_short(fact.text)}",
            fact.kind not in void and ours.states(fact) and fact not in in_place_of_another,
        )
        for fact in theirs.facts
        if fact not in understood and not (dated and fact.kind == "weekday")
    ]
    # A number in words is no fact that has to be repeated; where it is, it has been told.
    return claims + [
        (f"{fact.kind} {fact.text}", True)
        for fact in theirs.spelled
        if fact.value != "1" and ours.states(fact)
    ]


def _acts(said: Stance, recorded: Stance, *, same_language: bool) -> list[tuple[str, bool]]:
    """Return that the record refuses, or only asks, and whether the prediction does so too.

    That both ask, or refuse, decides nothing where they speak of different things; and one that
    asks everything asks nothing.
    """
    acts = []
    if recorded.refuses and same_language and topics_meet(said, recorded):
        acts.append(("refusal", said.refuses or both_say_no(said, recorded)))
    if recorded.opening and recorded.opening == said.opening and not recorded.clauses:
        acts.append((recorded.opening, True))
    if recorded.only_asks and not said.asks:
        acts.append(("question", False))
    elif recorded.only_asks and same_topics(said, recorded):
        acts.append(("question", True))
    return acts


def _says_the_same(said: Stance, recorded: Stance) -> bool:
    """Whether all clauses that carry meaning are the same, but for questions that follow."""
    ours = [clause for clause in said.clauses if not clause.asks or recorded.asks]
    return bool(ours) and ours == list(recorded.clauses)


def _by_similarity(similarity: float, settings: JudgeConfig) -> bool | None:
    if settings.embedding is None:
        return None
    if similarity >= settings.embedding.right_from:
        return True
    return False if similarity < settings.embedding.wrong_below else None


def _not_compared(ours: Reading, theirs: Reading) -> str:
    if ours.language is None or theirs.language is None:
        return "what is denied was not compared: no words for it in this language"
    return f"what is denied was not compared: one is in {ours.language}, one in {theirs.language}"


def _wording(ours: Reading, theirs: Reading, predicted: str, gold: str) -> float | None:
    """Return the F1 of the words; None where the record is made of facts alone."""
    if not theirs.words:
        if theirs.facts:
            return None
        return float(predicted.strip() == gold.strip())
    common = sum((Counter(ours.words) & Counter(theirs.words)).values())
    return 2 * common / (len(ours.words) + len(theirs.words))


def _mix(facts: float | None, wording: float | None, settings: JudgeConfig) -> float:
    if wording is None:
        return facts or 0.0
    if facts is None:
        return wording
    return settings.answer_facts * facts + (1 - settings.answer_facts) * wording


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
