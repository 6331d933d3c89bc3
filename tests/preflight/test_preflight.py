"""The preflight, on a random model: what is refused, what is measured, and that nothing stays."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from rich.console import Console

from actwise.cli.preflight import preflight as preflight_command
from actwise.config import RunConfig, load_config
from actwise.conversation import Conversation, Message, ToolCall
from actwise.data.prepare import Prepared
from actwise.data.split import Splits
from actwise.errors import InputError
from actwise.findings.finding import Finding
from actwise.model import checkpointing
from actwise.model.policy import Policy
from actwise.preflight import Preflight, preflight
from actwise.preflight.estimate import Estimate, cost_findings, estimate
from actwise.preflight.targets import distribution, probe_findings, probe_reward, render_targets
from actwise.preflight.trial import Speeds, try_out
from actwise.rewards.settings import JudgeConfig
from actwise.run.progress import Progress
from actwise.template.render import Template

TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}},
    },
}
QUIET = Console(quiet=True)
SMALL = (
    "evaluate.thought_tokens=16",
    "rl.num_generations=2",
    "rl.conversations_per_step=2",
    "model.threads=1",
)


def conversation(name: str, answer: str = "") -> Conversation:
    """Return one with two decisions: a call and an answer."""
    find = ToolCall(name="find", arguments={"id": name}, id="c1")
    return Conversation(
        id=name,
        source=f"log.jsonl:{name}",
        tools=(TOOL,),
        messages=(
            Message(role="user", content=f"Where is {name}?"),
            Message(role="assistant", tool_calls=(find,)),
            Message(role="tool", content="12 km", tool_call_id="c1"),
            Message(role="assistant", content=answer or f"{name} is {name[1:]} km away."),
        ),
    )


def splits(*answers: str) -> Splits:
    made = [conversation(f"W{n}", *answers[n : n + 1]) for n in range(6)]
    return Splits(made[:4], made[4:5], {"test": made[5:]})


def examine(model: Path, given: Splits, *settings: str, with_model: bool = False) -> Preflight:
    config = load_config(None, [*SMALL, *settings])
    return preflight(
        str(model),
        Prepared(given, [], []),
        config,
        decisions=4,
        with_model=with_model,
        out=Path("runs/none"),
        console=QUIET,
    )


def others(found: Preflight) -> list[Finding]:
    """Return what is found besides that one conversation is little to choose checkpoints by."""
    return [finding for finding in found.findings if finding.code != "few_to_choose_by"]


def codes(found: Preflight) -> dict[str, str]:
    return {finding.code: finding.severity for finding in others(found)}


def test_a_distribution_counts_the_ends_apart() -> None:
    found = distribution([0, 0, 0.1, 0.2, 0.79, 0.8, 0.99, 1])
    assert found.count == 8
    assert found.mean == pytest.approx(0.485)
    assert found.histogram == [2, 1, 1, 0, 1, 2, 1]


# --- targets and rewards ------------------------------------------------------------------------


def test_good_logs_pass(tiny_model_dir: Path) -> None:
    found = examine(tiny_model_dir, splits())
    assert not found.refused
    assert others(found) == []
    assert found.conversations == {"train": 4, "dev": 1, "test": 1}
    assert found.decisions == 12
    assert set(found.rewards) == {"direct", "thinking"}
    for probes in found.rewards.values():
        assert probes.gold.histogram == [0, 0, 0, 0, 0, 0, 12]
        assert probes.empty.histogram == [12, 0, 0, 0, 0, 0, 0]
        assert probes.shuffled is not None and probes.shuffled.histogram[-1] == 0
    assert found.not_examined == ["the model's samples, time and memory (--no-model)"]


def test_trained_tokens_are_the_action_and_its_stop_token(tiny_tokenizer_dir: Path) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    targets = render_targets(template, [conversation("W7")], thinking=False)
    call, answer = (template.tokenizer.decode(t.token_ids) for t in targets.trained)
    assert answer == "W7 is 7 km away.<|im_end|>"
    assert call == (
        '<tool_call>\n{"name": "find", "arguments": {"id": "W7"}}\n</tool_call><|im_end|>'
    )
    assert targets.faults == {}


def test_a_stop_token_that_is_not_trained_is_found(tiny_tokenizer_dir: Path) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    template.stop_token_ids = (template.tokenizer.convert_tokens_to_ids("<|endoftext|>"),)
    targets = render_targets(template, [conversation("W7")], thinking=False)
    assert targets.faults["stop_not_trained"].count == 2


def test_a_stop_token_within_an_answer_is_text(tiny_model_dir: Path) -> None:
    found = examine(tiny_model_dir, splits("Wait.<|im_end|> It is 12 km."))
    # Nothing stops within it; but the parser takes it for a tag, so the record earns nothing.
    assert "stop_inside" not in codes(found)
    assert codes(found)["gold_not_rewarded"] == "error"
    template = Template.load(str(tiny_model_dir))
    (_, answer) = render_targets(
        template, [conversation("W0", "Wait.<|im_end|> It is 12 km.")], thinking=False
    ).trained
    stops = [i for i, token in enumerate(answer.token_ids) if token in template.stop_token_ids]
    assert stops == [len(answer.token_ids) - 1]
    assert template.decode(answer.token_ids).strip() == "Wait.<|im_end|> It is 12 km."


def test_recorded_actions_that_earn_nothing_are_refused(tiny_model_dir: Path) -> None:
    given = splits()
    mute = conversation("W0").model_copy(
        update={"messages": (*conversation("W0").messages[:3], Message(role="assistant"))}
    )
    given.train[0] = mute
    found = examine(tiny_model_dir, given, with_model=True)
    assert codes(found)["gold_not_rewarded"] == "error"
    assert found.samples is None
    assert found.not_examined == [
        "the model's samples, time and memory, before the errors are mended"
    ]


def test_a_few_bad_records_are_a_warning(tiny_model_dir: Path) -> None:
    given = splits()
    given.train.extend(conversation(f"W{n}") for n in range(10, 110))
    broken = Message(role="assistant", content="")
    mute = conversation("W0")
    given.train[0] = mute.model_copy(update={"messages": (*mute.messages[:3], broken)})
    found = examine(tiny_model_dir, given)
    assert codes(found)["gold_not_rewarded"] == "warning"
    assert not found.refused


def test_a_reward_that_pays_for_any_answer_is_refused(tiny_tokenizer_dir: Path) -> None:
    template = Template.load(str(tiny_tokenizer_dir))
    # The same words in another order, and no facts: the judge cannot tell them apart.
    answers = ("We will see", "See, we will", "Will we see")
    alike = [
        Conversation(
            id=text,
            messages=(
                Message(role="user", content="And?"),
                Message(role="assistant", content=text),
            ),
        )
        for text in answers
    ]
    targets = render_targets(template, alike, thinking=False)
    probes = probe_reward(template, targets, JudgeConfig(), seed=0)
    assert probes.shuffled is not None and probes.shuffled.mean == 1
    assert [f.code for f in probe_findings(probes, "direct")] == ["shuffled_rewarded"]
    paid = dataclasses.replace(probes, empty=distribution([0.0, 0.5]), shuffled=None)
    (finding,) = probe_findings(paid, "direct")
    assert (finding.code, finding.count, finding.severity) == ("empty_rewarded", 1, "error")


def test_a_short_budget_is_refused_with_one_that_is_long_enough(tiny_model_dir: Path) -> None:
    found = examine(tiny_model_dir, splits(), "evaluate.max_completion_tokens=20")
    (finding,) = others(found)
    assert (finding.code, finding.severity, finding.count) == ("budget_too_short", "error", 4)
    assert found.longest_action is not None
    wanted = found.longest_action + 16
    assert f"max_completion_tokens={wanted}" in finding.remedy
    again = examine(tiny_model_dir, splits(), f"evaluate.max_completion_tokens={wanted}")
    assert others(again) == []
    tight = examine(tiny_model_dir, splits(), f"evaluate.max_completion_tokens={wanted - 1}")
    assert codes(tight) == {"no_room_to_think": "warning"}


def test_thoughts_that_do_not_fit_the_budget_are_a_warning(tiny_model_dir: Path) -> None:
    given = splits()
    first = given.train[0]
    thoughtful = first.messages[1].model_copy(update={"reasoning_content": "Hm. " * 30})
    given.train[0] = first.model_copy(
        update={"messages": (first.messages[0], thoughtful, *first.messages[2:])}
    )
    found = examine(tiny_model_dir, given)
    (finding,) = others(found)
    assert (finding.code, finding.severity, finding.count) == ("thoughts_too_long", "warning", 1)
    assert "evaluate.thought_tokens=" in finding.remedy
    assert others(examine(tiny_model_dir, given, "evaluate.thought_tokens=200")) == []
    # Where the budget is set, the room for a thought has no effect on it.
    assert found.longest_action is not None
    tight = f"evaluate.max_completion_tokens={found.longest_action + 16}"
    (finding,) = others(examine(tiny_model_dir, given, tight))
    (setting,) = re.findall(r"--set (evaluate\.max_completion_tokens=\d+)", finding.remedy)
    assert others(examine(tiny_model_dir, given, setting)) == []


def test_a_context_that_is_too_short_is_refused(tiny_model_dir: Path) -> None:
    found = examine(tiny_model_dir, splits(), "model.max_length=64")
    assert codes(found) == {"does_not_fit": "error"}


# --- with the model -----------------------------------------------------------------------------


def test_a_trial_samples_and_updates_and_leaves_the_weights(tiny_model_dir: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    before = policy.weights()
    config = load_config(None, [*SMALL, "rl.decisions_per_conversation=1"])
    train = splits().train
    trial = try_out(policy, train, config, 40, decisions=4, progress=Progress(QUIET))
    for name, weight in policy.weights().items():
        torch.testing.assert_close(weight, before[name], rtol=0, atol=1e-20)
    samples = trial.samples
    assert samples is not None
    # Two conversations a step, one decision of each, until there are four; two completions each.
    assert (samples.decisions, samples.completions) == (4, 8)
    assert samples.rewards.count == 8
    assert samples.pass_rates.count == 4
    assert 0 < samples.tokens <= 40
    speeds = trial.speeds
    assert speeds.sampled_tokens == pytest.approx(samples.tokens * 4)
    assert speeds.sampling_seconds is not None and speeds.rl_step_seconds is not None
    assert 0 < speeds.sampling_seconds < speeds.rl_step_seconds
    assert speeds.update_seconds > 0 and speeds.peak_memory > 10**7


def test_a_model_that_knows_nothing_needs_the_stages_before_rl(tiny_model_dir: Path) -> None:
    found = examine(tiny_model_dir, splits(), with_model=True)
    assert codes(found)["no_live_group"] == "warning"
    assert found.cost is not None
    assert [stage.name for stage in found.cost.stages] == ["base", "sft", "think", "rl"]
    alone = examine(tiny_model_dir, splits(), "sft.steps=0", "think.steps=0", with_model=True)
    assert codes(alone)["no_live_group"] == "error"
    assert alone.refused


def test_where_memory_is_short_it_is_told_that_activations_are_computed_again(
    tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("rl.steps=0", "rl.mode=direct", "think.steps=0")
    found = examine(tiny_model_dir, splits(), *settings, with_model=True)
    assert "activations" not in codes(found)
    monkeypatch.setattr(checkpointing, "device_memory", lambda device: 1_000_000)
    found = examine(tiny_model_dir, splits(), *settings, with_model=True)
    assert codes(found)["activations"] == "note"
    asked = ("model.checkpointing=true",)  # whoever asks for it knows
    found = examine(tiny_model_dir, splits(), *settings, *asked, with_model=True)
    assert "activations" not in codes(found)


def test_without_rl_nothing_is_sampled(tiny_model_dir: Path) -> None:
    found = examine(
        tiny_model_dir, splits(), "rl.steps=0", "rl.mode=direct", "think.steps=0", with_model=True
    )
    assert found.samples is None
    assert found.cost is not None
    assert [stage.name for stage in found.cost.stages] == ["base", "sft"]
    assert set(found.rewards) == {"direct"}


# --- the estimate -------------------------------------------------------------------------------


def test_the_estimate_multiplies_what_was_measured(tiny_model_dir: Path, tmp_path: Path) -> None:
    policy = Policy.load(str(tiny_model_dir))
    given = splits()
    config = load_config(
        None,
        [
            "sft.steps=10",
            "sft.conversations_per_step=2",
            "sft.evaluate_every=4",
            "think.steps=0",
            "rl.steps=5",
            "rl.conversations_per_step=3",
            "rl.evaluate_every=2",
            "rl.kl_coefficient=0",
            "rl.likelihood.weight=0",
        ],
    )
    # 1 s for 100 tokens of an update, 0.5 s a decision, 3 s and 60 tokens a batch of rollouts.
    speeds = Speeds(1.0, 100, 0.5, 3.0, 60.0, None, 1000)
    cost = estimate(policy, given, config, speeds, tmp_path / "new" / "run")
    base, sft, rl = cost.stages
    assert base.seconds == 2 * (2 + 2) * 0.5  # both modes on dev and test, two decisions each
    prompts, actions, trunks = 0, 0, 0
    template = policy.template
    for c in given.train:
        call, answer = c.decisions()
        first, last = (template.prompt(d, thinking=False) for d in (call, answer))
        # The empty thought before the call is none of what the answer's prompt holds there.
        prompts += len(last) + next(
            len(first) - i for i in range(len(first)) if first[i] != last[i]
        )
        trunks += len(template.prompt(answer, thinking=True))
        actions += sum(len(template.completion(d, thought=None)) for d in (call, answer))
    assert sft.trained_tokens == round(10 * 2 * (prompts + actions) / 4)
    assert sft.seconds == pytest.approx(sft.trained_tokens / 100 + 0.5 * (3 * 2 + 2))
    assert rl.trained_tokens == round(5 * (3 * trunks / 4 + 60))
    assert rl.sampled_tokens == 300
    assert rl.seconds == pytest.approx(5 * 3 + rl.trained_tokens / 100 + 0.5 * (4 * 2 + 2), 0.01)
    assert cost.seconds == base.seconds + sft.seconds + rl.seconds
    parameters = sum(p.numel() for p in policy.model.parameters())
    # Two stages with a model and a checkpoint of four times its size, and one more on its way.
    assert cost.disk == 4 * parameters * (2 * (1 + 4) + 4)
    assert cost.free_disk > 0


def test_what_a_machine_lacks_is_a_warning() -> None:
    enough = Estimate([], peak_memory=10, memory=100, disk=10, free_disk=100)
    assert list(cost_findings(enough)) == []
    scarce = Estimate([], peak_memory=95, memory=100, disk=101, free_disk=100)
    assert [(f.code, f.severity) for f in cost_findings(scarce)] == [
        ("disk", "warning"),
        ("memory", "warning"),
    ]


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    # Different words, or they would be near-duplicates that stay on one side of the split.
    names = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibex", "jay")
    path.write_text(
        "".join(
            conversation(f"W{n}", f"The {name} is {n} km away.").to_json() + "\n"
            for n, name in enumerate(names)
        )
    )
    return path


def command(log: Path, model: Path, *options: str) -> Any:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    return CliRunner().invoke(
        preflight_command, ["--data", str(log), "--model", str(model), *settings, *options]
    )


def test_the_command_prints_a_table(log: Path, tiny_model_dir: Path) -> None:
    outcome = command(log, tiny_model_dir, "--decisions", "2")
    assert outcome.exit_code == 0, outcome.output
    assert "recorded action, thinking" in outcome.output
    assert "the model's samples" in outcome.output
    assert "the run can begin" in outcome.output
    assert "the run: about" in outcome.output


def test_the_command_refuses_with_exit_code_2(log: Path, tiny_model_dir: Path) -> None:
    outcome = command(
        log, tiny_model_dir, "--no-model", "--json", "--set", "evaluate.max_completion_tokens=5"
    )
    assert outcome.exit_code == 2
    found = json.loads(outcome.stdout)
    assert found["refused"] is True
    assert found["findings"][0]["code"] == "budget_too_short"
    assert found["rewards"]["direct"]["gold"]["mean"] == 1.0


def test_too_few_conversations_to_split_are_refused(log: Path, tiny_model_dir: Path) -> None:
    log.write_text(log.read_text().split("\n")[0] + "\n")
    outcome = command(log, tiny_model_dir)
    assert isinstance(outcome.exception, InputError)
    assert "too few" in str(outcome.exception)


def test_defaults_measure_the_modes_of_the_configuration(tiny_model_dir: Path) -> None:
    assert RunConfig().rl.mode == "thinking"
    found = examine(tiny_model_dir, splits(), "rl.mode=direct")
    assert set(found.rewards) == {"direct"}
