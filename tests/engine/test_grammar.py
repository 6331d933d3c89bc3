"""Completions held to a form: all of them have it, and nothing that has it is left out."""

import json
import random
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from actwise.conversation import Conversation, Decision, Message, Tool, ToolCall
from actwise.desk import MODEL
from actwise.engine import SamplingParams
from actwise.engine.batch import Batch, Request
from actwise.engine.grammar import Form, Grammar, Grammars
from actwise.engine.prompt import read_prompt
from actwise.engine.writing import Writing
from actwise.errors import InputError
from actwise.model.policy import Policy
from actwise.template.render import Template
from families import FAMILIES, JSON_SYNTAXES, save_tokenizer


def tool(name: str, properties: dict[str, Any], *required: str) -> Tool:
    parameters = {"type": "object", "properties": properties, "required": list(required)}
    closed = {**parameters, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": closed}}


TOOLS = (
    tool(
        "find",
        {
            "note": {"type": "string", "maxLength": 8},
            "kind": {"enum": ["a", "b", 3]},
            "when": {"$ref": "#/$defs/when"},
            "several": {"type": "array", "items": {"type": "boolean"}, "maxItems": 3},
        },
        "note",
        "kind",
    ),
    tool("shop.stop", {}),
    tool("find_größe", {}),  # begins like another, and is no ASCII
)
TOOLS[0]["function"]["parameters"]["$defs"] = {"when": {"type": ["integer", "null"]}}
SCHEMAS = {t["function"]["name"]: t["function"]["parameters"] for t in TOOLS}
ANSWER = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}, "points": {"type": "integer"}},
    "required": ["mood"],
    "additionalProperties": False,
}
JSON = [f for f in FAMILIES if f.syntax in JSON_SYNTAXES]
UNMARKED = {"llama", "list"}
ONE = [family for family in JSON if family.name in ("Qwen3", "Ministral 3", "xLAM-2", "Llama 3.2")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Template, Grammars]]:
    found = {}
    for family in JSON:
        folder = save_tokenizer(family, tmp_path_factory.mktemp("tokenizer"))
        template = Template.load(str(folder), shipped=family.shipped)
        found[family.name] = template, Grammars(template)
    return found


def allowed(grammar: Grammar, template: Template, ids: list[int]) -> list[list[int]]:
    """What may come at each token, and behind the last."""
    matcher, found = grammar.matcher(), []
    for token in [*ids, None]:
        free = ~matcher.forbidden(len(template.tokenizer))
        found.append(free.nonzero().flatten().tolist())
        if token is not None:
            matcher.follow(token)
    return found


def action(**how: Any) -> Decision:
    messages = Message(role="user", content="Hi"), Message(role="assistant", **how)
    return Decision(Conversation(id="x", messages=messages, tools=TOOLS), 1)


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("family", JSON, ids=lambda family: family.name)
def test_what_the_template_writes_is_allowed_and_ends_where_it_ends(
    made: dict[str, Any], family: Any, thinking: bool
) -> None:
    template, grammars = made[family.name]
    hard = {"note": 'a"ü\n', "kind": 3, "when": None, "several": [True, False]}
    calls = [
        ToolCall(name="find", arguments=hard, id="call00001"),
        ToolCall(name="shop.stop", id="call00001"),
        ToolCall(name="find_größe", id="call00001"),
    ]
    said = action(content='{"mood": "bad", "points": -7}')
    called = action(tool_calls=tuple(calls if family.several else calls[:1]))
    for decision in (said, called):
        unmarked = Form(
            () if decision is said else TOOLS, answer=ANSWER if decision is said else None
        )
        form = unmarked if family.syntax in UNMARKED else Form(TOOLS, answer=ANSWER)
        text = template.action_text(decision, thought="So <b> it\n\n{is}." if thinking else None)
        ids = template.encode(text)
        before = allowed(grammars.make(form, thinking=thinking), template, ids)
        assert all(token in free for token, free in zip(ids, before, strict=False))
        assert set(template.stop_token_ids) <= set(before[-1])
        ends = [n for n, free in enumerate(before) if set(template.stop_token_ids) & set(free)]
        closed = family.syntax != "list" and len(decision.gold.tool_calls)
        assert len(ends) == (closed or 1)


@pytest.mark.parametrize("family", ONE, ids=lambda family: family.name)
@given(seed=st.integers(0, 10**6), form=st.sampled_from(["calls", "one", "answer", "either"]))
def test_whatever_is_drawn_has_the_form(
    made: dict[str, Any], family: Any, seed: int, form: str
) -> None:
    template, grammars = made[family.name]
    if form == "either" and family.syntax in UNMARKED:
        form = "answer"
    tools = () if form == "answer" else TOOLS
    answer = ANSWER if form in ("answer", "either") else None
    grammar = grammars.make(Form(tools, form != "one", answer), thinking=False)
    matcher, draw, ids = grammar.matcher(), random.Random(seed), []
    stops = set(template.stop_token_ids)
    while not ids or ids[-1] not in stops:
        free = (~matcher.forbidden(len(template.tokenizer))).nonzero().flatten().tolist()
        ends = [token for token in free if token in stops]
        ids.append(draw.choice(ends if ends and len(ids) > 60 else free))
        matcher.follow(ids[-1])
    found = template.parse(template.decode(ids), thinking=False, tools=TOOLS)
    assert not found.errors
    for call in found.calls:
        jsonschema.validate(call.arguments, SCHEMAS[call.name])
    if found.answer:
        jsonschema.validate(json.loads(found.answer), ANSWER)
    assert bool(found.calls) != bool(found.answer)
    assert len(found.calls) <= 1 or form in ("calls", "either")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_where_arguments_are_no_json_calls_are_refused_and_answers_are_not(
    family: Any, tmp_path: Path
) -> None:
    template = Template.load(str(save_tokenizer(family, tmp_path)), shipped=family.shipped)
    grammars = Grammars(template)
    assert grammars.make(Form(answer=ANSWER), thinking=False).matcher()
    if family not in JSON:
        with pytest.raises(InputError, match="otherwise than as JSON"):
            grammars.make(Form(TOOLS), thinking=False)
        with pytest.raises(InputError, match="set it to none"):  # it is auto already
            grammars.make(Form(TOOLS, answer=ANSWER), thinking=False)


@pytest.mark.parametrize("name", ["Llama 3.2", "xLAM-2"])
def test_json_without_a_mark_is_an_answer_or_a_call(made: dict[str, Any], name: str) -> None:
    _, grammars = made[name]
    with pytest.raises(InputError, match=r"JSON without a mark.*set tool_choice to none"):
        grammars.make(Form(TOOLS, answer=ANSWER), thinking=False)


def test_a_schema_that_cannot_be_kept_to_is_refused() -> None:
    grammars = Grammars(Template.load(str(MODEL)))
    odd = {"type": "object", "properties": {"x": {"type": "strange"}}}
    tools = [*TOOLS, tool("odd", odd["properties"])]
    for whose, form in (
        ("response_format: the", Form(answer=odd)),
        ("response_format: the", Form(TOOLS, answer=odd)),
        ("tools: odd: its", Form(tools)),
        ("tools: odd: its", Form(tools, answer=ANSWER)),
    ):
        with pytest.raises(InputError, match=rf"{whose} schema cannot be kept to: .*strange"):
            grammars.make(form, thinking=False)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(str(MODEL))


def requests(policy: Policy, grammar: Grammar | None, *, thinking: bool) -> list[Request]:
    said = [{"role": "user", "content": "Please look at account 4411."}]
    prompt = read_prompt(policy, said, list(TOOLS), thinking=thinking)
    params = SamplingParams(80, policy.template.stop_token_ids, 1.0)
    return [Request(prompt.token_ids, params, seed, grammar=grammar) for seed in range(4)]


def run(batch: Batch) -> dict[Request, list[int]]:
    found: dict[Request, list[int]] = {}
    while batch.requests:
        for token in batch.step():
            found.setdefault(token.request, []).append(token.id)
            assert token.logprob > float("-inf")
    return found


def test_who_is_held_to_a_form_changes_nobody_else(policy: Policy) -> None:
    grammar = Grammars(policy.template).make(Form(TOOLS), thinking=False)
    free = requests(policy, None, thinking=False)
    held = requests(policy, grammar, thinking=False)
    alone = run(Batch(policy, free))
    batch = Batch(policy, held[:2])
    first = [batch.step() for _ in range(3)]
    batch.join(Batch(policy, [*free, *held[2:]]))
    found = run(batch)
    for request in free:
        assert found[request] == alone[request]
    for request in held:
        begun = [t.id for step in first for t in step if t.request is request]
        text = policy.template.decode([*begun, *found[request]])
        parsed = policy.template.parse(text, thinking=False, tools=TOOLS)
        assert parsed.calls and not parsed.errors
        for call in parsed.calls:
            jsonschema.validate(call.arguments, SCHEMAS[call.name])


def test_a_thought_is_free_and_the_form_holds_behind_it_and_behind_a_cut(policy: Policy) -> None:
    grammar = Grammars(policy.template).make(Form(TOOLS), thinking=True)
    said = [{"role": "user", "content": "Please look at account 4411."}]
    prompt = read_prompt(policy, said, list(TOOLS), thinking=True)
    cut = 0
    for request in requests(policy, grammar, thinking=True):
        writing = Writing(prompt, request, budget=4)
        batch = Batch(policy, [request])
        while batch.requests:
            (token,) = batch.step()
            instead = writing.add(token)
            if instead is not None:
                cut += 1
                batch = Batch(policy, [instead])
        parsed = prompt.parse_written(writing.text)
        assert parsed.closed_thought and parsed.calls and not parsed.errors
    assert cut == 4


def test_masks_are_as_wide_as_the_logits() -> None:
    template = Template.load(str(MODEL))
    matcher = Grammars(template).make(Form(answer=ANSWER), thinking=False).matcher()
    size = len(template.tokenizer)
    wide = matcher.forbidden(size + 40)
    assert bool(wide[size:].all()) and torch.equal(wide[:size], matcher.forbidden(size))
