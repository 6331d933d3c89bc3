"""What fits a model: conversations into its context, completions into a budget."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actwise.config import RunConfig
from actwise.conversation import Conversation, all_decisions
from actwise.data.split import Splits
from actwise.errors import InputError

if TYPE_CHECKING:  # logs are read and refused before transformers is imported
    from actwise.template.render import Template


@dataclass(frozen=True)
class TooLong:
    """A conversation that a model cannot hold."""

    conversation: Conversation
    tokens: int
    """What its last decision needs, room for the completion included."""

    @property
    def place(self) -> str:
        """Where the conversation was read."""
        return self.conversation.source or self.conversation.id


def longest_completion(template: "Template", conversations: Iterable[Conversation]) -> int:
    """Return the tokens of the longest recorded action, stop token included."""
    return max(
        len(template.completion(decision, thought=None))
        for decision in all_decisions(list(conversations))
    )


def divide(
    template: "Template", conversations: Iterable[Conversation], *, context: int, completion: int
) -> tuple[list[Conversation], list[TooLong]]:
    """Divide conversations into those that a context holds and the others; see `fitting`."""
    kept, too_long = [], []
    for conversation in conversations:
        last = conversation.decisions()[-1]
        tokens = len(template.prompt(last, thinking=True)) + completion
        if tokens <= context:
            kept.append(conversation)
        else:
            too_long.append(TooLong(conversation, tokens))
    return kept, too_long


def fitting(
    template: "Template", splits: Splits, *, context: int, completion: int
) -> tuple[Splits, list[TooLong]]:
    """Leave out the conversations whose last prompt and completion exceed the context.

    Args:
        template: Of the model.
        splits: What is to be trained and measured on.
        context: Tokens that the model holds.
        completion: Tokens kept free for a completion.

    Returns:
        The splits without them, and what was left out.

    Raises:
        InputError: If nothing is left of a split.
    """
    too_long: list[TooLong] = []

    def keep(name: str, conversations: list[Conversation]) -> list[Conversation]:
        kept, left_out = divide(template, conversations, context=context, completion=completion)
        too_long.extend(left_out)
        if not kept:
            raise InputError(
                f"no conversation of the {name} split fits the model's context of {context} tokens "
                f"with a completion of {completion}",
                file=left_out[0].place,
                remedy="use a model with a longer context",
            )
        return kept

    return (
        Splits(
            keep("train", splits.train),
            keep("dev", splits.dev),
            {name: keep(name, conversations) for name, conversations in splits.tests.items()},
        ),
        too_long,
    )


def context_of(longest: int, config: RunConfig) -> int:
    """Return the tokens a model may hold: its own limit, or a lower configured one."""
    limit = config.model.max_length
    return longest if limit is None else min(limit, longest)


def completion_budget(
    template: "Template", conversations: Iterable[Conversation], config: RunConfig
) -> int:
    """Return the longest completion that is sampled: as configured, or from the recorded ones."""
    if config.evaluate.max_completion_tokens is not None:
        return config.evaluate.max_completion_tokens
    return longest_completion(template, conversations) + config.evaluate.thought_tokens


def count_left_out(
    too_long: Sequence[TooLong], context: int, config: RunConfig
) -> list[dict[str, Any]]:
    """Count the conversations that a model cannot hold, or refuse them."""
    if not too_long:
        return []
    if config.data.bad_records == "stop":
        worst = max(too_long, key=lambda item: item.tokens)
        raise InputError(
            f"the conversation needs {worst.tokens} tokens and the model holds {context} "
            f"({len(too_long)} such conversations)",
            file=worst.place,
            remedy="shorten it, or leave such out with --set data.bad_records=skip",
        )
    return [
        {
            "reason": "longer than the context",
            "count": len(too_long),
            "examples": [item.place for item in too_long[:3]],
        }
    ]
