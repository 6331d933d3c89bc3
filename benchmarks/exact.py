"""Is what trees compute on the GPU what ordinary models compute there, row by row?"""

import statistics
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from actwise.bench import limits
from actwise.bench.shapes import Workload
from actwise.bench.timing import timed
from actwise.conversation import all_decisions
from actwise.desk import MODEL, generate
from actwise.engine import SamplingParams
from actwise.engine.local import LocalEngine
from actwise.engine.rollouts import groups_of
from actwise.model.attention.gpu import block_mask, fused_flex_attention
from actwise.model.attention.interface import TreeAttention
from actwise.model.policy import Policy
from actwise.template.render import Template
from actwise.training.update import passes_of
from actwise.tree.layout import Layout
from benchmarks.check import Check, Figures, peak, restart_peak, work_of

FLOAT_ERROR = 1e-4
"""Relative error that is due to the order of sums in float32."""
AS_GOOD = 1.5
"""How many times the error of the row-by-row computation in the same type ours may have."""
ONE_PASS = 1 << 20


def exact(check: Check) -> None:
    """Log-probs, gradients and greedy completions of trees, against ordinary models."""
    for folder, dtype in ((MODEL, torch.float32), (check.model(check.wide), torch.bfloat16)):
        for rank in (None, 8):
            trained = "all weights" if rank is None else "adapters"
            check.run(f"{dtype}, {trained}", partial(_gradients, check, folder, dtype, rank))
        check.run(f"{dtype}, sampler", partial(_sampler, check, folder, dtype))
    check.run("attention, many lengths", partial(_many_lengths, check))
    for kernel in ("dynamic", "static", "dense"):
        check.run(f"attention, {kernel}", partial(_attention, check, kernel))


def _gradients(check: Check, folder: Path, dtype: torch.dtype, rank: int | None) -> Figures:
    policy = Policy.load(str(folder), dtype=dtype, lora_rank=rank, device=str(check.device))
    torch.manual_seed(0)
    with torch.no_grad():  # adapters begin at zero, and half of them would get no gradient
        for name, parameter in policy.trainable().items():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
    conversations = generate("train", 1 if check.tiny else 3)
    shape = check.wide
    work = work_of(policy.template, conversations, shape, alike=shape.completion_tokens // 4)
    scored: dict[str, tuple[Any, Tensor]] = {}
    scored["ours"] = policy.model, _tree_scores(policy, work)
    for name, of_type in (("rows", dtype), ("exact", torch.float32)):
        model = _plain_model(folder, policy, of_type)
        scored[name] = model, _row_scores(model, work)
    logprobs = {name: found.detach() for name, (_, found) in scored.items()}
    gradients = {name: _gradient(model, found) for name, (model, found) in scored.items()}
    figures: Figures = {"tokens": limits.tree_tokens(work).computed, "met": True}
    for what, of in (("log-probs", logprobs), ("gradient", gradients)):
        mine, theirs = (_error(of[name], of["exact"]) for name in ("ours", "rows"))
        figures |= {f"error of {what}": mine, f"of {what} row by row": theirs}
        figures["met"] &= mine <= max(FLOAT_ERROR, AS_GOOD * theirs)
    return figures


def _plain_model(folder: Path, policy: Policy, dtype: torch.dtype) -> Any:
    """Return the policy's weights in a model as transformers and peft have it."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(policy.device).eval()
    if hasattr(policy.model, "peft_config"):
        model = get_peft_model(model, policy.model.peft_config["default"])
    model.load_state_dict(policy.model.state_dict())
    return model


def _tree_scores(policy: Policy, work: Workload) -> Tensor:
    """Return the log-probs of all completions' tokens, as training computes them."""
    passes = passes_of(work.groups, ONE_PASS, policy.device)
    return torch.cat([policy.score(one.layout, one.index_T).logprobs for one in passes])


def _row_scores(model: Any, work: Workload) -> Tensor:
    """Return the same from an ordinary model, every completion with its whole prompt."""
    found = []
    for group in work.groups:
        for rollout in group.rollouts:
            tokens = rollout.sample.token_ids
            row = torch.tensor([[*group.prompt, *tokens]], device=model.device)
            logits = model(input_ids=row, use_cache=False).logits[0, -len(tokens) - 1 : -1]
            logprobs = logits.float().log_softmax(-1)
            found.append(logprobs.gather(1, row[0, -len(tokens) :, None]).squeeze(1))
    return torch.cat(found)


def _gradient(model: Any, logprobs_T: Tensor) -> Tensor:
    """Return the gradient of a weighted sum of log-probs, all parameters' in one vector."""
    weights = torch.randn(len(logprobs_T), generator=torch.Generator().manual_seed(0))
    trained = [p for p in model.parameters() if p.requires_grad]
    grads = torch.autograd.grad((logprobs_T * weights.to(logprobs_T.device)).sum(), trained)
    return torch.cat([grad.float().flatten() for grad in grads])


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _sampler(check: Check, folder: Path, dtype: torch.dtype) -> Figures:
    policy = Policy.load(str(folder), dtype=dtype, device=str(check.device))
    plain = _plain_model(folder, policy, dtype)
    tokens = 8 if check.tiny else 64
    conversations = generate("train", 1 if check.tiny else 2)
    groups = LocalEngine(policy).generate(
        groups_of(policy.template, all_decisions(conversations), thinking=True),
        num_generations=1,
        params=SamplingParams(tokens, (), temperature=0),
    )
    equal = 0
    for group in groups:
        row = torch.tensor([group.prompt], device=check.device)
        theirs = plain.generate(
            row,
            attention_mask=torch.ones_like(row),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        mine = group.rollouts[0].sample.token_ids
        equal += tuple(theirs[0, len(group.prompt) :].tolist()) == mine
    sampled = [lp for group in groups for lp in group.rollouts[0].sample.logprobs]
    with torch.no_grad():
        trained = _tree_scores(policy, Workload(tuple(groups), ()))
    apart = (torch.tensor(sampled, device=check.device) - trained).abs()
    figures: Figures = {
        "equal to generate": equal,
        "of": len(groups),
        "log-probs sampled and trained apart by": float(apart.mean()),
        "at most": float(apart.max()),
    }
    if dtype == torch.float32:  # in bfloat16 two tokens are often equally likely but for rounding
        figures["met"] = equal == len(groups)
    return figures


def _layout(check: Check, conversations: int) -> Layout:
    work = work_of(Template.load(str(MODEL)), generate("train", conversations), check.wide)
    (one,) = passes_of(work.groups, ONE_PASS, check.device)
    return one.layout


def _inputs(check: Check, layout: Layout, *, grad: bool) -> list[Tensor]:
    """Return queries, keys and values with the heads of the wide model."""
    generator = torch.Generator(check.device).manual_seed(0)
    members = check.wide.model
    query, key = members["num_attention_heads"], members["num_key_value_heads"]
    return [
        torch.randn(
            (1, heads, len(layout.input_ids), members["head_dim"]),
            dtype=check.wide.dtype,
            device=check.device,
            generator=generator,
        ).requires_grad_(grad)
        for heads in (query, key, key)
    ]


def _many_lengths(check: Check) -> Figures:
    """Attend to layouts of several lengths: how many kernels are compiled?"""
    from torch._dynamo.utils import counters

    before, lengths = counters["stats"]["unique_graphs"], []
    for conversations in (1, 2, 3, 4):
        layout = _layout(check, conversations)
        lengths.append(len(layout.input_ids))
        for grad in (False, True):
            q, k, v = _inputs(check, layout, grad=grad)
            with torch.set_grad_enabled(grad):
                out = TreeAttention(layout).attend(0, q, k, v, q.shape[-1] ** -0.5, None)
            if grad:
                out.sum().backward()  # type: ignore[no-untyped-call]
    graphs = counters["stats"]["unique_graphs"] - before
    # One with a gradient and one without; those of the models above may have been the first.
    return {"lengths": lengths, "kernels compiled": graphs, "met": graphs <= 2}


def _attention(check: Check, kernel: str) -> Figures:
    """Time attention over a large layout, forwards and backwards."""
    layout = _layout(check, 1 if check.tiny else 4)
    grad = check.device.type == "cuda"  # FlexAttention has no gradient on a CPU
    q, k, v = _inputs(check, layout, grad=grad)
    attention, scale = TreeAttention(layout), q.shape[-1] ** -0.5
    fused = fused_flex_attention()
    if kernel == "static":
        fused = torch.compile(flex_attention, dynamic=False, fullgraph=True)

    def attend() -> None:
        if kernel == "dense" or check.device.type == "cpu":
            out = attention.attend_densely(q, k, v, scale, layout)
        else:
            out = attention.attend_flexibly(q, k, v, scale, layout, fused)
        if grad:
            out.sum().backward()  # type: ignore[no-untyped-call]

    restart_peak(check.device)
    first = timed(attend, check.device).wall
    later = statistics.median(timed(attend, check.device).wall for _ in range(5))
    mask = min(timed(lambda: block_mask(layout), check.device).wall for _ in range(3))
    return {
        "tokens": len(layout.input_ids),
        "first s": first,
        "later s": later,
        "mask s": mask,
        **peak(check.device),
    }
