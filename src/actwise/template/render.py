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
from pathlib import Path
from typing import Any

import jinja2
from transformers import AutoTokenizer

from actwise.conversation import Conversation, Decision, Message, Tool, ToolCall
from actwise.errors import InputError, ModelError
from actwise.template.parse import THINK_CLOSE, parse_completion

SHIPPED_TEMPLATE = Path(__file__).with_name("chat_template.jinja")

_PROBE_TOOL: Tool = {
    "type": "function",
    "function": {
        "name": "probe_tool",
        "description": "Probe.",
        "parameters": {"type": "object", "properties": {"key": {"type": "string"}}},
    },
}
_PROBE_CALL = ToolCall(name="probe_tool", arguments={"key": "probe value"}, id="call00001")
_PROBE = Conversation(
    id="probe",
    tools=(_PROBE_TOOL,),
    messages=(
        Message(role="system", content="Probe policy."),
        Message(role="user", content="Probe question."),
        Message(role="assistant", tool_calls=(_PROBE_CALL,), reasoning_content="First thought."),
        Message(role="tool", content="probe result", tool_call_id="call00001", name="probe_tool"),
        Message(role="assistant", content="Probe answer.", reasoning_content="Second thought."),
    ),
)


class Template:
    """A tokenizer with a chat template that is known to express thoughts, calls and results."""

    def __init__(self, tokenizer: Any) -> None:
        """Open the template of a tokenizer.

        Raises:
            ModelError: If there is none, or it cannot express what is trained here.
        """
        if not tokenizer.chat_template:
            raise ModelError(
                "the model has no chat template; use a chat model, or --set model.template=actwise"
            )
        if tokenizer.eos_token_id is None:
            raise ModelError("the tokenizer has no end-of-turn token (eos_token); set one")
        self.tokenizer = tokenizer
        self._pieces: dict[str, list[int]] = {}
        self._cut = _added_token_pattern(tokenizer)
        self.stop_token_ids: tuple[int, ...] = (int(tokenizer.eos_token_id),)
        self._probe()

    @classmethod
    def load(cls, model: str, *, shipped: bool = False) -> "Template":
        """Open the template of a model folder or hub name.

        Args:
            model: Folder or hub name.
            shipped: Replace the model's own template by the one that comes with actwise; the
                tokenizer has to know its control tokens.

        Raises:
            ModelError: If the tokenizer cannot be loaded or its template cannot be used.
        """
        try:
            tokenizer = AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError, KeyError) as error:
            first_line = str(error).strip().splitlines()[0]
            raise ModelError(f"no tokenizer can be loaded from {model}: {first_line}") from error
        if shipped:
            missing = [
                token
                for token in ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
                if tokenizer.convert_tokens_to_ids(token) in (None, tokenizer.unk_token_id)
            ]
            if missing:
                raise ModelError(
                    f"the tokenizer of {model} lacks {', '.join(missing)}, which the shipped "
                    "template needs; use the model's own template (model.template=own)"
                )
            tokenizer.chat_template = SHIPPED_TEMPLATE.read_text()
            tokenizer.eos_token = "<|im_end|>"
        return cls(tokenizer)

    def prompt_text(self, decision: Decision, *, thinking: bool) -> str:
        """Return what the served model would see before it acts; earlier thoughts are removed."""
        return self._render(decision, add_generation_prompt=True, enable_thinking=thinking)

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
        gold = decision.gold.model_copy(update={"reasoning_content": thought or None})
        full = self._render(decision, gold, enable_thinking=thought is not None)
        prompt = self.prompt_text(decision, thinking=thought is not None)
        stop = self.tokenizer.eos_token
        end = full.rfind(stop)
        if not full.startswith(prompt) or end < len(prompt):
            raise InputError(
                "the chat template does not continue the prompt with the recorded turn",
                file=decision.conversation.source or decision.conversation.id,
                remedy="use a template whose generation prompt is a prefix of the turn, such as "
                "that of --set model.template=actwise",
            )
        # Qwen3's own template shows no thought before the first message of a user.
        if thought and thought.strip() not in full[len(prompt) :]:
            raise InputError(
                f"the chat template leaves out the thought of messages[{decision.index}]",
                file=decision.conversation.source or decision.conversation.id,
                remedy="remove the assistant's turns before the first message of the user",
            )
        return full[len(prompt) : end + len(stop)]

    def _render(self, decision: Decision, *turn: Message, **options: bool) -> str:
        """Return the template's text for the history, without thoughts, and perhaps one turn."""
        messages = [message.to_dict(thought=False) for message in decision.history]
        messages += [message.to_dict() for message in turn]
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                tools=list(decision.conversation.tools) or None,
                tokenize=False,
                **options,
            )
        except (jinja2.TemplateError, TypeError) as error:
            problem = str(error).partition("\n")[0]
            raise InputError(
                f"the chat template cannot render it: {problem}",
                file=decision.conversation.source or decision.conversation.id,
                remedy="mend the conversation, or --set model.template=actwise",
            ) from error
        return str(text)

    def completion(self, decision: Decision, *, thought: str | None) -> list[int]:
        """Return the token ids of `completion_text`."""
        return self.encode(self.completion_text(decision, thought=thought))

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a rendered text; equal to tokenising it in one go."""
        if self._cut is None:
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        ids: list[int] = []
        for piece in self._cut.split(text):
            if piece:
                if piece not in self._pieces:
                    encoded = self.tokenizer.encode(piece, add_special_tokens=False)
                    self._pieces[piece] = list(encoded)
                ids.extend(self._pieces[piece])
        if len(self._pieces) > 200_000:
            self._pieces.clear()
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

    def _probe(self) -> None:
        call, answer = _PROBE.decisions()
        for decision, thought in ((call, None), (call, "First thought."), (answer, "Second.")):
            mode = "direct" if thought is None else "thinking"
            try:
                prompt = self.prompt_text(decision, thinking=thought is not None)
                text = self.completion_text(decision, thought=thought)
            except InputError as error:
                raise ModelError(f"in {mode} mode {error.problem}; {_REMEDY}") from error
            if "probe_tool" not in prompt:
                raise ModelError("the chat template does not show the tools; " + _REMEDY)
            if thought is None and THINK_CLOSE in text:
                raise ModelError(
                    "the chat template has no mode without thinking (enable_thinking=False); "
                    + _REMEDY
                )
            parsed = parse_completion(
                text.removesuffix(self.tokenizer.eos_token), thinking=thought is not None
            )
            if thought is not None and parsed.thought != thought:
                raise ModelError("the chat template does not render a thought; " + _REMEDY)
            seen = [(c.name, c.arguments) for c in parsed.calls], parsed.answer
            gold = decision.gold
            if parsed.errors or seen != (
                [(c.name, c.arguments) for c in gold.tool_calls],
                gold.content,
            ):
                raise ModelError(
                    "the chat template does not write calls as <tool_call> JSON; " + _REMEDY
                )
        if "probe result" not in prompt:
            raise ModelError("the chat template does not show tool results; " + _REMEDY)


_REMEDY = "use a model with a Qwen3-style template, or --set model.template=actwise"


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
    return re.compile(f"({alternatives})")
