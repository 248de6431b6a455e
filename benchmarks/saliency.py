"""What saliencies say about the damage of a cut, against the loss as it is measured.

    python benchmarks/saliency.py --data FOLDER [--model mobilenet_sar] [--weights FILE] [--images 128] [--units 8]
                                  [--write]

From every group of channels that has more of them, ``--units`` are cut that are worth least. Three figures for each
cut: the sum of mean magnitudes of the units' effects (what ``--method taylor`` orders by), the mean square of their
common effect (what ``--method guided`` divides by gains), and the mean rise of the loss on the same adversarial images
when the units are gone, without fine-tuning. ``--write`` updates docs/armor.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from docs_page import write_section
from scipy.stats import spearmanr
from torch.nn import functional

from hwgen.armor.groups import groups, shrink
from hwgen.armor.model import load_model
from hwgen.armor.saliency import Batch, attacked, saliency
from hwgen.data.registry import load_dataset
from hwgen.ir.nodes import Graph
from hwgen.train.graph_module import GraphModule
from hwgen.ttseal.device import use_torch


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--model", default="mobilenet_sar", help="with a [train.robust] section")
    parser.add_argument("--weights", type=Path, help="checkpoint instead of the recipe's")
    parser.add_argument("--images", type=int, default=128, help="training images")
    parser.add_argument("--units", type=int, default=8, help="that are cut from a group")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def mean_loss(graph: Graph, batches: list[Batch]) -> float:
    """Cross-entropy, in nats."""
    module = GraphModule(graph).eval()
    with torch.inference_mode():
        losses = [functional.cross_entropy(module(x), y, reduction="none") for x, y in batches]
    return float(torch.cat(losses).mean())


def main() -> None:
    """Print, and with ``--write`` put into the docs."""
    options = arguments()
    use_torch("cpu", 1)
    model = load_model(options.model, options.weights)
    recipe = model.recipe
    if recipe.train is None or recipe.train.robust is None:
        raise SystemExit(f"{options.model}: has no [train.robust] section")
    spec = recipe.input
    data = load_dataset(spec.dataset, options.data, "train", spec.shape, spec.classes or spec.class_count)
    data = data.take(np.random.default_rng(0).permutation(len(data))[:options.images])
    batches = list(attacked(model.graph, data, spec, recipe.train.robust))
    before = mean_loss(model.graph, batches)
    plain, squared = (saliency(method, model.graph, batches) for method in ("taylor", "guided"))
    rows = []
    for group in groups(model.graph):
        if group.size > options.units:
            removed = tuple(int(u) for u in np.argsort(plain[group.name].units, kind="stable")[:options.units])
            rise = mean_loss(shrink(model.graph, {group.name: removed}), batches) - before
            rows.append((rise, group, plain[group.name].of(removed), squared[group.name].of(removed)))
    rows.sort(key=lambda row: row[0])
    lines = ["| group | channels | mean magnitudes, summed | mean square of the sum | measured rise of the loss |",
             "|" + "---|" * 5]
    lines += [f"| {group.name} | {group.size} | {magnitude:.4f} | {square:.5f} | {rise:.4f} |"
              for rise, group, magnitude, square in rows]
    rises, magnitudes, squares = (np.array([row[i] for row in rows]) for i in (0, 2, 3))
    worst = rises >= np.sort(rises)[-5]
    ranks = [float(spearmanr(values, rises)[0]) for values in (magnitudes, squares)]  # type: ignore[arg-type]
    shares = [float(100 * values[~worst].sum() / values.sum()) for values in (magnitudes, squares, rises)]
    lines += ["", f"{recipe.name}, {len(data)} training images attacked at {recipe.train.robust.epsilon:g}/255, loss "
                  f"{before:.3f} before. Rank correlation with the measured rise: {ranks[0]:.2f} (magnitudes), "
                  f"{ranks[1]:.2f} (squares). Share of the {len(rows) - 5} least harmful cuts in the sum of all: "
                  f"{shares[0]:.1f} % by magnitudes, {shares[1]:.1f} % by squares, {shares[2]:.1f} % as measured."]
    print("\n".join(lines))
    if options.write:
        write_section("saliency", "\n".join(lines), "armor.md")


if __name__ == "__main__":
    main()
