"""Each family's template: exact rendering, reading back, and what was added to it."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.template.render import Template
from families import FAMILIES, Family, make_tokenizer, save_tokenizer

THOUGHT = "The customer asks twice.\n\n  So do I: 2 × 2 = 4."
TOOLS = (
    {
        "type": "function",
        "function": {
            "name": "change_order",
            "description": "Change an order.",
            "parameters": {
                "type": "object",
                "properties": {
                    "order": {"type": "string", "description": "Digits."},
                    "note": {"type": "string", "description": "Any text."},
                    "express": {"type": "boolean", "description": "Whether it is."},
                    "amount": {"type": "number", "description": "In euros."},
                    "items": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "Goods.",
                    },
                    "gift": {"type": "null", "description": "Nothing."},
                },
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "list_orders",
            "description": "List all.",
            "parameters": {"type": "object", "properties": {}},
        },
    },
)
HARD = {
    "order": "0017",
    "note": 'She said: "it\'s\nlate" – <b>& ü',
    "express": False,
    "amount": 12.5,
    "items": ["a, b", "c"],
    "gift": None,
}


def call(number: int, name: str = "change_order", **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments, id=f"call0000{number}")


def turn(content: str = "", *calls: ToolCall) -> Message:
    return Message(role="assistant", content=content, tool_calls=calls)


def user(content: str) -> Message:
    return Message(role="user", content=content)


def result(content: str, number: int) -> Message:
    return Message(
        role="tool", content=content, tool_call_id=f"call0000{number}", name="change_order"
    )


def talk(*messages: Message) -> Conversation:
    said = (Message(role="system", content="Be kind.\n\nBe brief."), *messages)
    return Conversation(id="talk", messages=said, tools=TOOLS, source="talk.jsonl:1")


PLAIN = talk(
    user("Where is W1?"),
    turn("", call(1, **HARD)),
    result('{"state": "sent"}', 1),
    turn("It is on its way."),
    user("And what else?"),
    turn("", call(2, "list_orders")),
    result("none", 2),
    turn("Nothing\n\nelse."),
)
WORDS = talk(user("Hi"), turn("One moment.", call(1, **HARD)), result("ok", 1), turn("Done."))
SEVERAL = talk(
    user("Hi"),
    turn("", call(1, **HARD), call(2, "list_orders")),
    result("ok", 1),
    result("none", 2),
    turn("Done."),
)


def conversations_for(family: Family) -> list[Conversation]:
    return [PLAIN] + ([WORDS] if family.words else []) + ([SEVERAL] if family.several else [])


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    return request.param


@pytest.fixture(scope="module")
def folder(family: Family, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tokenizer(family, tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def template(family: Family, folder: Path) -> Template:
    return Template.load(str(folder), shipped=family.shipped)


def messages_of(decision: Decision, *turns: Message) -> list[dict[str, Any]]:
    return [m.to_dict(thought=False) for m in decision.history] + [m.to_dict() for m in turns]


def rendered(tokenizer: Any, messages: list[dict[str, Any]], **options: bool) -> list[int]:
    """What a server does that knows the saved folder alone."""
    return list(
        tokenizer.apply_chat_template(
            messages, tools=list(TOOLS), tokenize=True, return_dict=False, **options
        )
    )


def test_the_syntax_and_what_is_added_are_those_of_the_family(
    family: Family, template: Template
) -> None:
    assert template.expression.syntax.name == family.syntax
    assert template.expression.added == family.added
    assert template.expression.says_words_with_calls == family.words
    named = template.tokenizer.convert_tokens_to_ids([family.eos, *family.stops])
    assert set(named) <= set(template.stop_token_ids)


@pytest.mark.parametrize("thought", [None, THOUGHT], ids=["direct", "thinking"])
def test_prompt_and_completion_are_what_the_saved_tokenizer_renders(
    family: Family, template: Template, thought: str | None, tmp_path: Path
) -> None:
    template.tokenizer.save_pretrained(tmp_path)
    served = AutoTokenizer.from_pretrained(tmp_path)
    thinking = thought is not None
    for decision in [d for c in conversations_for(family) for d in c.decisions()]:
        prompt = template.prompt(decision, thinking=thinking)
        completion = template.completion(decision, thought=thought)
        history = messages_of(decision)
        assert prompt == rendered(
            served, history, add_generation_prompt=True, enable_thinking=thinking
        )
        gold = decision.gold.model_copy(update={"reasoning_content": thought})
        last = gold.to_dict()
        if thinking:  # templates ask for it by one of these names
            last |= {"thinking": thought, "reasoning": thought}
        whole = rendered(served, [*history, last], enable_thinking=thinking)
        assert whole[: len(prompt) + len(completion)] == prompt + completion
        assert completion[-1] in template.stop_token_ids
        assert not set(completion[:-1]) & set(template.stop_token_ids)
        rest = served.decode(whole[len(prompt) + len(completion) :])
        assert rest.strip() in ("", family.eos)


@pytest.mark.parametrize("thought", [None, THOUGHT], ids=["direct", "thinking"])
def test_completions_are_read_back(family: Family, template: Template, thought: str | None) -> None:
    for decision in [d for c in conversations_for(family) for d in c.decisions()]:
        text = template.decode(template.completion(decision, thought=thought))
        parsed = template.parse(text, thinking=thought is not None, tools=TOOLS)
        assert parsed.errors == ()
        assert parsed.thought == thought
        gold = decision.gold
        assert [(c.name, c.arguments) for c in parsed.calls] == [
            (c.name, c.arguments) for c in gold.tool_calls
        ]
        assert parsed.answer == gold.content


def test_the_modes_have_different_prompts(template: Template) -> None:
    for decision in PLAIN.decisions():
        assert template.prompt(decision, thinking=True) != template.prompt(decision, thinking=False)


def test_what_the_template_could_express_it_expresses_as_before(
    family: Family, template: Template
) -> None:
    """Direct mode: turns, tools, calls and results are the bytes of the template's own."""
    if family.shipped:
        pytest.skip("its template is replaced")
    own = make_tokenizer(family)
    tools = {"tools": list(TOOLS), "xml_tools": list(TOOLS)}
    for decision in PLAIN.decisions():
        messages = messages_of(decision)
        called = any(message.tool_calls for message in decision.history)
        if called and "calls written" in family.added:  # its own words for calls are none
            continue
        text = own.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False, **tools
        )
        today = datetime.datetime.now()
        for written in ("%d %b %Y", "%d %B %Y"):
            text = text.replace(
                today.strftime(written), datetime.date(2024, 7, 26).strftime(written)
            )
        assert template.prompt_text(decision, thinking=False) == text


def test_a_saved_template_is_opened_as_it_is(template: Template, tmp_path: Path) -> None:
    template.tokenizer.save_pretrained(tmp_path)
    again = Template.load(str(tmp_path))
    assert again.tokenizer.chat_template == template.tokenizer.chat_template
    assert again.expression.added == ()
    assert again.syntax.name == template.syntax.name


def test_no_prompt_depends_on_the_day(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    class Tomorrow(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime(2031, 1, 2)

    decision = PLAIN.decisions()[-1]
    today = template.prompt_text(decision, thinking=True)
    monkeypatch.setattr("transformers.utils.chat_template_utils.datetime", Tomorrow)
    assert template.prompt_text(decision, thinking=True) == today
