"""A network as ARMOR works on it: a float graph with BatchNorm folded, and the recipe that prepares its images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source, weights_hash
from hwgen.pipeline.steps.frontend import Weights, read_model
from hwgen.resources import models_dir
from hwgen.zoo.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Model:
    """Args:
        name: of the model.
        graph: float, BatchNorm folded.
        recipe: says how images are prepared and how the network is trained.
        weights: where they come from; checkpoint: SHA-256 of their file, "" for seeded ones.
    """

    name: str
    graph: Graph
    recipe: Recipe
    weights: Weights
    checkpoint: str


def load_model(model: str, weights: Path | None = None) -> Model:
    """A model of the zoo, a recipe, or a network that hwgen wrote.

    Raises:
        HwgenError: unknown, or not made from a recipe (an ONNX file), so that its images are not known.
    """
    request = BuildRequest(model=model, board="", out=Path(), weights=weights)
    source = model_source(request)
    if source.recipe is None:
        raise HwgenError("does not say how its images are prepared", where=model,
                         hint="write a recipe with [input] for it")
    graph, origin = read_model(source, weights)
    return Model(name=source.name, graph=fold_batchnorm(graph), recipe=source.recipe, weights=origin,
                 checkpoint=weights_hash(request, source))


def recipe_reference(recipe: Recipe) -> str:
    """How a stored network names its recipe: by name if it is of the zoo, so that the file may go elsewhere."""
    return recipe.name if recipe.path.resolve().parent == models_dir().resolve() else str(recipe.path.resolve())
