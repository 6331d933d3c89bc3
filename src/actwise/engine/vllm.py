"""vLLM servers as the sampler: token ids and seeds go out, token ids and log-probs come back.

Before anything is sampled with weights that have changed, they are handed over through a folder
that the servers see, and each server is asked for a few tokens, whose log-probs have to be the
policy's. Adapters are loaded under a new name and from a new path each time, because vLLM keeps
what it has computed for prompts by these; all weights are loaded in place, and what was kept is
thrown away.

vLLM tells log-probs at temperature 1, whatever the temperature.
"""

import copy
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from actwise.config import EngineConfig
from actwise.engine import SamplingParams
from actwise.engine.rollouts import Group, Sample
from actwise.engine.servers import Request, Server, ServerError, Servers
from actwise.model.policy import Policy
from actwise.model.processes import together
from actwise.run.files import remove, write_atomically
from actwise.tree.packing import Tree, lay_out_pass, pack

_PROBE = Request(tuple(range(1, 33)), 1, SamplingParams(16, ()), seed=0)
"""What a server is asked after it was given weights; any model has these tokens."""
_FAR = 0.25
"""Mean difference of log-probs, in nats, beyond which a server has other weights. bfloat16 makes
0.01 of it."""


class VllmEngine:
    """Samples from a policy by servers that are given its weights."""

    at_once = 1
    """A call asks for all of its prompts at once."""

    def __init__(
        self, policy: Policy, config: EngineConfig, folder: Path, say: Callable[[str], None]
    ) -> None:
        """Take the policy and the servers; nothing is sent yet.

        Args:
            policy: Sampled as it is at each call.
            config: Names the servers.
            folder: Through which they are given the weights.
            say: Tells the user which of them is dropped.

        Raises:
            ConfigError: An address is none, or the key is not there.
        """
        self._policy = policy
        vocabulary = len(policy.model.get_input_embeddings().weight)
        self._servers = Servers(config, vocabulary, say)
        self._folder = folder.resolve()
        self._token = secrets.token_hex(4)  # names that no earlier process has used
        self._given: int | None = None
        self._held = False

    def generate(
        self,
        groups: Sequence[Group],
        *,
        num_generations: int,
        params: SamplingParams,
        generator: torch.Generator | None = None,
    ) -> list[Group]:
        """See `Engine.generate`.

        Raises:
            RunError: No server is left.
        """
        if not self._held:
            self.hand_over()
        requests = [
            Request(group.prompt, num_generations, params, seed)
            for group, seed in zip(groups, _seeds(len(groups), params, generator), strict=True)
        ]
        costs = [len(r.prompt) + num_generations * params.max_tokens for r in requests]
        samples = together().dealt(self._servers.complete, requests, costs)
        return [group.with_samples(of_one) for group, of_one in zip(groups, samples, strict=True)]

    def snapshot(self) -> "VllmEngine":
        """See `Engine.snapshot`: the servers keep the weights that they have."""
        self.hand_over()
        held = copy.copy(self)
        held._held = True
        return held

    def hand_over(self) -> None:
        """Give the servers the policy's weights, unless they have them.

        Raises:
            RunError: No server is left.
        """
        if self._given != self._policy.version:
            with self._policy.gathered():
                self._servers.keep(together().agreed(self._hand_over))
            self._given = self._policy.version

    def _hand_over(self) -> dict[str, str]:
        name = f"actwise-{self._token}-{self._policy.version}"
        write_atomically(self._folder / name, self._policy.write_weights)
        load = self._load_adapters if self._policy.has_adapters else self._load_weights

        async def give(server: Server) -> None:
            await load(server, self._folder / name)
            (sample,) = await server.complete(_PROBE)
            gap = self._gap(sample)
            if not gap <= _FAR:
                raise ServerError(
                    f"samples from other weights than it was given: its log-probs are {gap:.2f} "
                    "off; start it with the model that is trained"
                )

        self._servers.each(give)
        for before in self._folder.glob("actwise-*"):
            if before.name != name:
                remove(before)
        return self._servers.models

    async def _load_adapters(self, server: Server, folder: Path) -> None:
        adapters = {"lora_name": folder.name, "lora_path": str(folder)}
        await server.post("/v1/load_lora_adapter", adapters)
        if server.given is not None:
            await server.post("/v1/unload_lora_adapter", {"lora_name": server.given})
        server.model = server.given = folder.name

    async def _load_weights(self, server: Server, folder: Path) -> None:
        server.model = await server.served()
        weights = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
        await server.post("/collective_rpc", weights)
        await server.post("/reset_prefix_cache", {})

    @torch.no_grad()
    def _gap(self, sample: Sample) -> float:
        """Return how far the log-probs of the probe are from the policy's, on average."""
        (packed,) = pack([Tree((_PROBE.prompt,), ((sample.token_ids,),))], 10**6)
        own_T = self._policy.score(*lay_out_pass(packed, self._policy.device)).logprobs.cpu()
        return (own_T - torch.tensor(sample.logprobs)).abs().mean().item()


def _seeds(count: int, params: SamplingParams, generator: torch.Generator | None) -> list[int]:
    """Return a seed for each prompt; the greedy ones need none."""
    if params.temperature == 0:
        return [0] * count
    device = "cpu" if generator is None else generator.device
    seeds: list[int] = torch.randint(2**62, (count,), generator=generator, device=device).tolist()
    return seeds
