"""How products are fastest on this processor, in a supervised step: float32 by oneDNN or by MKL.

    python -m benchmarks.products                        # the shipped model, half a minute
    python -m benchmarks.products --model DIR --dtype bfloat16

In bfloat16: by what torch has for it, or in float32 and rounded. Steps with the one and the other
alternate, on one thread; printed are the seconds of the processor that the fastest of each took,
forward and backward, and their ratio.
"""

import argparse
import json
import time

import torch

from actwise.desk import generate
from actwise.model.kernels import linear
from actwise.model.policy import Policy
from actwise.model.startup import model_path, prepare_torch
from actwise.training.stages import sft

_WAYS = {
    "float32": {"onednn": ("_FASTER", True), "mkl": ("_FASTER", False)},
    "bfloat16": {"float32": ("_HAS_BFLOAT16", False), "torch": ("_HAS_BFLOAT16", True)},
}
"""How products can be made in each type: what is set to what."""


def main() -> None:
    """Print both times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="base")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--conversations", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=8)
    args = parser.parse_args()
    prepare_torch()
    torch.set_num_threads(1)
    policy = Policy.load(model_path(args.model), dtype=getattr(torch, args.dtype))
    targets = sft.direct_targets(generate("train", args.conversations))
    trees = [sft.sft_tree(policy.template, some) for some in targets]
    seconds: dict[str, list[float]] = {name: [] for name in _WAYS[args.dtype]}
    for _ in range(args.repeat):
        for name, taken in seconds.items():
            setattr(linear, *_WAYS[args.dtype][name])
            policy.model.zero_grad(set_to_none=True)
            begin = time.process_time()
            sft.accumulate(policy, trees, 2048)
            taken.append(time.process_time() - begin)
    fastest = {name: min(taken) for name, taken in seconds.items()}
    one, other = fastest.values()
    tokens = sum(tree.num_tokens for tree in trees)
    print(json.dumps({"tokens": tokens, **fastest, "ratio": other / one}))


if __name__ == "__main__":
    main()
