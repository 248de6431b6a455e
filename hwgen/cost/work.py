"""What a network asks of the array, layer by layer: sizes only, so that cost is quickly computed for many engines."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import prod

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, Pair, Shape, TTExecution
from hwgen.ir.shapes import infer_shape, tt_kernel_shape
from hwgen.ir.tt_chain import chain_nodes
from hwgen.passes.plan import TTChoice, apply_choice, candidates, plan
from hwgen.quantize.fuse import Fused, fuse
from hwgen.quantize.lower import lower
from hwgen.seal import Selection


@dataclass(frozen=True, kw_only=True)
class Contraction:
    """What a contraction on the chip is besides a matrix product.

    Args:
        outputs: output channels of the kernel, which are padded to whole tiles of the convolution that uses it.
        outer: taps that are there already; a contraction has ``outputs * outer`` rows.
        wide: tiles of the using convolution have p_o columns, else they may have half as many.
        loaded: its left operand is the first core, which is loaded into activation memory.
    """

    outputs: int
    outer: int
    wide: bool
    loaded: bool


@dataclass(frozen=True, kw_only=True)
class Work:
    """One operation of the array.

    Args:
        name: of the node; origin: of the float layer it came from.
        pool: a window operation on the activations; otherwise a convolution or matrix product.
        channels_in, channels_out, kernel, stride, groups: of the convolution or window.
        size_in, size_out: height and width.
        pointwise: 1x1, stride 1, no padding.
        raw: int32 result.
        from_input: reads the network's input.
        local: its tiles are built on the chip; ``to_weights``: it builds them.
        contraction: where it is a step of a reconstruction.
        macs: logical multiply-accumulates.
        windowed: a depthwise convolution, or a pool, that the window unit can do if it is large enough; ``maximum``: a
            maximum pool.
        encrypted: its weights are stored encrypted.
        reads: tensors it reads, and ``writes`` the tensor it makes ("" when it goes to weight memory).
    """

    name: str
    origin: str
    pool: bool
    channels_in: int
    channels_out: int
    kernel: Pair
    stride: Pair
    groups: int
    size_in: Pair
    size_out: Pair
    pointwise: bool
    raw: bool
    from_input: bool
    local: bool
    to_weights: bool
    macs: int
    reads: tuple[str, ...]
    writes: str
    contraction: Contraction | None = None
    windowed: bool = False
    maximum: bool = False
    encrypted: bool = True

    @property
    def pixels(self) -> int:
        """Output pixels."""
        return self.size_out[0] * self.size_out[1]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to execute a TT layer: the choice and the operations it becomes."""

    choice: TTChoice
    works: tuple[Work, ...]


@dataclass(frozen=True, kw_only=True)
class NetworkWork:
    """A network for the cost model.

    Args:
        name: of the graph.
        works: operations in program order with every TT layer as a plain chain.
        variants: TT layer -> ways to execute it, the plain chain first.
        input_shape: (C, H, W).
        output_values: numbers that leave the accelerator.
        macs: logical multiply-accumulates in chain form.
    """

    name: str
    works: tuple[Work, ...]
    variants: dict[str, tuple[Variant, ...]]
    input_shape: Shape
    output_values: int
    macs: int


def with_encryption(network: NetworkWork, secret: Collection[str] | Selection | None) -> NetworkWork:
    """The network with some weights stored encrypted, the others plain.

    Args:
        secret: names of nodes or float layers, or a selection, of which a layer that is not executed as the selection
            was made counts as a whole; None: all.
    """
    def changed(works: tuple[Work, ...]) -> tuple[Work, ...]:
        names = _secret_nodes(works, secret) if isinstance(secret, Selection) else secret
        return tuple(dataclasses.replace(w, encrypted=names is None or w.name in names or w.origin in names)
                     for w in works)

    return dataclasses.replace(network, works=changed(network.works), variants={
        name: tuple(dataclasses.replace(v, works=changed(v.works)) for v in variants)
        for name, variants in network.variants.items()})


def _secret_nodes(works: Iterable[Work], selection: Selection) -> frozenset[str]:
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for w in works:
        if not w.pool:
            shape = (w.channels_out, w.channels_in // w.groups, *w.kernel)
            layers.setdefault(w.origin or w.name, {})[w.name] = shape
    return frozenset[str]().union(*(selection.picked(layer, nodes) for layer, nodes in layers.items()))


def network_work(graph: Graph) -> NetworkWork:
    """The work of a float graph (planned or not); TT layers with a fixed execution have that variant only."""
    planned = plan(graph)
    lowered = lower(planned)
    works = _works(fuse(lowered.graph), lowered.graph, lowered.origins)
    variants = {}
    for node in graph.nodes:
        if isinstance(node, ir.TTConv2d | ir.TTLinear) and node.execution is TTExecution.AUTO:
            shape = planned[planned[node.name].inputs[0]].shape
            own = [w for w in works if w.origin == node.name]
            variants[node.name] = tuple(
                Variant(choice=choice, works=_variant(node, choice, shape, own)) for choice in candidates(node))
    source = lowered.graph.input_node()
    return NetworkWork(
        name=graph.name, works=works, variants=variants, input_shape=source.shape,
        output_values=prod(lowered.graph[lowered.graph.output].shape), macs=sum(w.macs for w in works))


def _pair(shape: Shape) -> Pair:
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def _works(groups: Iterable[Fused], graph: Graph, origins: dict[str, str]) -> tuple[Work, ...]:
    out: list[Work] = []
    source = graph.input_node().name
    for group in groups:
        node = group.node
        match node:
            case ir.Conv2d():
                out.append(_conv(node, group, graph, source, origins.get(node.name, "")))
            case ir.TTConv2d():
                out += _reconstruct(node, group.inputs, group.tensor, _pair(graph[node.inputs[0]].shape))
            case ir.MaxPool() | ir.AvgPool():
                channels = node.shape[0]
                pool = _simple(node, group, graph, source, pool=True, channels=(channels, channels),
                               kernel=node.kernel, stride=node.stride)
                out.append(dataclasses.replace(pool, maximum=isinstance(node, ir.MaxPool),
                                               windowed=_within(node.padding, node.kernel)))
            case ir.Add():
                channels = node.shape[0]
                out.append(_simple(node, group, graph, source, pool=False, channels=(channels, channels), kernel=(1, 1),
                                   stride=(1, 1)))
            case _:
                continue
    return tuple(out)


def _within(padding: ir.Padding, kernel: Pair) -> bool:
    """Whether every window has a row and a column of the map."""
    return sum(padding[:2]) < kernel[0] and sum(padding[2:]) < kernel[1]


def _simple(node: Node, group: Fused, graph: Graph, source: str, *, pool: bool, channels: Pair, kernel: Pair,
            stride: Pair) -> Work:
    return Work(
        name=group.name, origin=group.name, pool=pool, channels_in=channels[0], channels_out=channels[1], kernel=kernel,
        stride=stride, groups=1 if pool else channels[0], size_in=_pair(graph[node.inputs[0]].shape),
        size_out=_pair(node.shape), pointwise=not pool, raw=False, from_input=node.inputs[0] == source, local=False,
        to_weights=False, macs=0, reads=group.inputs, writes=group.tensor)


def _conv(node: ir.Conv2d, group: Fused, graph: Graph, source: str, origin: str) -> Work:
    out, per_group, kernel_h, kernel_w = node.weight.shape
    return Work(
        name=group.name, origin=origin, pool=False, channels_in=per_group * node.groups, channels_out=out,
        kernel=(kernel_h, kernel_w), stride=node.stride, groups=node.groups, size_in=_pair(graph[node.inputs[0]].shape),
        size_out=_pair(node.shape),
        pointwise=(kernel_h, kernel_w) == (1, 1) and node.stride == (1, 1) and not any(node.padding),
        raw=group.tensor == graph.output, from_input=node.inputs[0] == source, local=False, to_weights=False,
        macs=node.weight.size * prod(_pair(node.shape)), reads=group.inputs, writes=group.tensor,
        windowed=(node.groups == per_group * node.groups == out and node.dilation == (1, 1)
                  and len(group.inputs) == 1 and group.tensor != graph.output
                  and _within(node.padding, (kernel_h, kernel_w))))


def _variant(node: ir.TTConv2d | ir.TTLinear, choice: TTChoice, shape: Shape, own: list[Work]) -> tuple[Work, ...]:
    """Operations of a TT layer executed as ``choice``; names of the first input and the last output stay."""
    decided = apply_choice(node, choice)
    reads, writes, raw = own[0].reads, own[-1].writes, own[-1].raw
    residual = own[-1].reads[1:]
    if isinstance(decided, ir.TTLinear):
        if decided.execution is not TTExecution.RECONSTRUCT:
            return tuple(own)
        first, last = decided.cores
        size = _pair(shape)
        per_pixel = first.shape[1] // prod(size)
        decided = ir.TTConv2d(
            name=node.name, inputs=node.inputs, shape=(last.shape[1], 1, 1), bias=node.bias, grouping=("IHW", "O"),
            cores=(first.reshape(1, per_pixel, *size, -1), last), execution=TTExecution.RECONSTRUCT)
    works: list[Work] = []
    tensor, size = reads[0], _pair(shape)
    members = chain_nodes(decided)
    for index, member in enumerate(members):
        last = index == len(members) - 1
        channels = member.weight.shape[1] if isinstance(member, ir.Conv2d) else tt_kernel_shape(member)[1]
        sized = dataclasses.replace(member, shape=infer_shape(member, [(channels, *size)]))
        result = writes if last else member.name
        sources = (tensor, *(residual if last else ()))
        from_input = own[0].from_input and index == 0
        if isinstance(sized, ir.TTConv2d):
            works += [dataclasses.replace(w, origin=node.name, from_input=from_input and w.local,
                                          raw=raw and last and w.local)
                      for w in _reconstruct(sized, sources, result, size)]
        else:
            works.append(_chained(sized, node.name, sources, result, size, from_input=from_input, raw=raw and last))
        tensor, size = result, _pair(sized.shape)
    return tuple(works)


def _chained(conv: ir.Conv2d, origin: str, reads: tuple[str, ...], writes: str, size: Pair, *, from_input: bool,
             raw: bool) -> Work:
    """One convolution of a chain."""
    out, channels, kernel_h, kernel_w = conv.weight.shape
    return Work(
        name=conv.name, origin=origin, pool=False, channels_in=channels, channels_out=out, kernel=(kernel_h, kernel_w),
        stride=conv.stride, groups=1, size_in=size, size_out=_pair(conv.shape),
        pointwise=(kernel_h, kernel_w) == (1, 1) and conv.stride == (1, 1) and not any(conv.padding), raw=raw,
        from_input=from_input, local=False, to_weights=False, macs=conv.weight.size * prod(_pair(conv.shape)),
        reads=reads, writes=writes)


def _reconstruct(node: ir.TTConv2d, reads: tuple[str, ...], writes: str, size_in: Pair) -> tuple[Work, ...]:
    """The contractions of a kernel on the chip, from the output end, and the convolution that uses it.

    The rows of a contraction are output channels times the taps that are there already, its columns the taps and the
    rank (at last: the input channels) that it adds.
    """
    out, channels, kernel_h, kernel_w = tt_kernel_shape(node)
    *_, first = node.cores
    outer = first.size // (first.shape[0] * out)
    works = []
    for core in node.cores[-2::-1]:
        to_weights = core is node.cores[0]
        rank = core.shape[-1]
        works.append(Work(
            name=f"{node.name}.contract{len(works)}", origin=node.name, pool=False, channels_in=rank,
            channels_out=core.size // rank, kernel=(1, 1), stride=(1, 1), groups=1, size_in=(outer, out),
            size_out=(outer, out), pointwise=True, raw=False, from_input=False, local=False, to_weights=to_weights,
            macs=0, reads=(), writes="", contraction=Contraction(
                outputs=out, outer=outer, wide=node.stride[1] != 1, loaded=not works)))
        outer *= core.size // (core.shape[0] * rank)
    works.append(Work(
        name=node.name, origin=node.name, pool=False, channels_in=channels, channels_out=out,
        kernel=(kernel_h, kernel_w), stride=node.stride, groups=1, size_in=size_in, size_out=_pair(node.shape),
        pointwise=False, raw=False, from_input=False, local=True, to_weights=False, macs=0, reads=reads, writes=writes))
    return tuple(works)
