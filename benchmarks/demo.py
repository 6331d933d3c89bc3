"""Does the pipeline run on the GPU from end to end, and go on where it was killed?"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.check import Check, Figures

SETTINGS: dict[str, object] = {
    "desk.train": 40,
    "desk.dev": 6,
    "desk.test": 6,
    "desk.shifted": 6,
    "sft.steps": 12,
    "think.steps": 12,
    "rl.steps": 4,
    "rl.conversations_per_step": 3,
    "evaluate.max_completion_tokens": 64,
    "checkpoint_every": 1,
}
TINY = {
    "desk.dev": 1,
    "desk.test": 1,
    "desk.shifted": 1,
    "sft.steps": 1,
    "think.steps": 1,
    "rl.steps": 2,
    "rl.conversations_per_step": 1,
    "evaluate.max_completion_tokens": 24,
}


def demo(check: Check) -> None:
    """The pipeline on the desk: straight through, and killed within RL and taken up again."""
    straight, killed = (check.scratch / f"demo-{name}" for name in ("straight", "killed"))
    metrics = killed / "metrics" / "rl.jsonl"

    def in_rl() -> bool:
        return metrics.exists() and metrics.read_bytes().count(b"\n") >= 1

    check.run("straight", partial(_run, check, straight))
    check.run("killed", partial(_run, check, killed, in_rl))
    check.run("taken up again", partial(_run, check, killed))
    check.run("same weights", partial(_compared, straight, killed))


def _run(check: Check, folder: Path, stop: Callable[[], bool] = lambda: False) -> Figures:
    settings = SETTINGS | (TINY if check.tiny else {}) | {"model.device": check.device}
    options = [f"--set={key}={value}" for key, value in settings.items()]
    command = [sys.executable, "-m", "actwise", "demo", "--out", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not stop():
            time.sleep(0.01)
        process.kill()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"actwise demo ended with exit code {process.returncode}")
    return {"ended": "killed" if process.returncode else "by itself"}


def _compared(straight: Path, killed: Path) -> Figures:
    from safetensors.torch import load_file

    one, other = (load_file(f / "models/rl/model.safetensors") for f in (straight, killed))
    apart = max(float((one[name].double() - other[name].double()).abs().max()) for name in one)
    results = json.loads((straight / "results.json").read_text())
    steps = (straight / "metrics" / "rl.jsonl").read_text().splitlines()
    return {
        "seconds of stages": {s["name"]: round(s["seconds"], 1) for s in results["stages"]},
        "live groups": [json.loads(step)["live_groups"] for step in steps],
        "weights apart by": apart,
        "met": apart == 0,
    }
