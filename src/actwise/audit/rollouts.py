"""The rollouts of a stage, joined with the decisions they were sampled for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError, field_validator

from actwise.audit.copying import Context
from actwise.audit.reading import ReadCompletion, independent_verdict, read
from actwise.conversation import Decision
from actwise.errors import InputError
from actwise.template.syntaxes import QWEN, SYNTAXES

_SYNTAXES = {syntax.name: syntax for syntax in SYNTAXES}


class Record(BaseModel):
    """One line of `rollouts/STAGE.jsonl`, as far as it is used here."""

    step: int
    decision: str
    text: str
    stop: str
    reward: float
    right: bool | None
    """None where it cannot be checked."""
    advantage: float | None
    """None where it was not among those kept to learn from (`rl.selection.keep`)."""
    given: int = 0
    """Tokens of it that were given: a hint."""
    syntax: str = QWEN.name
    """How its model writes; older runs do not say it."""

    @field_validator("syntax")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in _SYNTAXES:
            raise ValueError(f"{name} is not known to this version of actwise")
        return name


@dataclass(frozen=True)
class AuditedRollout:
    """One sampled completion, its reward, and what was recorded."""

    record: Record
    decision: Decision | None
    """None where the conversation is not at hand."""
    context: Context | None
    """What stands before the decision; None where the conversation is not at hand."""

    @property
    def conversation(self) -> str:
        """Id of the conversation."""
        return self.record.decision.rpartition("#")[0]

    @property
    def group(self) -> tuple[int, str]:
        """What the completions of one decision in one step have in common."""
        return self.record.step, self.record.decision

    @property
    def truncated(self) -> bool:
        """Whether the completion ran into its budget."""
        return self.record.stop == "length"

    @cached_property
    def reading(self) -> ReadCompletion:
        """The completion, cut at its tags."""
        tools = () if self.decision is None else self.decision.conversation.tools
        return read(self.record.text, _SYNTAXES[self.record.syntax], tools)

    @cached_property
    def independent(self) -> float | None:
        """The verdict of `reading.independent_verdict`; None without the recorded action."""
        if self.decision is None:
            return None
        return independent_verdict(self.reading, self.decision.gold, stopped=not self.truncated)


def read_rollouts(path: Path, decisions: Mapping[str, Decision]) -> list[AuditedRollout]:
    """Read the rollouts of a stage that had no hint.

    A last line that is still being written is left out.

    Raises:
        InputError: A line is no rollout.
    """
    contexts: dict[str, Context] = {}
    rollouts = []
    for record in _records(path):
        if record.given:
            continue
        decision = decisions.get(record.decision)
        if decision is not None and record.decision not in contexts:
            contexts[record.decision] = Context(m.content for m in decision.history)
        rollouts.append(AuditedRollout(record, decision, contexts.get(record.decision)))
    return rollouts


def _records(path: Path) -> Iterator[Record]:
    adapter = TypeAdapter(Record)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield adapter.validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(str(part) for part in first["loc"])
                raise InputError(
                    f"no rollout: {place} {first['msg']}".replace("  ", " "),
                    file=str(path),
                    line=number,
                    remedy="run the stage again",
                ) from error
