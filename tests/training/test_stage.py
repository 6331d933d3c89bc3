"""What every training stage does: learning rates, patience, optimisers, resuming."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from actwise.config import RlConfig, SftConfig
from actwise.desk import generate
from actwise.errors import RunError
from actwise.model.policy import Policy
from actwise.run.files import read_records
from actwise.run.folder import Run
from actwise.run.progress import Progress
from actwise.training.muon import Muon
from actwise.training.optimisers import Optimisers, suitable_rate, unrounded
from actwise.training.stage import Training, batch_of
from actwise.training.stages.sft import accumulate, direct_targets, sft_tree


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    return Policy.load(str(tiny_model_dir))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run.open(tmp_path / "run", {}, Progress(Console(quiet=True))) as run:
        yield run


def test_the_learning_rate_rises_then_falls(policy: Policy, run: Run) -> None:
    config = SftConfig(learning_rate=1.0, warmup=0.2, final=0.1)
    training = Training(run, "x", policy, config, steps=10, checkpoint_every=100, seed=0)
    rates = []
    for _ in range(10):
        rates.append(training.learning_rate())
        training.step += 1
    # Two steps up; then from 1 towards 0.1 in eight steps, of which the last is not taken.
    down = [1 - 0.9 * i / 8 for i in range(8)]
    assert rates == pytest.approx([0.5, 1.0, *down])


def patient(policy: Policy, run: Run, scores: dict[int, float], steps: int) -> Training:
    """Go through a stage with scores after some steps; its metrics hold the learning rates."""
    config = SftConfig(learning_rate=1.0, warmup=0.1, final=0.1)
    training = Training(
        run, "x", policy, config, steps=steps, checkpoint_every=1000, seed=0, patience=2
    )
    while training.step < training.end:
        training.metrics.append({"step": training.step + 1, "rate": training.learning_rate()})
        if training.step + 1 in scores:
            training.offer(scores[training.step + 1])
        training.end_step()
    return training


def rates(run: Run) -> list[float]:
    return [record["rate"] for record in read_records(run.folder / "metrics" / "x.jsonl")]


def test_patience_holds_the_rate_and_lets_it_fall_once_the_score_has_stopped_rising(
    policy: Policy, run: Run
) -> None:
    # 0.7 after step 4 is followed by two scores that are not better, the second after step 8.
    scores = {2: 0.5, 4: 0.7, 6: 0.7, 8: 0.6, 10: 0.8}
    training = patient(policy, run, scores, steps=20)
    assert training.end == 10
    assert rates(run) == pytest.approx([0.5, 1.0, 1, 1, 1, 1, 1, 1, 1.0, 1 - 0.9 / 2])
    assert (training.best_score, training.best_step) == (0.8, 9)


def test_patience_that_is_never_spent_takes_all_steps_and_still_lets_the_rate_fall(
    policy: Policy, run: Run
) -> None:
    training = patient(policy, run, {step: step / 20 for step in range(2, 21, 2)}, steps=20)
    assert training.end == 20
    # The last fifth falls.
    assert rates(run)[2:] == pytest.approx([1.0] * 14 + [1, 0.775, 0.55, 0.325])


def test_without_scores_the_latest_weights_are_kept_and_it_is_said_once(
    policy: Policy, tmp_path: Path
) -> None:
    console = Console(record=True, width=300)
    with Run.open(tmp_path / "run", {}, Progress(console)) as run:
        training = Training(
            run, "x", policy, SftConfig(), steps=6, checkpoint_every=100, seed=0, patience=1
        )
        for _ in range(6):
            for weight in policy.trainable().values():
                weight.data.fill_(training.step)
            training.offer(math.nan)
            training.end_step()
    training.finish()
    assert training.end == 6  # no patience is lost
    assert {float(weight.detach().max()) for weight in policy.trainable().values()} == {5.0}
    assert console.export_text().count("no decision of the development split") == 1


def test_patience_survives_an_interruption(policy: Policy, run: Run) -> None:
    config = SftConfig(learning_rate=1.0)

    def training() -> Training:
        return Training(run, "x", policy, config, steps=40, checkpoint_every=4, seed=0, patience=2)

    first = training()
    for _ in range(4):
        if first.step in (0, 1, 2):
            first.offer(0.5)  # never better again: spent at the third
        first.end_step()
    again = training()
    assert (again.step, again.end) == (4, first.end) == (4, 4)


def test_the_time_before_an_interruption_counts(policy: Policy, run: Run) -> None:
    def training() -> Training:
        return Training(run, "x", policy, SftConfig(), steps=8, checkpoint_every=4, seed=0)

    first = training()
    for _ in range(4):
        first.end_step()
    file = "checkpoints/x.seconds.json"
    assert first.earlier == 0 < run.read_json(file) < 600
    run.write_json(file, 1000.0)
    again = training()
    assert again.earlier == 1000
    for _ in range(4):
        again.end_step()
    assert 1000 < run.read_json(file) < 1600


def give_gradients(policy: Policy, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in policy.trainable().values():
        parameter.grad = torch.randn_like(parameter)


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest(policy: Policy) -> None:
    adamw, muon = Optimisers(policy, SftConfig(optimiser="muon"), 0.01).parts
    names = {id(p): name for name, p in policy.trainable().items()}
    of_muon = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    of_adamw = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert isinstance(muon, Muon) and isinstance(adamw, torch.optim.AdamW)
    assert of_muon | of_adamw == set(names.values()) and not of_muon & of_adamw
    assert all(name.endswith("_proj.weight") for name in of_muon)
    assert all("norm" in name or "embed" in name for name in of_adamw)


def test_adamw_alone_trains_everything(policy: Policy) -> None:
    (adamw,) = Optimisers(policy, SftConfig(), 0.01).parts
    assert sum(len(group["params"]) for group in adamw.param_groups) == len(policy.trainable())


def test_the_step_of_muon_has_the_length_of_one_of_adamw(policy: Policy, run: Run) -> None:
    config = SftConfig(optimiser="muon", learning_rate=0.01, warmup=0.0)
    training = Training(run, "x", policy, config, steps=10, checkpoint_every=100, seed=0)
    name = "model.layers.0.mlp.up_proj.weight"
    before = policy.trainable()[name].detach().clone()
    give_gradients(policy, 1)
    training.update(1.0)
    moved = policy.trainable()[name].detach() - before
    # Root mean square 0.2 times the rate (arXiv:2502.16982, equation 4); the orthogonal factor is
    # found by five steps of an iteration that leaves singular values between 0.7 and 1.2.
    assert moved.square().mean().sqrt().item() / 0.01 == pytest.approx(0.2, rel=0.3)
    values = torch.linalg.svdvals(moved)
    assert values.max() / values.min() < 2


def test_muon_goes_on_after_an_interruption_as_if_there_had_been_none(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    config = SftConfig(optimiser="muon", learning_rate=0.01)

    def train(folder: Path, *stops: int) -> dict[str, torch.Tensor]:
        for stop in stops:
            policy = Policy.load(str(tiny_model_dir))
            with Run.open(folder, {}, Progress(Console(quiet=True))) as run:
                run.begin()
                training = Training(run, "x", policy, config, steps=4, checkpoint_every=1, seed=0)
                while training.step < stop:
                    give_gradients(policy, training.step)
                    training.update(1.0)
                    training.end_step()
        return policy.weights()

    whole, resumed = train(tmp_path / "a", 4), train(tmp_path / "b", 2, 4)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 3))
def test_batches_hold_every_item_once_an_epoch(size: int, count: int, seed: int) -> None:
    items = list(range(count))
    drawn = [i for step in range(count) for i in batch_of(items, size, step, seed)]
    assert len(drawn) == size * count
    epochs = [drawn[i : i + count] for i in range(0, len(drawn), count)]
    assert all(sorted(epoch) == items for epoch in epochs)
    assert drawn == [i for step in range(count) for i in batch_of(items, size, step, seed)]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(batch_of(range(20), 20, step, seed)) for step in (0, 1) for seed in (0, 1)}
    assert len(orders) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_or_gradient_that_is_no_number_stops_the_stage_before_any_weight_changes(
    policy: Policy, run: Run, value: float
) -> None:
    before = policy.weights()
    training = Training(
        run, "sft", policy, SftConfig(learning_rate=0.5), steps=9, checkpoint_every=2, seed=0
    )
    for _ in range(3):
        give_gradients(policy, training.step)
        training.update(1.0)
        training.end_step()
    before = policy.weights()
    give_gradients(policy, 3)
    with pytest.raises(RunError, match=r"sft: in step 4 the loss became no number") as caught:
        training.update(value)
    give_gradients(policy, 3)
    next(iter(policy.trainable().values())).grad.view(-1)[5] = value  # type: ignore[union-attr]
    with pytest.raises(RunError, match=r"in step 4 the gradient became no number"):
        training.update(1.0)
    assert "the weights of step 2 are kept" in str(caught.value)
    assert "lower sft.learning_rate, which is 0.5, or sft.max_grad_norm" in str(caught.value)
    assert all(torch.equal(before[name], w) for name, w in policy.weights().items())
    kept = torch.load(run.folder / "checkpoints" / "sft.pt", weights_only=True)
    assert kept["step"] == 2 and all(w.isfinite().all() for w in kept["weights"].values())


def test_weights_that_become_no_numbers_are_not_saved(policy: Policy, run: Run) -> None:
    config = SftConfig(learning_rate=1, warmup=0, weight_decay=1e300)
    training = Training(run, "sft", policy, config, steps=1, checkpoint_every=1, seed=0)
    give_gradients(policy, 0)
    with pytest.raises(RunError, match=r"in step 1 the weights became no number"):
        training.update(1.0)
    assert not (run.folder / "checkpoints").exists()


def test_a_later_round_is_told_settings_that_there_are(policy: Policy, run: Run) -> None:
    training = Training(run, "rl_2", policy, RlConfig(), steps=9, checkpoint_every=20, seed=0)
    give_gradients(policy, 0)
    with pytest.raises(
        RunError, match=r"^rl_2: .*; lower rl\.learning_rate.* or rl\.max"
    ) as caught:
        training.update(math.nan)
    assert "weights of step" not in str(caught.value)  # none was kept yet


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_small_steps_add_up_in_weights_of_bfloat16(
    optimiser: Literal["adamw", "muon"], policy: Policy, run: Run
) -> None:
    matrix = "model.layers.0.mlp.up_proj.weight"
    config = SftConfig(optimiser=optimiser, learning_rate=1e-5, warmup=0.0)
    policy.set_weights({n: w.bfloat16().float() for n, w in policy.weights().items()})
    rounded = copy.deepcopy(policy)
    rounded.model.bfloat16()
    for parameter in rounded.trainable().values():
        parameter.grad_dtype = torch.float32
    before = policy.weights()[matrix]

    def trained(one: Policy, name: str) -> Tensor:
        training = Training(run, name, one, config, steps=100, checkpoint_every=1000, seed=0)
        for _ in range(100):
            torch.manual_seed(0)  # always the same direction
            for parameter in one.trainable().values():
                parameter.grad = torch.randn(parameter.shape)
            training.update(1.0)
            training.end_step()
        return one.weights()[matrix].float() - before

    exact, ours = trained(policy, "float32"), trained(rounded, "bfloat16")
    # Lost are where it begins and the last rounding, half a distance of two numbers each.
    assert (exact - ours).abs().max() <= 2**-7 * (before + exact).abs().max()
    assert 0.9 < torch.linalg.vecdot(exact.flatten(), ours.flatten()) / exact.norm() ** 2 < 1.1


def test_weights_before_rounding_survive_an_interruption(policy: Policy, run: Run) -> None:
    policy.model.bfloat16()
    for parameter in policy.trainable().values():
        parameter.grad_dtype = torch.float32
    config = SftConfig(learning_rate=1e-5, warmup=0.0)

    def step(training: Training) -> None:
        for parameter in policy.trainable().values():
            parameter.grad = torch.full(parameter.shape, 0.01)
        training.update(1.0)
        training.end_step()

    def training() -> Training:
        return Training(run, "x", policy, config, steps=100, checkpoint_every=10, seed=0)

    start = policy.weights()
    first = training()
    for _ in range(20):
        step(first)
    without = policy.weights()
    policy.set_weights(start)
    second = training()  # goes on after step 20: taken from the checkpoint, not from these weights
    assert second.step == 20
    assert all(torch.equal(w, without[n]) for n, w in policy.weights().items())
    for _ in range(5):
        step(second)
    ended = policy.weights()
    policy.set_weights(without)
    for _ in range(5):
        step(first)
    assert all(torch.equal(w, ended[n]) for n, w in policy.weights().items())


def test_at_a_small_rate_bfloat16_learns_as_much_as_float32(policy: Policy, run: Run) -> None:
    rounded = copy.deepcopy(policy)
    rounded.model.bfloat16()
    for parameter in rounded.trainable().values():
        parameter.grad_dtype = torch.float32
    trees = [sft_tree(policy.template, of_one) for of_one in direct_targets(generate("train", 1))]
    config = SftConfig(learning_rate=2e-5, warmup=0.0, final=1.0)

    def learned(one: Policy, name: str) -> float:
        training = Training(run, name, one, config, steps=30, checkpoint_every=1000, seed=0)
        losses = []
        for _ in range(30):
            losses.append(accumulate(one, trees, 2048))
            training.update(losses[-1])
            training.end_step()
        return losses[0] - losses[-1]

    exact = learned(policy, "float32")
    assert exact > 0.05
    assert learned(rounded, "bfloat16") == pytest.approx(exact, rel=0.1)


def test_the_rate_follows_the_number_of_parameters_and_what_is_trained(
    tiny_model_dir: Path,
) -> None:
    frozen = Policy.load(str(tiny_model_dir), train_embeddings=False)  # as runs have it
    adapters = Policy.load(str(tiny_model_dir), lora_rank=4)
    muon = SftConfig(optimiser="muon")
    assert suitable_rate(frozen, SftConfig()) == 1e-3
    assert suitable_rate(Policy.load(str(tiny_model_dir)), SftConfig()) == 1e-3
    assert suitable_rate(frozen, muon) == pytest.approx(5e-3)
    assert suitable_rate(adapters, RlConfig()) == pytest.approx(1e-3)
    larger = LlamaForCausalLM(
        LlamaConfig(vocab_size=64, hidden_size=1024, intermediate_size=1, num_hidden_layers=2)
    )  # 131,072 in two embeddings, 1,024 in the last norm, 4,199,424 in each layer
    rate = suitable_rate(Policy(larger, frozen.template), SftConfig())
    assert rate == pytest.approx(1e-3 * (2e6 / 8_530_944) ** 0.5)


def test_rounded_weights_follow_from_the_first_step_on() -> None:
    torch.manual_seed(0)
    weight = torch.cat([torch.randn(20_000), 2.0 ** torch.arange(-8, 8), torch.zeros(3)]).bfloat16()
    exact = unrounded(weight, torch.Generator().manual_seed(1))
    assert torch.equal(exact.bfloat16(), weight)
    assert exact.isfinite().all() and (exact[-3:] == 0).all()
    # Moved by a tenth of the distance of two numbers, one in ten rounds to the next one.
    distance = 2.0 ** (weight[:20_000].float().abs().log2().floor() - 7)
    moved = (exact[:20_000] + 0.1 * distance).bfloat16() - weight[:20_000]
    assert (moved != 0).float().mean().item() == pytest.approx(0.1, abs=0.01)
