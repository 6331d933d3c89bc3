"""Does the thought matter? Put another one in its place, and see whether the act follows.

Each decision is completed greedily three times after a thought that is given: its own (a control:
the act has to come out as before), that of a decision of another conversation, and its own with one
number corrupted, the one that the act has to state. Where acts stay as they were, the model wrote
its thoughts beside its acts and not before them.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from actwise.conversation import Conversation, Decision
from actwise.desk.thoughts import act_numbers, concluding_number, known_numbers
from actwise.engine import Engine, SamplingParams
from actwise.engine.rollouts import Group
from actwise.template.parse import THINK_CLOSE, ParsedCompletion, parse_completion
from actwise.template.render import Template

Record = dict[str, Any]
Outcome = Literal["keeps", "follows", "other"]
"""The act stays; it states the number that the given thought comes to; it becomes another."""


def intervene(
    engine: Engine,
    template: Template,
    conversations: Sequence[Conversation],
    records: Sequence[Record],
    *,
    limit: int,
    max_tokens: int,
) -> list[Record]:
    """Return what becomes of the acts of decisions that need reasoning.

    Args:
        engine: Samples from the model that made the records.
        template: The model's.
        conversations: Those of the records.
        records: Evaluations in thinking mode.
        limit: Decisions at most.
        max_tokens: Budget of a completion.

    Returns:
        For each decision "decision", "conversation", and the outcomes "own" and "swapped", and
        "corrupted" where the act states the number that the thought comes to.
    """
    decisions = {d.key: d for c in conversations for d in c.decisions()}
    chosen = [r for r in records if "reasoning" in r["labels"] and _whole(r)][:limit]
    given = [_given(r, chosen, decisions[r["decision"]]) for r in chosen]
    groups = [
        Group(decision, tuple(prompt + template.encode(_beginning(record, thought))))
        for record, thoughts in zip(chosen, given, strict=True)
        for decision in [decisions[record["decision"]]]
        for prompt in [template.prompt(decision, thinking=True)]
        for thought, _ in thoughts.values()
    ]
    params = SamplingParams(max_tokens, template.stop_token_ids, temperature=0)
    completed = iter(engine.generate(groups, num_generations=1, params=params))
    found = []
    for record, thoughts in zip(chosen, given, strict=True):
        outcomes = {}
        for name, (thought, number) in thoughts.items():
            completion = template.decode(list(next(completed).rollouts[0].sample.token_ids))
            outcomes[name] = _outcome(record, _beginning(record, thought) + completion, number)
        found.append({key: record[key] for key in ("decision", "conversation")} | outcomes)
    return found


def corrupt(thought: str, known: set[str]) -> tuple[str, str] | None:
    """Change the number that a thought comes to, wherever it stands from its sum on.

    Args:
        thought: The thought of a decision.
        known: Numbers of the conversation, none of which is put in, so that an act that states the
            new number has it from the thought.

    Returns:
        The thought and its new number, or None where it comes to none.
    """
    old = concluding_number(thought)
    if old is None:
        return None
    taken = known | set(re.findall(r"\d+", thought))
    # Of the same number of digits, and as near as can be.
    steps = (sign * size for size in range(1, 10 ** len(old)) for sign in (1, -1))
    candidates = (str(int(old) + step) for step in steps)
    alike = (c for c in candidates if c.isdecimal() and len(c) == len(old))
    new = next((c for c in alike if c not in taken), None)
    if new is None:
        return None
    result = re.search(rf"= (?={old}(?!\w))", thought)
    start = result.end() if result else 0
    return thought[:start] + re.sub(rf"(?<![\w.]){old}(?!\w)", new, thought[start:]), new


def _whole(record: Record) -> bool:
    return bool(record["thought"]) and THINK_CLOSE in record["text"] and record["stop"] == "stop"


def _given(
    record: Record, chosen: Sequence[Record], decision: Decision
) -> dict[str, tuple[str, str | None]]:
    """Return the thoughts that are put in, by intervention, with the numbers they come to."""
    own = record["thought"]
    given: dict[str, tuple[str, str | None]] = {"own": (own, None)}
    place = chosen.index(record)
    others = (
        r["thought"]
        for r in (*chosen[place + 1 :], *chosen[:place])
        if r["conversation"] != record["conversation"] and r["thought"] != own
    )
    other = next(others, None)
    if other is not None:
        given["swapped"] = (other, concluding_number(other))
    corrupted = corrupt(own, known_numbers(decision.history))
    if corrupted is not None and concluding_number(own) in act_numbers(_parsed(record["text"])):
        given["corrupted"] = corrupted
    return given


def _beginning(record: Record, thought: str) -> str:
    """Return the completion up to the end of its thought, with the thought replaced."""
    before, _, rest = record["text"].partition(record["thought"])
    return f"{before}{thought}{rest[: rest.index(THINK_CLOSE)]}{THINK_CLOSE}"


def _outcome(record: Record, text: str, number: str | None) -> Outcome:
    before, after = _parsed(record["text"]), _parsed(text)
    if (before.calls, before.answer) == (after.calls, after.answer):
        return "keeps"
    follows = number in act_numbers(after) and number not in act_numbers(before)
    return "follows" if follows else "other"


def _parsed(text: str) -> ParsedCompletion:
    return parse_completion(text, thinking=True)
