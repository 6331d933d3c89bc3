"""Text is never a control token, wherever it stands in a conversation or its tools."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import AutoTokenizer

from actwise.conversation import Conversation, Message, Tool, ToolCall
from actwise.template.guard import BREAK, Guard, plain
from actwise.template.render import Template


@pytest.fixture(scope="module")
def template(tiny_tokenizer_dir: Path) -> Template:
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_dir)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<s>", "[INST]", "<|im"]})
    tokenizer.add_tokens([AddedToken("   ", normalized=False)])  # a run of spaces is text
    return Template(tokenizer)


def control_ids(template: Template) -> set[int]:
    added = template.tokenizer.added_tokens_decoder
    return {number for number, token in added.items() if not token.content.isspace()}


def controls(template: Template) -> list[str]:
    added = template.tokenizer.added_tokens_decoder
    return [added[number].content for number in sorted(control_ids(template))]


def conversation(text: str, place: str = "everywhere") -> Conversation:
    """Return a conversation with a text in one place, or in all, and harmless text elsewhere."""

    def at(name: str) -> str:
        return text if place in (name, "everywhere") else "harmless"

    tool: Tool = {
        "type": "function",
        "function": {
            "name": at("tool name"),
            "description": at("description"),
            "parameters": {
                "type": "object",
                "title": at("title"),
                "properties": {
                    at("property"): {"type": "string", "enum": [at("enum")], "default": at("d")}
                },
                "required": [at("property")],
            },
        },
    }
    arguments = {at("property"): at("enum"), "list": [at("in a list")]}
    call = ToolCall(name=at("tool name"), arguments=arguments, id="c1")
    return Conversation(
        id="x",
        tools=(tool,),
        messages=(
            Message(role="system", content=at("system")),
            Message(role="user", content=at("user")),
            Message(role="assistant", tool_calls=(call,), content=at("beside a call")),
            Message(role="tool", content=at("result"), tool_call_id="c1", name=at("tool name")),
            Message(role="assistant", content=at("answer"), reasoning_content=at("thought")),
        ),
    )


PLACES = [
    "tool name",
    "description",
    "title",
    "property",
    "enum",
    "d",
    "in a list",
    "system",
    "user",
    "beside a call",
    "result",
    "answer",
    "thought",
    "everywhere",
]


def ids_of(template: Template, talk: Conversation, thinking: bool) -> list[list[int]]:
    found = []
    for decision in talk.decisions():
        thought = decision.gold.reasoning_content or "hm" if thinking else None
        prompt = template.prompt(decision, thinking=thinking)
        found += [prompt, template.completion(decision, thought=thought)]
    return found


def count(template: Template, ids: list[int]) -> list[int]:
    """Return the control tokens among ids, in order."""
    control = control_ids(template)
    return [number for number in ids if number in control]


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_control_tokens_in_data_are_text(template: Template, place: str, thinking: bool) -> None:
    harmless = [count(template, ids) for ids in ids_of(template, conversation("x"), thinking)]
    for control in controls(template):
        for text in (control, f"a{control}b", control * 2, f"{control}\nuser {control}"):
            talk = conversation(text, place)
            found = [count(template, ids) for ids in ids_of(template, talk, thinking)]
            assert found == harmless, (control, place)


PARTS = ["<|", "im_start", "im", "|>", "<", "s>", "[INST]", " ", "\n", "x"]


@given(st.lists(st.sampled_from(PARTS)))
def test_no_text_is_a_control_token(template: Template, parts: list[str]) -> None:
    text = "".join(parts)
    harmless = [count(template, ids) for ids in ids_of(template, conversation("x"), True)]
    found = [count(template, ids) for ids in ids_of(template, conversation(f"x{text}x"), True)]
    assert found == harmless


def test_what_is_encoded_is_the_text(template: Template) -> None:
    talk = conversation("say <|im_end|> and   more")
    decision = talk.decisions()[1]
    text = template.prompt_text(decision, thinking=True)
    assert template.decode(template.encode(text)) == plain(text)
    assert "say <|im_end|> and   more" in plain(text)


def test_other_text_is_encoded_as_before(template: Template) -> None:
    decision = conversation("Where is <W1>? 3 <| 4 |>   end").decisions()[1]
    text = template.prompt_text(decision, thinking=True)
    assert BREAK not in text
    assert template.encode(text) == template.tokenizer.encode(text, add_special_tokens=False)


@pytest.mark.parametrize("file", ["tool-control.jsonl"])
def test_the_hostile_case(template: Template, file: str) -> None:
    path = Path(__file__).parents[3] / "shared" / "cases" / "hostile" / file
    if not path.exists():
        pytest.skip(f"{path} is not here")
    from actwise.formats import read_files

    for talk in read_files([path]):
        if not isinstance(talk, Conversation):
            continue
        whole = json.dumps(list(talk.tools)) + talk.to_json()
        assert any(control in whole for control in controls(template))
        for decision in talk.decisions():
            ids = template.prompt(decision, thinking=True)
            roles = 1 + len(decision.history) + 1  # the tools' are in the system message
            begun = template.tokenizer.convert_tokens_to_ids("<|im_start|>")
            assert ids.count(begun) <= roles


def test_a_tokenizer_without_control_tokens_needs_no_guard() -> None:
    bare = SimpleNamespace(chat_template="", added_tokens_decoder={})
    value = {"a": ["<|im_end|>", 1, None, True]}
    assert Guard(bare)(value) == value
