"""The judge against bfcl-eval's checker, and on BFCL's items by itself.

tools/judge_agreement/bfcl_agreement.py compares everything; docs/experiments/bfcl.md holds what
came out.
"""

import gzip
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from actwise.rewards.settings import JudgeConfig

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "judge_agreement" / "bfcl_agreement.py"
SAMPLE = 12


@pytest.fixture(scope="module")
def agreement() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bfcl_agreement", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_sample_agrees_with_their_checker() -> None:
    if importlib.util.find_spec("bfcl_eval") is None:
        pytest.skip("bfcl-eval is not installed here; see docs/experiments/bfcl.md")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, str(SCRIPT), "--limit", str(SAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert done.stdout.splitlines()[-1].endswith("unexplained 0")


@pytest.mark.parametrize("category", ["simple_java", "parallel_multiple", "live_multiple"])
def test_the_answer_is_right_and_every_change_wrong(
    agreement: ModuleType, category: str, shared_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "possible_answer").mkdir()
    name = f"BFCL_v4_{category}.json"
    for part in (name, f"possible_answer/{name}"):
        packed = (shared_data / "bfcl-v4" / f"{part}.gz").read_bytes()
        lines = gzip.decompress(packed).decode().splitlines()
        (tmp_path / part).write_text("\n".join(lines[:SAMPLE]), "utf-8")
    left_out: dict[str, str] = {}
    judged = [
        (mutation, agreement.judged_by_us(item, calls, JudgeConfig(coerce_types=False)))
        for item in agreement.read_items(tmp_path, category, left_out)
        for mutation, calls in agreement.mutations(item)
    ]
    assert left_out == {}
    assert len(judged) > 10 * SAMPLE
    for mutation, verdict in judged:
        if mutation in ("gold", "order of calls"):
            assert verdict.reward == 1
        elif mutation in agreement.ASKED:
            bridged = {c.decided_by for c in verdict.comparisons}
            assert verdict.reward < 1 or "default" in bridged
