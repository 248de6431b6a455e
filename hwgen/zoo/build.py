"""From a recipe and a checkpoint to a torch module ready for inference or training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from hwgen.data.synthetic import synthetic_images
from hwgen.errors import HwgenError
from hwgen.tt.decompose import tt_svd
from hwgen.zoo.batchnorm import recalibrate_batchnorm
from hwgen.zoo.checkpoint import load_state, read_checkpoint
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import Recipe, TtSpec
from hwgen.zoo.registry import build_dense
from hwgen.zoo.tt_conv import Execution, TTConv2d

#: Synthetic images from which BatchNorm statistics of seeded networks are estimated.
_SEEDED_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class WeightsOrigin:
    """Where the weights of a module came from.

    Args:
        kind: ``"trained"`` = the checkpoint that ships with the recipe; ``"user"`` = a file given by the user;
            ``"seeded"`` = random: accuracies mean nothing, cycles and proofs of bit-exactness do.
        description: for people.
        path: of the checkpoint, None for seeded weights.
        seed: of seeded weights.
        metadata: of the checkpoint.
    """

    kind: Literal["trained", "user", "seeded"]
    description: str
    path: Path | None = None
    seed: int | None = None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class BuiltModule:
    """A torch module in evaluation mode and where its weights came from."""

    module: nn.Module
    origin: WeightsOrigin


def build_module(recipe: Recipe, weights: Path | None = None, *, seed: int = 0) -> BuiltModule:
    """The network of ``recipe`` with weights, in evaluation mode.

    Args:
        recipe: of the model.
        weights: a checkpoint (.safetensors); None = the one that ships with the recipe, or, where none ships,
            random weights drawn from ``seed`` with BatchNorm statistics of synthetic images.

    Raises:
        HwgenError: the checkpoint is missing, unreadable, or does not fit the network (the tensor is named).
    """
    path = weights or recipe.checkpoint
    module = new_module(recipe, seed)
    if path is None:
        images = torch.from_numpy(synthetic_images(_SEEDED_IMAGES, recipe.input.shape, seed))
        recalibrate_batchnorm(module, [normalise(images, recipe.input)])
        text = f"random weights (seed {seed}): recipe {recipe.name!r} ships no checkpoint"
        return BuiltModule(module.eval(), WeightsOrigin(kind="seeded", description=text, seed=seed, metadata={}))
    tensors, metadata = read_checkpoint(path)
    load_state(module, tensors, str(path))
    if weights is None:
        text = recipe.weights.origin or f"checkpoint {recipe.weights.file} of the model zoo"
        return BuiltModule(module.eval(), WeightsOrigin(kind="trained", description=text, path=path, metadata=metadata))
    text = f"weights given by the user: {path}"
    return BuiltModule(module.eval(), WeightsOrigin(kind="user", description=text, path=path, metadata=metadata))


def new_module(recipe: Recipe, seed: int = 0) -> nn.Module:
    """The recipe's network, TT layers included, with weights drawn from ``seed``; torch's generator is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = with_tt_layers(build_dense(recipe), recipe.tt, f"{recipe.path}: tt.layers")
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d) and layer.weight.requires_grad:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        return module


def with_tt_layers(module: nn.Module, tt: TtSpec, where: str) -> nn.Module:
    """Replace (in place) the convolutions that ``tt`` names by freshly initialised TT layers.

    Raises:
        HwgenError: a named layer does not exist or is not a plain convolution.
    """
    convolutions = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)}
    for layer in tt.layers:
        conv = convolutions.get(layer.name)
        if conv is None:
            raise HwgenError(f"no convolution {layer.name!r}", where=where, allowed=", ".join(convolutions))
        if conv.groups != 1 or set(conv.dilation) != {1}:
            raise HwgenError(f"{layer.name!r} has groups or dilation; a TT layer has neither", where=where)
        parent, _, attribute = layer.name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, TTConv2d.like(conv, tt.form(layer)))
    return module


@torch.no_grad()
def decompose_into(student: nn.Module, teacher: nn.Module) -> Mapping[str, float]:
    """Initialise ``student`` from ``teacher``, its dense twin: TT-SVD where it has TT layers, copies elsewhere.

    Returns:
        Relative Frobenius error per TT layer.
    """
    errors: dict[str, float] = {}
    source = teacher.state_dict()
    for name, layer in student.named_modules():
        if isinstance(layer, TTConv2d):
            decomposition = tt_svd(source[f"{name}.weight"].double().numpy(), layer.form)
            layer.load_decomposition(decomposition)
            errors[name] = decomposition.relative_error
    for name, value in student.state_dict().items():
        if name in source:
            value.copy_(source[name])
    return errors


def set_tt_execution(module: nn.Module, execution: Execution) -> None:
    """Choose how all TT layers of ``module`` compute in torch."""
    for layer in module.modules():
        if isinstance(layer, TTConv2d):
            layer.execution = execution
