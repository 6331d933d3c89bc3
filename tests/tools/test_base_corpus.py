"""The base model's corpus, its tokenizer and the model that is shipped."""

import json
import random
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

import actwise.desk
from actwise.conversation import tool_name, tool_parameters
from actwise.desk import SPLITS, generate
from actwise.desk.domains import DOMAINS
from actwise.desk.wordings import small_talk
from desk_oracle import PHRASES, WORDINGS, choices
from tools.base_model import other_domains
from tools.base_model.exercises import Exercise
from tools.base_model.rows import INGREDIENTS, Mixture, to_row
from tools.base_model.tokenizer import TAGS, template_source, train_tokenizer
from tools.base_model.trade_scenes import Scene, judge
from tools.base_model.trades import TRADES

MODEL = Path(actwise.desk.__file__).parent / "model"
MAKERS = [ingredient.make for ingredient in INGREDIENTS]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["the cat and a dog, 12 of them"] * 5, 400, template_source())


@pytest.fixture(scope="module")
def shipped() -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(MODEL)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_survives_the_tokenizer(shipped: PreTrainedTokenizerFast, text: str) -> None:
    ids = shipped.encode(text, add_special_tokens=False)
    assert shipped.decode(ids, skip_special_tokens=False) == text


@given(st.text(alphabet='{}[]":, _-abcT19\n'))
@settings(max_examples=200, deadline=None)
def test_json_like_text_survives_the_tokenizer(shipped: PreTrainedTokenizerFast, text: str) -> None:
    assert shipped.decode(shipped.encode(text, add_special_tokens=False)) == text


def test_digits_stand_one_by_one(shipped: PreTrainedTokenizerFast) -> None:
    assert shipped.tokenize("3844") == ["3", "8", "4", "4"]
    with_two_digits = [t for t in shipped.get_vocab() if len(re.findall(r"\d", t)) > 1]
    assert with_two_digits == []


def test_a_word_has_the_same_tokens_wherever_it_stands(shipped: PreTrainedTokenizerFast) -> None:
    alone = shipped.encode("mocha-3844")
    for text in ("I want mocha-3844, please", '{"id": "mocha-3844"}', "mocha-3844"):
        ids = shipped.encode(text)
        assert any(ids[i : i + len(alone)] == alone for i in range(len(ids)))


def test_tags_stay_when_special_tokens_are_skipped(shipped: PreTrainedTokenizerFast) -> None:
    text = "<|im_start|><think>\na\n</think>\n\n<tool_call>\n{}\n</tool_call><|im_end|>"
    kept = shipped.decode(shipped.encode(text), skip_special_tokens=True)
    assert kept == "<think>\na\n</think>\n\n<tool_call>\n{}\n</tool_call>"
    for tag in TAGS:
        assert len(shipped.encode(tag)) == 1


def test_the_shipped_tokenizer_carries_our_template(shipped: PreTrainedTokenizerFast) -> None:
    assert shipped.chat_template == template_source()
    assert shipped.eos_token == "<|im_end|>"
    assert shipped.pad_token == "<|endoftext|>"


def test_boilerplate_of_schemas_is_short(shipped: PreTrainedTokenizerFast) -> None:
    assert len(shipped.encode('{"type": "function", "function": {"name": "')) == 1


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_exercises_depend_on_the_seed_alone(make) -> None:
    one, same = make(random.Random(7)), make(random.Random(7))
    assert one == same
    assert len({repr(make(random.Random(seed))) for seed in range(20)}) > 10


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_exercises_end_with_an_action_of_the_assistant(make) -> None:
    for seed in range(60):
        exercise = make(random.Random(seed))
        last = exercise.messages[-1]
        assert last.role == "assistant"
        assert bool(last.content) != bool(last.tool_calls)
        assert (last.reasoning_content is not None) == exercise.thinking
        assert all(m.reasoning_content is None for m in exercise.messages[:-1])


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_calls_obey_the_schemas_that_are_shown(make) -> None:
    for seed in range(60):
        exercise = make(random.Random(seed))
        schemas = {tool_name(t): tool_parameters(t) for t in exercise.tools}
        assert len(schemas) == len(exercise.tools)
        for message in exercise.messages:
            for call in message.tool_calls:
                jsonschema.validate(call.arguments, schemas[call.name])


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_sum_and_comparison_in_a_thought_is_true(make) -> None:
    for seed in range(60):
        last = make(random.Random(seed)).messages[-1]
        text = (last.reasoning_content or "") + "\n" + last.content
        for a, sign, b, c in re.findall(r"\b(\d+) ([-+]) (\d+) = (\d+)", text):
            assert int(c) == (int(a) - int(b) if sign == "-" else int(a) + int(b))
        for a, sign, b in re.findall(r"(?<![-+] )\b(\d+) ([<>]) (\d+)\b", text):
            assert (int(a) > int(b)) == (sign == ">") and int(a) != int(b)


def test_only_the_action_and_its_thought_have_full_weight(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    for seed in range(40):
        exercise = other_domains.conversation(random.Random(seed))
        row = to_row(tokenizer, exercise)
        learned = tokenizer.decode(
            [i for i, w in zip(row.ids, row.weights, strict=True) if w == 1.0]
        )
        last = exercise.messages[-1]
        assert learned.startswith("<think>\n") == exercise.thinking
        assert learned.endswith("<|im_end|>")
        assert (last.reasoning_content or "") in learned
        assert last.content in learned
        for call in last.tool_calls:
            assert json.dumps(call.arguments, ensure_ascii=False) in learned


def test_the_mixture_is_deterministic_and_bounded(tokenizer: PreTrainedTokenizerFast) -> None:
    one, same = Mixture(tokenizer, 3), Mixture(tokenizer, 3)
    for progress in (0.0, 0.5, 1.0):
        rows = one.draw(progress, 3000, 900)
        assert rows == same.draw(progress, 3000, 900)
        assert max(len(row.ids) for row in rows) <= 900
        assert sum(len(row.ids) for row in rows) >= 3000


def test_a_judgement_follows_the_policy() -> None:
    trade = next(t for t in TRADES if t.place == "city library")
    scene = Scene(
        trade,
        "get_loan",
        "list_loans",
        "renew_loan",
        "id",
        "card",
        5,
        21,
        False,
        10,
        2,
        None,
        False,
        (),
    )
    late = {"borrowed": "May 9", "renewals": 0}
    assert judge(scene, late).thought == (
        "Today May 21, borrowed May 9. 21 - 9 = 12 days. 12 > 10: too late. I refuse."
    )
    on_the_day = {"borrowed": "May 11", "renewals": 1}
    assert judge(scene, on_the_day).allowed
    often = {"borrowed": "May 20", "renewals": 2}
    assert judge(scene, often).reason == "it has 2 renewals and the limit is 2"


# Nothing of the desk is in the corpus


@pytest.fixture(scope="module")
def corpus() -> list[Exercise]:
    return [make(random.Random(seed)) for make in MAKERS for seed in range(150)]


def plain(text: str) -> str:
    """Words and numbers alone, numbers and slots as `#`."""
    words = re.findall(r"[a-z]+|#", re.sub(r"\d+|\{\w+\}", "#", text.lower()))
    return f" {' '.join(words)} "


def test_no_tool_of_the_desk_is_in_the_corpus(corpus: list[Exercise]) -> None:
    shown = {tool_name(tool) for exercise in corpus for tool in exercise.tools}
    called = {c.name for exercise in corpus for m in exercise.messages for c in m.tool_calls}
    specs = [s for d in DOMAINS for s in (*d.business.lookups.values(), *d.business.acts.values())]
    names = {name for spec in specs for name in spec.names.train + spec.names.shifted}
    assert len(names) > 60 and not names & (shown | called | other_domains.TOOL_NAMES)


def test_no_wording_of_the_desk_is_in_the_corpus(corpus: list[Exercise]) -> None:
    told = "\n".join(plain(m.content) for e in corpus for m in e.messages if m.role == "user")
    searched = 0
    for module in (*WORDINGS.values(), small_talk):
        for name, choice in choices(module).items():
            for wording in choice.train + choice.shifted:
                fixed = plain(wording).split(" # ")
                # "Hello!" and "Order 12." are anyone's.
                if name in PHRASES or sum(len(part.split()) for part in fixed) < 3:
                    continue
                searched += 1
                pattern = r" (?:[\w#]+ ){1,6}".join(part.strip() for part in fixed)
                assert not re.search(rf" {pattern.strip()} ", told), (name, wording)
    assert searched > 700


def test_no_policy_of_the_desk_is_in_the_corpus(corpus: list[Exercise]) -> None:
    texts = "\n".join(plain(m.content) for e in corpus for m in e.messages)
    searched = 0
    rules = {rule for domain in DOMAINS for rule in domain.business.policy}
    for rule in (text for choice in rules for text in choice.train + choice.shifted):
        for sentence in map(plain, re.split(r"(?<=[.:;]) ", rule)):
            if len(sentence.split()) > 3:  # "Today is #." is anyone's
                searched += 1
                assert sentence not in texts
    assert searched > 40


def test_no_message_of_the_desk_is_in_the_corpus(corpus: list[Exercise]) -> None:
    conversations = [c for split in SPLITS for c in generate(split, 100)]
    messages = {plain(m.content) for c in conversations for m in c.messages if m.role != "tool"}
    told = {plain(m.content) for e in corpus for m in e.messages}
    assert not {text for text in messages & told if len(text.split()) > 3}


def test_the_shipped_model_copies(shipped: PreTrainedTokenizerFast) -> None:
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32").eval()
    assert model.num_parameters() <= 2_500_000
    right = 0
    for text in ("fern-3844", "kloova 719", "B20517", "green lamp", "skoa-62 trim"):
        prompt = shipped.apply_chat_template(
            [{"role": "user", "content": f"Repeat: {text}"}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        batch = shipped(prompt, return_tensors="pt", add_special_tokens=False)
        ids = model.generate(**batch, max_new_tokens=24, do_sample=False)[0]
        answer = shipped.decode(ids[batch["input_ids"].shape[1] :], skip_special_tokens=True)
        right += answer == text
    assert right >= 4
