"""Engine operations: what the lowered network consists of, still without addresses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwgen.compiler.channels import ChannelLayout
from hwgen.ir.nodes import Padding, Pair


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A feature map in activation memory.

    Args:
        name: unique.
        layout: its channels.
        height, width: of the map.
        raw: int32 accumulators instead of int8 (the last layer).
    """

    name: str
    layout: ChannelLayout
    height: int
    width: int
    raw: bool = False

    @property
    def pixels(self) -> int:
        """height * width."""
        return self.height * self.width


@dataclass(frozen=True, kw_only=True)
class Records:
    """Requantisation records of all output lanes: int64 [lanes] each; unused lanes have M = R = bias = 0, S = 1.

    ``lo`` and ``hi`` are the clamp bounds of the layer.
    """

    bias: np.ndarray
    multiplier: np.ndarray
    residual: np.ndarray
    shift: np.ndarray
    lo: int
    hi: int


@dataclass(frozen=True, kw_only=True)
class ConvOp:
    """A convolution (or matrix product) of the array.

    Args:
        node: graph node it computes, for reports and encryption.
        src, dst, residual: tensor names.
        weight: int8 [output lanes, input lanes, Kh, Kw].
        links: bool [output blocks of p_i lanes, input blocks]: which pairs a kernel connects at all (groups).
        records: per output lane.
        macs: logical multiply-accumulates.
        local: name of the reconstructed kernel in weight memory that holds ``weight`` (then no tiles are streamed).
    """

    node: str
    src: str
    dst: str
    residual: str | None
    weight: np.ndarray = field(repr=False)
    links: np.ndarray = field(repr=False)
    records: Records = field(repr=False)
    stride: Pair
    padding: Padding
    dilation: Pair
    macs: int
    raw: bool = False
    local: str | None = None

    @property
    def kernel(self) -> Pair:
        """Kh, Kw."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def pointwise(self) -> bool:
        """1x1, stride 1, no padding: rows may be joined."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and not any(self.padding)


@dataclass(frozen=True, kw_only=True)
class PoolOp:
    """Window maximum, or window sum and requantise."""

    node: str
    src: str
    dst: str
    maximum: bool
    records: Records = field(repr=False)
    kernel: Pair
    stride: Pair
    padding: Padding


@dataclass(frozen=True, kw_only=True)
class WindowOp:
    """Depthwise convolution or maximum in the window unit; channels keep their lanes.

    Args:
        node: graph node it computes, for reports and encryption.
        src, dst: tensor names, of the same channel layout.
        maximum: of the taps whose weight is not 0; otherwise the requantised sum of taps times weights.
        weight: int8 [lanes, Kh, Kw].
        records: per lane.
        macs: logical multiply-accumulates.
    """

    node: str
    src: str
    dst: str
    maximum: bool
    weight: np.ndarray = field(repr=False)
    records: Records = field(repr=False)
    stride: Pair
    padding: Padding
    macs: int

    @property
    def kernel(self) -> Pair:
        """Kh, Kw."""
        return self.weight.shape[1], self.weight.shape[2]


@dataclass(frozen=True, kw_only=True)
class ContractOp:
    """One contraction of an on-chip reconstruction: ``rows`` pixels of ``src`` times a matrix.

    The source holds, for row ``o`` and outer index ``m``, rank word ``b`` at plane ``m * rank_blocks + b``, word ``o``.

    Args:
        kernel: name of the kernel under reconstruction.
        weight: int8 [output lanes, rank lanes].
        outer: size of ``m``: modes contracted so far.
        rank_blocks: words of the rank.
        last: writes weight memory instead of ``dst``.
        modes: taps that the columns of the last contraction run over (1 when they are the input channels alone);
            output lanes are ordered (input block, tap, lane).
    """

    node: str
    kernel: str
    src: str
    dst: str | None
    weight: np.ndarray = field(repr=False)
    records: Records = field(repr=False)
    rows: int
    outer: int
    rank_blocks: int
    modes: int = 1

    @property
    def last(self) -> bool:
        """Whether the product is the kernel itself."""
        return self.dst is None


Operation = ConvOp | PoolOp | WindowOp | ContractOp


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel that is built in weight memory during the frame.

    Args:
        name: unique.
        first: name of the tensor that holds the first core.
        data: int8 [outer * rank lanes, rows], the first core as channels x pixels, zero where unused.
        columns: output columns of a tile of the consuming convolution (p_o, or p_o/2 in the pair shape).
        blocks: output blocks of the consuming convolution.
        input_blocks, taps: its steps.
    """

    name: str
    first: str
    data: np.ndarray = field(repr=False)
    columns: int
    blocks: int
    input_blocks: int
    taps: int

    @property
    def granules(self) -> int:
        """Size in granules of p_i bytes."""
        return self.blocks * self.input_blocks * self.taps * self.columns


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A network as engine operations in program order.

    Args:
        joins: concatenated tensor -> its parts, placed one behind the other.
        output: tensor that leaves the accelerator.
    """

    operations: tuple[Operation, ...]
    tensors: dict[str, Tensor]
    joins: dict[str, tuple[str, ...]]
    kernels: dict[str, Kernel]
    input: str
    output: str
