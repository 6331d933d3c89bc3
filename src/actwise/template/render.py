"""Render decisions to token ids exactly as the saved model's chat template does.

A decision's prompt is the template's own text for the history, with the generation prompt of the
mode; its completion is what the template adds for the recorded turn, up to and including the stop
token. Both come from `apply_chat_template`, so what is trained is what is served. A template in
which the prompt is no prefix of the recorded turn, or which cannot show a thought or a call, is
refused when it is opened.

Tokenising is incremental: text is cut at the tokenizer's added tokens, which never merge with
their neighbours, and each piece is tokenised once.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig

from actwise.conversation import Decision, Message, Tool
from actwise.errors import InputError, ModelError
from actwise.run.limits import limited
from actwise.template.guard import BREAK, Guard
from actwise.template.parse import ParsedCompletion, parse_completion
from actwise.template.probe import REMEDY, THOUGHT, find_expression, split_at_stop
from actwise.template.source import tokenizer_source

_KEPT = 1 << 24
"""Characters of pieces whose tokens are kept: some hundred megabytes with them."""
_SECONDS, _MEMORY = 10.0, 2 << 30
"""What a template may take for one text: it is a program, and may not end."""
SHIPPED_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
SHIPPED_END = "<|im_end|>"


class Template:
    """A tokenizer with a chat template that is known to express thoughts, calls and results.

    What the template cannot express is added to it, so the tokenizer's differs from the one that
    was opened; see `actwise.template.additions`.
    """

    def __init__(self, tokenizer: Any, stop_token_ids: Sequence[int] = ()) -> None:
        """Open the template of a tokenizer.

        Args:
            tokenizer: A tokenizer of transformers.
            stop_token_ids: What the model's generation stops at, beside the tokenizer's own end
                token and what the template ends turns with.

        Raises:
            ModelError: If there is none, or it cannot express what is trained here.
        """
        self.tokenizer = tokenizer
        self._guard = Guard(tokenizer)
        self._pieces: dict[str, list[int]] = {}
        self._num_kept = 0
        """Characters of the pieces."""
        self._cut = _added_token_pattern(tokenizer)
        added = tokenizer.added_tokens_decoder.values()
        words = [token.content for token in added if token.content.strip()]
        try:
            found = find_expression(_own_template(tokenizer), self.render, words)
        except InputError as error:
            raise ModelError(f"{error.problem}; {REMEDY}") from error
        tokenizer.chat_template = found.chat_template
        self._guard = Guard(tokenizer)
        special = [token.content for token in added if token.special]
        self.syntax = found.syntax.with_tags(special)
        self.expression = found
        ends = [tokenizer.convert_tokens_to_ids(stop) for stop in found.stops]
        own = () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
        every = dict.fromkeys([*ends, *own, *stop_token_ids])
        self.stop_token_ids: tuple[int, ...] = tuple(int(token) for token in every)
        self._stops = tokenizer.convert_ids_to_tokens(list(self.stop_token_ids))

    @classmethod
    def load(cls, model: str, *, shipped: bool = False) -> "Template":
        """Open the template of a model folder or hub name.

        Args:
            model: Folder or hub name.
            shipped: Replace the model's own template by the one that comes with actwise. Where the
                tokenizer lacks its token for the end of a turn, turns end with the tokenizer's own
                end token; of its other tags those that the tokenizer lacks are text to it.

        Raises:
            ModelError: If the tokenizer cannot be loaded or its template cannot be used.
        """
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                tokenizer_source(model), trust_remote_code=False
            )
        except ModelError:
            raise
        except Exception as error:  # of a damaged or hostile folder, libraries raise anything
            what = f"{type(error).__name__}: {error}"
            raise ModelError(
                f"no tokenizer can be loaded from {model}: {' '.join(what.split())[:300]}"
            ) from error
        if shipped:
            _use_shipped(tokenizer, model)
        return cls(tokenizer, _generation_stops(model))

    def prompt_text(self, decision: Decision, *, thinking: bool) -> str:
        """Return what the served model would see before it acts; earlier thoughts are removed.

        Control tokens in data are broken by marks; see `actwise.template.guard`.
        """
        return self.render(
            self.tokenizer.chat_template,
            decision,
            add_generation_prompt=True,
            enable_thinking=thinking,
        )

    def prompt(self, decision: Decision, *, thinking: bool) -> list[int]:
        """Return the token ids of `prompt_text`."""
        return self.encode(self.prompt_text(decision, thinking=thinking))

    def completion_text(self, decision: Decision, *, thought: str | None) -> str:
        """Return the recorded action as the model should write it, with its stop token.

        Args:
            decision: The decision whose recorded action is rendered.
            thought: The thought that precedes the action; None renders direct mode, in which the
                empty thought belongs to the prompt.

        Raises:
            InputError: If the template does not continue the decision's prompt with its action.
        """
        return "".join(self._action_and_stop(decision, thought))

    def action_text(self, decision: Decision, *, thought: str | None) -> str:
        """Return `completion_text` without its stop token."""
        return self._action_and_stop(decision, thought)[0]

    def _action_and_stop(self, decision: Decision, thought: str | None) -> tuple[str, str]:
        gold = decision.gold.model_copy(update={"reasoning_content": thought or None})
        thinking = thought is not None
        full = self.render(self.tokenizer.chat_template, decision, gold, enable_thinking=thinking)
        prompt = self.prompt_text(decision, thinking=thinking)
        place = decision.conversation.source or decision.conversation.id
        continues = full.startswith(prompt)
        split = split_at_stop(full[len(prompt) :], self._stops) if continues else None
        if split is None:
            raise InputError(
                "the chat template does not continue the prompt with the recorded turn",
                file=place,
                remedy=REMEDY,
            )
        # Qwen3's own template shows no thought before the first message of a user.
        if thought and self._guard(thought.strip()) not in split[0]:
            raise InputError(
                f"the chat template leaves out the thought of messages[{decision.index}]",
                file=place,
                remedy="remove the assistant's turns before the first message of the user",
            )
        return split

    def thought_text(self, decision: Decision, thought: str, *, closed: bool) -> str:
        """Return how a completion in thinking mode begins.

        Args:
            decision: The decision that is completed.
            thought: What it thinks, or the beginning of it; may be empty.
            closed: Whether the thought ends there, so that the action follows.
        """
        before, after, _ = self.around_thought(decision)
        return f"{before}{self._guard(thought)}{after if closed else ''}"

    def around_thought(self, decision: Decision) -> tuple[str, str, str]:
        """Return what stands before a thought, behind it up to its mark, and behind the mark.

        Args:
            decision: The decision whose recorded action is rendered, without its stop token.
        """
        before, _, rest = self.action_text(decision, thought=THOUGHT).partition(THOUGHT)
        close = self.syntax.think[1].strip()
        end = rest.index(close) + len(close)
        return before, rest[:end], rest[end:]

    def render(
        self, chat_template: str, decision: Decision, *turn: Message, **options: bool
    ) -> str:
        """Return a template's text for the history, without thoughts, and perhaps one turn.

        Args:
            chat_template: In Jinja.
            decision: Its history is rendered.
            turn: What follows the history.
            options: Options of the chat template.
        """
        messages = [message.to_dict(thought=False) for message in decision.history]
        messages += [_with_thought(message.to_dict()) for message in turn]
        tools = list(decision.conversation.tools) or None
        try:
            with limited(_SECONDS, _MEMORY):
                text = self.tokenizer.apply_chat_template(
                    self._guard(messages),
                    chat_template=chat_template,
                    tools=self._guard(tools),
                    tokenize=False,
                    **options,
                )
        except Exception as error:  # a template is a program, and raises anything
            problem = str(error).partition("\n")[0] or type(error).__name__
            raise InputError(
                f"the chat template cannot render it: {problem}",
                file=decision.conversation.source or decision.conversation.id,
                remedy="mend the conversation, or --set model.template=actwise",
            ) from error
        return str(text)

    def parse(self, text: str, *, thinking: bool, tools: Sequence[Tool] = ()) -> ParsedCompletion:
        """Take a completion of the model's apart; see `parse_completion`."""
        return parse_completion(text, thinking=thinking, syntax=self.syntax, tools=tools)

    def completion(self, decision: Decision, *, thought: str | None) -> list[int]:
        """Return the token ids of `completion_text`."""
        return self.encode(self.completion_text(decision, thought=thought))

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a rendered text.

        Equal to tokenising it in one go, except where data holds a control token; see `Guard`.
        """
        if self._cut is None:
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        ids: list[int] = []
        for piece in self._cut.split(text):
            if piece:
                encoded = self._pieces.get(piece)
                if encoded is None:
                    encoded = list(self.tokenizer.encode(piece, add_special_tokens=False))
                    self._pieces[piece] = encoded
                    self._num_kept += len(piece)
                ids.extend(encoded)
        if self._num_kept > _KEPT or len(self._pieces) > 200_000:
            self._pieces.clear()
            self._num_kept = 0
        return ids

    def decode(self, token_ids: list[int]) -> str:
        """Return the text of a completion without its stop token; thought tags are kept."""
        if token_ids and token_ids[-1] in self.stop_token_ids:
            token_ids = token_ids[:-1]
        return str(
            self.tokenizer.decode(
                token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )


def _with_thought(message: dict[str, Any]) -> dict[str, Any]:
    """Give a thought all the names by which templates ask for it."""
    thought = message.get("reasoning_content")
    return message if thought is None else {**message, "thinking": thought, "reasoning": thought}


def _own_template(tokenizer: Any) -> str:
    own = tokenizer.chat_template
    if isinstance(own, dict):  # several, by their use
        own = own.get("tool_use") or own.get("default")
    if not own:
        raise ModelError("the model has no chat template; " + REMEDY)
    return str(own)


def _use_shipped(tokenizer: Any, model: str) -> None:
    own, shipped = tokenizer.eos_token, SHIPPED_TEMPLATE.read_text()
    if tokenizer.convert_tokens_to_ids(SHIPPED_END) not in (None, tokenizer.unk_token_id):
        tokenizer.eos_token = SHIPPED_END
    elif own is None:
        raise ModelError(
            f"the tokenizer of {model} has no end token (eos_token); name the one that ends a turn "
            "as eos_token in its tokenizer_config.json"
        )
    else:
        shipped = shipped.replace(SHIPPED_END, own)
    tokenizer.chat_template = shipped


def _generation_stops(model: str) -> tuple[int, ...]:
    """Return what a model's generation stops at, by its generation_config.json if it has one."""
    try:
        stops = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:  # it has none
        return ()
    except Exception as error:  # of a damaged or hostile folder, libraries raise anything
        raise ModelError(f"{model}: its generation_config.json cannot be read: {error}") from error
    return tuple(s for s in (stops if isinstance(stops, list) else [stops]) if isinstance(s, int))


def _added_token_pattern(tokenizer: Any) -> re.Pattern[str] | None:
    """Return where text may be cut before tokenising, or None where no cut is safe."""
    added = tokenizer.added_tokens_decoder.values()
    safe = [t.content for t in added if not (t.lstrip or t.rstrip or t.single_word or t.normalized)]
    # Sentencepiece-like tokenizers mark the first word of a text, so a piece is not a text.
    if (
        not safe
        or tokenizer.encode("a", add_special_tokens=False)
        != tokenizer.encode(f"{safe[0]}a", add_special_tokens=False)[1:]
    ):
        return None
    alternatives = "|".join(re.escape(token) for token in sorted(safe, key=len, reverse=True))
    return re.compile(f"({alternatives})|{BREAK}")
