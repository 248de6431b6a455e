"""Planned float graph + calibration -> quantised graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Activation, Graph, Node, Requantise
from hwgen.ir.verify import Stage, verify
from hwgen.quantize.calibrate import Calibration
from hwgen.quantize.fuse import Fused, fuse
from hwgen.quantize.multiplier import nearest, not_below, shifts
from hwgen.quantize.reconstruct import quantise_kernel

#: largest bias, in accumulator steps
BIAS_LIMIT = 2.0**23
#: smallest accumulator step, in output steps
_LEAST_RATIO = 2.0**-24


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A fused node with what surrounds it: names and scales of its inputs, scale and shape of its result."""

    fused: Fused
    inputs: tuple[str, ...]
    input_scales: tuple[float, ...]
    scale: float
    shape: ir.Shape
    origin: str
    raw: bool


def quantise(calibration: Calibration) -> Graph:
    """The integer network for the graph that ``calibration`` observed.

    Raises:
        HwgenError: a scale ratio that the requantisation cannot express.
    """
    lowered = calibration.lowered
    groups = fuse(lowered.graph)
    scales = activation_scales(calibration, groups)
    names = {f.tensor: f.name for f in groups}
    nodes = [
        _emit(_Place(
            fused=f, inputs=tuple(names[t] for t in f.inputs), input_scales=tuple(scales[t] for t in f.inputs),
            scale=scales[f.tensor], shape=f.node.shape, origin=lowered.origins.get(f.name, ""),
            raw=f.tensor == lowered.graph.output,
        ))
        for f in groups
    ]
    source = lowered.graph
    graph = Graph(name=source.name, nodes=tuple(nodes), output=names[source.output], labels=source.labels)
    return verify(graph, Stage.QUANTISED)


def activation_scales(calibration: Calibration, groups: tuple[Fused, ...]) -> dict[str, float]:
    """Real value of one int8 step per fused tensor; tensors that MaxPool and Concat connect share one."""
    parent = {f.tensor: f.tensor for f in groups}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for fused in groups:
        if isinstance(fused.node, ir.MaxPool | ir.Concat):
            for name in fused.inputs:
                parent[root(name)] = root(fused.tensor)
    limits: dict[str, float] = {}
    for fused in groups:
        key = root(fused.tensor)
        limits[key] = max(limits.get(key, 0.0), calibration.thresholds[fused.tensor])
    return {f.tensor: limits[root(f.tensor)] / 127 for f in groups}


def _emit(place: _Place) -> Node:
    heart = place.fused.node
    name, inputs, shape, scale = place.fused.name, place.inputs, place.shape, place.scale
    match heart:
        case ir.Input():
            return ir.QInput(name=name, inputs=(), shape=shape, scale=scale)
        case ir.Conv2d():
            return _conv(place, heart)
        case ir.TTConv2d():
            return _reconstructed_conv(place, heart)
        case ir.MaxPool():
            return ir.QMaxPool(name=name, inputs=inputs, shape=shape, scale=scale, kernel=heart.kernel,
                               stride=heart.stride, padding=heart.padding)
        case ir.AvgPool():
            ratio = np.full(shape[0], place.input_scales[0] / (scale * heart.kernel[0] * heart.kernel[1]))
            shift = shifts(ratio[None], name)
            return ir.QAvgPool(name=name, inputs=inputs, shape=shape, scale=scale, kernel=heart.kernel,
                               stride=heart.stride, padding=heart.padding,
                               requantise=_requantise(place, nearest(ratio, shift), shift))
        case ir.Add():
            left, right = (np.full(shape[0], s / scale) for s in place.input_scales)
            shift = shifts(np.stack([left, right]), name)
            return ir.QAdd(name=name, inputs=inputs, shape=shape, scale=scale,
                           requantise=_requantise(place, nearest(left, shift), shift, nearest(right, shift)))
        case ir.Concat():
            return ir.QConcat(name=name, inputs=inputs, shape=shape, scale=scale)
    raise HwgenError(f"{heart.op} cannot be quantised", where=name)


def _requantise(place: _Place, multiplier: np.ndarray, shift: np.ndarray, residual: np.ndarray | None = None,
                ) -> Requantise:
    activation = place.fused.activation
    low = -128 if activation is Activation.NONE else 0
    high = min(127, int(np.floor(6 / place.scale + 0.5))) if activation is Activation.RELU6 else 127
    return Requantise(
        multiplier=multiplier, shift=shift, lo=low, hi=high,
        residual_multiplier=np.zeros_like(multiplier) if residual is None else residual,
    )


def _residual_ratio(place: _Place) -> float:
    return place.input_scales[1] / place.scale if len(place.inputs) == 2 else 0.0


def _conv(place: _Place, conv: ir.Conv2d) -> Node:
    """Weights per output channel; their scale is stretched a little until the multiplier is exactly an integer."""
    source = place.input_scales[0]
    weight, bias = conv.weight.astype(np.float64), conv.bias.astype(np.float64)
    scale = np.abs(weight).max(axis=(1, 2, 3)) / 127
    scale = np.maximum(scale, np.abs(bias) / (source * BIAS_LIMIT))
    scale = np.maximum(scale, _LEAST_RATIO * place.scale / source)
    requantise = None
    if not place.raw:
        ratio, residual = scale * source / place.scale, np.full(len(scale), _residual_ratio(place))
        shift = shifts(np.stack([ratio, residual]), place.fused.name)
        multiplier = not_below(ratio, shift)
        scale = multiplier * np.exp2(-shift.astype(np.float64)) * place.scale / source
        requantise = _requantise(place, multiplier, shift, nearest(residual, shift))
    integers = np.clip(np.rint(weight / scale[:, None, None, None]), -127, 127).astype(np.int8)
    return _qconv(place, conv, weight=integers, bias=np.rint(bias / (scale * source)), requantise=requantise,
                  acc_scale=scale * source)


def _reconstructed_conv(place: _Place, conv: ir.TTConv2d) -> Node:
    source = place.input_scales[0]
    kernel, scale = quantise_kernel(conv)
    requantise = None
    if not place.raw:
        ratio, residual = scale * source / place.scale, np.full(len(scale), _residual_ratio(place))
        shift = shifts(np.stack([ratio, residual]), place.fused.name)
        requantise = _requantise(place, nearest(ratio, shift), shift, nearest(residual, shift))
    bias = np.clip(np.rint(conv.bias / (scale * source)), -BIAS_LIMIT, BIAS_LIMIT)
    return _qconv(place, conv, weight=kernel, bias=bias, requantise=requantise, acc_scale=scale * source)


def _qconv(place: _Place, conv: ir.Conv2d | ir.TTConv2d, *, weight: np.ndarray | ir.ReconstructedKernel,
           bias: np.ndarray, requantise: Requantise | None, acc_scale: np.ndarray) -> ir.QConv2d:
    return ir.QConv2d(
        name=place.fused.name, inputs=place.inputs, shape=place.shape, weight=weight, bias=bias.astype(np.int32),
        requantise=requantise, scale=place.scale, raw_scale=acc_scale if requantise is None else None,
        stride=conv.stride, padding=conv.padding, dilation=conv.dilation, origin=place.origin,
        groups=conv.groups if isinstance(conv, ir.Conv2d) else 1,
    )
