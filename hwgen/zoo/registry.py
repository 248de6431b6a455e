"""Builders of networks by name. A new architecture is one file with a parameter dataclass and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from hwgen.errors import HwgenError
from hwgen.zoo.aconvnet import AConvNet, AConvNetParams
from hwgen.zoo.fields import read_table
from hwgen.zoo.mobilenet_v2 import MobileNetV2, MobileNetV2Params
from hwgen.zoo.recipe import GRAPH_BUILDER, Recipe
from hwgen.zoo.resnet_cifar import ResNetCifar, ResNetCifarParams
from hwgen.zoo.resnet_imagenet import ResNetImagenet, ResNetImagenetParams
from hwgen.zoo.vgg import Vgg, VggParams

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Builder:
    """How to make one architecture: its parameter dataclass and ``make(input_shape, classes, params)``."""

    params: type[Any]
    make: Callable[[Shape, int, Any], nn.Module]


BUILDERS: dict[str, Builder] = {
    "aconvnet": Builder(AConvNetParams, AConvNet),
    "mobilenet_v2": Builder(MobileNetV2Params, MobileNetV2),
    "resnet_cifar": Builder(ResNetCifarParams, ResNetCifar),
    "resnet_imagenet": Builder(ResNetImagenetParams, ResNetImagenet),
    "vgg": Builder(VggParams, Vgg),
}


def build_dense(recipe: Recipe) -> nn.Module:
    """The network of the recipe with plain convolutions, freshly initialised (torch's global generator).

    Raises:
        HwgenError: unknown builder or wrong parameters.
    """
    where = f"{recipe.path}: network"
    if recipe.network.builder == GRAPH_BUILDER:
        raise HwgenError("is stored as a graph and has no torch module", where=where,
                         hint=f"fine-tune it: hwgen train --model {recipe.weights.file}")
    builder = BUILDERS.get(recipe.network.builder)
    if builder is None:
        raise HwgenError(f"unknown builder {recipe.network.builder!r}", where=where, allowed=", ".join(BUILDERS))
    params = read_table(builder.params, recipe.network.params, f"{where}.params")
    return builder.make(recipe.input.shape, recipe.input.outputs, params)
