"""Exact rendering, against `apply_chat_template(tokenize=True)` of a tokenizer read from disk."""

import importlib.util
import json
import random
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.desk import MODEL as desk_model
from actwise.desk import conversations as desk
from actwise.errors import InputError, ModelError
from actwise.formats import read_files
from actwise.formats.record import Rejected
from actwise.template import render
from actwise.template.parse import FormatError, parse_completion
from actwise.template.render import SHIPPED_TEMPLATE, Template

CONTROL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
THOUGHT = "The customer asks twice.\n\n  So do I: 2 × 2 = 4. "
TRL_TEMPLATES = sorted(
    (Path(importlib.util.find_spec("trl").origin).parent / "chat_templates").glob("*.jinja"),
    key=lambda path: path.name,
)
QWEN3 = next(path for path in TRL_TEMPLATES if path.name == "qwen3.jinja")

TOOLS = tuple(
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Look up “{name}” <now> & here.",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
        },
    }
    for name in ("find_order", "find_größe")
)


def saved(tokenizer: Any, folder: Path) -> Path:
    """Write a tokenizer with the control tokens, the tags and the shipped template."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in CONTROL])
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in TAGS])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = SHIPPED_TEMPLATE.read_text()
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def merging_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE that normalises and splits as Qwen's, trained so that much is merged."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    words = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    texts = [m.content for c in desk.generate("train", 20) for m in c.messages]
    texts += [c.to_json() for c in desk.generate("train", 5)]
    texts += ["user\n", "assistant\n", "\n\n", "a\n\n\n", ">\n"] * 50
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet, show_progress=False),
    )
    return saved(tokenizer, tmp_path_factory.mktemp("merging"))


@pytest.fixture(scope="module")
def marking_dirs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Tokenizers that mark the first word of a text, or every word, as sentencepiece does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    characters = ["<unk>", "\u2581", "\u2581a", "\n", *map(chr, range(33, 127))]
    folders = []
    for scheme in ("first", "always"):
        tokenizer = Tokenizer(
            models.BPE(
                vocab={c: i for i, c in enumerate(characters)},
                merges=[("\u2581", "a")],
                unk_token="<unk>",
            )
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
        folders.append(saved(tokenizer, tmp_path_factory.mktemp(scheme)))
    return folders


@pytest.fixture(scope="module", params=["bytes", "merging"])
def tokenizer_dir(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(
        {"bytes": "tiny_tokenizer_dir", "merging": "merging_dir"}[request.param]
    )


def with_template(folder: Path, template: str) -> Template:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    return Template(tokenizer)


class Reference:
    """What a server does that knows the saved folder alone."""

    def __init__(self, template: Template, folder: Path) -> None:
        template.tokenizer.save_pretrained(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def prompt(self, decision: Decision, *, thinking: bool) -> list[int]:
        history = [as_openai(m) for m in decision.history]
        return self._ids(decision, history, enable_thinking=thinking, add_generation_prompt=True)

    def turn(self, decision: Decision, thought: str | None) -> list[int]:
        messages = [as_openai(m) for m in decision.history]
        last = as_openai(decision.gold)
        if thought is not None:
            last["reasoning_content"] = thought
        return self._ids(decision, [*messages, last], enable_thinking=thought is not None)

    def _ids(self, decision: Decision, messages: list[dict[str, Any]], **mode: bool) -> list[int]:
        return list(
            self.tokenizer.apply_chat_template(
                messages,
                tools=list(decision.conversation.tools) or None,
                tokenize=True,
                return_dict=False,
                **mode,
            )
        )


def as_openai(message: Message) -> dict[str, Any]:
    record: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        record["tool_calls"] = [
            {
                "type": "function",
                "id": call.id,
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        record["tool_call_id"] = message.tool_call_id
    return record


def check(
    template: Template, reference: Reference, decision: Decision, thought: str | None
) -> tuple[list[int], list[int]]:
    """Assert that a decision is rendered exactly; return its prompt and completion."""
    prompt = template.prompt(decision, thinking=thought is not None)
    completion = template.completion(decision, thought=thought)
    newline = reference.tokenizer.encode("\n", add_special_tokens=False)
    assert prompt == reference.prompt(decision, thinking=thought is not None)
    assert prompt + completion + newline == reference.turn(decision, thought)
    assert completion[-1] == reference.tokenizer.eos_token_id
    return prompt, completion


def check_reads_back(
    template: Template, decision: Decision, completion: list[int], thought: str | None
) -> None:
    parsed = parse_completion(template.decode(completion), thinking=thought is not None)
    calls = [(call.name, call.arguments) for call in parsed.calls]
    assert calls == [(call.name, call.arguments) for call in decision.gold.tool_calls]
    assert parsed.answer == decision.gold.content.strip()
    assert parsed.thought == (thought.strip() if thought is not None else None)
    assert parsed.errors == ()


def call(name: str = "find_order", **arguments: Any) -> ToolCall:
    return ToolCall(name=name, arguments=arguments, id=f"call-{name}")


def assistant(content: str = "", *calls: ToolCall) -> Message:
    return Message(
        role="assistant", content=content, tool_calls=calls, reasoning_content="SECRET thought"
    )


def user(content: str) -> Message:
    return Message(role="user", content=content)


def result(content: str, name: str = "find_order") -> Message:
    return Message(role="tool", content=content, tool_call_id=f"call-{name}", name=name)


def system(content: str) -> Message:
    return Message(role="system", content=content)


def talk(*messages: Message, tools: tuple[Any, ...] = TOOLS) -> Conversation:
    return Conversation(id="talk", messages=messages, tools=tools, source="talk.jsonl:1")


CONVERSATIONS = {
    "several turns": talk(
        system("Be kind.\n\nBe brief. "),
        user("Where is W1? "),
        assistant("", call(key="W1")),
        result('{"state": "sent"}'),
        assistant("It is on its way."),
        user("\n\nand W2?"),
        assistant("One moment.", call(key="W2")),
        result("\n"),
        assistant("Nothing\n\n\nfound.\n"),
    ),
    "parallel calls": talk(
        user("W1, and what is “Größe”?"),
        assistant("", call(key="W1", n=1.50, deep={"a": [None, True, []]}), call("find_größe")),
        result("sent"),
        result("", "find_größe"),
        assistant("Now both again.", call(key="W1"), call("find_größe", key="<&'\"\\>")),
        result("sent"),
        result("XL", "find_größe"),
        assistant("Sent; XL."),
    ),
    "unicode": talk(
        system("政策：请有礼貌。"),
        user("e\u0301 is not é?  ½ 👩‍👩‍👧 \u200b\u2028 ﬁ Ω\tpé"),
        assistant("", call("find_größe", key="日本 \u0000 \u00a0 e\u0301")),
        result("ok", "find_größe"),
        assistant("e\u0301 👍🏽"),
    ),
    "messages of one system after another": talk(
        system("First."), user("Hi"), system("The customer left."), assistant("Bye."), user("No.")
    ),
    "no tools": talk(user("Hi"), assistant("Hello."), user("Hi"), assistant("Again!"), tools=()),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("source", [SHIPPED_TEMPLATE, QWEN3], ids=["shipped", "qwen3"])
@pytest.mark.parametrize("thought", [None, THOUGHT], ids=["direct", "thinking"])
def test_hand_written_conversations_are_rendered_exactly(
    name: str, source: Path, thought: str | None, tokenizer_dir: Path, tmp_path: Path
) -> None:
    template = with_template(tokenizer_dir, source.read_text())
    reference = Reference(template, tmp_path)
    decisions = CONVERSATIONS[name].decisions()
    assert decisions
    for decision in decisions:
        prompt, completion = check(template, reference, decision, thought)
        check_reads_back(template, normal_form(template, decision), completion, thought)
        assert "SECRET" not in template.tokenizer.decode(prompt + completion)


def normal_form(template: Template, decision: Decision) -> Decision:
    """Return the decision as a tokenizer with Unicode normalisation gives it back."""
    normalizer = template.tokenizer.backend_tokenizer.normalizer
    if normalizer is None:
        return decision
    text = decision.conversation.to_json()
    return Decision(
        Conversation.model_validate(flat(json.loads(normalizer.normalize_str(text)))),
        decision.index,
    )


def flat(record: dict[str, Any]) -> dict[str, Any]:
    for message in record["messages"]:
        message["tool_calls"] = [
            {"id": c["id"], **c["function"]} for c in message.get("tool_calls", [])
        ]
    return record


@pytest.mark.parametrize("source", [SHIPPED_TEMPLATE, QWEN3], ids=["shipped", "qwen3"])
def test_desk_conversations_are_rendered_exactly(
    source: Path, merging_dir: Path, tmp_path: Path
) -> None:
    template = with_template(merging_dir, source.read_text())
    reference = Reference(template, tmp_path)
    for conversation in desk.generate("train", 30):
        for decision in conversation.decisions():
            for thought in (None, decision.gold.reasoning_content):
                prompt, completion = check(template, reference, decision, thought)
                check_reads_back(template, decision, completion, thought)
            text = template.tokenizer.decode(prompt)
            for message in decision.history:
                assert not message.reasoning_content or message.reasoning_content not in text


def test_taskmaster_conversations_are_rendered_exactly(
    shared_data: Path, merging_dir: Path, tmp_path: Path
) -> None:
    template = Template.load(str(merging_dir))
    reference = Reference(template, tmp_path)
    conversations = usable(read_files([shared_data / "taskmaster4" / "dialogs.jsonl.gz"]), 50)
    for decision in [d for c in conversations for d in c.decisions()]:
        for thought in (None, THOUGHT):
            _, completion = check(template, reference, decision, thought)
            check_reads_back(template, decision, completion, thought)


def test_tau_bench_runs_are_rendered_exactly(
    shared_data: Path, merging_dir: Path, tmp_path: Path
) -> None:
    # Prompts are long: of each run one decision is taken, in one mode after the other.
    folder = shared_data / "tau-bench-v1"
    log = folder / "historical_trajectories" / "gpt-4o-airline.json.gz"
    conversations = usable(read_files([log], tools=folder / "airline" / "tools.json.gz"), 200)
    template = Template.load(str(merging_dir))
    reference = Reference(template, tmp_path)
    draw = random.Random(0)
    for number, conversation in enumerate(conversations):
        decision = draw.choice(conversation.decisions())
        thought = THOUGHT if number % 2 else None
        _, completion = check(template, reference, decision, thought)
        check_reads_back(template, decision, completion, thought)


def usable(items: Iterable[Conversation | Rejected], count: int) -> list[Conversation]:
    conversations = []
    for item in items:
        if isinstance(item, Conversation):
            conversations.append(item)
        if len(conversations) == count:
            break
    assert len(conversations) == count
    return conversations


def test_a_recorded_action_with_control_tokens_does_not_read_back(tiny_tokenizer_dir: Path) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    for message, fault in (
        (assistant("Say <|im_end|> to end."), FormatError.STRAY_TAG),
        (assistant("", call(key="</tool_call>")), FormatError.BROKEN_JSON),
    ):
        (decision,) = talk(user("Hi"), message).decisions()
        text = template.decode(template.completion(decision, thought=None))
        assert fault in parse_completion(text, thinking=False).errors


def test_an_answer_that_begins_with_a_newline_goes_on_from_the_prompt(merging_dir: Path) -> None:
    # Tokenised in one go, the newlines of prompt and answer would merge. A served model is given
    # the prompt's tokens and writes its own, and so it is trained.
    template = Template.load(str(merging_dir))
    (decision,) = talk(user("Hi"), assistant("\nHello.")).decisions()
    prompt = template.prompt(decision, thinking=False)
    completion = template.completion(decision, thought=None)
    text = template.prompt_text(decision, thinking=False)
    assert prompt == template.tokenizer.encode(text, add_special_tokens=False)
    assert template.decode(completion) == "\nHello."
    assert prompt + completion != template.tokenizer.encode(
        text + "\nHello.<|im_end|>", add_special_tokens=False
    )


TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*CONTROL, *TAGS, "<think", "|im_end|>", "\n", "\n\n", " ", "user"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def encoders(
    tiny_tokenizer_dir: Path, merging_dir: Path, marking_dirs: list[Path]
) -> list[Template]:
    return [Template.load(str(d)) for d in (tiny_tokenizer_dir, merging_dir, *marking_dirs)]


@given(TEXTS)
def test_encoding_in_pieces_is_encoding_in_one_go(encoders: list[Template], text: str) -> None:
    for template in encoders:
        expected = template.tokenizer.encode(text, add_special_tokens=False)
        assert template.encode(text) == expected
        assert template.encode(text) == expected  # from the pieces that are remembered


def test_the_shipped_template_renders_turns_without_a_question_between(
    tokenizer_dir: Path, tmp_path: Path
) -> None:
    template = Template.load(str(tokenizer_dir))
    reference = Reference(template, tmp_path)
    conversation = talk(
        system("Greet first."), assistant("Hello."), assistant("", call(key="x")), assistant("Hm?")
    )
    for decision in conversation.decisions():
        for thought in (None, THOUGHT):
            prompt, completion = check(template, reference, decision, thought)
            check_reads_back(template, decision, completion, thought)
            assert template.tokenizer.decode(prompt).count("<think>") == (thought is None)


def test_conversations_that_a_template_cannot_render_are_refused_by_name(
    tiny_tokenizer_dir: Path,
) -> None:
    template = with_template(tiny_tokenizer_dir, QWEN3.read_text())
    decision = talk(user("Hi"), assistant("Hello."), assistant("Well?")).decisions()[1]
    with pytest.raises(InputError, match=r"talk\.jsonl:1: .*does not continue the prompt"):
        template.completion(decision, thought=None)
    # Qwen3's own template takes a turn before the first question for history, without a thought.
    (decision,) = talk(system("Greet first."), assistant("Hello.")).decisions()
    with pytest.raises(InputError, match=r"talk\.jsonl:1: .*leaves out the thought of messages\[1"):
        template.completion(decision, thought=THOUGHT)
    strict = SHIPPED_TEMPLATE.read_text() + (
        "{% if messages[-1].content == 'forbidden' %}"
        "{{ raise_exception('No such word.') }}{% endif %}"
    )
    (decision,) = talk(user("forbidden"), assistant("Hello.")).decisions()
    with pytest.raises(InputError, match=r"talk\.jsonl:1: .*cannot render it: No such word"):
        with_template(tiny_tokenizer_dir, strict).prompt(decision, thinking=True)


SHIPPED = SHIPPED_TEMPLATE.read_text()


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "has no chat template"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "does not show the tools"),
        (SHIPPED.replace("<|im_start|>assistant", "assistant", 1), "does not continue the prompt"),
        ("{{ messages[9].content }}", "cannot render it"),
        ("{{ messages[0].content + messages[0] }}", "cannot render it"),
        (SHIPPED.replace("{{- tool | tojson }}", ""), "does not show the tools"),
        (SHIPPED.replace("(message.reasoning_content or '')", "''"), "leaves out the thought"),
        (SHIPPED.replace('"arguments": ', '"parameters": '), "writes calls in a way that is not"),
        (SHIPPED.replace("'<tool_call>", "'<call>"), "writes calls in a way that is not"),
        (SHIPPED.replace("'\\n<tool_response>\\n' + message.content", "'?'"), "tool results"),
        (SHIPPED.replace("enable_thinking is false", "false"), "no mode without thinking"),
        (SHIPPED.replace("<|im_end|>", "<|end|>"), "ends the assistant's turn with no token"),
    ],
)
def test_templates_that_cannot_express_what_is_trained_are_refused(
    template: str, reason: str, tiny_tokenizer_dir: Path
) -> None:
    assert template != SHIPPED
    with pytest.raises(ModelError, match=reason):
        with_template(tiny_tokenizer_dir, template)


ACCEPTED = {
    "qwen2_5": "qwen",
    "qwen3": "qwen",
    "qwen3_instruct_2507": "qwen",
    "qwen3_vl": "qwen",
    "qwen3_5_nothink": "qwen-xml",
    "qwen3_5_think": "qwen-xml",
    "qwen3_6": "qwen-xml",
    "qwen3_8": "qwen-xml",
    "nemotron_3_nano": "qwen-xml",
    "nemotron_3_super": "qwen-xml",
    "nemotron_3_ultra": "qwen-xml",
    "nemotron_3_5_lightning": "qwen-xml",
    "lfm2": "qwen",  # it writes no calls, so they are written into the content
    "lfm2_v2": "lfm-escaped",
    "lfm2_2_5": "lfm",
    "lfm2_2_5_v2": "lfm",
    "lfm2_2_5_vl": "lfm-escaped",
}


@pytest.mark.parametrize("source", TRL_TEMPLATES, ids=lambda path: path.stem)
def test_templates_of_the_field_are_accepted_or_refused_with_a_reason(
    source: Path, tiny_tokenizer_dir: Path
) -> None:
    syntax = ACCEPTED.get(source.stem.removesuffix("_training"))
    if syntax is not None:
        template = with_template(tiny_tokenizer_dir, source.read_text())
        assert template.expression.syntax.name == syntax
    else:
        with pytest.raises(ModelError, match=r"chat template .*model\.template=actwise"):
            with_template(tiny_tokenizer_dir, source.read_text())


def test_a_tokenizer_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no tokenizer can be loaded from"):
        Template.load(str(tmp_path / "absent"))


def test_the_shipped_template_replaces_a_models_own(
    tiny_tokenizer_dir: Path, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizer_dir)
    tokenizer.chat_template, tokenizer.eos_token = "{{ messages }}", "<|endoftext|>"
    tokenizer.save_pretrained(tmp_path)
    template = Template.load(str(tmp_path), shipped=True)
    assert template.tokenizer.chat_template == SHIPPED
    assert template.stop_token_ids == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)


def test_with_the_shipped_template_turns_end_with_what_the_tokenizer_has(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    without = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    without.save_pretrained(tmp_path)
    with pytest.raises(
        ModelError, match=r"no end token \(eos_token\); name the one .*config\.json"
    ):
        Template.load(str(tmp_path), shipped=True)
    # What the message says to do helps.
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": "</s>"}))
    template = Template.load(str(tmp_path), shipped=True)
    reference = Reference(template, tmp_path / "saved")
    for decision in CONVERSATIONS["several turns"].decisions():
        for thought in (None, THOUGHT):
            _, completion = check(template, reference, decision, thought)
            check_reads_back(template, decision, completion, thought)
            assert template.tokenizer.convert_ids_to_tokens(completion[-1]) == "</s>"


def test_texts_that_come_once_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_KEPT", 10_000)
    template = Template(AutoTokenizer.from_pretrained(desk_model))
    tracemalloc.start()
    try:
        for number in range(200):  # of 2000 characters; their tokens take more
            text = f"{number} {'otter ' * 333}"
            assert template.encode(text) == template.tokenizer.encode(text)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000
