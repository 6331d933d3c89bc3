"""The peers: TRL's `GRPOTrainer` and transformers' `generate`, each in its best setting.

TRL: weights and computation in the model's own precision without autocast (as ours), no activation
checkpointing, micro-batches of one decision's group or, on a GPU, of a part of it. Its own
shuffling and padding are spared it where the update alone is timed. What is used of it beyond its
public interface is that of 1.16, so other versions are refused.
"""

import importlib.metadata
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actwise.bench.ours import LEARNING_RATE, learned_from, reward_of
from actwise.bench.rows import micro_batch
from actwise.bench.shapes import Workload
from actwise.bench.timing import Seconds, now, since
from actwise.config import RunConfig
from actwise.engine.rollouts import Rollout
from actwise.errors import ConfigError

_TRL = "1.16."
_CPU_TOKENS, _GPU_TOKENS = 250_000, 300_000
"""Tokens, over all rows, of one call of `generate` by TRL: what fits a laptop's memory with a small
model, and 80 GB with 1.7 billion parameters, whose keys and values of a token are 115 kB."""
_ROWS = 64
"""Rows of one call of `generate` outside TRL: enough to share its overhead, few enough to stay in
a CPU's cache."""


def trl_missing() -> str | None:
    """Return why TRL cannot take part, in one line, or None.

    Raises:
        ConfigError: If a version is installed whose private interface is not known.
    """
    try:
        version = importlib.metadata.version("trl")
    except importlib.metadata.PackageNotFoundError:
        return "TRL is not installed and left out; pip install 'actwise[bench]'"
    if not version.startswith(_TRL):
        raise ConfigError(f"TRL {version} is installed, not 1.16; pip install 'actwise[bench]'")
    return None


def load_model(folder: Path, device: torch.device) -> Any:
    """Load a model as transformers does by default, for peers and the row-by-row computation."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device).eval()


def trl_trainer(
    folder: Path, work: Workload, config: RunConfig, device: torch.device, *, at_once: int = 1
) -> Any:
    """Return a `GRPOTrainer` whose every step is one of ours.

    Args:
        folder: Folder of the model; TRL loads its reference from there again.
        work: Its prompts are the data set; all are in one step.
        config: The objective is that of its section `rl`.
        device: CPU or GPU.
        at_once: Decisions whose completions are sampled together; a divisor of all, or TRL computes
            the old log-probs once more.
    """
    # trl reads them when it is imported.
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", WANDB_DISABLED="true")
    from datasets import Dataset
    from datasets import disable_progress_bars as hide_bars
    from transformers.trainer_callback import PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    hide_bars()
    rl, size = config.rl, micro_batch(work, device)
    parts = work.num_generations // size
    arguments = GRPOConfig(
        output_dir=str(folder / "trl"),
        use_cpu=device.type == "cpu",
        bf16=False,
        model_init_kwargs={"dtype": "auto"},
        # Its name in 5.17; later versions of transformers have another one, too.
        gradient_checkpointing=False,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=work.num_decisions * parts,
        steps_per_generation=at_once * parts,
        num_generations=work.num_generations,
        max_completion_length=work.completion_tokens,
        # Completions of full length, as ours.
        generation_kwargs={"eos_token_id": None},
        temperature=rl.temperature,
        top_p=rl.top_p,
        beta=rl.kl_coefficient,
        use_bias_correction_kl=False,
        epsilon=rl.clip_low,
        epsilon_high=rl.clip_high,
        importance_sampling_level=rl.ratio_level,
        loss_type=rl.aggregation,
        scale_rewards=rl.scale,
        max_grad_norm=rl.max_grad_norm,
        learning_rate=LEARNING_RATE,
        shuffle_dataset=False,
        max_steps=1,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [reward_of(ids) for ids in completion_ids]

    texts = list(work.texts)
    trainer = GRPOTrainer(
        model=str(folder),
        reward_funcs=reward,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": texts}),
    )
    trainer.remove_callback(PrinterCallback)  # it would write each run's summary to our output
    return trainer


def decisions_at_once(work: Workload, device: torch.device) -> list[int]:
    """Return for how many decisions TRL may sample together: on a GPU for all that fit.

    What shares overhead leaves a CPU's cache, so there one, some 64 rows and all that fit are each
    the fastest somewhere.
    """
    longest = max(len(group.prompt) for group in work.groups) + work.completion_tokens
    tokens = _CPU_TOKENS if device.type == "cpu" else _GPU_TOKENS
    room = max(1, tokens // (longest * work.num_generations))
    fitting = [n for n in range(1, room + 1) if work.num_decisions % n == 0]
    if device.type != "cpu":
        return [fitting[-1]]
    some = max(n for n in fitting if n == 1 or n * work.num_generations <= _ROWS)
    return sorted({1, some, fitting[-1]})


class TrlUpdate:
    """TRL's loss and gradient over given completions, in micro-batches of one group's rows."""

    def __init__(
        self, folder: Path, work: Workload, config: RunConfig, device: torch.device
    ) -> None:
        self._trainer = trl_trainer(folder, work, config, device)
        self.model = self._trainer.model.to(device)
        self.model.train()
        size = micro_batch(work, device)
        self._trainer.current_gradient_accumulation_steps = work.num_rows // size
        total = work.num_rows * work.completion_tokens
        self._batches = [
            self._inputs(group.prompt, group.rollouts[i : i + size], device, total)
            for group in learned_from(work, config.rl)
            for i in range(0, work.num_generations, size)
        ]

    def _inputs(
        self,
        prompt: Sequence[int],
        rollouts: Sequence[Rollout],
        device: torch.device,
        total: int,
    ) -> dict[str, Tensor]:
        prompts = torch.tensor([prompt for _ in rollouts], device=device)
        completions = torch.tensor([r.sample.token_ids for r in rollouts], device=device)
        return {
            "prompt_ids": prompts,
            "prompt_mask": torch.ones_like(prompts),
            "completion_ids": completions,
            "completion_mask": torch.ones_like(completions),
            "advantages": torch.tensor([r.advantage for r in rollouts], device=device),
            "num_items_in_batch": torch.tensor(total, device=device),
        }

    def __call__(self) -> None:
        """Leave the gradient in the model's parameters."""
        trainer = self._trainer
        self.model.zero_grad(set_to_none=True)
        for batch in self._batches:
            inputs = dict(batch)
            if trainer.ref_model is not None:
                inputs["ref_per_token_logps"] = self._reference(batch)
            trainer._compute_loss(self.model, inputs).backward()

    def _reference(self, batch: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            logprobs: Tensor = self._trainer._get_per_token_logps_and_entropies(
                self._trainer.ref_model,
                torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1),
                torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1),
                batch["completion_ids"].shape[1],
            )[0]
        return logprobs


def trl_step(
    folder: Path, work: Workload, config: RunConfig, device: torch.device
) -> Callable[[], Seconds]:
    """Return a function that lets TRL take one step and returns the step's seconds.

    Of several numbers of decisions that TRL may sample together the fastest is taken, by the better
    of two steps of each. Preparations of `train()`, which a longer run has once, are not in the
    seconds.
    """
    steps = [
        _step_of(trl_trainer(folder, work, config, device, at_once=number), device)
        for number in decisions_at_once(work, device)
    ]
    if len(steps) == 1:
        return steps[0]
    return min(steps, key=lambda step: min(step().wall, step().wall))


def _step_of(trainer: Any, device: torch.device) -> Callable[[], Seconds]:
    from transformers import TrainerCallback

    seconds: list[Seconds] = []

    class Clock(TrainerCallback):
        """Begins before TRL samples and ends after the optimiser's step."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self._begin = now(device)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(since(self._begin, device))

    trainer.add_callback(Clock())

    def step() -> Seconds:
        trainer.train()
        return seconds[-1]

    return step


class Generate:
    """transformers' `generate` on every prompt, sorted by length and padded on the left."""

    def __init__(self, model: Any, work: Workload, config: RunConfig, cache: str | None) -> None:
        """Take what is to be sampled.

        Args:
            model: As transformers loads it.
            work: Its prompts are completed as often as it has completions.
            config: The sampling is that of its section `rl`.
            cache: Name of the cache's implementation; None for the one that grows.
        """
        self._model, self._rl, self._cache = model, config.rl, cache
        self._generations, self._tokens = work.num_generations, work.completion_tokens
        prompts = sorted((list(group.prompt) for group in work.groups), key=len)
        size = max(1, _ROWS // work.num_generations)
        self._batches = [
            _left_padded(prompts[i : i + size], model.device) for i in range(0, len(prompts), size)
        ]

    def __call__(self) -> list[Tensor]:
        """Return the rows of each batch, prompt and completion."""
        return [
            self._model.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                do_sample=True,
                temperature=self._rl.temperature,
                top_p=self._rl.top_p,
                top_k=0,
                max_new_tokens=self._tokens,
                num_return_sequences=self._generations,
                cache_implementation=self._cache,
                # Compiling takes longer than everything measured here on a CPU.
                disable_compile=self._model.device.type == "cpu",
            )
            for input_ids, attention_mask in self._batches
        ]


def _left_padded(prompts: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    input_ids = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return torch.tensor(input_ids, device=device), torch.tensor(mask, device=device)
