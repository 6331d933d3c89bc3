"""Every file of a run folder damaged in every way: named and computed again, or refused."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from runs import Runner, check_same_end, files, fork_server, write_logs

SETTINGS = {
    "sft.steps": 4,
    "sft.evaluate_every": 2,
    "think.steps": 4,
    "think.evaluate_every": 2,
    "rl.steps": 3,
    "rl.evaluate_every": 1,
}
ANEW = ("report.html", "results.json", ".lock")
"""Files that are written at the end of every run, whatever they hold."""
REFUSED = ("run.json", "checksums.json")
"""Files without which nobody can tell what the others are."""


def truncated(path: Path, others: list[Path]) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path, others: list[Path]) -> None:
    path.write_bytes(b"")


def deleted(path: Path, others: list[Path]) -> None:
    path.unlink()


def bit_flipped(path: Path, others: list[Path]) -> None:
    data = bytearray(path.read_bytes())
    draw = random.Random(path.name)
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def exchanged(path: Path, others: list[Path]) -> None:
    """Put another file of the same kind in its place."""
    alike = [o for o in others if o.suffix == path.suffix and o.read_bytes() != path.read_bytes()]
    shutil.copyfile(random.Random(path.name).choice(alike or others), path)


def a_folder(path: Path, others: list[Path]) -> None:
    path.unlink()
    path.mkdir()


def a_link(path: Path, others: list[Path]) -> None:
    kept = path.parent.parent / "elsewhere"
    shutil.copyfile(path, kept)
    path.unlink()
    path.symlink_to(kept)


DAMAGES = (truncated, emptied, deleted, bit_flipped, exchanged, a_folder, a_link)


@pytest.fixture(scope="module")
def whole(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A finished run."""
    folder = tmp_path_factory.mktemp("damage")
    write_logs(folder / "logs.jsonl")
    runner = Runner(
        fork_server(), tiny_model_dir, folder / "logs.jsonl", folder / "whole", SETTINGS
    )
    assert runner() == 0
    return runner


def check(whole: Runner, name: str, damage: Callable[[Path, list[Path]], None]) -> None:
    runner = whole.elsewhere(f"{name.replace('/', '-')}-{damage.__name__}")
    shutil.copytree(whole.folder, runner.folder)
    path = runner.folder / name
    size = path.stat().st_size
    damage(path, [runner.folder / other for other in files(runner.folder) if other != name])
    code = runner(codes=(0, 2))
    said = runner.log.read_text()
    assert "Traceback" not in said, said
    if code == 2:
        last = said.splitlines()[-1]
        assert last.startswith("actwise: ") and (name in last or str(runner.folder) in last), said
        if damage in (truncated, emptied, deleted, bit_flipped, exchanged):
            assert name in REFUSED, said
    else:
        assert name.split("/")[-1] in said or name in ANEW or not size, said
        check_same_end(runner.folder, whole.folder)
    shutil.rmtree(runner.folder)


SOME = [
    ("checkpoints/sft.pt", emptied),
    ("checkpoints/think.pt", exchanged),
    ("checkpoints/rl.pt", bit_flipped),
    ("models/sft/model.safetensors", bit_flipped),
    ("models/rl/tokenizer.json", deleted),
    ("evaluations/rl-thinking-test.jsonl", truncated),
    ("metrics/sft.jsonl", bit_flipped),
    ("rollouts/rl.jsonl", truncated),
    ("checkpoints/sft.cost.json", emptied),
    ("checkpoints/rl.seconds.json", truncated),
    ("run.json", bit_flipped),
    ("checksums.json", truncated),
    ("results.json", a_link),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "damage"), SOME)
def test_damage_is_named_and_computed_again_or_refused(
    whole: Runner, name: str, damage: Callable[[Path, list[Path]], None]
) -> None:
    check(whole, name, damage)


@pytest.mark.exhaustive
@pytest.mark.parametrize("damage", DAMAGES)
def test_all_damage_is_named_and_computed_again_or_refused(
    whole: Runner, damage: Callable[[Path, list[Path]], None]
) -> None:
    for name in files(whole.folder):
        check(whole, name, damage)
