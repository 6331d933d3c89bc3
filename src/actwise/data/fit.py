"""What fits a model: conversations into its context, completions into a budget."""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from actwise.config import RunConfig
from actwise.conversation import Conversation, all_decisions
from actwise.data.split import Splits
from actwise.data.stored import chosen
from actwise.errors import InputError
from actwise.run.progress import QUIET, Progress

if TYPE_CHECKING:  # logs are read and refused before transformers is imported
    from actwise.template.render import Template


_LOOKED_AT = 8


@dataclass(frozen=True)
class Unfit:
    """A conversation that a model cannot take."""

    place: str
    """Where it was read."""
    reason: str
    """By which such conversations are counted."""
    problem: str
    """What is wrong with this one."""
    remedy: str

    def error(self, more: int = 0) -> InputError:
        """Return what is raised where such conversations are not to be skipped.

        Args:
            more: How many others there are.
        """
        counted = f" ({more + 1} such conversations)" if more else ""
        return InputError(f"{self.problem}{counted}", file=self.place, remedy=self.remedy)


def rendered(
    template: "Template", conversations: Sequence[Conversation], progress: Progress = QUIET
) -> tuple[Sequence[Conversation], list[Unfit]]:
    """Divide conversations into those that a template can render and the others."""
    kept, unfit = array("I"), []
    for number, conversation in enumerate(progress.through("render", conversations)):
        problem = unrendered(template, conversation)
        if problem is None:
            kept.append(number)
        else:
            remedy = "mend it, or leave such out with --set data.bad_records=skip"
            reason = "not rendered by the chat template"
            unfit.append(Unfit(_place(conversation), reason, problem, remedy))
    return chosen(conversations, kept), unfit


def _place(conversation: Conversation) -> str:
    return conversation.source or conversation.id


def unrendered(template: "Template", conversation: Conversation) -> str | None:
    """Say what of a conversation a template cannot render, if anything."""
    try:
        for decision in conversation.decisions():
            thoughts = {None, decision.gold.reasoning_content or None}
            for thought in thoughts:
                template.completion_text(decision, thought=thought)
    except InputError as error:
        return error.problem
    return None


def longest_completion(template: "Template", conversations: Iterable[Conversation]) -> int:
    """Return the tokens of the longest recorded action, stop token included."""
    return max(
        len(template.completion(decision, thought=None))
        for decision in all_decisions(conversations)
    )


def longest_prompt(template: "Template", conversations: Iterable[Conversation]) -> int:
    """Return the tokens of the longest prompt; looked for where the text is longest."""
    longest = nlargest(_LOOKED_AT, conversations, key=_characters)
    return max(len(template.prompt(c.decisions()[-1], thinking=False)) for c in longest)


def _characters(conversation: Conversation) -> int:
    calls = (str(c.arguments) for m in conversation.messages for c in m.tool_calls)
    texts = (m.content for m in conversation.messages)
    return sum(map(len, (*texts, *calls, str(conversation.tools))))


def divide(
    template: "Template",
    conversations: Sequence[Conversation],
    *,
    context: int,
    completion: int,
    thoughts: bool = False,
    progress: Progress = QUIET,
) -> tuple[Sequence[Conversation], list[Unfit]]:
    """Divide conversations into those that a context holds and the others; see `fitting`."""
    kept, too_long = array("I"), []
    for number, conversation in enumerate(progress.through("fit", conversations)):
        last = conversation.decisions()[-1]
        tokens = len(template.prompt(last, thinking=True)) + completion
        if thoughts:
            tokens = max(tokens, _longest_with_thought(template, conversation, completion))
        if tokens <= context:
            kept.append(number)
        else:
            problem = f"the conversation needs {tokens} tokens and the model holds {context}"
            remedy = "shorten it, or leave such out with --set data.bad_records=skip"
            place = _place(conversation)
            too_long.append(Unfit(place, "longer than the context", problem, remedy))
    return chosen(conversations, kept), too_long


def _longest_with_thought(template: "Template", conversation: Conversation, completion: int) -> int:
    """Return the most tokens up to the end of an action whose thought may be too long."""
    return max(
        (
            len(template.prompt(decision, thinking=True))
            + len(template.completion(decision, thought=thought))
            for decision in conversation.decisions()
            # A token is a byte at least, so shorter thoughts are within the completion's budget.
            if (thought := decision.gold.reasoning_content)
            and len(thought.encode(errors="replace")) > completion
        ),
        default=0,
    )


def fitting(
    template: "Template",
    splits: Splits,
    *,
    context: int,
    completion: int,
    thoughts: bool = False,
    progress: Progress = QUIET,
) -> tuple[Splits, list[Unfit]]:
    """Leave out the conversations whose last prompt and completion exceed the context.

    Args:
        template: The model's template.
        splits: What is to be trained and measured on.
        context: Tokens that the model holds.
        completion: Tokens kept free for a completion.
        thoughts: Whether recorded thoughts are trained on, which may be longer than that.
        progress: Where it is shown how far that is.

    Returns:
        The splits without them, and what was left out.

    Raises:
        InputError: If nothing is left of a split.
    """
    too_long: list[Unfit] = []

    def keep(name: str, conversations: Sequence[Conversation]) -> Sequence[Conversation]:
        kept, left_out = divide(
            template,
            conversations,
            context=context,
            completion=completion,
            thoughts=thoughts and name == "train",
            progress=progress,
        )
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


def count_left_out(unfit: Sequence[Unfit], config: RunConfig) -> list[dict[str, Any]]:
    """Count the conversations that a model cannot take, or refuse them.

    Raises:
        InputError: If there are any, and `data.bad_records` is "stop".
    """
    if unfit and config.data.bad_records == "stop":
        raise unfit[0].error(len(unfit) - 1)
    return [
        {
            "reason": reason,
            "count": count,
            "examples": [item.place for item in unfit if item.reason == reason][:3],
        }
        for reason, count in Counter(item.reason for item in unfit).items()
    ]
