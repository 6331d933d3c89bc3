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

from actwise.conversation import Conversation, Message, Tool, all_decisions, tool_name
from actwise.desk import MODEL, generate
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, by_conversation, groups_of
from actwise.model.policy import Policy
from actwise.template.render import Template

_POLICY = "Help the customer, and use the tools."
_HELLO = Message(role="user", content="Hello")

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
    """Decisions of a conversation that is composed, which those with `policy_tokens` are."""
    num_generations: int = 8
    dtype: torch.dtype = torch.float32
    max_batch_tokens: int = 2048
    """Tokens of one of our passes; as the configuration has it for CPUs."""
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
    """Decisions and the completions of each."""

    groups: tuple[Group, ...]
    """Conversation by conversation; all completions have the same length."""
    texts: tuple[str, ...]
    """The prompt of each group as text, for peers that tokenise on their own."""
    rows: int | None = None
    """Most rows of one forward and backward pass of peers; what suits the device where None."""

    @property
    def num_generations(self) -> int:
        """Completions of each decision."""
        return len(self.groups[0].rollouts)

    @property
    def completion_tokens(self) -> int:
        """Tokens of each completion."""
        return len(self.groups[0].rollouts[0].sample.token_ids)

    @property
    def num_decisions(self) -> int:
        """Decisions of all conversations."""
        return len(self.groups)

    @property
    def num_rows(self) -> int:
        """Completions of all decisions."""
        return self.num_decisions * self.num_generations

    @property
    def conversations(self) -> list[list[Group]]:
        """The groups of each conversation."""
        return by_conversation(self.groups)

    def part(self, decisions: Sequence[int], num_generations: int | None = None) -> "Workload":
        """Return some of the decisions, perhaps with fewer completions."""
        return replace(
            self,
            groups=tuple(
                replace(group, rollouts=group.rollouts[:num_generations])
                for group in (self.groups[i] for i in decisions)
            ),
            texts=tuple(self.texts[i] for i in decisions),
        )

    def tiny(self) -> "Workload":
        """Return one decision with a short prompt and completions of two tokens."""
        first = self.part([0])
        (group,) = first.groups
        samples = (
            replace(r.sample, token_ids=r.sample.token_ids[:2], logprobs=r.sample.logprobs[:2])
            for r in group.rollouts
        )
        short = replace(group, prompt=group.prompt[:8])
        return replace(first, groups=(short.with_samples(samples),))


def build_model(
    shape: Shape, folder: Path, name: str | None = None, *, device: torch.device | str = "cpu"
) -> None:
    """Write the model that is measured.

    Args:
        shape: Its model gets random weights and the shipped tokenizer.
        folder: Where to write.
        name: Folder or hub name of a model to copy in place of that.
        device: Where the random weights are drawn: on a CPU 1.7 billion take long.

    Raises:
        ModelError: There is no such model, or it cannot be used for trees.
    """
    if name is None:
        model, tokenizer = _random_model(shape, device)
    else:
        policy = Policy.load(name, dtype=shape.dtype)
        model, tokenizer = policy.model, policy.template.tokenizer
    # Without a stop token, so that peers, too, write completions of full length.
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    model.config.pad_token_id = model.generation_config.pad_token_id = 0
    model.to(shape.dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _random_model(shape: Shape, device: torch.device | str) -> tuple[Any, Any]:
    from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    members = {"vocab_size": len(tokenizer), **shape.model}
    torch.manual_seed(0)
    with torch.device(device):
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
        decisions: Decisions of the result.
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
    groups = LocalEngine(policy).generate(
        groups_of(template, all_decisions(conversations), thinking=True),
        num_generations=num_generations,
        params=SamplingParams(completion_tokens, stop_token_ids=()),
        generator=torch.Generator(policy.device).manual_seed(0),
    )
    texts = (template.prompt_text(group.decision, thinking=True) for group in groups)
    return Workload(tuple(groups), tuple(texts))
