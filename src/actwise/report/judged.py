"""The decisions of a run: what was measured on, and what each model did."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from actwise.report.files import Files
from actwise.run.folder import CONVERSATIONS

Record = dict[str, Any]
_FILE = re.compile(r"evaluations/(\w+)-(direct|thinking)-(.+)\.jsonl")


class Measured(NamedTuple):
    """A model in one mode on one split."""

    model: str
    mode: str
    split: str


class Function(BaseModel):
    """A call's tool and arguments."""

    name: str
    arguments: dict[str, Any] = {}


class RecordedCall(BaseModel):
    """A call in OpenAI's shape."""

    function: Function


class TestedMessage(BaseModel):
    """A message of a conversation in its canonical form."""

    role: str
    content: str = ""
    tool_calls: list[RecordedCall] = []
    labels: list[str] = []
    weight: int = 1


class Tested(BaseModel):
    """A conversation that was measured on, as `conversations.jsonl` has it."""

    split: str
    id: str
    messages: list[TestedMessage]
    tools: list[dict[str, Any]] = []

    def decisions(self) -> dict[str, TestedMessage]:
        """Return the recorded actions by the keys of their decisions, in order."""
        return {
            f"{self.id}#{index}": message
            for index, message in enumerate(self.messages)
            if message.role == "assistant" and message.weight
        }


class Comparison(BaseModel):
    """How an argument compared with the recorded one."""

    tool: str
    argument: str
    equal: bool
    decided_by: str


class JudgedVerdict(BaseModel):
    """The parts of a verdict that reports use; see `rewards.judge.Verdict`."""

    right: bool | None
    reward: float
    format: float
    tool_names: bool | None
    arguments: float | None
    recall: float
    answer_correctness: float | None
    missed_call: bool
    needless_call: bool
    errors: list[str] = []
    comparisons: list[Comparison] = []
    notes: list[str] = []


class Judged(BaseModel):
    """A line of an evaluation; see `Evaluator.evaluate`."""

    decision: str
    conversation: str
    kind: str
    labels: list[str] = []
    text: str
    thought: str = ""
    calls: list[Function]
    broken_calls: int = 0
    answer: str = ""
    stop: str
    thought_tokens: float
    verdict: JudgedVerdict


@dataclass(frozen=True)
class Decisions:
    """What was measured on, and what the models did there so far."""

    conversations: list[Tested]
    evaluations: dict[Measured, list[Record]]
    """Judged decisions, in the order in which the models were made."""

    def recorded(self) -> dict[str, list[str]]:
        """Return by decision the names of the tools that its record calls."""
        return {
            key: [call.function.name for call in message.tool_calls]
            for conversation in self.conversations
            for key, message in conversation.decisions().items()
        }


def read_decisions(folder: Path, models: Sequence[str]) -> Decisions | None:
    """Read the decisions of a run; None where it does not say what it was measured on.

    Args:
        folder: The run folder.
        models: In the order in which they were made.

    Raises:
        RunError: If the folder holds links, pipes or devices; if its checksums are damaged.
        InputError: If a file is not what its writer made.
    """
    files = Files(folder)
    if CONVERSATIONS not in files.names:
        return None
    decisions = Decisions(files.lines(CONVERSATIONS, Tested), {})
    known = decisions.recorded()
    splits = list(dict.fromkeys(conversation.split for conversation in decisions.conversations))
    found: dict[Measured, list[Record]] = {}
    for name in sorted(files.names):
        match = _FILE.fullmatch(name)
        if match and match[1] in models:
            judged = files.lines(name, Judged)
            if match[3] not in splits:
                raise files.broken(name, f"no conversation of {CONVERSATIONS} is of {match[3]}")
            unknown = next((j.decision for j in judged if j.decision not in known), None)
            if unknown is not None:
                raise files.broken(name, f"{unknown} is in no conversation of {CONVERSATIONS}")
            found[Measured(*match.groups())] = [j.model_dump() for j in judged]

    def place(key: Measured) -> tuple[int, str, int]:
        return models.index(key.model), key.mode, splits.index(key.split)

    order = sorted(found, key=place)
    return replace(decisions, evaluations={key: found[key] for key in order})
