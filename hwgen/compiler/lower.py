"""Quantised graph -> engine operations: one convolution or pool per node, concatenation by placement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hwgen.compiler.channels import ChannelLayout
from hwgen.compiler.folding import Fold, fold_weight
from hwgen.compiler.operations import ConvOp, Kernel, Lowered, Operation, PoolOp, Records, Tensor, WindowOp
from hwgen.compiler.reconstruct import contract_offline, lower_kernel
from hwgen.compiler.window import depthwise, fits_window
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node, ReconstructedKernel, Requantise


def lower(
    graph: Graph, config: AcceleratorConfig, fold: Fold | None, pair: bool, *, reconstruct: bool = True
) -> Lowered:
    """Operations in program order.

    Args:
        graph: quantised.
        fold: layout of the network input, or None.
        pair: the two-pixel shape may be used (decides the tile format of reconstructed kernels).
        reconstruct: build kernels on the chip; otherwise they are contracted offline, which gives the same integers.

    Raises:
        HwgenError: a node that the engine cannot execute, by name.
    """
    builder = _Builder(config=config, pair=pair and config.pair_mode and reconstruct, fold=fold)
    for node in graph.nodes:
        builder.add(node)
    output = builder.resolve(graph.output)
    if output == graph.input_node().name:
        raise HwgenError("the output is the input itself", where=graph.output)
    return Lowered(operations=tuple(builder.operations), tensors=builder.tensors, joins=builder.joins,
                   kernels=builder.kernels, input=graph.input_node().name, output=output)


def spatial(shape: tuple[int, ...], where: str) -> tuple[int, int, int]:
    """(C, H, W) of a map or a vector."""
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if len(shape) == 1:
        return shape[0], 1, 1
    raise HwgenError(f"tensor of shape {shape}", where=where, allowed="(C, H, W) or (F,)")


def identity(lanes_out: np.ndarray, lanes_in: np.ndarray, size_out: int, size_in: int) -> np.ndarray:
    """int8 [size_out, size_in, 1, 1]: channel c from lanes_in[c] to lanes_out[c]."""
    weight = np.zeros((size_out, size_in, 1, 1), np.int8)
    weight[lanes_out, lanes_in] = 1
    return weight


def copy_operation(source: Tensor, name: str, node: str) -> tuple[Tensor, ConvOp]:
    """A tensor equal to ``source`` and the operation that makes it."""
    lanes = source.layout.lane_of()
    size = source.layout.lanes
    blocks = source.layout.blocks
    zeros = np.zeros(len(lanes))
    records = spread_records(lanes, size, bias=zeros, multiplier=zeros + 2, residual=zeros, shift=zeros + 1,
                             clamp=(-128, 127))
    operation = ConvOp(
        node=node, src=source.name, dst=name, residual=None, weight=identity(lanes, lanes, size, size),
        links=np.eye(blocks, dtype=bool), records=records, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), macs=0,
    )
    return replace(source, name=name), operation


def spread_records(lanes: np.ndarray, size: int, *, bias: np.ndarray, multiplier: np.ndarray, residual: np.ndarray,
                   shift: np.ndarray, clamp: tuple[int, int]) -> Records:
    """Records per channel -> per lane; unused lanes give 0."""
    def spread(values: np.ndarray, empty: int = 0) -> np.ndarray:
        out = np.full(size, empty, np.int64)
        out[lanes] = values
        return out

    return Records(bias=spread(bias), multiplier=spread(multiplier), residual=spread(residual), shift=spread(shift, 1),
                   lo=clamp[0], hi=clamp[1])


@dataclass
class _Builder:
    """Walks the graph once and collects."""

    config: AcceleratorConfig
    pair: bool
    fold: Fold | None
    operations: list[Operation] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    joins: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)
    copies: int = 0

    def resolve(self, name: str) -> str:
        return self.aliases.get(name, name)

    def add(self, node: Node) -> None:
        match node:
            case ir.QInput():
                self._input(node)
            case ir.QConv2d():
                self._conv(node)
            case ir.QMaxPool() | ir.QAvgPool():
                self._pool(node)
            case ir.QAdd():
                self._add(node)
            case ir.QConcat():
                self._concat(node)
            case ir.QFlatten():
                self.aliases[node.name] = self.resolve(node.inputs[0])
            case _:
                raise HwgenError(f"{node.op} is not a quantised node", where=node.name)

    def _source(self, node: Node, position: int = 0) -> Tensor:
        tensor = self.tensors[self.resolve(node.inputs[position])]
        if tensor.raw:
            raise HwgenError(f"reads the raw output of {tensor.name}", where=node.name)
        return tensor

    def _input(self, node: ir.QInput) -> None:
        channels, height, width = spatial(node.shape, node.name)
        if self.fold:
            channels, height, width = self.fold.channels, self.fold.height, self.fold.width
        self._tensor(node.name, ChannelLayout.plain(channels, self.config.p_i), height, width)

    def _tensor(self, name: str, layout: ChannelLayout, height: int, width: int, raw: bool = False) -> Tensor:
        self.tensors[name] = Tensor(name=name, layout=layout, height=height, width=width, raw=raw)
        return self.tensors[name]

    def _conv(self, node: ir.QConv2d) -> None:
        source = self._source(node)
        if depthwise(node, source, self.config) and not (self.fold and self._is_input(source.name)):
            q = node.requantise
            assert isinstance(node.weight, np.ndarray) and q is not None
            self._window(node, source, node.weight[:, 0], node.bias, q=q, macs=node.weight.size)
            return
        out, height, width = spatial(node.shape, node.name)
        residual = self._source(node, 1) if len(node.inputs) > 1 else None
        layout = residual.layout if residual else ChannelLayout.plain(out, self.config.p_i)
        kernel = node.weight
        local = None
        if isinstance(kernel, ReconstructedKernel):
            weight = contract_offline(kernel)
            if self.pair:
                local = self._kernel(node, kernel, source, layout)
        else:
            weight = kernel
        stride, padding, dilation = node.stride, node.padding, node.dilation
        if self.fold and self._is_input(source.name):
            weight, stride, padding, dilation = fold_weight(weight), (1, 1), (0, 0, 0, 0), (1, 1)
        raw = node.requantise is None
        lanes_out = layout.lane_of()
        expanded, links = expand_weight(weight, node.groups, layout, source.layout)
        q = node.requantise
        none = np.zeros(out, np.int64)
        records = spread_records(
            lanes_out, layout.lanes, bias=node.bias, multiplier=q.multiplier if q else none,
            residual=q.residual_multiplier if q and residual else none, shift=q.shift if q else none,
            clamp=(q.lo, q.hi) if q else (-128, 127),
        )
        if raw and residual:
            raise HwgenError("a raw output with a residual", where=node.name)
        self._tensor(node.name, layout, height, width, raw)
        self.operations.append(ConvOp(
            node=node.name, src=source.name, dst=node.name, residual=residual.name if residual else None,
            weight=expanded, links=links, records=records, stride=stride, padding=padding, dilation=dilation,
            macs=int(weight.size) * height * width, raw=raw, local=local,
        ))

    def _is_input(self, name: str) -> bool:
        return name == next(iter(self.tensors))

    def _kernel(self, node: ir.QConv2d, kernel: ReconstructedKernel, source: Tensor, layout: ChannelLayout) -> str:
        wide = node.requantise is None or node.stride[1] != 1 or layout.blocks % 2 == 0
        columns = self.config.p_o if wide else self.config.p_o // 2
        described, tensors, contractions = lower_kernel(node, kernel, src=source.layout, dst=layout,
                                                         columns=columns)
        self.kernels[described.name] = described
        self.tensors.update({t.name: t for t in tensors})
        # before the producer of the convolution's input, so that the products have left the pipeline when they are read
        at = next((i for i, op in enumerate(self.operations) if op.dst == source.name), 0)
        self.operations[at:at] = contractions
        return described.name

    def _pool(self, node: ir.QMaxPool | ir.QAvgPool) -> None:
        source = self._source(node)
        channels, height, width = spatial(node.shape, node.name)
        lanes = source.layout.lane_of()
        maximum = isinstance(node, ir.QMaxPool)
        q = _exact(channels) if isinstance(node, ir.QMaxPool) else node.requantise
        if fits_window(node, source, self.config, maximum=maximum):
            self._window(node, source, np.ones((channels, *node.kernel), np.int8), np.zeros(channels, np.int64), q=q)
            return
        zeros = np.zeros(channels)
        records = spread_records(lanes, source.layout.lanes, bias=zeros, multiplier=q.multiplier, residual=zeros,
                                 shift=q.shift, clamp=(q.lo, q.hi))
        self._tensor(node.name, source.layout, height, width)
        self.operations.append(PoolOp(node=node.name, src=source.name, dst=node.name, maximum=maximum, records=records,
                                      kernel=node.kernel, stride=node.stride, padding=node.padding))

    def _window(self, node: ir.QConv2d | ir.QMaxPool | ir.QAvgPool, source: Tensor, taps: np.ndarray,
                bias: np.ndarray, *, q: Requantise, macs: int = 0) -> None:
        """The node in the window unit; ``taps``: int8 [channels, Kh, Kw]."""
        _, height, width = spatial(node.shape, node.name)
        lanes = source.layout.lane_of()
        weight = np.zeros((source.layout.lanes, *taps.shape[1:]), np.int8)
        weight[lanes] = taps
        records = spread_records(lanes, source.layout.lanes, bias=bias, multiplier=q.multiplier,
                                 residual=np.zeros(len(lanes)), shift=q.shift, clamp=(q.lo, q.hi))
        self._tensor(node.name, source.layout, height, width)
        self.operations.append(WindowOp(
            node=node.name, src=source.name, dst=node.name, maximum=isinstance(node, ir.QMaxPool), weight=weight,
            records=records, stride=node.stride, padding=node.padding, macs=macs * height * width))

    def _add(self, node: ir.QAdd) -> None:
        source, residual = self._source(node), self._source(node, 1)
        if (source.height, source.width) != (residual.height, residual.width):
            raise HwgenError("operands of different maps", where=node.name)
        layout, q = residual.layout, node.requantise
        lanes_out, lanes_in = layout.lane_of(), source.layout.lane_of()
        links = np.zeros((layout.blocks, source.layout.blocks), bool)
        links[lanes_out // self.config.p_i, lanes_in // self.config.p_i] = True
        zeros = np.zeros(layout.channels)
        records = spread_records(lanes_out, layout.lanes, bias=zeros, multiplier=q.multiplier,
                                 residual=q.residual_multiplier, shift=q.shift, clamp=(q.lo, q.hi))
        self._tensor(node.name, layout, source.height, source.width)
        self.operations.append(ConvOp(
            node=node.name, src=source.name, dst=node.name, residual=residual.name,
            weight=identity(lanes_out, lanes_in, layout.lanes, source.layout.lanes), links=links, records=records,
            stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), macs=0,
        ))

    def _concat(self, node: ir.QConcat) -> None:
        parts: list[str] = []
        for position in range(len(node.inputs)):
            part = self._source(node, position)
            if part.name in self.joined or part.name in parts or self._is_input(part.name):
                self.copies += 1
                part, operation = copy_operation(part, f"{part.name}.copy{self.copies}", node.name)
                self.tensors[part.name] = part
                self.operations.append(operation)
            parts.append(part.name)
            self.joined.add(part.name)
        layout = ChannelLayout.joined(tuple(self.tensors[p].layout for p in parts))
        first = self.tensors[parts[0]]
        self._tensor(node.name, layout, first.height, first.width)
        self.joins[node.name] = tuple(parts)


def _exact(channels: int) -> Requantise:
    """The identity: (2x + 1) >> 1."""
    return Requantise(multiplier=np.full(channels, 2, np.int64), shift=np.ones(channels, np.int64),
                      residual_multiplier=np.zeros(channels, np.int64))


def expand_weight(
    weight: np.ndarray, groups: int, out: ChannelLayout, source: ChannelLayout
) -> tuple[np.ndarray, np.ndarray]:
    """Weight [O, I/groups, Kh, Kw] over channels -> the same over lanes, and what is linked.

    Returns:
        int8 [output lanes, input lanes, Kh, Kw]; bool [output blocks, input blocks].
    """
    lanes_out, lanes_in = out.lane_of(), source.lane_of()
    per_out, per_in = weight.shape[0] // groups, weight.shape[1]
    expanded = np.zeros((out.lanes, source.lanes, *weight.shape[2:]), np.int8)
    links = np.zeros((out.blocks, source.blocks), bool)
    for g in range(groups):
        rows = lanes_out[g * per_out:(g + 1) * per_out]
        columns = lanes_in[g * per_in:(g + 1) * per_in]
        expanded[np.ix_(rows, columns)] = weight[g * per_out:(g + 1) * per_out]
        links[np.ix_(np.unique(rows // out.p_i), np.unique(columns // source.p_i))] = True
    return expanded, links
