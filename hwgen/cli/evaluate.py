"""``hwgen evaluate``: clean accuracy, robustness under white-box attacks, faithfulness to another network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwgen.cli.console import out, print_json, table
from hwgen.cli.guard import guarded
from hwgen.errors import HwgenError

NAME = "evaluate"
EXAMPLES = (
    "Examples:  hwgen evaluate --model aconvnet --data ~/data --epsilon 4   |   "
    "hwgen evaluate -m small.safetensors --data ~/data --attack pgd50 --restarts 5 --images 500   |   "
    "hwgen evaluate -m small.safetensors --data ~/data --against aconvnet --no-attack --json"
)


@guarded
def command(
    model: Annotated[str, typer.Option("--model", "-m", help="Model name, recipe (.toml) or network (.safetensors).")],
    data: Annotated[Path, typer.Option(help="Folder that holds the data set in its public layout.")],
    weights: Annotated[Path | None, typer.Option(help="Checkpoint instead of the recipe's.")] = None,
    epsilon: Annotated[float, typer.Option(help="Largest change of a pixel, in pixel values of 0..255.")] = 8.0,
    attack: Annotated[list[str] | None, typer.Option(help="fgsm, pgd20, pgd50 or autoattack, repeatable "
                                                          "\\[all four].")] = None,
    no_attack: Annotated[bool, typer.Option("--no-attack", help="Clean accuracy only.")] = False,
    restarts: Annotated[int, typer.Option(help="Random starts of PGD and APGD.")] = 1,
    apgd_steps: Annotated[int, typer.Option(help="Steps of AutoAttack's APGD.")] = 100,
    square_queries: Annotated[int, typer.Option(help="Queries of AutoAttack's Square attack.")] = 1000,
    images: Annotated[int, typer.Option(help="Test images, drawn by the seed; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of images and attacks.")] = 0,
    against: Annotated[str, typer.Option(help="Uncompressed network to compare with: flips, classes, calibration.")]
    = "",
    threads: Annotated[int | None, typer.Option(help="Threads of torch.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Measure a float network on test images, attacked with its own gradients (maximum norm)."""
    from hwgen.armor.faithfulness import faithfulness
    from hwgen.armor.model import load_model
    from hwgen.armor.robustness import ATTACKS, RobustnessSettings, measure_robustness
    from hwgen.cli.watch import watching
    from hwgen.data.registry import load_dataset
    from hwgen.train.evaluate import logits
    from hwgen.train.graph_module import GraphModule
    from hwgen.ttseal.device import use_torch

    settings = RobustnessSettings(epsilon=epsilon, attacks=() if no_attack else tuple(attack or ATTACKS),
                                  restarts=restarts, apgd_steps=apgd_steps, square_queries=square_queries,
                                  images=images, seed=seed)
    use_torch("cpu", threads)
    network = load_model(model, weights)
    other = load_model(against) if against else None
    spec = network.recipe.input
    if other is not None:
        theirs, ours = ((m.recipe.input.shape, m.graph[m.graph.output].shape) for m in (other, network))
        if theirs != ours:
            raise HwgenError(f"has input {theirs[0]} and output {theirs[1]}, {network.name} {ours[0]} and {ours[1]}",
                             where="--against", allowed="a network for the same images and classes")
    test = load_dataset(spec.dataset, data, "test", spec.shape, spec.classes or spec.class_count)
    module = GraphModule(network.graph)
    with watching(quiet=json) as watcher:
        watcher.begin(f"attacking {network.name}")
        found = measure_robustness(module, test, spec, settings,
                                   lambda done, total, name: (watcher.begin(name), watcher.step(done, total))[0])
    faithful = None
    if other is not None:
        chosen = test.sample(images, seed) if images else test
        outputs = [logits(GraphModule(graph), chosen.images, recipe.input) for graph, recipe in (
            (other.graph, other.recipe), (network.graph, network.recipe))]
        faithful = faithfulness(outputs[0], outputs[1], chosen.labels, test.classes)
    rows = [{"network": network.name, "weights": network.weights.text, "dataset": test.name, "images": found.images,
             "attack": settings.describe(name), "epsilon": 0.0 if name == "clean" else epsilon, "accuracy": value}
            for name, value in found.accuracy.items()]
    if json:
        print_json({"rows": rows, "settings": found.settings, "faithfulness": faithful, "against": against})
        return
    out.print(f"{network.name}: {network.weights.text}", markup=False)
    out.print(table(f"accuracy on {found.images:,} test images of {test.name}", ("attack", "accuracy"),
                    [(r["attack"], f"{100 * r['accuracy']:.2f} %") for r in rows], right=("accuracy",)))
    if faithful is not None:
        print_faithfulness(faithful, against)


def print_faithfulness(found: dict[str, Any], against: str) -> None:
    """For people: totals, then a row per class."""
    def share(name: str) -> str:
        return f"{100 * found[name]:.2f} %"

    out.print(f"\nagainst {against}: {share('flips')} of the predictions changed ({share('lost')} right before and "
              f"wrong now, {share('gained')} the opposite); calibration error {share('calibration_error_before')} -> "
              f"{share('calibration_error_after')}; largest shift of a class {share('worst_class_shift')}",
              markup=False, soft_wrap=True)
    columns = ("images", "accuracy before", "accuracy after", "predicted before", "predicted after")
    rows = [(c["class"], c["images"], *("-" if c[k] is None else f"{100 * c[k]:.1f} %" for k in
                                        ("accuracy_before", "accuracy_after")), c["predicted_before"],
             c["predicted_after"]) for c in found["per_class"]]
    out.print(table("", ("class", *columns), rows, right=columns))
