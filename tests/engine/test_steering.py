"""Steering, against an ordinary model to whose layer the vector is added row by row."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from actwise.engine import SamplingParams
from actwise.engine.batch import Batch, Request
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import Group, after_thought, groups_of
from actwise.engine.steering import Steering, find_steering, layers_of, read_steering
from actwise.errors import InputError, ModelError
from actwise.model.attention.interface import TreeAttention
from actwise.model.policy import Policy
from actwise.tree.forest import Forest
from actwise.tree.layout import lay_out
from finding import CONVERSATIONS, ordinary

LAYER = 0
PARAMS = SamplingParams(max_tokens=24, stop_token_ids=(), temperature=0)


@pytest.fixture
def policy(tiny_model_dir: Path) -> Policy:
    policy = Policy.load(str(tiny_model_dir))
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return policy


def byte(policy: Policy, text: str) -> int:
    return policy.template.encode(text)[0]


@torch.no_grad()
def let_it_end_a_sentence(policy: Policy, group: Group) -> None:
    """Let a full stop be the likeliest token after a prompt."""
    body = policy.model.get_decoder()
    ids = torch.tensor([group.prompt])
    tree = TreeAttention(lay_out(_forest(group.prompt), policy.device))
    hidden = body(input_ids=ids, use_cache=False, tree=tree).last_hidden_state[0, -1]
    policy.model.get_input_embeddings().weight[byte(policy, ".")] = 0.08 * hidden


def _forest(tokens: Sequence[int]) -> Forest:
    forest = Forest()
    forest.insert(tokens)
    return forest


def test_rows_are_steered_inside_of_thoughts_after_separators_alone(policy: Policy) -> None:
    template = policy.template
    decisions = [c.decisions()[0] for c in CONVERSATIONS]
    direct = groups_of(template, decisions, thinking=False)
    begun = [after_thought(template, d, "Find. ") for d in decisions]
    let_it_end_a_sentence(policy, begun[0])
    vector = torch.randn(48, generator=torch.Generator().manual_seed(0))
    steering = Steering(policy, LAYER, vector, strength=5.0)
    texts = (template.tokenizer.decode([i]) for i in range(len(template.tokenizer)))
    separators = [i for i, t in enumerate(texts) if t in (".", "!", "?", "\n")]
    assert steering.separators_V.nonzero().flatten().tolist() == separators
    assert [steering.thinking(g.prompt) for g in (*direct, *begun)] == [False] * 3 + [True] * 3

    engine = LocalEngine(policy, steering=steering)
    plain = LocalEngine(policy)
    of_both = [
        [
            [r.sample for r in g.rollouts]
            for g in e.generate([*direct, *begun], num_generations=2, params=PARAMS)
        ]
        for e in (engine, plain)
    ]
    model = ordinary(policy)
    ascii_of = {byte(policy, chr(i)): i for i in range(33, 127)}
    for group, found in zip([*direct, *begun], of_both[0], strict=True):
        assert found[0] == found[1]  # one row, steered alike
        tokens, logprobs = _oracle(model, policy, list(group.prompt), steering, ascii_of)
        assert list(found[0].token_ids) == tokens
        assert found[0].logprobs == pytest.approx(logprobs, abs=1e-4)
    (steered,), (other,) = ([s.logprobs for s in of_one[3][:1]] for of_one in of_both)
    assert steered[0] == pytest.approx(other[0])  # nothing is added to what the prompt says
    assert steered[1] != pytest.approx(other[1], abs=1e-3)  # but to what the first full stop does


def test_requests_are_steered_as_groups_are_whoever_is_beside_them(policy: Policy) -> None:
    template = policy.template
    begun = [after_thought(template, c.decisions()[0], "Find. ") for c in CONVERSATIONS]
    let_it_end_a_sentence(policy, begun[0])
    vector = torch.randn(48, generator=torch.Generator().manual_seed(0))
    steering = Steering(policy, LAYER, vector, strength=5.0)
    requests = [
        Request(g.prompt, PARAMS, steering=s) for g in begun for s in (steering, None, steering)
    ]
    found: dict[Request, list[float]] = {request: [] for request in requests}
    batch = Batch(policy, requests[:4])
    for step in range(60):
        if step == 3:
            batch.join(Batch(policy, requests[4:]))
        for token in batch.step():
            found[token.request].append(token.logprob)
    steered = 0
    for how in (steering, None):
        groups = LocalEngine(policy, steering=how).generate(begun, num_generations=1, params=PARAMS)
        for group in groups:
            expected = group.rollouts[0].sample.logprobs
            for request in requests:
                if request.prompt == group.prompt and request.steering is how:
                    assert found[request] == pytest.approx(expected, abs=1e-4)
                    steered += how is not None
    assert steered >= 6


def test_a_vector_is_read_as_it_was_written(policy: Policy, tmp_path: Path) -> None:
    steering = Steering(policy, 1, torch.randn(48), strength=0.7)
    file = tmp_path / "rl.json"
    file.write_text(json.dumps(steering.to_dict()))
    read = read_steering(policy, file)
    assert torch.equal(read.vector_D, steering.vector_D)
    assert (read.layer, read.strength) == (1, 0.7)
    for text, problem in (
        ("{", "holds no vector"),
        ("[]", "holds no vector"),
        ('{"layer": 1, "strength": 1, "vector": ["a"]}', "holds no vector"),
        (
            '{"layer": 1, "strength": 1, "vector": [1, 2]}',
            "2 numbers for layer 1",
        ),
        (json.dumps(steering.to_dict() | {"layer": 2}), "layers 0 to 1"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=problem):
            read_steering(policy, file)
    with pytest.raises(InputError, match="No such file"):
        read_steering(policy, tmp_path / "absent.json")


def _oracle(
    model: Any, policy: Policy, prompt: list[int], steering: Steering, ascii_of: dict[int, int]
) -> tuple[list[int], list[float]]:
    begin, end = byte(policy, "<think>"), byte(policy, "</think>")
    steered: list[int] = []

    def add(layer: Any, inputs: Any, output: Tensor) -> Tensor:
        output = output.clone()
        output[0, steered] += steering.strength * steering.vector_D
        return output

    hook = model.model.layers[LAYER].register_forward_hook(add)
    inside = next((t == begin for t in reversed(prompt) if t in (begin, end)), False)
    tokens: list[int] = []
    logprobs: list[float] = []
    while len(tokens) < PARAMS.max_tokens:
        ids = torch.tensor([[*prompt, *tokens]])
        scores = model(input_ids=ids, use_cache=False).logits[0, -1].log_softmax(-1)
        token = int(scores.argmax())
        tokens.append(token)
        logprobs.append(float(scores[token]))
        inside = (inside or token == begin) and token != end
        if inside and (chr(ascii_of.get(token, 0)) in ".!?" or token == byte(policy, "\n")):
            steered.append(len(prompt) + len(tokens) - 1)
    hook.remove()
    return tokens, logprobs


def test_the_vector_points_from_reflection_to_execution(policy: Policy) -> None:
    first, second = (c.decisions()[0] for c in CONVERSATIONS[:2])
    thoughts = [(first, "Find W1. It is W1. Wait. Done."), (second, "Hm. Hold on.\nSo.")]
    steering = find_steering(policy, thoughts, layer=1, strength=0.5)
    assert steering is not None
    model, kept = copy.deepcopy(ordinary(policy)), []
    model.model.layers[1].register_forward_hook(lambda layer, inputs, output: kept.append(output))
    states: dict[bool, list[Tensor]] = {True: [], False: []}
    # What stands before each sentence but the first, and whether it carries something out.
    for decision, before, executes in (
        (first, "Find W1.", True),
        (first, "Find W1. It is W1.", False),
        (first, "Find W1. It is W1. Wait.", True),
        (second, "Hm.", False),
        (second, "Hm. Hold on.\n", True),
    ):
        prompt = policy.template.prompt(decision, thinking=True)
        text = policy.template.encode(f"<think>\n{before}")
        with torch.no_grad():
            model(input_ids=torch.tensor([[*prompt, *text]]), use_cache=False)
        states[executes].append(kept[-1][0, -1])
    expected = torch.stack(states[True]).mean(0) - torch.stack(states[False]).mean(0)
    torch.testing.assert_close(steering.vector_D, expected, rtol=1e-4, atol=1e-5)
    assert (steering.layer, steering.strength) == (1, 0.5)


def test_without_reflection_or_without_a_layer_nothing_is_steered(policy: Policy) -> None:
    thoughts = [(CONVERSATIONS[0].decisions()[0], "Find W1. It is W1.")]
    assert find_steering(policy, thoughts, layer=None, strength=1.0) is None
    with pytest.raises(ModelError, match="has layers 0 to 1"):
        find_steering(policy, thoughts, layer=2, strength=1.0)
    assert len(layers_of(policy)) == 2
