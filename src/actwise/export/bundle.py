"""The bundle: a folder with all that is needed to serve a model as it was measured."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from actwise.errors import RunError
from actwise.export.card import facts, public_name, write_card
from actwise.export.gguf import check_gguf, write_gguf
from actwise.export.parsers import parsers_of
from actwise.model.policy import Policy
from actwise.run.files import write_atomically


def write_bundle(
    to: Path,
    policy: Policy,
    *,
    stage: str,
    base: str,
    thinking: bool,
    record: dict[str, Any],
    results: dict[str, Any] | None,
    trained: bool,
    steering: Path | None = None,
    adapters: bool = False,
    gguf: bool = False,
) -> str | None:
    """Write a folder that transformers and vLLM load; it appears whole or not at all.

    Args:
        to: The folder; it must not exist, or be empty.
        policy: The model.
        stage: Which model of a run it is, or its name.
        base: Name of the model that was trained.
        thinking: The mode in which it was measured.
        record: What `run.json` holds, or nothing.
        results: What `results.json` holds; None without a finished run.
        trained: Whether its run has trained it; its base it has only measured.
        steering: File of the vector with which it was measured, if with one.
        adapters: Whether only the policy's adapters are written.
        gguf: Whether the weights are written in GGUF, too.

    Returns:
        What is to be known of the file in GGUF; None where nothing.

    Raises:
        RunError: The folder is taken or cannot be written, or what was written is not the model.
        ModelError: The model is none that is written in GGUF.
    """
    # The folder that one is in is none to be replaced, even where it is empty.
    if to.exists() and (not to.is_dir() or any(to.iterdir()) or to.samefile(".")):
        raise RunError(f"{to}: is there already; choose another --to")
    if gguf:
        check_gguf(policy.model.config)
    parsers = parsers_of(policy.template)
    policy.template.tokenizer.response_template = parsers.response_template
    policy.model.generation_config = _as_measured(policy, results)
    card = write_card(
        stage,
        base=base,
        thinking=thinking,
        dtype=str(policy.model.dtype).removeprefix("torch."),
        parsers=parsers,
        results=results,
        data=record.get("data", []),
        trained=trained,
        steered=steering is not None,
        lora_rank=policy.model.active_peft_config.r if adapters else None,
    )

    remarks: list[str | None] = [None]

    def write(folder: Path) -> None:
        if adapters:
            _write_adapters(policy, folder, public_name(base))
        else:
            policy.save(folder)
        (folder / "README.md").write_text(card, encoding="utf-8")
        if steering is not None:
            shutil.copyfile(steering, folder / "steering.json")
        told = facts(
            stage, thinking=thinking, parsers=parsers, record=record, steered=steering is not None
        )
        (folder / "actwise.json").write_text(told, encoding="utf-8")
        if gguf:
            remarks.append(write_gguf(folder, folder / "model.gguf", name=to.name))

    write_atomically(to, write, remedy="choose another --to")
    return remarks[-1]


def _as_measured(policy: Policy, results: dict[str, Any] | None) -> GenerationConfig:
    """Return what generation does by default: what it did when the model was measured."""
    before = policy.model.generation_config
    return GenerationConfig(
        do_sample=False,
        eos_token_id=list(policy.template.stop_token_ids),
        bos_token_id=before.bos_token_id,
        pad_token_id=before.pad_token_id,
        max_new_tokens=(results or {}).get("max_completion_tokens"),
    )


def _write_adapters(policy: Policy, folder: Path, base: str) -> None:
    policy.model.save_pretrained(folder)
    file = folder / "adapter_config.json"
    config = json.loads(file.read_bytes())
    # peft writes where the base lies on this machine.
    file.write_text(json.dumps(config | {"base_model_name_or_path": base}, indent=2) + "\n")
    policy.template.tokenizer.save_pretrained(folder)
