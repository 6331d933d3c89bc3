"""Measure a model on tau2-bench end to end: `make tau2 TAU2=../tau2-bench MODEL=base`.

Solo mode, which needs no simulated user and no judging model: the model reads a ticket and calls
tools until it calls `done`; tau2's own evaluator looks at what it left behind. Beside the model
stand the golden actions, which go the same way through template, parser and tools, and doing
nothing. The ticket is the first message of a user, since most chat templates ask for one.

Nothing is ever trained on these tasks.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console

from actwise.config import load_config
from actwise.conversation import Conversation, Decision, Message, ToolCall
from actwise.data.fit import context_of
from actwise.engine import SamplingParams
from actwise.engine.episodes import EpisodeRunner, Start
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, Sample
from actwise.environments import Environment, Finished, Result
from actwise.environments.functions import Functions, FunctionsEnvironment
from actwise.environments.script import turns_of
from actwise.formats.tools import read_tools
from actwise.model.loading import load_policy
from actwise.model.startup import model_path, prepare_torch
from actwise.results.stats import bootstrap_mean
from actwise.run.files import write_json
from actwise.run.progress import Progress
from actwise.template.render import Template

DONE = "done"
UNLIMITED = 1 << 30
SPLITS = {"mock": "base", "telecom": "base"}
CALL_SECONDS = 120.0


class SoloEnvironment:
    """One ticket of tau2; its reward is kept when it is closed."""

    has_state = True

    def __init__(
        self, conversation: Conversation, functions: Functions, rewards: dict[str, float]
    ) -> None:
        self._inner = FunctionsEnvironment(conversation, functions)
        self._id = conversation.id
        self._rewards = rewards

    @property
    def turn(self) -> int:
        """See `Environment.turn`."""
        return self._inner.turn

    def reset(self, turn: int, own: Sequence[Message] = ()) -> None:
        """See `Environment.reset`."""
        self._inner.reset(turn, own)

    def call(self, call: ToolCall) -> Result:
        """Run a call; `done` ends the conversation."""
        result = self._inner.call(call)
        if call.name == DONE and not result.failed:
            raise Finished
        return result

    def reply(self, answer: str) -> str | None:
        """End it: nobody is there to be spoken to."""
        return None

    def state(self) -> str | None:
        """Return the reward so far."""
        return self._inner.state()

    def close(self) -> None:
        """Keep the reward."""
        self._rewards[self._id] = float(self.state() or 0.0)
        self._inner.close()


class Scripted:
    """Calls what it is told to, one call a completion, and then `done`."""

    at_once = 1

    def __init__(
        self, template: Template, calls: Callable[[Conversation], Sequence[ToolCall]]
    ) -> None:
        self._template = template
        self._calls = calls
        self._made: Counter[str] = Counter()

    def snapshot(self) -> "Scripted":
        """See `Engine.snapshot`; weights do not matter here."""
        return self

    def generate(
        self,
        groups: Sequence[Group],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[Group]:
        """See `Engine.generate`; each group has one completion."""
        return [group.with_samples([self._sample(group.conversation)]) for group in groups]

    def _sample(self, conversation: Conversation) -> Sample:
        planned = [*self._calls(conversation), ToolCall(name=DONE)]
        call = planned[self._made[conversation.id]].model_copy(update={"id": "call00000"})
        self._made[conversation.id] += 1
        said = Message(role="assistant", tool_calls=(call,))
        opening = conversation.messages[: turns_of(conversation)[0].begin]
        written = conversation.model_copy(update={"messages": (*opening, said)})
        ids = tuple(self._template.completion(Decision(written, len(opening)), thought=None))
        return Sample(ids, (0.0,) * len(ids), "stop")


def conversations_of(
    catalogue: dict[str, Any], domain: str, limit: int | None
) -> list[Conversation]:
    """Return a conversation for each task: policy, ticket, and the golden actions as the record."""
    tools = read_tools(catalogue["tools"])
    system = Message(role="system", content=catalogue["system"])
    return [
        Conversation(
            id=f"{domain}/{SPLITS[domain]}/{task['id']}",
            messages=(
                system,
                Message(role="user", content=f"<ticket>\n{task['ticket']}\n</ticket>"),
                Message(
                    role="assistant",
                    tool_calls=tuple(
                        ToolCall(**action, id=f"call{number:05d}")
                        for number, action in enumerate(task["actions"])
                    ),
                ),
            ),
            tools=tools,
        )
        for task in catalogue["tasks"][:limit]
    ]


def golden(conversation: Conversation) -> Sequence[ToolCall]:
    """Return the golden actions."""
    return conversation.messages[-1].tool_calls


def nothing(conversation: Conversation) -> Sequence[ToolCall]:
    """Return no action at all."""
    return ()


@click.command()
@click.option("--model", default="base", help="Folder or hub name; `base` is shipped.")
@click.option("--python", required=True, help="Interpreter of the environment with tau2.")
@click.option(
    "--domain", "domains", multiple=True, default=tuple(SPLITS), type=click.Choice([*SPLITS])
)
@click.option("--mode", default="thinking", type=click.Choice(["direct", "thinking"]))
@click.option("--tasks", type=click.IntRange(1), help="Tasks of each domain; all if absent.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the results there, as JSON.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting.")
def main(
    model: str,
    python: str,
    domains: Sequence[str],
    mode: str,
    tasks: int | None,
    out: Path | None,
    settings: Sequence[str],
) -> None:
    """Measure a model, the golden actions, and doing nothing on tau2-bench in solo mode."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or its import looks for the net
    os.environ.setdefault("LOGURU_LEVEL", "ERROR")
    prepare_torch()
    config = load_config(None, ["episodes.steps=30", "episodes.at_once=4", *settings])
    policy = load_policy(model_path(model), config)
    template = policy.template
    budget = config.evaluate.max_completion_tokens or 256
    params = SamplingParams(budget, template.stop_token_ids, temperature=0)
    context = context_of(policy.context_length, config)
    runner = EpisodeRunner(LocalEngine(policy), template, mode == "thinking", params, context)
    told = replace(runner, thinking=False, context_length=UNLIMITED)
    lister = Functions("benchmarks.tau2.world:CATALOGUE", call_seconds=300, python=python)
    worlds = Functions("benchmarks.tau2.world:Solo", call_seconds=CALL_SECONDS, python=python)
    rows = []
    for domain in domains:
        listed = lister.take().ask(
            do="call", name="catalogue", arguments={"domain": domain, "split": SPLITS[domain]}
        )
        conversations = conversations_of(json.loads(listed or ""), domain, tasks)
        policies: dict[str, EpisodeRunner] = {
            "golden actions": replace(told, engine=Scripted(template, golden)),
            "nothing": replace(told, engine=Scripted(template, nothing)),
            f"{Path(model).name} ({mode})": runner,
        }
        for name, acting in policies.items():
            rows.append(_row(name, domain, acting, conversations, worlds, config.episodes))
            _echo(rows[-1])
    if out is not None:
        write_json(out, {"model": model, "mode": mode, "rows": rows})


def _row(
    name: str,
    domain: str,
    runner: EpisodeRunner,
    conversations: Sequence[Conversation],
    worlds: Functions,
    limits: Any,
) -> dict[str, Any]:
    rewards: dict[str, float] = {}
    ends: Counter[str] = Counter()

    def open_one(conversation: Conversation) -> Environment:
        return SoloEnvironment(conversation, worlds, rewards)

    progress = Progress(Console(stderr=True))
    with progress.track(f"{domain} {name}", len(conversations)) as show:
        for begin in range(0, len(conversations), limits.at_once):
            chunk = conversations[begin : begin + limits.at_once]
            found = runner.run([Start(turns_of(c)[0]) for c in chunk], open_one, limits)
            ends.update(str(episode.end) for (episode,) in found)
            show(begin + len(chunk), reward=sum(rewards.values()) / len(rewards))
    score = bootstrap_mean([*rewards.values()], [*rewards], seed=0)
    return {
        "domain": domain,
        "policy": name,
        "tasks": len(rewards),
        "reward": score._asdict(),
        "ends": dict(ends.most_common()),
        "rewards": rewards,
    }


def _echo(row: dict[str, Any]) -> None:
    score = row["reward"]
    solved = sum(value == 1 for value in row["rewards"].values())
    click.echo(
        f"{row['domain']:<8} {row['policy']:<24} {solved}/{row['tasks']}  "
        f"{100 * score['value']:.1f} % ({100 * score['low']:.1f} to {100 * score['high']:.1f})  "
        + ", ".join(f"{count} {end}" for end, count in row["ends"].items())
    )


if __name__ == "__main__":
    main()
