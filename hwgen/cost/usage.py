"""What a layer's issue slots and steps are worth: multipliers without work, and tile swaps that steps cannot hide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.options import Timing
from hwgen.compiler.result import CompiledNetwork, LayerInfo
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.play.programs import load_runs
from hwgen.ir.nodes import Graph, Node, QAvgPool, QConv2d, QMaxPool
from hwgen.isa.layout import ComputeFlag, LoadKind


@dataclass(frozen=True, kw_only=True)
class LayerUsage:
    """Facts of one layer that explain its cycles; whatever is in cycles is in issue slots of the array.

    Args:
        op: kind of the graph node.
        kernel, groups: of the convolution or pool; (1, 1) and 1 otherwise.
        inputs, outputs: channels.
        height, width: of the output.
        reads_input: it reads the frame's input.
        raw: int32 results leave, several words a pixel.
        loads: descriptors that wait for a load that none before them did; stores: the same of stores.
        loaded: bytes of those loads.
        array: slots of its convolutions and products in the array that count as MACs of the network.
        without_macs: slots of other passes of the array (pools, sums, copies, contractions of a kernel).
        idle_inputs: part of ``array`` in which input lanes have no channel (or tap) to work on.
        idle_pixels: part of the rest of ``array`` in which the second pixel of a pair lies behind its row.
        input_lanes: lanes of the input words that an output value takes; macs_per_output: how many of them have work.
        columns: output lanes of a block, in the shape that has most of the slots.
        step_slots: slots of a step, shortest; tile_lines: cycles that its next tile takes to be read.
        swap: cycles that steps are shorter than what they fetch meanwhile.
    """

    op: str
    kernel: tuple[int, int]
    groups: int
    inputs: int
    outputs: int
    height: int
    width: int
    reads_input: bool
    raw: bool
    loads: int
    stores: int
    loaded: int
    array: int
    without_macs: int
    idle_inputs: float
    idle_pixels: float
    input_lanes: int
    macs_per_output: int
    columns: int
    step_slots: int
    tile_lines: int
    swap: int


def in_array(descriptors: Sequence[Descriptor]) -> tuple[int, ...]:
    """Positions of the descriptors that the array's sequencer runs, in program order."""
    return tuple(n for n, d in enumerate(descriptors) if not d.window)


def layer_usages(network: CompiledNetwork, graph: Graph) -> dict[str, LayerUsage]:
    """Usage of every layer of ``network``, which was compiled from ``graph``, by its node's name."""
    landing = [run.beats * network.config.axi_bytes * run.planes
               for run in load_runs(network.program) if run.kind in (LoadKind.INPUT, LoadKind.ACTIVATIONS)]
    loads = stores = 0
    new: list[_New] = []
    for d in network.descriptors:
        new.append(_New(d.wait_act > loads, d.wait_store > stores, sum(landing[loads:d.wait_act])))
        loads, stores = max(loads, d.wait_act), max(stores, d.wait_store)
    return {layer.node: _usage(layer, network, graph, new) for layer in network.layers}


class _New(NamedTuple):
    """What a descriptor waits for and none before it did."""

    load: bool
    store: bool
    bytes: int


def _usage(layer: LayerInfo, network: CompiledNetwork, graph: Graph, new: Sequence[_New]) -> LayerUsage:
    config, node = network.config, graph[layer.node]
    mine = {n: network.descriptors[n] for n in layer.descriptors}
    array = [mine[n] for n in in_array(network.descriptors) if n in mine]
    working = [d for d in array if d.macs]
    height, width = node.shape[-2:] if len(node.shape) == 3 else (1, 1)
    per_output = layer.macs // prod(node.shape)
    idle_inputs = idle_pixels = 0.0
    for d in working:
        used = per_output / _input_lanes(d, config)
        idle_inputs += d.slots * (1 - used)
        idle_pixels += d.slots * used * _behind(d, width)
    most = max(working, key=lambda d: d.slots, default=None)
    source = graph[node.inputs[0]]
    kernel, groups = _form(node)
    return LayerUsage(
        op=node.op, kernel=kernel, groups=groups, inputs=source.shape[0], outputs=node.shape[0], height=height,
        width=width, reads_input=graph.input_node().name in node.inputs,
        raw=any(ComputeFlag.RAW in d.flags for d in array),
        loads=sum(new[n].load for n in mine), stores=sum(new[n].store for n in mine),
        loaded=sum(new[n].bytes for n in mine),
        array=sum(d.slots for d in working), without_macs=sum(d.slots for d in array) - sum(d.slots for d in working),
        idle_inputs=idle_inputs, idle_pixels=idle_pixels,
        input_lanes=_input_lanes(most, config) if most else 0, macs_per_output=per_output,
        columns=config.p_o // _half(most) if most else 0,
        step_slots=min((d.step_slots for d in array), default=0),
        tile_lines=config.lines_per_tile // (_half(most) if most else 1),
        swap=sum(_swap(d, config, Timing.of(config)) for d in array),
    )


def _form(node: Node) -> tuple[tuple[int, int], int]:
    if isinstance(node, QConv2d):
        return (node.weight.shape[2], node.weight.shape[3]), node.groups
    if isinstance(node, QMaxPool | QAvgPool):
        return node.kernel, 1
    return (1, 1), 1


def _half(d: Descriptor) -> int:
    return 2 if ComputeFlag.PAIR in d.flags else 1


def _input_lanes(d: Descriptor, config: AcceleratorConfig) -> int:
    return d.steps * config.p_i


def _behind(d: Descriptor, width: int) -> float:
    """Share of a descriptor's pixels that lie behind a row; rows of a joined map are as wide as the tile."""
    if ComputeFlag.PAIR not in d.flags:
        return 0.0
    joined = d.src_strides[1] == 0
    odd = d.width % 2 if joined else width % 2
    return odd / (2 * d.counts[0])


def _swap(d: Descriptor, config: AcceleratorConfig, timing: Timing) -> int:
    tile, records = config.lines_per_tile // _half(d), config.param_lines // _half(d)
    slots = d.step_slots * (timing.raw_interval if ComputeFlag.RAW in d.flags else 1)
    if d.pool:
        return d.blocks * max(0, records - slots)
    step = max(slots, tile, timing.min_step)
    return d.blocks * ((d.steps - 1) * (step - slots) + max(step, tile + records) - slots)
