"""How much faster a bfloat16 training step is when strided depthwise convolutions are computed at stride 1.

    python benchmarks/training_speed.py [--model mobilenetv2_32] [--batch 128] [--repeats 5]

One forward and backward pass with random images on one thread, with and without ``hwgen.train.depthwise``, alternating;
the fastest of each counts.
"""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext

import torch
from torch.nn import functional

from hwgen.train.depthwise import StridedDepthwise
from hwgen.zoo import load_recipe, new_module


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mobilenetv2_32")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(options.model)
    module = new_module(recipe, 0).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = torch.rand(options.batch, *recipe.input.shape).contiguous(memory_format=torch.channels_last)
    labels = torch.arange(options.batch) % recipe.input.outputs
    seconds = {"strided": float("inf"), "stride 1, every s-th pixel kept": float("inf")}
    for _ in range(options.repeats):
        for name, context in zip(seconds, (nullcontext, StridedDepthwise), strict=True):
            started = time.perf_counter()
            with context(), torch.autocast("cpu", torch.bfloat16):
                outputs = module(images)
            functional.cross_entropy(outputs.float(), labels).backward()
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    for name, value in seconds.items():
        print(f"{options.model}, batch {options.batch}, {name}: {value:.3f} s")
    before, after = seconds.values()
    print(f"{before / after:.2f} times faster")


if __name__ == "__main__":
    main()
