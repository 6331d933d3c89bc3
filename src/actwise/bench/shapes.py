"""What is measured: models with random weights, and the conversations of each shape.

Weights do not change how long a product takes, but they decide how much completions of a decision
have in common: with random ones nothing, which is the worst case for trees, and after training most
of it. Completions are sampled without a stop token, so all of a shape have the same length and
every contestant has the same work; the padding that rows of unequal length would cost the peers
does not occur.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from actwise.conversation import Conversation, Decision, Message, Tool, tool_name
from actwise.desk import generate
from actwise.engine import Sample, SamplingParams
from actwise.engine.local import LocalEngine
from actwise.model.policy import Policy
from actwise.template.render import Template

_POLICY = "Help the customer, and use the tools."
_HELLO = Message(role="user", content="Hello")
_TOKENIZER = Path(__file__).parents[1] / "desk" / "model"

_SMALL: dict[str, Any] = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 8192,
}
_QWEN3_1_7B: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
}


@dataclass(frozen=True)
class Shape:
    """A kind of conversation, and the model that works on it."""

    name: str
    model: dict[str, Any]
    """Members of the Qwen3 configuration."""
    completion_tokens: int
    policy_tokens: tuple[int, ...] = ()
    """Least tokens of tools and policy, by conversation in turn; as in the logs where empty."""
    decisions: int = 8
    """Of a conversation that is composed, which those with `policy_tokens` are."""
    num_generations: int = 8
    dtype: torch.dtype = torch.float32
    max_batch_tokens: int = 2048
    """Of one of our passes; as the configuration has it for CPUs."""
    gpu: bool = False
    """Whether it is too large for a CPU."""


SHAPES = {
    shape.name: shape
    for shape in (
        # A short thought and a call. The desk's recorded completions have 52 on average.
        Shape("desk", _SMALL, completion_tokens=40),
        Shape("service", _SMALL, completion_tokens=100, policy_tokens=(2000,)),
        Shape(
            "large",
            _QWEN3_1_7B,
            completion_tokens=256,
            policy_tokens=(1500, 3000, 4500, 5200),
            dtype=torch.bfloat16,
            max_batch_tokens=16384,
            gpu=True,
        ),
    )
}


@dataclass(frozen=True)
class Workload:
    """Decisions and the completions of each; conversation by conversation, decision by decision."""

    decisions: tuple[tuple[Decision, ...], ...]
    prompts: tuple[tuple[list[int], ...], ...]
    samples: tuple[tuple[tuple[Sample, ...], ...], ...]
    """All of the same length."""
    texts: tuple[tuple[str, ...], ...]
    """The prompts as text, for peers that tokenise on their own."""

    @property
    def num_generations(self) -> int:
        """Completions of each decision."""
        return len(self.samples[0][0])

    @property
    def completion_tokens(self) -> int:
        """Tokens of each completion."""
        return len(self.samples[0][0][0].token_ids)

    @property
    def num_decisions(self) -> int:
        """Decisions of all conversations."""
        return sum(len(prompts) for prompts in self.prompts)

    def groups(self) -> list[tuple[list[int], tuple[Sample, ...]]]:
        """Return the prompt and the completions of every decision."""
        return [
            (prompt, samples)
            for prompts, of_conversation in zip(self.prompts, self.samples, strict=True)
            for prompt, samples in zip(prompts, of_conversation, strict=True)
        ]

    def part(self, decisions: Sequence[int], num_generations: int | None = None) -> "Workload":
        """Return some decisions of the first conversation, perhaps with fewer completions."""

        def of_first(items: tuple[tuple[Any, ...], ...]) -> tuple[tuple[Any, ...], ...]:
            return (tuple(items[0][i] for i in decisions),)

        samples = tuple(group[:num_generations] for group in of_first(self.samples)[0])
        return Workload(
            of_first(self.decisions), of_first(self.prompts), (samples,), of_first(self.texts)
        )

    def tiny(self) -> "Workload":
        """Return one decision with a short prompt and completions of two tokens."""
        first = self.part([0])
        samples = tuple(
            replace(sample, token_ids=sample.token_ids[:2], logprobs=sample.logprobs[:2])
            for sample in first.samples[0][0]
        )
        return replace(first, prompts=((first.prompts[0][0][:8],),), samples=((samples,),))


def build_model(shape: Shape, folder: Path, name: str | None = None) -> None:
    """Write the model that is measured.

    Args:
        shape: Its model gets random weights and the shipped tokenizer.
        folder: Where to write.
        name: Folder or hub name of a model to copy in place of that.

    Raises:
        ModelError: There is no such model, or it cannot be used for trees.
    """
    if name is None:
        model, tokenizer = _random_model(shape)
    else:
        policy = Policy.load(name, dtype=shape.dtype)
        model, tokenizer = policy.model, policy.template.tokenizer
    # Without a stop token, so that peers, too, write completions of full length.
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    model.config.pad_token_id = model.generation_config.pad_token_id = 0
    model.to(shape.dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _random_model(shape: Shape) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(_TOKENIZER)
    members = {"vocab_size": len(tokenizer), **shape.model}
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(**members, tie_word_embeddings=True)), tokenizer


def conversations_of(
    shape: Shape, template: Template, count: int, logs: Sequence[Conversation] = ()
) -> list[Conversation]:
    """Return the conversations of a shape.

    Args:
        shape: Decides whether they are taken from the logs or composed of them.
        template: Counts tokens.
        count: How many.
        logs: Where they are taken from; the desk's where empty.
    """
    if not shape.policy_tokens:
        deciding = [c for c in logs if c.decisions()]
        return deciding[:count] or generate("train", count)
    targets = [shape.policy_tokens[i % len(shape.policy_tokens)] for i in range(count)]
    return [
        compose(template, pool_of(logs, seed), tokens=tokens, decisions=shape.decisions)
        for seed, tokens in enumerate(targets)
    ]


def pool_of(logs: Sequence[Conversation], seed: int) -> list[Conversation]:
    """Return conversations to compose longer ones of; other ones for each seed."""
    if not logs:
        return generate("train", 100, seed=seed)
    start = seed % len(logs)
    return [*logs[start:], *logs[:start]]


def compose(
    template: Template, pool: Sequence[Conversation], *, tokens: int, decisions: int
) -> Conversation:
    """Make one long conversation of several.

    Args:
        template: Counts tokens.
        pool: Taken one after the other, again and again where they are too few, until there are
            enough tokens and decisions: their tools and policies, then their messages.
        tokens: Least tokens before the first message of the user.
        decisions: Of the result.
    """
    tools: dict[str, Tool] = {}
    policy: list[str] = []
    messages: list[Message] = []
    left = decisions
    for source in cycle(pool):
        tools.update((tool_name(tool), tool) for tool in source.tools)
        policy += [m.content for m in source.messages if m.role == "system"] or [_POLICY]
        for message in (m for m in source.messages if m.role != "system"):
            if left:
                messages.append(message)
                left -= message.role == "assistant"
        system = Message(role="system", content="\n\n".join(policy))
        composed = Conversation(
            id="composed", messages=(system, *messages), tools=tuple(tools.values())
        )
        if not left and _head_tokens(template, composed) >= tokens:
            break
    return composed


def _head_tokens(template: Template, conversation: Conversation) -> int:
    first = conversation.decisions()[0]
    system = next(m for m in conversation.messages if m.role == "system")
    head = conversation.model_copy(update={"messages": (system, _HELLO, first.gold)})
    return len(template.prompt(head.decisions()[0], thinking=True))


def workload(
    policy: Policy,
    conversations: Sequence[Conversation],
    *,
    num_generations: int,
    completion_tokens: int,
) -> Workload:
    """Sample the completions that are learned from."""
    template = policy.template
    decisions = tuple(tuple(c.decisions()) for c in conversations)
    texts = tuple(tuple(template.prompt_text(d, thinking=True) for d in ds) for ds in decisions)
    prompts = tuple(tuple(template.encode(text) for text in of_one) for of_one in texts)
    samples = LocalEngine(policy).generate(
        prompts,
        num_generations=num_generations,
        params=SamplingParams(completion_tokens, stop_token_ids=()),
        generator=torch.Generator(policy.device).manual_seed(0),
    )
    return Workload(
        decisions, prompts, tuple(tuple(map(tuple, of_one)) for of_one in samples), texts
    )
