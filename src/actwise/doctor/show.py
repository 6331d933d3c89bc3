"""One decision token by token: what is context, and what is trained on."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from actwise.conversation import Conversation, Decision
from actwise.errors import InputError, printable
from actwise.formats import Rejected

_CONTEXT = "dim"
_TRAINED = ("black on green", "black on bright_green")
"""In turn, so that one sees where a token ends."""


class Tokens(Protocol):
    """What is needed of `actwise.template.render.Template`, which this layer does not know."""

    tokenizer: Any

    def prompt(self, decision: Decision, *, thinking: bool) -> list[int]:
        """Return the token ids of the context."""

    def completion(self, decision: Decision, *, thought: str | None) -> list[int]:
        """Return the token ids that are trained on."""


def find_decision(items: Iterable[Conversation | Rejected], name: str, *, file: str) -> Decision:
    """Return the decision called CONVERSATION#INDEX.

    Args:
        items: Read until the conversation is found.
        name: The conversation is given by its id, by "file:line" or by the line alone; the index
            is that of an assistant's message in it, as findings write it.
        file: For the error message.

    Raises:
        InputError: When there is no such decision.
    """
    wanted, _, index = name.rpartition("#")
    meant: Conversation | None = None
    for item in items:
        if isinstance(item, Rejected):
            if wanted in (f"{item.file}:{item.line}", str(item.line)):
                raise InputError(item.detail, file=item.file, line=item.line)
            continue
        if wanted in (item.id, item.source, item.source.rpartition(":")[2]):
            found = next((d for d in item.decisions() if str(d.index) == index), None)
            if found is not None:
                return found
            # A record may hold several conversations, and several files have the same line.
            meant = meant or item
    if meant is not None:
        known = ", ".join(str(d.index) for d in meant.decisions())
        raise InputError(
            f"the conversation has no decision {index!r}",
            file=meant.source or meant.id,
            remedy=f"its assistant acts in messages {known}; write {wanted}#INDEX",
        )
    raise InputError(
        f"holds no conversation {wanted!r}",
        file=file,
        remedy="write --show ID#INDEX or LINE#INDEX, as in 12#3 for line 12, messages[3]",
    )


def render_tokens(template: Tokens, decision: Decision) -> RenderableType:
    """Return the context and the recorded action as tokens, for a terminal.

    A decision with a recorded thought is shown as it is trained in thinking mode, any other as
    it is in direct mode.
    """
    thought = decision.gold.reasoning_content
    context = template.prompt(decision, thinking=thought is not None)
    trained = template.completion(decision, thought=thought)
    mode = "direct" if thought is None else "thinking"
    shown = Text()
    for number, piece in enumerate(_pieces(template.tokenizer, trained)):
        shown.append(printable(piece).replace("\n", "⏎\n"), style=_TRAINED[number % 2])
    return Group(
        Text(printable(f"{decision.key} ({decision.kind}, {mode} mode)"), style="bold"),
        Rule(f"context: {len(context)} tokens, not trained on", align="left"),
        Text(printable("".join(_pieces(template.tokenizer, context))), style=_CONTEXT),
        Rule(f"trained on: {len(trained)} tokens", align="left"),
        shown,
    )


def _pieces(tokenizer: Any, token_ids: Sequence[int]) -> Iterator[str]:
    """Yield the text of each token; tokens that are parts of one character come together."""
    part: list[int] = []
    for token_id in token_ids:
        part.append(token_id)
        text = tokenizer.decode(part, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if not text.endswith("\ufffd"):
            yield text
            part = []
    if part:
        yield "\ufffd"
