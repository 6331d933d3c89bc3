"""From exercises to token rows: what is learned from each token, and which exercise comes when."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerFast

from tools.base_model import exercises as short
from tools.base_model import lookup_exercises, other_domains
from tools.base_model import tool_exercises as tools
from tools.base_model.exercises import Exercise
from tools.base_model.tokenizer import IM_END, IM_START

_DIRECT = "<think>\n\n</think>\n\n"
_TURN = re.compile(re.escape(f"{IM_START}assistant\n") + "(.*?" + re.escape(IM_END) + ")", re.S)
_HISTORY_WEIGHT = 0.5
"""Weight of earlier assistant turns. Their first token is left out: a history shows no thought,
but a decision in thinking mode must begin with one."""


@dataclass(frozen=True)
class Row:
    """Token ids and, for each, its weight in the loss."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True)
class Ingredient:
    """One kind of exercise and its share of the tokens at the start, middle and end of training."""

    make: Callable[[random.Random], Exercise]
    shares: tuple[float, float, float]
    tokens: int
    """Its usual length, by which a share of tokens becomes a share of rows."""


INGREDIENTS = (
    Ingredient(short.repeat, (20, 3, 2), 70),
    Ingredient(short.look_up, (18, 7, 4), 105),
    Ingredient(short.mention, (10, 2, 1), 90),
    Ingredient(short.record, (6, 6, 4), 170),
    Ingredient(short.to_json, (6, 6, 4), 100),
    Ingredient(short.drill, (18, 18, 12), 95),
    Ingredient(short.days, (3, 8, 7), 80),
    Ingredient(short.story, (3, 3, 3), 50),
    Ingredient(tools.call_tool, (4, 16, 14), 215),
    Ingredient(tools.call_one_of_many, (0, 4, 9), 640),
    Ingredient(tools.ask_for_missing, (0, 5, 5), 200),
    Ingredient(tools.use_result, (0, 8, 9), 300),
    Ingredient(lookup_exercises.look_things_up, (0, 8, 16), 260),
    Ingredient(other_domains.conversation, (0, 18, 30), 335),
)
_TOKEN_COPY = (15, 2, 1)
_TOKEN_COPY_LENGTH = 45


def render(tokenizer: PreTrainedTokenizerFast, exercise: Exercise) -> str:
    """Return an exercise as the chat template shows it, without the newline after its end."""
    text = tokenizer.apply_chat_template(
        [message.to_dict() for message in exercise.messages],
        tools=list(exercise.tools) or None,
        tokenize=False,
    )
    return str(text).rstrip("\n")


def to_row(tokenizer: PreTrainedTokenizerFast, exercise: Exercise) -> Row:
    """Tokenize an exercise and weigh its tokens."""
    text = render(tokenizer, exercise)
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    turns = [match.span(1) for match in _TURN.finditer(text)]
    last_start, last_end = turns[-1]
    if not exercise.thinking:
        last_start += len(_DIRECT)
    weights = []
    for start, _ in encoded["offset_mapping"]:
        weight = exercise.prompt_weight
        if last_start <= start < last_end:
            weight = 1.0
        elif start >= turns[-1][0]:
            weight = 0.0
        elif any(a < start < b for a, b in turns[:-1]):
            weight = _HISTORY_WEIGHT
        elif any(start == a for a, _ in turns[:-1]):
            weight = 0.0
        weights.append(weight)
    weights[0] = 0.0
    return Row(list(encoded["input_ids"]), weights)


def token_copy(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Row:
    """Return random tokens of the whole vocabulary to be repeated, so that each learns copying."""
    control = set(tokenizer.added_tokens_decoder)
    count = rng.choice([4, 8, 12, 16, 24, 32])
    ids = [i for i in rng.choices(range(len(tokenizer)), k=count) if i not in control]
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Repeat: §"}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
    )
    before, after = (tokenizer.encode(t, add_special_tokens=False) for t in str(prompt).split("§"))
    end = tokenizer.convert_tokens_to_ids(IM_END)
    head = [*before, *ids, *after]
    return Row([*head, *ids, end], [0.0] * len(head) + [1.0] * (len(ids) + 1))


class Mixture:
    """Draws rows; the mixture shifts from short copying to whole conversations."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self._tokenizer = tokenizer
        self._rng = random.Random(seed)

    def draw(self, progress: float, tokens: int, longest: int) -> list[Row]:
        """Return rows with about `tokens` tokens in all.

        Args:
            progress: 0 at the start of training, 1 at its end.
            tokens: How many tokens to return at least, prompts included.
            longest: Rows that are longer are left out.
        """
        weights = [_at(progress, i.shares) / i.tokens for i in INGREDIENTS]
        weights.append(_at(progress, _TOKEN_COPY) / _TOKEN_COPY_LENGTH)
        rows: list[Row] = []
        while sum(len(row.ids) for row in rows) < tokens:
            index = self._rng.choices(range(len(weights)), weights)[0]
            if index == len(INGREDIENTS):
                row = token_copy(self._tokenizer, self._rng)
            else:
                row = to_row(self._tokenizer, INGREDIENTS[index].make(self._rng))
            if len(row.ids) <= longest:
                rows.append(row)
        return rows


def _at(progress: float, shares: tuple[float, float, float]) -> float:
    """Interpolate: the first share until 12 %, the middle one at 35 %, the last from 70 % on."""
    return float(np.interp(progress, [0.12, 0.35, 0.7], shares))
