"""Whether float32 products are faster by oneDNN or by MKL, in a supervised step on this processor.

    python -m benchmarks.products                        # the shipped model, half a minute
    python -m benchmarks.products --model DIR --dtype bfloat16

Steps with the one and the other alternate, on one thread; printed are the seconds of the processor
that the fastest of each took, forward and backward, and their ratio. In bfloat16 products of the
layers are oneDNN's either way, and only attention's differ.
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
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(args.repeat):
        for onednn, taken in seconds.items():
            linear._FASTER = onednn
            policy.model.zero_grad(set_to_none=True)
            begin = time.process_time()
            sft.accumulate(policy, trees, 2048)
            taken.append(time.process_time() - begin)
    fastest = {"onednn": min(seconds[True]), "mkl": min(seconds[False])}
    tokens = sum(tree.num_tokens for tree in trees)
    print(json.dumps({"tokens": tokens, **fastest, "ratio": fastest["mkl"] / fastest["onednn"]}))


if __name__ == "__main__":
    main()
