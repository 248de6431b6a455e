"""The points of a front on test images: what is published; nothing is chosen by it before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwgen.armor.faithfulness import faithfulness
from hwgen.armor.front import MEASURED, read_json
from hwgen.armor.robustness import RobustnessSettings, measure_robustness
from hwgen.data.dataset import Dataset
from hwgen.data.registry import load_dataset
from hwgen.pipeline.graphfile import graph_recipe, load_graph
from hwgen.pipeline.store import write_json
from hwgen.train.evaluate import logits
from hwgen.train.graph_module import GraphModule
from hwgen.ttseal.measure import Watcher
from hwgen.zoo.recipe import load_recipe


def measure_points(
    points: Sequence[dict[str, Any]], data: Path, attacks: tuple[str, ...], *, restarts: int, images: int,
    watcher: Watcher,
) -> None:
    """Measure robustness and faithfulness of every point that has not been, with its run's epsilon.

    Every result is written at once into ``measured.json`` of its run, so that an interrupted call goes on.
    """
    sets: dict[str, Dataset] = {}
    for point in points:
        folder, number = Path(point["folder"]), point["point"]
        settings = RobustnessSettings(epsilon=point["epsilon"], attacks=attacks, restarts=restarts, images=images)
        path = folder / MEASURED
        known = read_json(path) or {}
        if known.get(str(number), {}).get("settings") == json.loads(json.dumps(settings.to_dict())):
            continue
        source = folder / "points" / f"{number:03}.safetensors"
        recipe = load_recipe(graph_recipe(source))
        spec = recipe.input
        if spec.dataset not in sets:
            sets[spec.dataset] = load_dataset(spec.dataset, data, "test", spec.shape, spec.classes or spec.class_count)
        test, module = sets[spec.dataset], GraphModule(load_graph(source))
        watcher.begin(f"attacking {point['run']}:{number}")
        found = measure_robustness(module, test, spec, settings,
                                   lambda done, total, name: watcher.step(done, total))
        chosen = test.sample(images, settings.seed) if images else test
        parent = GraphModule(load_graph(folder / "points" / "000.safetensors"))
        faithful = faithfulness(logits(parent, chosen.images, spec), logits(module, chosen.images, spec),
                                chosen.labels, test.classes)
        known[str(number)] = {**found.to_dict(), "faithfulness": faithful}
        write_json(path, known)
        watcher.note(f"{point['run']}:{number}: " + ", ".join(
            f"{name} {100 * value:.1f} %" for name, value in found.accuracy.items()) + f" of {found.images:,} images")
