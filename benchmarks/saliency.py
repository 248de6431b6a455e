"""What saliencies say about the damage of a cut, against the loss as it is measured.

    python benchmarks/saliency.py --data FOLDER [--model mobilenet_sar] [--weights FILE] [--images 128] [--units 8]
                                  [--write]

From every group of channels that has more of them, ``--units`` are cut that are worth least. Four figures for each
cut: the sum of mean magnitudes of the units' effects (what ``--method taylor`` orders by), the mean square of their
common effect (what ``--method guided`` orders units by), the divergence of the outputs on the same adversarial images
(what it divides by gains), and, to judge them by, the rise of the mean loss on as many other images that are attacked
anew, without fine-tuning. ``--write`` updates docs/armor.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from docs_page import write_section
from scipy.stats import spearmanr
from torch.nn import functional

from hwgen.armor.groups import Group, groups, shrink
from hwgen.armor.model import load_model
from hwgen.armor.saliency import Damage, attacked, saliency
from hwgen.data.dataset import Dataset
from hwgen.data.registry import load_dataset
from hwgen.ir.nodes import Graph
from hwgen.train.graph_module import GraphModule
from hwgen.ttseal.device import use_torch
from hwgen.zoo.recipe import Recipe


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--model", default="mobilenet_sar", help="with a [train.robust] section")
    parser.add_argument("--weights", type=Path, help="checkpoint instead of the recipe's")
    parser.add_argument("--images", type=int, default=128, help="training images, and as many others")
    parser.add_argument("--units", type=int, default=8, help="that are cut from a group")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def robust_loss(graph: Graph, data: Dataset, recipe: Recipe) -> float:
    """Mean cross-entropy of images that are attacked as in the recipe's training, in nats."""
    assert recipe.train is not None and recipe.train.robust is not None
    module, total = GraphModule(graph).eval(), 0.0
    for x, y in attacked(graph, data, recipe.input, recipe.train.robust):
        with torch.inference_mode():
            total += float(functional.cross_entropy(module(x), y, reduction="sum"))
    return total / len(data)


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
    order = np.random.default_rng(0).permutation(len(data))
    data, others = (data.take(order[i * options.images:(i + 1) * options.images]) for i in range(2))
    batches = list(attacked(model.graph, data, spec, recipe.train.robust))
    plain, squared = (saliency(method, model.graph, batches) for method in ("taylor", "guided"))
    damage, before = Damage(model.graph, batches), robust_loss(model.graph, others, recipe)
    rows = list[tuple[Group, tuple[float, ...]]]()
    for group in groups(model.graph):
        if group.size > options.units:
            removed = tuple(int(u) for u in np.argsort(plain[group.name].units, kind="stable")[:options.units])
            smaller = shrink(model.graph, {group.name: removed})
            rows.append((group, (plain[group.name].of(removed), squared[group.name].of(removed), damage(smaller),
                                 robust_loss(smaller, others, recipe) - before)))
    rows.sort(key=lambda row: row[1][-1])
    lines = ["| group | channels | mean magnitudes, summed | mean square of the sum | divergence, measured "
             "| rise of the robust loss on other images |", "|" + "---|" * 6]
    lines += [f"| {group.name} | {group.size} | {a:.4f} | {b:.5f} | {c:.5f} | {d:.4f} |"
              for group, (a, b, c, d) in rows]
    *kinds, rises = np.array([values for _, values in rows]).T
    worst, names = rises >= np.sort(rises)[-5], ("magnitudes", "squares", "divergence")
    ranks = [f"{spearmanr(values, rises)[0]:.2f} ({name})" for name, values in zip(names, kinds, strict=True)]
    shares = [f"{100 * values[~worst].sum() / values.sum():.1f} % ({name})"
              for name, values in zip((*names, "rise"), (*kinds, rises), strict=True)]
    lines += ["", f"{recipe.name}, {len(data)} training images and as many others attacked at "
                  f"{recipe.train.robust.epsilon:g}/255, loss of these {before:.3f} before. Rank correlation with the "
                  f"rise: {', '.join(ranks)}. Share of the {len(rows) - 5} least harmful cuts in the sum of all: "
                  f"{', '.join(shares)}."]
    print("\n".join(lines))
    if options.write:
        write_section("saliency", "\n".join(lines), "armor.md")


if __name__ == "__main__":
    main()
