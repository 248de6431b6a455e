"""The network under attack: the integer network that a build ships, its planned float form, and its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwgen.data import Dataset, load_dataset
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, QConv2d
from hwgen.passes.plan import plan
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.images import data_images
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source, weights_hash
from hwgen.pipeline.steps import plan as plan_step
from hwgen.pipeline.steps import quantise as quantise_step
from hwgen.pipeline.steps.frontend import read_model
from hwgen.quantize import calibrate, quantise
from hwgen.seal import load_selection, select_encrypted
from hwgen.ttseal.settings import SealSettings
from hwgen.ttseal.units import Unit
from hwgen.zoo.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Target:
    """Args:
        name: of the model.
        recipe: says how images are prepared.
        planned: float network, as it runs before quantisation.
        graph: the integer network that ships.
        checkpoint: SHA-256 of the file its weights came from; "" for seeded weights.
        origin: where the integer network came from, for people.
    """

    name: str
    recipe: Recipe
    planned: Graph
    graph: Graph
    checkpoint: str
    origin: str


def load_target(
    model: str, data: Path, *, weights: Path | None = None, build: Path | None = None,
) -> Target:
    """The integer network of a finished build, or the one that a build of ``model`` with trains as chains has.

    Without ``build``, activation ranges are the recipe's recorded ones where it has some for these weights, else found
    on training images.

    Args:
        model: name of the zoo, recipe, or network written by ``hwgen compress``.
        data: folder with the data set.
        weights: checkpoint instead of the recipe's.
        build: build directory.

    Raises:
        HwgenError: unknown model, an ONNX file (which does not say how its images are prepared), no data set, a build
            of another model or an unfinished one.
    """
    request = BuildRequest(model=model, board="", out=Path(), weights=weights, data=data)
    source = model_source(request)
    if source.recipe is None:
        raise HwgenError("an ONNX file does not say how its images are prepared", where=model,
                         hint="write a recipe with [input] for it")
    if build is not None:
        planned, graph = build / "plan" / plan_step.PLANNED, build / "quantise" / quantise_step.QUANTISED
        if not (planned.is_file() and graph.is_file()):
            raise HwgenError("holds no quantised network", where=str(build), hint="hwgen build, at least --to quantise")
        found = load_graph(graph)
        if found.name != source.name:
            raise HwgenError(f"is a build of {found.name!r}, not of {source.name!r}", where=str(build))
        return Target(name=source.name, recipe=source.recipe, planned=load_graph(planned), graph=found,
                      checkpoint=weights_hash(request, source), origin=f"build {build.name}")
    return planned_target(read_model(source, weights)[0], request, source, source.recipe)


def planned_target(network: Graph, request: BuildRequest, source: ModelSource, recipe: Recipe) -> Target:
    """The integer network that a build of a float network with trains as chains has.

    Args:
        network: of the request's model, float.
        request: says where the weights and the images come from; has ``data``.
        source, recipe: of its model.

    Raises:
        HwgenError: there is no data set, and no recorded calibration.
    """
    planned = plan(network)
    recorded = quantise_step.recorded_calibration(planned, request, source)
    if recorded is not None:
        calibration, origin = recorded[0], f"trains as chains, recorded calibration ({recorded[1]})"
    else:
        assert request.data is not None
        spec = source.quantize
        images = data_images(source, request.data, "train", count=spec.images, seed=spec.seed)
        calibration = calibrate(planned, images.pixels, spec.calibration, spec.percentile)
        origin = f"trains as chains, calibrated on {images.origin}"
    return Target(name=source.name, recipe=recipe, planned=planned, graph=quantise(calibration),
                  checkpoint=weights_hash(request, source), origin=origin)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Images of a selection; the first three are disjoint parts of the training set, drawn by one seed.

    Args:
        importance: for I_acc.
        validation: on which substitutes are judged while the set is being chosen.
        pool: what an attacker may have; seeds are drawn from it, its labels are not used.
        test: of the figures that are reported; nothing is chosen by it.
    """

    importance: Dataset
    validation: Dataset
    pool: Dataset
    test: Dataset


def load_splits(recipe: Recipe, data: Path, settings: SealSettings) -> Splits:
    """Read the data set and divide its training images.

    Raises:
        HwgenError: no data set (where to put it is said), or too few training images for the settings.
    """
    spec = recipe.input
    train, test = (load_dataset(spec.dataset, data, split, spec.shape, spec.classes) for split in ("train", "test"))
    first, second = settings.importance_images, settings.importance_images + settings.validation_images
    if len(train) < second + settings.attack.seed_images:
        raise HwgenError(
            f"{len(train)} training images are too few for {settings.importance_images} (importance) + "
            f"{settings.validation_images} (validation) + {settings.attack.seed_images} (the attacker's seeds)",
            where=spec.dataset, hint="smaller --importance-images, --validation-images or --seed-images")
    order = np.random.default_rng([settings.seed, 0]).permutation(len(train))
    return Splits(
        importance=train.take(order[:first]), validation=train.take(order[first:second]),
        pool=train.take(order[second:]),
        test=test.sample(settings.test_images, settings.seed) if settings.test_images else test)


def chosen_nodes(choice: str, graph: Graph, units: Sequence[Unit], checkpoint: str = "") -> frozenset[str]:
    """Nodes that a choice means: "all", "none", a share of the bytes, names of nodes or layers, or "@FILE".

    Args:
        checkpoint: SHA-256 of the file with the network's weights, "" if unknown.

    Raises:
        HwgenError: unknown names, a share outside 0 .. 1, no such file, a file for other weights.
    """
    text = choice.strip()
    if text.startswith("@"):
        selection = load_selection(Path(text[1:]))
        selection.check_weights(checkpoint, text[1:])
        return frozenset(selection.nodes_in(graph, text[1:])) & {u.node for u in units}
    sizes = {u.node: u.bytes for u in units}
    if text in ("all", "none") or text.rstrip("%").replace(".", "", 1).isdigit():
        return frozenset(select_encrypted(text, sizes))
    layers: dict[str, list[str]] = {}
    for node in graph.nodes:
        if isinstance(node, QConv2d) and node.name in sizes:
            layers.setdefault(node.origin, []).append(node.name)
    names = [name.strip() for name in text.split(",") if name.strip()]
    return frozenset(select_encrypted([n for name in names for n in layers.get(name, [name])], sizes))
