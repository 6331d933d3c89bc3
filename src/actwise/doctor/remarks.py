"""What reading the records changed or left out, as the readers remarked it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from actwise.conversation import Remark
from actwise.findings.finding import Case, Finding, Severity, Tally

_MOST_NAMES = 20


@dataclass(frozen=True)
class _Meaning:
    severity: Severity
    message: str
    effect: str
    remedy: str
    by_name: bool = False
    """Whether the detail is a name (a key, a tool), which is counted, and no place."""


_MENDED = "Nothing has to be done; `--fix` writes it as it is read."
MEANINGS: Mapping[str, _Meaning] = {
    "unread_key": _Meaning(
        "warning",
        "record(s) with keys that their reader does not know",
        "What they hold is not learned; if it was said or shown to the model, it is missing.",
        "If it matters, put it where the format has it (docs/formats.md); else leave it.",
        by_name=True,
    ),
    "unusable_schema": _Meaning(
        "warning",
        "record(s) with a tool whose schema is no JSON schema",
        "The tool is shown without its arguments; conversations that call it cannot be used.",
        "Mend the schema.",
        by_name=True,
    ),
    "unread_tool": _Meaning(
        "warning",
        "record(s) that offer tools which are no functions",
        "The model that is trained has no such tools, and is not shown them.",
        "Leave out conversations in which they were used.",
        by_name=True,
    ),
    "cut_off": _Meaning(
        "warning",
        "answer(s) that were cut off",
        "Half an answer is not learned; it stays as context.",
        "Log them with a higher limit of tokens.",
    ),
    "call_from_text": _Meaning(
        "warning",
        "message(s) whose text is a call, read as the call that it is",
        "As text it would teach to print calls to the user.",
        "Check that the server that wrote them parses calls; `--fix` writes them as calls.",
    ),
    "schema_dialect": _Meaning(
        "note",
        "record(s) with tools whose schemas are written in another dialect",
        "They are brought to JSON schema, and so shown to the model.",
        "Show the tools in the same form where the model is served; `--fix` writes them so.",
        by_name=True,
    ),
    "merged_turns": _Meaning(
        "note",
        "turn(s) of the assistant in two messages, read as one",
        "As two, the first would teach to stop where the second begins.",
        _MENDED,
    ),
    "greeting": _Meaning(
        "note",
        "greeting(s) before the user has said anything",
        "They are context, and not learned.",
        "Nothing has to be done.",
    ),
    "divided_results": _Meaning(
        "note",
        "message(s) that list what several calls returned, read as one result each",
        "An endpoint gives a model one message for each call; trained otherwise, it would see "
        "something new.",
        _MENDED,
    ),
    "ordered_results": _Meaning(
        "note",
        "group(s) of results in another order than their calls, put in order by id",
        "Templates show no ids, so the model would read one result under another call.",
        _MENDED,
    ),
    "not_learned": _Meaning(
        "note",
        "message(s) that the record says are not to be learned (`weight`, `loss`, `train`)",
        "They are context.",
        "Nothing has to be done.",
    ),
    "chosen_side": _Meaning(
        "note",
        "preference(s), of which the chosen side is read",
        "The rejected side is nothing to imitate.",
        "Nothing has to be done.",
    ),
    "empty_arguments": _Meaning(
        "note", "call(s) with empty arguments, read as {}", "They call all the same.", _MENDED
    ),
    "double_encoded_arguments": _Meaning(
        "note",
        "call(s) whose arguments are JSON inside JSON, decoded twice",
        "As text they would fit no schema.",
        _MENDED,
    ),
    "repaired_arguments": _Meaning(
        "note",
        "call(s) whose arguments are nearly JSON (Python's spelling, a fence, a bare line break)",
        "They are read as what they mean.",
        _MENDED,
    ),
    "object_result": _Meaning(
        "note",
        "result(s) that are no text, read as their JSON",
        "A model reads texts.",
        _MENDED,
    ),
    "closing_thought": _Meaning(
        "note",
        "message(s) with a thought that is closed and never opened",
        "What stands before </think> is the thought; the template had opened it.",
        _MENDED,
    ),
}
"""By the code of the remark."""


class Remarks:
    """What the readers remarked about the conversations."""

    def __init__(self, max_examples: int) -> None:
        self._max_examples = max_examples
        self._tallies: dict[str, Tally] = {}
        self._names: dict[str, Counter[str]] = {}

    def look(self, case: Case) -> tuple[str, list[Remark]]:
        """See `Family.look`."""
        return case.place, list(dict.fromkeys(case.conversation.remarks))

    def note(self, seen: tuple[str, list[Remark]]) -> None:
        """Count the remarks about one conversation."""
        place, remarks = seen
        counted: set[str] = set()
        for code, detail in remarks:
            tally = self._tallies.setdefault(code, Tally(self._max_examples))
            if not MEANINGS[code].by_name:
                tally.add(f"{place}: {detail}")
                continue
            if code not in counted:
                tally.add(f"{place}: {detail}")
                counted.add(code)
            self._names.setdefault(code, Counter())[detail] += 1

    def findings(self) -> Iterator[Finding]:
        """Yield one finding for each kind of remark."""
        for code, meaning in MEANINGS.items():
            if code in self._tallies:
                names = self._names.get(code)
                yield from self._tallies[code].finding(
                    meaning.severity,
                    code,
                    meaning.message + (f": {counted(names)}" if names else ""),
                    effect=meaning.effect,
                    remedy=meaning.remedy,
                )


def counted(names: Counter[str]) -> str:
    """Return names with how often each was seen, the commonest first."""
    parts = [f"{name} ({count})" for name, count in names.most_common(_MOST_NAMES)]
    more = len(names) - _MOST_NAMES
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")
