"""Accuracy of a model in float and after quantisation, on the test images of its data set.

Example:
    python benchmarks/accuracy.py --model resnet20 --data ~/data --methods minmax mse --images 10000
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from hwgen.data import load_dataset
from hwgen.frontend import from_torch
from hwgen.golden.evaluate import evaluate
from hwgen.ir.count import count
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.passes.plan import plan
from hwgen.quantize import calibrate, quantise
from hwgen.quantize.bounds import requantise_bits, required_acc_bits
from hwgen.quantize.report import layer_quality
from hwgen.zoo.build import build_module
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import load_recipe


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="recipe name or path")
    parser.add_argument("--weights", type=Path, help="checkpoint instead of the recipe's")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data set")
    parser.add_argument("--images", type=int, default=10_000, help="test images")
    parser.add_argument("--calibration", type=int, default=512, help="training images to calibrate with")
    parser.add_argument("--methods", nargs="+", default=["mse"], help="minmax, percentile, mse")
    parser.add_argument("--execution", default="chain", choices=["chain", "reconstruct"], help="of TT layers")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--layers", action="store_true", help="print the signal to noise ratio of every layer")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    return parser.parse_args()


def float_predictions(graph: Graph, images: np.ndarray, batch: int) -> np.ndarray:
    """Class numbers [N] of the float network."""
    parts = [run_float(graph, images[i:i + batch])[graph.output] for i in range(0, len(images), batch)]
    return np.concatenate(parts).reshape(len(images), -1).argmax(axis=1)


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    recipe = load_recipe(options.model)
    built = build_module(recipe, options.weights)
    spec = recipe.input

    def images(split: str, take: int) -> tuple[np.ndarray, np.ndarray]:
        data = load_dataset(spec.dataset, options.data, split, spec.shape, spec.classes)  # type: ignore[arg-type]
        data = data.sample(take, seed=0) if split == "train" else data.take(slice(0, take))
        return normalise(torch.from_numpy(data.images), spec).contiguous().numpy(), data.labels

    network = from_torch(built.module, spec.shape, recipe.name, spec.classes)
    graph = plan(network, default=TTExecution(options.execution))
    totals = count(graph)
    x, labels = images("test", options.images)
    start = time.perf_counter()
    reference = float_predictions(graph, x, options.batch)
    rows = [{"arithmetic": "float32", "top1": float((reference == labels).mean()),
             "seconds": time.perf_counter() - start}]
    print(f"{recipe.name} ({built.origin.description}): {totals.parameters:,} parameters, {totals.macs:,} MACs, "
          f"{len(x):,} images")
    samples = images("train", options.calibration)[0]
    for method in options.methods:
        calibration = calibrate(graph, samples, method, recipe.quantize.percentile)
        quantised = quantise(calibration)
        start = time.perf_counter()
        result = evaluate(quantised, x, labels, options.batch)
        rows.append({
            "arithmetic": f"int8 {method}", "top1": result.top1, "seconds": time.perf_counter() - start,
            "same_as_float": float((result.predictions == reference).mean()),
            "acc_bits": required_acc_bits(quantised), "requantise_bits": requantise_bits(quantised),
        })
        if options.layers:
            for layer in layer_quality(calibration.lowered, quantised, samples[:64]):
                print(f"  {layer.name:32s} {layer.sqnr_db:6.1f} dB  {layer.saturated:8.4%} saturated")
    print(f"{'arithmetic':18s} {'top-1':>8s} {'same as float':>14s} {'acc bits':>9s} {'seconds':>8s}")
    for row in rows:
        same = f"{row['same_as_float']:.2%}" if "same_as_float" in row else ""
        bits = row.get("acc_bits", "")
        print(f"{row['arithmetic']:18s} {row['top1']:8.2%} {same:>14s} {bits:>9} {row['seconds']:8.1f}")
    if options.json is not None:
        options.json.write_text(json.dumps({"model": recipe.name, "images": len(x), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
