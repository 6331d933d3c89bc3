from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rich.console import Console

from actwise.model.policy import Policy
from actwise.run.folder import Run
from actwise.run.progress import Progress


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    policy = Policy.load(str(tiny_model_dir))
    torch.manual_seed(2)
    with torch.no_grad():  # far from uniform
        for parameter in policy.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return policy


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "run", {}, Progress(Console(quiet=True))) as run:
        yield run
