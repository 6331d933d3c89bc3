"""The stages of a run, in order: base, sft, think, rl, each measured, then table and report.

Whatever is finished in the run folder is skipped, so the same command goes on after an
interruption. The same code runs the demo on the desk and a user's logs.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from actwise.config import RunConfig
from actwise.conversation import Conversation, Decision, all_decisions
from actwise.data.fit import completion_budget, context_of, count_left_out, fitting
from actwise.data.rename import rename_share
from actwise.data.split import Splits
from actwise.engine.local import LocalEngine
from actwise.errors import RunError
from actwise.evaluation.evaluate import Evaluator
from actwise.evaluation.judging import spent, spent_since
from actwise.model.loading import load_policy
from actwise.model.policy import Policy
from actwise.model.threads import choose_threads
from actwise.report import write_report
from actwise.results.examples import choose_examples
from actwise.results.summary import best_on_development, paired, row, verdict_sentence
from actwise.rewards.floors import floors
from actwise.run.files import read_records, write_atomically, write_json, write_records
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.run.versions import versions
from actwise.training.recipes.rl import RlSettings, train_rl
from actwise.training.recipes.sft import Target, train_sft
from actwise.training.recipes.think import (
    recorded_thoughts,
    self_generated_thoughts,
    with_direct_share,
)
from actwise.training.stage import Training


class Pipeline:
    """One run: a policy on its way through the stages."""

    def __init__(
        self,
        run: Run,
        policy: Policy,
        splits: Splits,
        config: RunConfig,
        skipped: Sequence[dict[str, Any]],
    ) -> None:
        """Prepare a run; see `run_pipeline`."""
        self._run = run
        self._policy = policy
        self._config = config
        self._skipped = list(skipped)
        splits = replace(splits, train=_renamed(splits.train, config))
        self._max_tokens = completion_budget(policy.template, splits.train, config)
        self._splits = self._fitting(splits)
        self._engine = LocalEngine(policy)
        self._evaluator = Evaluator(self._engine, policy.template, config.reward, self._max_tokens)
        self._dev = self._splits.dev[: config.evaluate.dev_conversations]
        self._rows: list[dict[str, Any]] = []
        self._records: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        self._development: dict[str, float] = {}
        self._stages: list[dict[str, Any]] = []

    def __call__(self) -> dict[str, Any]:
        """Run what is not done yet; return the results, which also lie in the run folder."""
        config = self._config
        self._timed("base", self._base)
        if config.sft.steps:
            self._timed("sft", self._sft)
        if config.think.steps and config.rl.mode == "thinking":
            self._timed("think", self._think)
        if config.rl.steps:
            self._timed("rl", self._rl)
        return self._finish()

    def _base(self) -> None:
        modes = {"thinking", self._config.rl.mode, "direct"}
        self._development["base"] = max(self._dev_score(mode == "thinking") for mode in modes)
        for mode in sorted(modes):
            self._measure("base", mode)

    def _sft(self) -> None:
        examples = [[Target(d, None) for d in c.decisions()] for c in self._splits.train]
        training = self._train_sft("sft", examples, thinking=False)
        self._stage_done("sft", training, "direct")

    def _think(self) -> None:
        examples = with_direct_share(
            self._thoughts(), self._config.think.direct_share, self._config.seed
        )
        training = self._train_sft("think", [e for e in examples if e], thinking=True)
        self._stage_done("think", training, "thinking")

    def _rl(self) -> None:
        config = self._config
        training = train_rl(
            self._run,
            "rl",
            self._policy,
            self._engine,
            self._splits.train,
            config.rl,
            RlSettings(
                config.reward,
                self._max_tokens,
                config.seed,
                config.checkpoint_every,
                config.max_batch_tokens,
            ),
            development_score=lambda: self._dev_score(config.rl.mode == "thinking"),
        )
        self._stage_done("rl", training, config.rl.mode)

    def _train_sft(
        self, stage: str, examples: Sequence[Sequence[Target]], *, thinking: bool
    ) -> Training:
        config = self._config
        return train_sft(
            self._run,
            stage,
            self._policy,
            examples,
            config.think if stage == "think" else config.sft,
            seed=config.seed,
            checkpoint_every=config.checkpoint_every,
            max_batch_tokens=config.max_batch_tokens,
            development_score=lambda: self._dev_score(thinking),
        )

    def _thoughts(self) -> list[list[Target]]:
        config = self._config.think
        conversations = self._splits.train[: config.conversations]
        recorded = [
            c for c in self._splits.train if any(d.gold.reasoning_content for d in c.decisions())
        ]
        if config.source == "recorded" or (config.source == "auto" and recorded):
            targets = recorded_thoughts(recorded[: config.conversations])
        else:
            targets = self._own_thoughts(conversations)
        if not any(targets):
            raise RunError(
                "think: no thought to begin with: none is recorded, and none of the model's own "
                "led to a right action; record some, or --set rl.mode=direct to train without"
            )
        return targets

    def _own_thoughts(self, conversations: Sequence[Conversation]) -> list[list[Target]]:
        """Generate thoughts once; the file of them stands in for the model on a resumed run."""
        file = self._run.folder / "thoughts.jsonl"
        if not file.exists():
            targets = self_generated_thoughts(
                self._run,
                self._engine,
                self._policy.template,
                conversations,
                self._config.think,
                settings=self._config.reward,
                max_tokens=self._max_tokens,
                generator=torch.Generator(self._policy.device).manual_seed(self._config.seed),
            )
            found = [
                {"decision": t.decision.key, "thought": t.thought}
                for of_conversation in targets
                for t in of_conversation
            ]
            write_records(file, found)
        thought = {record["decision"]: record["thought"] for record in read_records(file)}
        return [
            [Target(d, thought[d.key]) for d in c.decisions() if d.key in thought]
            for c in conversations
        ]

    def _dev_score(self, thinking: bool) -> float:
        return self._evaluator.action_accuracy(self._dev, thinking=thinking)

    def _stage_done(self, stage: str, training: Training, mode: str) -> None:
        self._development[stage] = training.best_score
        folder = self._run.folder / "models" / stage
        if not folder.exists():
            write_atomically(folder, self._policy.save)
        self._measure(stage, mode)

    def _measure(self, model: str, mode: str) -> None:
        for split, conversations in self._splits.tests.items():
            file = self._run.folder / "evaluations" / f"{model}-{mode}-{split}.jsonl"
            if file.exists():
                records = read_records(file)
            else:
                records = self._evaluator.evaluate(
                    conversations,
                    thinking=mode == "thinking",
                    progress=self._run.progress,
                    title=f"{model} {mode} {split}",
                )
                write_records(file, records)
            self._records[model, mode, split] = records
            self._rows.append(row(model, mode, split, records))

    def _timed(self, name: str, stage: Callable[[], None]) -> None:
        """Run a stage; its time is kept from the run that finished it."""
        file = self._run.folder / "checkpoints" / f"{name}.seconds.json"
        begin = time.monotonic()
        before = spent(self._config.reward)
        stage()
        if not file.exists():
            write_json(file, time.monotonic() - begin)
        seconds = json.loads(file.read_text(encoding="utf-8"))
        asked = spent_since(before, self._config.reward)
        self._stages.append({"name": name, "seconds": seconds, **asked})
        self._run.progress.say(f"{name} done in {seconds:.0f} s")

    def _finish(self) -> dict[str, Any]:
        train = list(all_decisions(self._splits.train))
        differences = [d for split in self._splits.tests for d in self._differences(split)]
        promoted = best_on_development(self._development)
        results = {
            "models": list(self._development),
            "rows": self._rows,
            "floors": {
                split: floors(list(all_decisions(conversations)), train, self._config.reward)
                for split, conversations in self._splits.tests.items()
            },
            "paired": differences,
            "development": self._development,
            "promoted": promoted,
            "verdict": verdict_sentence(self._rows, differences, promoted),
            "stages": self._stages,
            "skipped": self._skipped,
            "max_completion_tokens": self._max_tokens,
        }
        write_json(self._run.folder / "examples.json", self._examples())
        write_json(self._run.folder / "results.json", results)
        write_report(self._run.folder)
        return results

    def _differences(self, split: str) -> list[dict[str, Any]]:
        rl = ("rl", self._config.rl.mode)
        pairs = [
            (("sft", "direct"), ("base", "direct")),
            (("think", "thinking"), ("sft", "direct")),
            (rl, ("sft", "direct")),
            (rl, ("think", "thinking")),
            (rl, ("base", self._config.rl.mode)),
        ]
        return [
            difference
            for one, other in pairs
            if (*one, split) in self._records and (*other, split) in self._records
            for difference in paired(
                split,
                (f"{one[0]} ({one[1]})", self._records[*one, split]),
                (f"{other[0]} ({other[1]})", self._records[*other, split]),
            )
        ]

    def _examples(self) -> list[dict[str, Any]]:
        limit = math.ceil(self._config.evaluate.examples / len(self._splits.tests))
        examples = []
        for split, conversations in self._splits.tests.items():
            of_split = {(m, mode): r for (m, mode, s), r in self._records.items() if s == split}
            examples += choose_examples(
                split, conversations, of_split, limit=limit, gold_text=self._gold_text
            )
        return examples

    def _gold_text(self, decision: Decision) -> str:
        template = self._policy.template
        text = template.completion_text(decision, thought=None)
        return text.removesuffix(str(template.tokenizer.eos_token)).strip()

    def _fitting(self, splits: Splits) -> Splits:
        """Leave out conversations that the model cannot hold, or refuse them."""
        context = context_of(self._policy.context_length, self._config)
        kept, too_long = fitting(
            self._policy.template, splits, context=context, completion=self._max_tokens
        )
        self._skipped += count_left_out(too_long, context, self._config)
        return kept


def _renamed(conversations: Sequence[Conversation], config: RunConfig) -> list[Conversation]:
    return rename_share(
        conversations, config.data.renamed, config.seed, keep=list(config.reward.tools)
    )


def run_pipeline(
    folder: Path,
    model: str,
    splits: Splits,
    config: RunConfig,
    *,
    data: Sequence[dict[str, Any]],
    skipped: Sequence[dict[str, Any]],
    command: Sequence[str],
    console: Console,
    begin_from: Path | None = None,
    taken: Sequence[str] = (),
) -> dict[str, Any]:
    """Run all stages in a folder, or go on with them.

    Args:
        folder: The run folder.
        model: Folder or hub name of the base model.
        splits: The conversations.
        config: Resolved.
        data: Fingerprints of what was read, to be kept.
        skipped: Records that were left out: "reason", "count", "examples".
        command: As typed, to be kept.
        console: Where progress is shown.
        begin_from: Folder of a run that shares its beginning with this one.
        taken: Stages that are taken from it instead of being computed again.

    Raises:
        ActwiseError: Whatever the user can mend.
    """
    request = {
        "model": model,
        "config": config.model_dump(mode="json"),
        "seed": config.seed,
        "data": list(data),
        "command": list(command),
        **versions(),
    }
    with Run.open(folder, request, Progress(console)) as run:
        policy = load_policy(model, config)
        pipeline = Pipeline(run, policy, splits, config, skipped)
        run.begin()  # not before model and data are known to fit each other
        choose_threads(run.folder, config.model, policy)
        if begin_from is not None:
            run.take_over(begin_from, taken)
        return pipeline()
