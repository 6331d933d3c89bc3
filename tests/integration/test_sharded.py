"""Processes that divide the weights compute what one does, and go on from whatever happens."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from integration.test_processes import SHORT, check_equal_figures
from runs import Runner, check_same_end, files, fork_server, write_logs


@pytest.fixture(scope="module")
def runner(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Runner]:
    """Makes runners of one short run."""
    folder = tmp_path_factory.mktemp("sharded")
    write_logs(folder / "logs.jsonl")

    def make(name: str, **changes: object) -> Runner:
        given = SHORT | {"model.sharded": "true"}
        given |= {key.replace("__", "."): value for key, value in changes.items()}
        return Runner(fork_server(), tiny_model_dir, folder / "logs.jsonl", folder / name, given)

    return make


@pytest.fixture(scope="module")
def both(runner: Callable[..., Runner]) -> Path:
    """The folder of a run that two processes have made without interruption."""
    made = runner("both")
    assert made.together(2) == [0, 0], made.log_of(0).read_text() + made.log_of(1).read_text()
    return made.folder


@pytest.mark.slow
def test_two_processes_find_what_one_does(both: Path, runner: Callable[..., Runner]) -> None:
    alone = runner("alone", model__sharded="false")
    assert alone() == 0
    assert files(both) == files(alone.folder)
    check_equal_figures(both, alone.folder)
    # Where few groups are live, Adam takes a few weights up to its rate, 0.003, in each of three
    # steps, by gradients that are little more than rounding.
    for name, few, fewest, most in (
        ("checkpoints/rl.pt", 0.005, 1e-4, 0.009),
        ("checkpoints/sft.pt", 0, 0, 1e-4),
    ):
        one, other = (
            torch.load(f / name, weights_only=True)["weights"] for f in (both, alone.folder)
        )
        assert one.keys() == other.keys()
        apart = torch.cat(
            [(one[k] - other[k]).abs().sub(1e-3 * one[k].abs()).flatten() for k in one]
        )
        assert (apart > 1e-4).double().mean() <= few
        assert (apart > 1e-3).double().mean() <= fewest
        assert apart.max() <= most


SETTINGS = {
    "adapters": {"model__lora_rank": 4, "model__train_embeddings": "false"},
    "average": {
        "rl__anchor__kind": "average",
        "rl__kl_coefficient": 0.02,
        "model__checkpointing": "true",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_so_they_do_with_other_settings(name: str, runner: Callable[..., Runner]) -> None:
    two, alone = runner(name, **SETTINGS[name]), runner(f"{name}-alone", **SETTINGS[name])
    assert two.together(2) == [0, 0], two.log_of(0).read_text() + two.log_of(1).read_text()
    assert alone() == 0  # one process alone has nobody to divide with
    assert files(two.folder) == files(alone.folder)
    check_equal_figures(two.folder, alone.folder)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_run_goes_on_from_a_killed_process(
    victim: int, both: Path, runner: Callable[..., Runner]
) -> None:
    killed = runner(f"killed-{victim}")
    begun = killed.folder / "metrics" / ("rl.jsonl" if victim else "think.jsonl")
    codes = killed.together(2, begun.exists, victim=victim)
    assert codes == [-signal.SIGKILL, 2][:: 1 if victim == 0 else -1]
    (said,) = killed.log_of(1 - victim).read_text().splitlines()[-1:]
    assert said.startswith("actwise: another process of this run has ended")
    assert killed.together(2) == [0, 0]
    check_same_end(killed.folder, both)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_another_number_goes_on(count: int, both: Path, runner: Callable[..., Runner]) -> None:
    changed = runner(f"changed-{count}")
    begun = changed.folder / "metrics" / "rl.jsonl"
    changed.together(2, begun.exists, victim=1)
    assert not (changed.folder / "results.json").exists()
    assert (changed.together(count) if count > 1 else [changed()]) == [0] * count
    check_equal_figures(changed.folder, both)


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"rl__optimiser": "muon"}, {"model__dtype": "bfloat16"}])
def test_what_cannot_be_divided_is_refused(
    change: dict[str, str], runner: Callable[..., Runner]
) -> None:
    refused = runner(next(iter(change)), **change)
    assert refused.together(2) == [2, 2]
    (said,) = refused.log_of(0).read_text().splitlines()[-1:]
    assert said.startswith("actwise: model.sharded: divides weights in float32 that AdamW moves")
