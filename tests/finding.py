"""Conversations about finding things, and an engine that knows which decision it completes."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from actwise.config import RunConfig
from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.engine import Engine
from actwise.engine.local import LocalEngine
from actwise.engine.scripted import ScriptedEngine
from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.template.parse import ParsedCompletion
from actwise.training.stage import Context

TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}


def conversation(name: str) -> Conversation:
    """Return one with three decisions: a call, an answer, an answer without a thought."""
    find = ToolCall(name="find", arguments={"id": name}, id="c1")
    return Conversation(
        id=name,
        tools=(TOOL,),
        messages=(
            Message(role="user", content=f"Where is {name}?"),
            Message(role="assistant", tool_calls=(find,), reasoning_content=f"Find {name}."),
            Message(role="tool", content="12 km", tool_call_id="c1"),
            Message(
                role="assistant",
                content="It is 12 km away.",
                reasoning_content="Say.",
                labels=("easy",),
            ),
            Message(role="user", content="Bye"),
            Message(role="assistant", content="Goodbye."),
        ),
    )


CONVERSATIONS = [conversation(name) for name in ("W1", "W22", "X9")]
RIGHT_CALL = '<tool_call>\n{"name": "find", "arguments": {"id": "W1"}}\n</tool_call>'


def context(
    policy: Policy,
    run: Run,
    *,
    engine: Engine | None = None,
    train: Sequence[Conversation] = CONVERSATIONS,
    max_tokens: int = 90,
    score: Callable[[], float] = lambda: 0.0,
    base: Callable[[], dict[str, Tensor]] | None = None,
    engine_settings: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Context:
    """Return what a stage works with; a run has no checkpoint before its last step."""
    defaults = {"checkpoint_every": 100, "max_batch_tokens": 100_000}
    config = RunConfig.model_validate(
        {**defaults, "engine": dict(engine_settings or {}), **settings}
    )
    return Context(
        run,
        policy,
        engine or LocalEngine(policy),
        train,
        config,
        max_tokens,
        lambda mode: score(),
        base or policy.weights,
    )


def ordinary(policy: Policy) -> Any:
    """Return a copy of the model with transformers' own attention."""
    model = copy.deepcopy(policy.model)
    model.set_attn_implementation("sdpa")
    return model


def logprobs_of(
    model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float = 1.0
) -> Tensor:
    logits = model(input_ids=torch.tensor([[*prompt, *completion]]), use_cache=False).logits[0]
    logprobs = (logits[len(prompt) - 1 : -1] / temperature).log_softmax(-1)
    return logprobs[torch.arange(len(completion)), torch.tensor(completion)]


def gradient(model: Any) -> Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert theirs.norm() > 0
    assert (ours - theirs).norm() <= 1e-5 * theirs.norm()


def varied(completion: ParsedCompletion, decision: Decision) -> float:
    """A reward that differs between completions without any sense."""
    return sum(map(ord, completion.answer + (completion.thought or ""))) % 101 / 100


def scripted(policy: Policy, script: Callable[[Decision, int], str]) -> ScriptedEngine:
    """Return an engine whose script knows which decision it completes."""
    by_prompt = {
        policy.template.prompt_text(d, thinking=thinking): d
        for c in CONVERSATIONS
        for d in c.decisions()
        for thinking in (True, False)
    }
    return ScriptedEngine(
        policy.template.tokenizer, lambda prompt, number: script(by_prompt[prompt], number)
    )


def gold_text(decision: Decision, thought: str) -> str:
    calls = "".join(
        f'<tool_call>\n{{"name": "{c.name}", "arguments": {json.dumps(c.arguments)}}}\n</tool_call>'
        for c in decision.gold.tool_calls
    )
    return f"<think>\n{thought}\n</think>\n\n{decision.gold.content}{calls}"


def lines(run: Run, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / name).read_text().splitlines()]
