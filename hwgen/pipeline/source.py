"""The model that a build starts from: a recipe of the zoo, a recipe file, an ONNX file, or a graph file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.graphfile import graph_recipe
from hwgen.pipeline.request import BuildRequest
from hwgen.zoo.recipe import GRAPH_BUILDER, EncryptSpec, EvaluationSpec, QuantizeSpec, Recipe, load_recipe


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Args:
        name: of the model.
        recipe: says how images are prepared; None for an ONNX file.
        file: ONNX file, or graph file of ``hwgen compress`` or of a recipe whose network is one (builder "graph"); None
            for any other recipe.
    """

    name: str
    recipe: Recipe | None
    file: Path | None

    @property
    def quantize(self) -> QuantizeSpec:
        """Calibration settings."""
        return self.recipe.quantize if self.recipe else QuantizeSpec()

    @property
    def encrypt(self) -> EncryptSpec:
        """Default selection of what is encrypted."""
        return self.recipe.encrypt if self.recipe else EncryptSpec()

    @property
    def evaluation(self) -> EvaluationSpec:
        """Recorded accuracies; none for a network that has been changed since."""
        return self.recipe.evaluation if self.recipe and self.file in (None, self.recipe.checkpoint) \
            else EvaluationSpec()


def model_source(request: BuildRequest) -> ModelSource:
    """Find the model of a request.

    Raises:
        HwgenError: unknown model, missing file, or weights for an ONNX file (which has its own).
    """
    if request.model.endswith((".onnx", ".safetensors")):
        path = Path(request.model)
        if not path.is_file():
            raise HwgenError(f"model file {request.model!r} does not exist")
        if request.weights is not None:
            raise HwgenError(f"{path.name} has its own weights", where="--weights", allowed="recipes only")
        recipe = graph_recipe(path) if path.suffix == ".safetensors" else ""
        return ModelSource(name=path.stem, recipe=load_recipe(recipe) if recipe else None, file=path)
    recipe = load_recipe(request.model)
    if recipe.network.builder != GRAPH_BUILDER:
        return ModelSource(name=recipe.name, recipe=recipe, file=None)
    if request.weights is not None:
        raise HwgenError(f"the network of {recipe.name} is stored with its weights", where="--weights",
                         allowed="recipes of other builders")
    if recipe.checkpoint is None or not recipe.checkpoint.is_file():
        raise HwgenError("the stored network is missing", where=f"{recipe.path}: weights.file")
    return ModelSource(name=recipe.name, recipe=recipe, file=recipe.checkpoint)


def source_inputs(request: BuildRequest) -> dict[str, Any]:
    """What decides the model, for the fingerprint of a step."""
    source = model_source(request)
    if source.file is not None:
        own = source.recipe is not None and source.file == source.recipe.checkpoint
        return {"file": hash_file(source.file),
                **({"recipe": hash_file(source.recipe.path)} if own and source.recipe else {})}
    assert source.recipe is not None
    checkpoint = request.weights or source.recipe.checkpoint
    return {
        "recipe": hash_file(source.recipe.path),
        "checkpoint": hash_file(checkpoint) if checkpoint is not None and checkpoint.is_file() else "",
    }


def weights_hash(request: BuildRequest, source: ModelSource) -> str:
    """SHA-256 of the file that a request's weights come from; "" for seeded weights."""
    file = source.file or request.weights or (source.recipe.checkpoint if source.recipe else None)
    return hash_file(file) if file is not None and file.is_file() else ""
