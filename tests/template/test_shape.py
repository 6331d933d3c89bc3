"""The texts around thoughts, calls and answers, against what each family's template writes."""

import json
from pathlib import Path

import pytest

from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.template.render import Template
from actwise.template.shape import find_shape
from families import FAMILIES, JSON_SYNTAXES, Family, save_tokenizer

THOUGHT = "It is late.\n\nSo I ask."
ARGUMENTS = [{"note": 'a "b"\nü', "items": [1, {"x": None}]}, {}, {"flag": True}]


def actions(family: Family) -> list[Message]:
    calls = [
        ToolCall(name=f"tool_{n}", arguments=arguments, id="call00001")
        for n, arguments in enumerate(ARGUMENTS)
    ]
    numbers = (1, 2, 3) if family.several else (1,)
    said = Message(role="assistant", content="Done: 3 < 4.")
    return [said, *(Message(role="assistant", tool_calls=tuple(calls[:n])) for n in numbers)]


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_texts_around_an_action_are_what_the_template_writes(
    family: Family, thinking: bool, tmp_path: Path
) -> None:
    template = Template.load(str(save_tokenizer(family, tmp_path)), shipped=family.shipped)
    shape = find_shape(template, thinking=thinking)
    assert (shape.calls is None) == (family.syntax not in JSON_SYNTAXES)
    history = Message(role="system", content="Policy."), Message(role="user", content="Please.")
    for action in actions(family):
        decision = Decision(Conversation(id="x", messages=(*history, action)), 2)
        written = template.action_text(decision, thought=THOUGHT if thinking else None)
        begin = "" if shape.thought is None else f"{shape.thought[0]}{THOUGHT}{shape.thought[1]}"
        if not action.tool_calls:
            before, behind = shape.answer
            assert written == f"{begin}{before}{action.content}{behind}"
        elif shape.calls is not None:
            colon, comma = shape.calls.separators
            calls = (
                f"{call.name}{shape.calls.middle}"
                + json.dumps(call.arguments, ensure_ascii=False, separators=(comma, colon))
                for call in action.tool_calls
            )
            joined = (shape.calls.between or "").join(calls)
            assert written == f"{begin}{shape.calls.begin}{joined}{shape.calls.end}"
