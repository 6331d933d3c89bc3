"""Does the judge agree with the checker of the Berkeley Function-Calling Leaderboard?

Every single-turn item of BFCL v4 becomes a recorded action (the first accepted value of each
argument) and many completions: the record itself, and the record with one thing changed. Each is
judged by `actwise.rewards.judge` and by bfcl-eval's own `ast_checker`, whose accepted values are
narrowed to the recorded ones, so that both see the same gold. Needs bfcl-eval; see
docs/experiments/bfcl.md for how to run it and for what came out.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import types
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from actwise.conversation import Conversation, Message, ToolCall, tool_name, tool_parameters
from actwise.formats.readers import bfcl
from actwise.formats.record import Unusable
from actwise.formats.schema import foreign_tool
from actwise.rewards.floors import NEUTRAL_ANSWER
from actwise.rewards.judge import Verdict, judge
from actwise.rewards.settings import JudgeConfig
from actwise.template.parse import ParsedCompletion

CALLING = (
    "simple_python",
    "simple_java",
    "simple_javascript",
    "multiple",
    "parallel",
    "parallel_multiple",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
)
LANGUAGES = {"simple_java": "java", "simple_javascript": "javascript"}
"""Categories of which the arguments are expressions; the others are JSON."""
ANSWERING = ("irrelevance", "live_irrelevance")
ASKED = (
    "gold",
    "name",
    "argument",
    "type",
    "missing argument",
    "extra argument",
    "missing call",
    "extra call",
    "order of calls",
    "order of items",
)
"""Mutations for which the two should agree."""
LENIENT = ("letter case", "outer punctuation", "spaces", "whole number", "default")
"""Mutations on which the two differ by design: other ways to write the same, more or less."""

REASONS = {
    "coerced": "A number, boolean, array or object written as text: ours reads it as the schema "
    "asks for (`coerce_types`), theirs compares Python types.",
    "default": "An optional argument is left out, or written out, whose value is the default of "
    "its schema: ours counts both as the same call, theirs knows no defaults and lists absence "
    "among the accepted values instead, which narrowing to one value takes away.",
    "whole number": "5.0 for an integer is 5 by JSON schema; theirs compares Python types.",
    "letter case": "Theirs ignores case everywhere; ours not in what looks like an identifier, "
    "nor where two members of an enum differ in nothing else.",
    "spaces and punctuation": "Theirs deletes spaces and , . / - _ * ^ from all text, so that "
    "1.5 is 15 and a-b is ab; ours forgives white space and outer punctuation of free text.",
    "expression": "Text that stands for a value (Java, JavaScript, or a variable's name in place "
    "of an array): ours compares it as text; theirs evaluates it, or compares it exactly.",
    "empty text": "Theirs reads an accepted empty text as leave to omit the argument.",
    "refused answer": "Theirs refuses BFCL's own answer: it keeps the quotes of texts in Java's "
    "arrays, cannot compare an empty array of objects, or the answer contradicts its schema.",
}
"""Why the two differ, by class of disagreement."""

Arguments = dict[str, Any]
Calls = tuple[ToolCall, ...]


@dataclass(frozen=True)
class Item:
    """A recorded action of BFCL."""

    category: str
    conversation: Conversation
    functions: list[dict[str, Any]]
    """As BFCL describes them, for its checker."""
    accepted: tuple[tuple[str, Arguments], ...]
    """Name and arguments of the recorded calls, of which Java's and JavaScript's are written as
    expressions in `gold`."""

    @property
    def gold(self) -> Calls:
        """The recorded calls."""
        return self.conversation.messages[-1].tool_calls


@dataclass(frozen=True)
class Case:
    """One completion, and how both judged it."""

    item: Item
    mutation: str
    calls: Calls
    ours: Verdict
    theirs: bool

    @property
    def agree(self) -> bool:
        """Whether both say the same."""
        return self.ours.right == self.theirs

    def reason(self, *, gold_accepted: bool) -> str:
        """Return the class of a disagreement, one of `REASONS`, or "unexplained".

        Args:
            gold_accepted: Whether their checker accepts the item's recorded calls.
        """
        decided = {comparison.decided_by for comparison in self.ours.comparisons}
        if not gold_accepted:
            return "refused answer"
        if self.theirs:
            return self._their_leniency()
        if self.mutation == "whole number":
            return "whole number"
        if "default" in decided:
            return "default"
        if decided & {"number", "boolean", "json"}:
            return "coerced"
        if "normalised" in decided:
            return "expression"
        return "unexplained"

    def _their_leniency(self) -> str:
        ours, gold = (_text(calls).lower() for calls in (self.calls, self.item.gold))
        if ours == gold:
            return "letter case"
        if re.sub(r"[ ,./*^_-]", "", ours) == re.sub(r"[ ,./*^_-]", "", gold):
            return "spaces and punctuation"
        if self.mutation == "missing argument" and '""' in gold:
            return "empty text"
        return "unexplained"


def _text(calls: Calls) -> str:
    return json.dumps([[call.name, call.arguments] for call in calls], ensure_ascii=False)


def read_items(folder: Path, category: str, left_out: dict[str, str]) -> Iterator[Item]:
    """Read the items of a category from the data folder of bfcl-eval.

    Args:
        folder: Where bfcl-eval keeps its data.
        category: One of `CALLING` or `ANSWERING`.
        left_out: Gets the id of every item that cannot be used, with the reason.
    """
    name = f"BFCL_v4_{category}.json"
    answers = {r["id"]: r for r in _records(folder / "possible_answer" / name)}
    for record in _records(folder / name):
        functions = record["function"]
        if category in ANSWERING:
            messages = (
                Message(role="user", content="?"),
                Message(role="assistant", content=NEUTRAL_ANSWER),
            )
            tools = tuple(foreign_tool(function) for function in functions)
            conversation = Conversation(id=record["id"], messages=messages, tools=tools)
        else:
            # Not by `read_files`, which refuses items that contradict their own schema.
            record |= answers[record["id"]]
            try:
                conversation = bfcl.read(record, default_id=record["id"], tools=())
            except Unusable as error:
                left_out[record["id"]] = str(error)
                continue
        accepted = tuple((c.name, c.arguments) for c in conversation.messages[-1].tool_calls)
        if category in LANGUAGES:
            # Their checker takes what is declared as "any" for text, even 20.5.
            declared = functions[0]["parameters"]["properties"]
            accepted = tuple(
                (n, {a: str(v) if declared[a]["type"] == "any" else v for a, v in values.items()})
                for n, values in accepted
            )
            conversation = _in_language(conversation, functions[0], LANGUAGES[category])
        yield Item(category, conversation, functions, accepted)


def _records(file: Path) -> list[dict[str, Any]]:
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [json.loads(line) for line in lines]


# Mutations


def mutations(item: Item) -> Iterator[tuple[str, Calls]]:
    """Yield every completion that is made of an item, by the name of what was changed."""
    gold = item.gold
    yield "gold", gold
    names = [tool_name(tool) for tool in item.conversation.tools]
    for index, call in enumerate(gold):
        rest = gold[:index], gold[index + 1 :]

        def put(*new: ToolCall, rest: tuple[Calls, Calls] = rest) -> Calls:
            return (*rest[0], *new, *rest[1])

        for other in {*names, f"{call.name}_all"} - {call.name}:
            yield "name", put(ToolCall(name=other, arguments=call.arguments))
        for name in call.arguments:
            other = _another(item, index, name)
            yield (
                "argument",
                put(ToolCall(name=call.name, arguments={**call.arguments, name: other})),
            )
        for mutation, arguments in _changed_arguments(call.arguments, _schema(item, call.name)):
            yield mutation, put(ToolCall(name=call.name, arguments=arguments))
        yield "extra call", put(call, call)
        if len(gold) > 1:
            yield "missing call", put()
    others = [name for name in names if name not in {call.name for call in gold}]
    for name in others[:1]:
        yield "extra call", (*gold, ToolCall(name=name))
    if len({call.model_dump_json() for call in gold}) > 1:
        yield "order of calls", gold[::-1]
        yield "order of calls", (*gold[1:], gold[0])


def _schema(item: Item, name: str) -> dict[str, Any]:
    return next(tool_parameters(t) for t in item.conversation.tools if tool_name(t) == name)


def _another(item: Item, index: int, name: str) -> Any:
    """Return another value for an argument of a recorded call."""
    tool, arguments = item.accepted[index]
    own = _schema(item, tool).get("properties", {}).get(name, {})
    other = _other(arguments[name], own)
    language = LANGUAGES.get(item.category)
    if language is None:
        return other
    return _expression(other, item.functions[0]["parameters"]["properties"][name], language)


def _changed_arguments(
    arguments: Arguments, schema: dict[str, Any]
) -> Iterator[tuple[str, Arguments]]:
    properties = schema.get("properties", {})
    for name, value in arguments.items():
        yield "missing argument", {n: v for n, v in arguments.items() if n != name}
        for mutation, new in _changed_values(value):
            yield mutation, {**arguments, name: new}
    yield "extra argument", {**arguments, "surprise": "x"}
    for name, own in properties.items():
        if name not in arguments and own.get("default") is not None:
            yield "default", {**arguments, name: own["default"]}


def _changed_values(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, bool):
        yield from (("type", str(value).lower()), ("type", int(value)))
    elif isinstance(value, int | float):
        yield from (("type", str(value)), ("type", [value]))
        if value == int(value):
            yield "whole number", float(value) if isinstance(value, int) else int(value)
    elif isinstance(value, str):
        yield "type", [value]
        if value.strip().isdecimal():
            yield "type", int(value)
        written = {
            "letter case": value.swapcase(),
            "outer punctuation": value + ".",
            "spaces": value.replace(" ", ""),
        }
        yield from ((mutation, new) for mutation, new in written.items() if new != value)
    elif isinstance(value, list | dict):
        yield "type", json.dumps(value)
        if isinstance(value, list) and value != value[::-1]:
            yield "order of items", value[::-1]


def _other(value: Any, schema: dict[str, Any]) -> Any:
    """Return another value of the same type."""
    members = [m for m in schema.get("enum") or [] if isinstance(m, str) and m != value]
    if isinstance(value, str) and members:
        return members[0]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + " or other"
    if isinstance(value, list):
        return [_other(value[0], schema.get("items") or {}), *value[1:]] if value else ["x"]
    if isinstance(value, dict) and value:
        name = next(iter(value))
        own = (schema.get("properties") or {}).get(name, {})
        return {**value, name: _other(value[name], own)}
    return "x"


# Java and JavaScript: bfcl-eval declares every argument as a string that holds an expression.


def _in_language(
    conversation: Conversation, function: dict[str, Any], language: str
) -> Conversation:
    declared = function["parameters"]["properties"]
    action = conversation.messages[-1]
    calls = [
        ToolCall(
            name=call.name,
            arguments={n: _expression(v, declared[n], language) for n, v in call.arguments.items()},
        )
        for call in action.tool_calls
    ]
    parameters = tool_parameters(conversation.tools[0])
    texts = {name: {"type": "string"} for name in declared}
    tool = {
        "type": "function",
        "function": {"name": function["name"], "parameters": {**parameters, "properties": texts}},
    }
    action = action.model_copy(update={"tool_calls": tuple(calls)})
    return conversation.model_copy(
        update={"messages": (*conversation.messages[:-1], action), "tools": (tool,)}
    )


def _expression(value: Any, declared: dict[str, Any], language: str) -> str:
    """Write a value as the model of that category has to."""
    if isinstance(value, str):
        return value
    kind = declared["type"]
    if language == "java" and isinstance(value, list):
        of = (declared.get("items") or {}).get("type")
        items = ", ".join(_literal(item, of) for item in value)
        opening, closing = (
            ("new Object[]{", "}") if kind == "Array" else ("new ArrayList<>(Arrays.asList(", "))")
        )
        return opening + items + closing
    if language == "java" and isinstance(value, dict):
        members = " ".join(f'put("{k}", {_literal(v)});' for k, v in value.items())
        return f"new HashMap<String, Object>() {{{{ {members} }}}}"
    return _literal(value, kind if language == "java" else None)


def _literal(value: Any, java_type: str | None = None) -> str:
    suffix = {"long": "L", "float": "f"}.get(java_type or "", "")
    return json.dumps(value) + suffix


# The two judges


def judged_by_us(item: Item, calls: Calls, settings: JudgeConfig) -> Verdict:
    """Return our verdict on a completion that makes these calls, or else answers."""
    completion = ParsedCompletion(None, calls, "" if calls else NEUTRAL_ANSWER, ())
    gold, tools = item.conversation.messages[-1], item.conversation.tools
    return judge(completion, gold, tools, thinking=False, settings=settings)


class Checker:
    """bfcl-eval's checker of calls."""

    def __init__(self) -> None:
        """Import it without the model handlers, which need every vendor's client."""
        os.environ.setdefault("BFCL_PROJECT_ROOT", tempfile.mkdtemp())  # it makes folders there
        stub = types.ModuleType("bfcl_eval.constants.model_config")

        class _Models(dict[str, Any]):
            def __missing__(self, name: str) -> Any:
                return types.SimpleNamespace(underscore_to_dot=False)

        stub.MODEL_CONFIG_MAPPING = _Models()  # type: ignore[attr-defined]
        sys.modules[stub.__name__] = stub
        import bfcl_eval
        from bfcl_eval.constants.enums import Language
        from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker
        from bfcl_eval.utils import is_empty_output

        self.data = Path(str(bfcl_eval.__file__)).parent / "data"
        self._check, self._is_empty = ast_checker, is_empty_output
        self._languages = Language

    def accepts(self, item: Item, calls: Calls) -> bool:
        """Return whether a completion that makes these calls, and no others, is accepted."""
        output = [{call.name: call.arguments} for call in calls]
        if not item.gold:
            return bool(self._is_empty(output))
        accepted = [{name: _accepted(arguments)} for name, arguments in item.accepted]
        language = self._languages(LANGUAGES.get(item.category, "python"))
        found = self._check(item.functions, output, accepted, language, item.category, "any")
        return bool(found["valid"])


def _accepted(arguments: Arguments) -> dict[str, list[Any]]:
    """Return recorded arguments in the form of BFCL's answers, with one accepted value each."""
    out = {}
    for name, value in arguments.items():
        if isinstance(value, dict):
            value = {member: [of] for member, of in value.items()}
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            value = [{member: [of] for member, of in item.items()} for item in value]
        out[name] = [value]
    return out


def compare(checker: Checker, item: Item, settings: JudgeConfig) -> Iterator[Case]:
    """Yield an item's completions with both judgements."""
    for mutation, calls in mutations(item):
        ours = judged_by_us(item, calls, settings)
        yield Case(item, mutation, calls, ours, checker.accepts(item, calls))


# The report


@dataclass
class Tally:
    """Agreement over many completions, under some settings."""

    title: str
    settings: JudgeConfig
    agree: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By category and mutation; so is `cases`."""
    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Disagreements by reason, mutation, and who says right."""
    examples: dict[str, str] = field(default_factory=dict)
    """One disagreement of each reason."""

    def add(self, checker: Checker, item: Item) -> None:
        """Count the completions of one item."""
        gold_accepted = checker.accepts(item, item.gold)
        for case in compare(checker, item, self.settings):
            place = item.category, case.mutation
            self.cases[place] += 1
            self.agree[place] += case.agree
            if not case.agree:
                reason = case.reason(gold_accepted=gold_accepted)
                self.reasons[reason, case.mutation, "theirs" if case.theirs else "ours"] += 1
                self.examples.setdefault(
                    reason, f"{item.conversation.id}: {_text(case.calls)} for {_text(item.gold)}"
                )

    def agreement(self, mutations: Iterable[str], category: str | None = None) -> tuple[int, int]:
        """Return on how many completions both agree, and how many there are."""
        wanted = [(c, m) for c, m in self.cases if m in mutations and category in (None, c)]
        return sum(self.agree[p] for p in wanted), sum(self.cases[p] for p in wanted)

    def show(self) -> None:
        """Print tables in Markdown."""
        print(f"\n## {self.title}\n")
        categories = list(dict.fromkeys(category for category, _ in self.cases))
        for mutations, name in ((ASKED, "asked"), (LENIENT, "lenient")):
            print(f"| {name} | agreement | " + " | ".join(categories) + " |")
            print("|---|---|" + "---|" * len(categories))
            for group in (mutations, *((mutation,) for mutation in mutations)):
                row = [_share(*self.agreement(group, c)) for c in (None, *categories)]
                print(f"| {group[0] if len(group) == 1 else 'all'} | " + " | ".join(row) + " |")
            print()
        print("| reason | mutation | right by | completions |\n|---|---|---|---|")
        for (reason, mutation, who), count in sorted(self.reasons.items()):
            print(f"| {reason} | {mutation} | {who} | {count} |")
        print()
        for reason, example in sorted(self.examples.items()):
            print(f"- {reason}: {example[:400]}")


def _share(agree: int, cases: int) -> str:
    if not cases:
        return ""
    return f"{agree}/{cases}" + ("" if agree == cases else f" ({100 * agree / cases:.2f} %)")


def main() -> None:
    """Compare on everything, or on some items of each category."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, help="items of each category; all if absent")
    limit = parser.parse_args().limit
    checker = Checker()
    tallies = [
        Tally(
            "types as the schema writes them (coerce_types = false)",
            JudgeConfig(coerce_types=False),
        ),
        Tally("default settings", JudgeConfig()),
    ]
    left_out: dict[str, str] = {}
    for category in (*CALLING, *ANSWERING):
        for item in islice(read_items(checker.data, category, left_out), limit):
            for tally in tallies:
                tally.add(checker, item)
    for tally in tallies:
        tally.show()
    for name, reason in left_out.items():
        print(f"left out: {name}: {reason}")
    agree, cases = tallies[0].agreement(ASKED)
    unexplained = sum(
        n for t in tallies for (reason, *_), n in t.reasons.items() if reason not in REASONS
    )
    print(f"agreement {agree}/{cases}, unexplained {unexplained}")
    sys.exit(0 if agree >= 0.99 * cases and not unexplained else 1)


if __name__ == "__main__":
    main()
