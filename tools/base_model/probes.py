"""What the base model can do, measured on exercises that it was not trained on."""

import random
import re
from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from actwise.template.parse import ParsedCompletion, parse_completion
from tools.base_model import exercises as short
from tools.base_model import lookup_exercises, other_domains
from tools.base_model import tool_exercises as tools
from tools.base_model.exercises import Exercise

PROBES: dict[str, Callable[[random.Random], Exercise]] = {
    "repeat": short.repeat,
    "look_up": short.look_up,
    "record": short.record,
    "to_json": short.to_json,
    "drill": short.drill,
    "days": short.days,
    "story": short.story,
    "call": tools.call_tool,
    "call_many": tools.call_one_of_many,
    "missing": tools.ask_for_missing,
    "result": tools.use_result,
    "look_things_up": lookup_exercises.look_things_up,
    "domains": other_domains.conversation,
}
WORDED = {"story", "missing", "look_things_up", "domains"}
"""Probes whose answers have several right wordings; only their facts are compared."""
_BATCH = 25


def complete(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    exercises: Sequence[Exercise],
    max_new_tokens: int = 200,
) -> list[str]:
    """Return the greedy completion of each exercise's last turn, without its stop token."""
    model.eval()
    texts: list[str] = []
    for first in range(0, len(exercises), _BATCH):
        prompts = [_prompt(tokenizer, e) for e in exercises[first : first + _BATCH]]
        batch = tokenizer(
            prompts,
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=False,
        )
        with torch.inference_mode():
            out = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                do_sample=False,
                max_new_tokens=max_new_tokens,
            )
        new = out[:, batch["input_ids"].shape[1] :]
        texts += tokenizer.batch_decode(new, skip_special_tokens=True)
    return texts


def _prompt(tokenizer: PreTrainedTokenizerFast, exercise: Exercise) -> str:
    return str(
        tokenizer.apply_chat_template(
            [message.to_dict() for message in exercise.messages[:-1]],
            tools=list(exercise.tools) or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=exercise.thinking,
        )
    )


def right(exercise: Exercise, completion: ParsedCompletion, *, exact: bool) -> bool:
    """Tell whether a completion makes the same calls and gives the same answer.

    Args:
        exercise: What was to be done.
        completion: What the model did.
        exact: Whether an answer must be the same text; if not, the same words with digits in them.
    """
    gold = exercise.messages[-1]
    called = [(c.name, c.arguments) for c in completion.calls]
    if called != [(c.name, c.arguments) for c in gold.tool_calls]:
        return False
    if gold.tool_calls or not exact:
        return facts(completion.answer) == facts(gold.content)
    return completion.answer == gold.content.strip()


def facts(text: str) -> set[str]:
    """Return the words of a text that have digits in them."""
    return {found.rstrip(".,:;?") for found in re.findall(r"\S*\d\S*", text)}


def probe(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, *, count: int
) -> dict[str, float]:
    """Return the share of right completions by exercise, and of well-formed ones by mode."""
    scores: dict[str, float] = {}
    formed: dict[bool, list[bool]] = {True: [], False: []}
    for name, make in PROBES.items():
        rng = random.Random(f"probe {name}")
        exercises = [make(rng) for _ in range(count)]
        texts = complete(model, tokenizer, exercises)
        parsed = [
            parse_completion(t, thinking=e.thinking) for t, e in zip(texts, exercises, strict=True)
        ]
        exact = name not in WORDED
        hits = [right(e, p, exact=exact) for e, p in zip(exercises, parsed, strict=True)]
        scores[name] = round(sum(hits) / count, 3)
        for e, p in zip(exercises, parsed, strict=True):
            formed[e.thinking].append(not p.errors)
    scores["format_thinking"] = round(sum(formed[True]) / len(formed[True]), 3)
    scores["format_direct"] = round(sum(formed[False]) / len(formed[False]), 3)
    return scores
