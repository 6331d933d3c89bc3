"""What is compared computes the same, takes turns, and is counted as by hand."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from actwise.bench import contest, limits, memory, ours, parts, peers, rows
from actwise.bench.contest import Bench
from actwise.bench.measure import Request, run_benchmark
from actwise.bench.report import page, table
from actwise.bench.shapes import SHAPES, Shape, Workload, build_model, compose, pool_of, workload
from actwise.bench.timing import Seconds, Timing, interleaved
from actwise.cli.bench import _PARTS, _SHAPES
from actwise.config import RunConfig
from actwise.conversation import Conversation, Decision
from actwise.engine.rollouts import Group, Sample
from actwise.errors import ConfigError, RunError
from actwise.model.memory import tensor_peak
from actwise.model.policy import Policy
from actwise.run.progress import Progress
from actwise.template.render import Template
from actwise.tree.forest import Forest
from actwise.tree.layout import lay_out

DEVICE = torch.device("cpu")
TINY: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    build_model(Shape("tiny", TINY, completion_tokens=5), folder)
    return folder


@pytest.fixture(scope="module")
def policy(folder: Path) -> Policy:
    return Policy.load(str(folder))


@pytest.fixture(scope="module")
def work(policy: Policy) -> Workload:
    """Two conversations of which each decision is completed four times."""
    return workload(policy, pool_of((), 0)[:2], num_generations=4, completion_tokens=5)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {n.removeprefix("module."): p.grad.clone() for n, p in model.named_parameters()}


# --- the same work ----------------------------------------------------------------------------


def samples_of(group: Group) -> list[Sample]:
    return [rollout.sample for rollout in group.rollouts]


def beginning_alike(folder: Path, work: Workload) -> Workload:
    """Return the work with completions of which two are equal and a third begins as they do."""
    model = peers.load_model(folder, DEVICE)

    @torch.no_grad()
    def alike(prompt: tuple[int, ...], group: list[Sample]) -> tuple[Sample, ...]:
        first, _, third, last = group
        tokens = (*first.token_ids[:3], *third.token_ids[3:])
        row = torch.tensor([[*prompt, *tokens]])
        logprobs = model(input_ids=row).logits[0, -6:-1].log_softmax(-1)
        own = logprobs[torch.arange(5), row[0, -5:]].tolist()
        return first, first, replace(third, token_ids=tokens, logprobs=tuple(own)), last

    return replace(
        work, groups=tuple(g.with_samples(alike(g.prompt, samples_of(g))) for g in work.groups)
    )


@pytest.mark.slow
@pytest.mark.parametrize("alike", [False, True])
def test_updates_have_the_same_gradient(
    folder: Path, policy: Policy, work: Workload, alike: bool
) -> None:
    """Ours, row by row in plain transformers, and TRL's loss, which knows neither of them."""
    pytest.importorskip("trl", reason="TRL comes with the extra `bench`")
    work = beginning_alike(folder, work) if alike else work
    config = RunConfig(max_batch_tokens=512)
    ours.Update(policy, work, config, policy.weights())()
    expected = gradients(policy.model)
    assert max(g.abs().max() for g in expected.values()) > 0

    model = peers.load_model(folder, DEVICE)
    rows.Update(model, work, config)()
    trl = peers.TrlUpdate(folder, work, config, DEVICE)
    trl()
    for found in (gradients(model), gradients(trl.model)):
        assert found.keys() == expected.keys()
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-6)


def test_supervised_gradients_are_the_same(folder: Path, policy: Policy, work: Workload) -> None:
    tree = ours.Sft(policy, work, RunConfig())
    tree()
    model = peers.load_model(folder, DEVICE)
    rows.Sft(model, tree.trees)()
    expected = gradients(policy.model)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-6)


def test_sampling_completes_the_same_prompts_as_often(
    folder: Path, policy: Policy, work: Workload
) -> None:
    config = RunConfig()
    sampled = ours.sample(policy, work, config.rl, max_tokens=5)
    lengths = [len(s.token_ids) for group in sampled.groups for s in samples_of(group)]
    assert lengths == [5] * (work.num_decisions * 4)
    for cache in (None, "static"):
        generate = peers.Generate(peers.load_model(folder, DEVICE), work, config, cache)
        batches = generate()
        assert sum(len(batch) for batch in batches) == work.num_decisions * 4
        starts = {tuple(row[:-5][row[:-5] != 0].tolist()) for batch in batches for row in batch}
        assert starts == {group.prompt for group in work.groups}


@pytest.mark.slow
def test_a_step_of_trl_takes_the_whole_workload(
    folder: Path, work: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    trl = pytest.importorskip("trl", reason="TRL comes with the extra `bench`")
    scored: list[torch.Tensor] = []
    loss = trl.GRPOTrainer._compute_loss

    def watched(self: Any, model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        scored.append(inputs["completion_mask"])
        value: torch.Tensor = loss(self, model, inputs)
        return value

    monkeypatch.setattr(trl.GRPOTrainer, "_compute_loss", watched)
    step = peers.trl_step(folder, work, RunConfig(), DEVICE)
    scored.clear()  # before it, steps are tried
    assert step().wall > 0
    assert [mask.shape for mask in scored] == [(4, 5)] * work.num_decisions


def test_trl_may_sample_few_or_many_decisions_together(work: Workload) -> None:
    """Of each number all steps are whole, or TRL would compute the old log-probs once more."""
    tried = peers.decisions_at_once(work, DEVICE)
    assert tried[0] == 1
    assert all(work.num_decisions % number == 0 for number in tried)
    assert peers.decisions_at_once(work, torch.device("cuda")) == [work.num_decisions]


def test_another_trl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.17.0")
    with pytest.raises(ConfigError, match=r"TRL 1\.17\.0 is installed, not 1\.16"):
        peers.trl_missing()


def test_a_missing_trl_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise peers.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    assert "actwise[bench]" in (peers.trl_missing() or "")


# --- shapes -----------------------------------------------------------------------------------


def test_a_composed_conversation_is_as_long_as_asked(folder: Path) -> None:
    template = Template.load(str(folder))
    conversation = compose(template, pool_of((), 0), tokens=2000, decisions=8)
    prompts = [template.prompt(d, thinking=True) for d in conversation.decisions()]
    assert len(prompts) == 8
    assert 2000 < len(prompts[0]) < 2700
    assert [m.role for m in conversation.messages].count("system") == 1


def test_a_part_of_a_workload(work: Workload) -> None:
    part = work.part([0, 2], 3)
    assert part.num_decisions == 2 and part.num_generations == 3
    assert [g.prompt for g in part.groups] == [work.groups[0].prompt, work.groups[2].prompt]
    assert samples_of(part.groups[1]) == samples_of(work.groups[2])[:3]


def test_rows_at_once_are_what_the_device_has_room_for() -> None:
    def rows_at_once(
        prompt: int, num_generations: int, device: str, most: int | None = None
    ) -> int:
        samples = [Sample((1,) * 96, (0.0,) * 96, "length")] * num_generations
        group = Group(Decision(Conversation(id="one", messages=()), 0), (1,) * prompt)
        one = Workload((group.with_samples(samples),), texts=(), rows=most)
        return rows.micro_batch(one, torch.device(device))

    # On a CPU 8 at most; on a GPU as many as have 8,192 tokens; always a divisor of the group.
    assert [rows_at_once(4000, g, "cpu") for g in (4, 8, 12, 16)] == [4, 8, 6, 8]
    assert [rows_at_once(4000, g, "cpu", 3) for g in (4, 8, 12)] == [2, 2, 3]
    assert [rows_at_once(4000, g, "cuda") for g in (2, 8, 9)] == [2, 2, 1]
    assert rows_at_once(1904, 8, "cuda") == 4
    assert rows_at_once(1904, 8, "cuda", 3) == 2
    assert rows_at_once(9000, 8, "cuda") == 1


# --- timing -----------------------------------------------------------------------------------


def test_contestants_take_turns() -> None:
    order: list[str] = []
    seconds = itertools.count(1.0)

    def contestant(name: str) -> Any:
        def run() -> Seconds:
            order.append(name)
            return Seconds(next(seconds), 0.5)

        return run

    shown: list[int] = []
    timings = interleaved({name: contestant(name) for name in "abc"}, 3, shown.append)
    assert "".join(order) == "abcbcacab"
    assert shown == list(range(1, 10))
    assert timings["a"] == Timing((Seconds(1, 0.5), Seconds(6, 0.5), Seconds(8, 0.5)))
    # 1, 6, 8 against 2, 4, 9: halves, one and a half, eight ninths.
    assert timings["a"].times(timings["b"]) == 8 / 9
    assert timings["a"].columns() == {
        "median s": 6.0,
        "fastest s": 1.0,
        "slowest s": 8.0,
        "CPU s": 0.5,
    }


# --- counts -----------------------------------------------------------------------------------

SMALL = limits.Dimensions(
    layers=2, hidden=4, intermediate=6, heads=2, kv_heads=1, head_dim=3, vocabulary=10, item=4
)


def test_operations_and_bytes_by_hand() -> None:
    # Queries 4x6, keys and values 4x3 each, output 6x4; gate, up, down 4x6 each.
    assert SMALL.layer_weights == 24 + 12 + 12 + 24 + 72
    assert SMALL.weight_bytes == 4 * (2 * 144 + 40)
    assert SMALL.kv_bytes == 2 * 2 * 3 * 4
    # Seven tokens through two layers, two distributions; each pair: 2 heads, 3 products twice.
    linear, head, attention = 2 * 2 * 144 * 7, 2 * 40 * 2, 2 * 2 * (2 * 3 + 2 * 3) * 11
    assert SMALL.flops(7, 2, 11) == linear + head + attention
    cost = limits.update_cost(SMALL, limits.Tokens(7, 2, 11), passes=1, reference=False)
    assert cost.flops == 3 * (linear + head + attention)


def test_operations_are_those_that_torch_counts(policy: Policy, folder: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model = peers.load_model(folder, DEVICE)
    model.set_attn_implementation("eager")  # whose products torch sees
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.arange(12)[None], use_cache=False)
    # Eager attention computes the masked half, too, so all 12 x 12 pairs count.
    ours_counted = limits.Dimensions.of(model.config, model.dtype).flops(12, 12, 144)
    rotary = 2 * 4 * 12  # the angles: half a head for each token
    assert counter.get_total_flops() - ours_counted in (0, rotary)


def test_tokens_of_trees_are_those_of_the_layout(work: Workload) -> None:
    forest = Forest()
    for tree, groups in enumerate(work.conversations):
        forest.insert_all([group.prompt for group in groups], tree=tree)
        for group in groups:
            for sample in samples_of(group):
                forest.insert([*group.prompt, *sample.token_ids], tree=tree)
    counted = limits.tree_tokens(work)
    assert counted.computed == forest.num_tokens
    assert counted.scored == work.num_decisions * 4 * 5
    assert counted.pairs == int(lay_out(forest).visible().sum())


def test_tokens_of_rows_and_of_decoding() -> None:
    samples = [Sample((7, last), (0.0, 0.0), "length") for last in (8, 9)]
    conversation = Conversation(id="one", messages=())
    one = Workload(
        tuple(
            Group(Decision(conversation, 0), prompt).with_samples(samples)
            for prompt in ((1, 2, 3), (1, 2, 3, 4))
        ),
        texts=(),
    )
    # Rows of 5, 5, 6 and 6 tokens; a row of n tokens has n (n + 1) / 2 pairs.
    assert limits.row_tokens(one) == limits.Tokens(22, 8, 2 * 15 + 2 * 21)
    # A trunk of 4; after each prompt a token that sees 3 + 1 or 4 + 1, and two that see one more.
    assert limits.tree_tokens(one) == limits.Tokens(10, 6, 10 + (4 + 2 * 5) + (5 + 2 * 6))
    # One step of two rows, as completions are equal so far; they see 4 and 5 tokens, and the step
    # reads the keys of the trunk and of two tokens.
    decoding = limits.decode_cost(SMALL, one)
    assert decoding == limits.Cost(SMALL.flops(2, 2, 9), SMALL.weight_bytes + 6 * SMALL.kv_bytes)


def test_the_limit_is_the_slower_of_computing_and_copying() -> None:
    machine = limits.Machine(matmul=100.0, model_matmul=50.0, copy=10.0, side=1)
    assert machine.seconds(limits.Cost(flops=200, bytes=10)) == 2
    assert machine.seconds(limits.Cost(flops=200, bytes=50)) == 5


# --- threads ----------------------------------------------------------------------------------


def test_each_contestant_has_the_threads(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(contest, "fastest_threads", lambda policy, threads: threads // 2)
    bench = Bench(SHAPES["desk"], folder, DEVICE, 1, 1, (), Progress(Console(quiet=True)), False, 4)
    seen = []
    for prepare in (bench.own, bench.peer):
        prepare(lambda: seen.append(torch.get_num_threads()))()
    torch.set_num_threads(before)
    assert seen == [2, 4]
    assert bench.policy.workers == bench.new_policy().workers == 2


# --- memory -----------------------------------------------------------------------------------


def test_the_peak_of_tensors_is_that_of_those_alive_together() -> None:
    def work() -> None:
        one = torch.empty(3 << 20, dtype=torch.uint8)
        del one
        two, three = (torch.empty(2 << 20, dtype=torch.uint8) for _ in range(2))
        del two, three

    assert tensor_peak(work) == 4 << 20


# --- the command ------------------------------------------------------------------------------


def test_the_command_offers_what_there_is() -> None:
    assert set(_PARTS) == set(parts.PARTS)
    assert set(_SHAPES) == set(SHAPES)


@pytest.fixture
def tiny_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "desk", Shape("desk", TINY, completion_tokens=4, num_generations=2))


def run(
    out: Path,
    *names: str,
    conversations: int = 1,
    shapes: Any = ("desk",),
    **options: Any,
) -> dict[str, Any]:
    request = Request(conversations, repeats=1, device="cpu", logs=None, **options)
    return run_benchmark(
        out,
        names,
        shapes,
        request,
        threads=1,
        command="actwise bench",
        console=Console(quiet=True),
    )


@pytest.mark.usefixtures("tiny_shape")
def test_measured_parts_are_written_and_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bench"
    run(out, "sft", "rollout", shapes=["desk", "large"])
    monkeypatch.setattr(Bench, "time", lambda *_: pytest.fail("measured again"))
    found = run(out, "sft")
    assert [r["part"] for r in found["records"]] == ["sft", "rollout"]
    assert found["not_measured"] == {"large": "needs a GPU (--device cuda)"}
    assert json.loads((out / "bench.json").read_text()) == found
    text = (out / "bench.md").read_text()
    assert "## rollout, desk" in text and "| generate, static cache |" in text
    assert "large: needs a GPU" in text
    with pytest.raises(RunError, match="with other options"):
        run(out, "sft", conversations=2)


@pytest.mark.usefixtures("tiny_shape")
def test_rows_of_peers_can_be_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def growth(task: memory.Task) -> memory.Growth:
        seen.append(rows.micro_batch(task.work, DEVICE))
        return memory.Growth(1, 1)

    monkeypatch.setattr(memory, "peak_growth", growth)
    (record,) = run(tmp_path, "memory", rows=1)["records"]
    assert set(seen) == {1} and record["notes"][1].endswith("of 1 rows elsewhere")


@pytest.mark.usefixtures("tiny_shape")
def test_limits_of_adapters_on_weights_of_bfloat16(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", "limits", dtype="bfloat16")["records"][0]["rows"]
    found = run(tmp_path / "lora", "limits", dtype="bfloat16", lora_rank=4)
    (update, *sampling), (of_all, *others) = found["records"][0]["rows"], whole
    # Without gradients of the weights two products of three are left, but no fewer are sampled.
    assert update["GFLOP"] == pytest.approx(2 / 3 * of_all["GFLOP"], rel=0.05)
    assert [row["GFLOP"] for row in sampling] == pytest.approx(
        [row["GFLOP"] for row in others], rel=0.2
    )
    assert found["request"]["dtype"] == "bfloat16"
    with pytest.raises(ConfigError, match="--lora-rank is for limits and rollout"):
        run(tmp_path / "lora", "update", "limits", lora_rank=4)


@pytest.mark.usefixtures("tiny_shape")
def test_muon_is_timed_beside_torchs_on_the_matrices_of_the_layers(tmp_path: Path) -> None:
    (record,) = run(tmp_path, "optimiser")["records"]
    assert [row["contestant"] for row in record["rows"]] == ["ours", "torch's Muon", "AdamW"]
    # Of each of two layers 32 x 32 and 16 x 32 twice (attention), 64 x 32 three times.
    assert record["notes"][0].startswith("14 matrices of the layers, 18,432 numbers")


@pytest.mark.usefixtures("tiny_shape")
def test_completions_are_those_of_a_given_model(tmp_path: Path, folder: Path) -> None:
    sure = Policy.load(str(folder))
    with torch.no_grad():  # so that all completions of a decision are the likeliest
        sure.model.model.norm.weight.mul_(10_000)
    sure.save(tmp_path / "sure")
    found = run(tmp_path / "bench", "rollout", model=str(tmp_path / "sure"))
    decisions = pool_of((), 0)[0].decisions()
    trunk = max(len(sure.template.prompt(d, thinking=True)) for d in decisions)
    (note,) = found["records"][0]["notes"]
    assert f"; {trunk + 4 * len(decisions):,} tokens as trees" in note
    assert f"Completions are those of `{tmp_path / 'sure'}`." in page(found)
    with pytest.raises(RunError, match="with other options"):
        run(tmp_path / "bench", "rollout")


@pytest.mark.usefixtures("tiny_shape")
def test_limits_and_growth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib comes with the extra `bench`")
    monkeypatch.setattr(parts, "GENERATIONS", (2, 4))
    monkeypatch.setattr(limits, "machine", lambda *_: limits.Machine(1e11, 1e11, 1e10, 2048))
    found = run(tmp_path, "limits", "scaling")
    by_part = {record["part"]: record for record in found["records"]}
    assert [row["phase"] for row in by_part["limits"]["rows"]] == [
        "update",
        "sampling: trunks",
        "sampling: decoding",
    ]
    assert by_part["limits"]["profile"][0]["share"] > 0
    growth = by_part["scaling"]["rows"]
    tokens = {(r["axis"], r["number"], r["contestant"]): r["tokens"] for r in growth}
    # Each decision has two completions of four tokens; the last one's prompt is always there.
    more = tokens["decisions", 12, "ours"] - tokens["decisions", 1, "ours"]
    assert more == 11 * 2 * 4
    assert "<svg" in (tmp_path / by_part["scaling"]["plot"]).read_text()


@pytest.mark.usefixtures("tiny_shape")
def test_what_follows_the_limits_has_all_workers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(contest, "fastest_threads", lambda policy, threads: 1)
    monkeypatch.setattr(limits, "machine", lambda *_: limits.Machine(1e11, 1e11, 1e10, 2048))
    bench = Bench(SHAPES["desk"], folder, DEVICE, 1, 1, (), Progress(Console(quiet=True)), False, 2)
    parts.machine_limits(bench)
    torch.set_num_threads(before)
    assert bench.policy.workers == 2


def test_the_page_writes_numbers_to_be_read() -> None:
    assert table([{"a": 1234, "b": 0.12345, "c": 5678.9, "d": True, "e": "x"}])[2] == (
        "| 1,234 | 0.123 | 5,679 | yes | x |"
    )
    empty = {
        "machine": {"versions": {}, "cores": 1, "threads": 1, "device": "cpu", "actwise": "0"},
        "command": "actwise bench",
        "records": [],
        "not_measured": {},
        "request": {"model": None},
    }
    assert "## Aims" not in page(empty)


def test_progress_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Console(stderr=True))
    bench = Bench(SHAPES["desk"], tmp_path, DEVICE, 1, 2, (), progress, False, 1)
    bench.time("update", {"a": lambda: Seconds(1, 1), "b": lambda: Seconds(2, 2)})
    assert "update desk" in capsys.readouterr().err
