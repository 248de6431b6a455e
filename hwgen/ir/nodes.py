"""The nodes of the intermediate representation: frozen, typed, one class per operator.

Three families share one ``Graph``: float nodes (front end, compress), the planned form (float nodes whose
``TTConv2d.execution`` is fixed) and quantised nodes (``Q*``). ``hwgen.ir.verify`` states which family is legal at which
stage. Tensors are named after the node that produces them; the batch axis is left out: a feature map is ``(C, H, W)``,
a vector is ``(F,)``. Arrays are made read-only on construction.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

import numpy as np

Shape = tuple[int, ...]
Pair = tuple[int, int]
#: top, bottom, left, right
Padding = tuple[int, int, int, int]


class Activation(StrEnum):
    """What follows a convolution inside the post-processor."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"


class TTExecution(StrEnum):
    """How a TT layer is executed (DESIGN of the search; see docs/architecture.md)."""

    AUTO = "auto"
    CHAIN = "chain"
    RECONSTRUCT = "reconstruct"
    MERGED = "merged"
    MIXED = "mixed"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator. ``name`` is unique in the graph and is also the name of its output tensor."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape  #: shape of the output tensor, without the batch axis

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            for array in value if isinstance(value, tuple) else (value,):
                if isinstance(array, np.ndarray):
                    array.setflags(write=False)

    @property
    def op(self) -> str:
        """Operator name as shown to the user."""
        return type(self).__name__


# ---------------------------------------------------------------- float nodes
@dataclass(frozen=True, kw_only=True)
class Input(Node):
    """Network input, real-valued after normalisation ``(pixel * scale - mean) / std`` (recipe)."""


@dataclass(frozen=True, kw_only=True)
class Conv2d(Node):
    """Convolution. ``weight`` float32 [O, I/groups, Kh, Kw], ``bias`` float32 [O]."""

    weight: np.ndarray
    bias: np.ndarray
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class TTConv2d(Node):
    """Convolution whose kernel is a tensor train over consecutive groups of the modes (I, Kh, Kw, O).

    Args:
        cores: core k is float32 [r_k, *mode sizes of its group, r_{k+1}], r_0 = r_n = 1.
        grouping: one string per core out of the letters I, H, W, O in order, e.g. ("I", "HW", "O"),
            ("I", "H", "W", "O"), ("IH", "WO").
        bias: float32 [O].
        execution: how the layer runs; AUTO before planning.
        segments: of a planned layer, how many cores each convolution of its chain holds; the kernel of one that holds
            several is contracted on the chip. () = one core each.
        spans: of how many cores of the layer's own train each core was merged; () = one each.
    """

    cores: tuple[np.ndarray, ...]
    grouping: tuple[str, ...]
    bias: np.ndarray
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    execution: TTExecution = TTExecution.AUTO
    segments: tuple[int, ...] = ()
    spans: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Linear(Node):
    """Fully connected layer. ``weight`` float32 [O, I], ``bias`` float32 [O]."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TTLinear(Node):
    """Fully connected layer in TT form over (I, O): cores [1, I, r] and [r, O, 1]; ``bias`` float32 [O]."""

    cores: tuple[np.ndarray, ...]
    bias: np.ndarray
    execution: TTExecution = TTExecution.AUTO


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Node):
    """Inference batch normalisation per channel: ``(x - mean) / sqrt(var + eps) * gamma + beta``; all [C]."""

    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    eps: float


@dataclass(frozen=True, kw_only=True)
class Relu(Node):
    """max(x, 0)."""


@dataclass(frozen=True, kw_only=True)
class Relu6(Node):
    """min(max(x, 0), 6)."""


@dataclass(frozen=True, kw_only=True)
class MaxPool(Node):
    """Maximum over a window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class AvgPool(Node):
    """Mean over a window of fixed divisor Kh*Kw (zero padding counted)."""

    kernel: Pair
    stride: Pair
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class GlobalAvgPool(Node):
    """Mean over H and W; output (C, 1, 1)."""


@dataclass(frozen=True, kw_only=True)
class Add(Node):
    """Element-wise sum of two tensors of equal shape."""


@dataclass(frozen=True, kw_only=True)
class Concat(Node):
    """Concatenation along the channel axis."""


@dataclass(frozen=True, kw_only=True)
class Flatten(Node):
    """(C, H, W) -> (C*H*W,), row-major."""


# ---------------------------------------------------------------- quantised nodes
@dataclass(frozen=True, kw_only=True)
class QInput(Node):
    """int8 network input ``clamp(round_half_up(real / scale), -128, 127)``; the driver does this on the host."""

    scale: float


@dataclass(frozen=True, kw_only=True)
class Requantise:
    """``y = clamp((acc*M + res*R + 2^(S-1)) >> S, lo, hi)``, arithmetic shift (docs/numerics.md).

    Args:
        multiplier: M, uint16 [O] (as int64 array), 0..65535.
        shift: S, [O], 1..47.
        residual_multiplier: R, [O], 0..65535; zeros without a residual.
        lo, hi: clamp bounds, within [-128, 127].
    """

    multiplier: np.ndarray
    shift: np.ndarray
    residual_multiplier: np.ndarray
    lo: int = -128
    hi: int = 127

    def __post_init__(self) -> None:
        for array in (self.multiplier, self.shift, self.residual_multiplier):
            array.setflags(write=False)


@dataclass(frozen=True, kw_only=True)
class ContractionStep:
    """One pairwise contraction of an on-chip reconstruction.

    ``left`` int8 [..., r] (left-to-right product so far) times ``core`` int8 [r, ..., r'], summed over r in int32, then
    requantised per last index of ``core`` flattened to [r, N]: N multipliers.
    """

    core: np.ndarray
    requantise: Requantise


@dataclass(frozen=True, kw_only=True)
class ReconstructedKernel:
    """An int8 kernel [O, I, Kh, Kw] which the hardware contracts from its TT cores.

    The cores of the train over (O, Kh, Kw, I) are contracted left to right beginning at the *output* end: ``first`` is
    int8 [O, modes, r] (mostly without modes); every step multiplies the running product, flattened to [rows, r], by a
    core flattened to [r, N] and requantises to int8 in [-127, 127] per column; the product is reshaped so that the new
    modes follow the old ones and the new rank is last. After the last step (whose columns are the I input channels) it
    is [O, Kh, Kw, I].
    """

    first: np.ndarray
    steps: tuple[ContractionStep, ...]
    shape: tuple[int, int, int, int]  #: O, I, Kh, Kw


@dataclass(frozen=True, kw_only=True)
class QConv2d(Node):
    """Fused integer convolution: acc = conv(x, weight) + bias; then requantise with an optional residual.

    inputs = (x,) or (x, residual); the residual has the output's shape.

    Args:
        weight: int8 [O, I/groups, Kh, Kw] in [-127, 127], or a ``ReconstructedKernel`` (groups = 1).
        bias: int32 [O].
        requantise: None means raw int32 output (last layer): the accumulators themselves.
        scale: real value of one step of the output (per tensor); for raw outputs ``raw_scale`` [O] instead.
        macs: logical multiply-accumulates of this node for one image (chain form).
        origin: name of the float layer it came from (several chain nodes share one origin).
    """

    weight: np.ndarray | ReconstructedKernel
    bias: np.ndarray
    requantise: Requantise | None
    scale: float
    raw_scale: np.ndarray | None = None
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class QMaxPool(Node):
    """Exact maximum, padded with -128. Keeps its input's scale."""

    kernel: Pair
    stride: Pair
    scale: float
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class QAvgPool(Node):
    """Exact integer window sum, then requantise (divisor inside M and S). Global pooling: kernel = (H, W)."""

    kernel: Pair
    stride: Pair
    requantise: Requantise
    scale: float
    padding: Padding = (0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class QAdd(Node):
    """Sum of two tensors that no convolution could absorb: acc = inputs[0], residual = inputs[1], then requantise."""

    requantise: Requantise
    scale: float


@dataclass(frozen=True, kw_only=True)
class QConcat(Node):
    """Concatenation along channels of tensors of one common scale: placement, no arithmetic."""

    scale: float


@dataclass(frozen=True, kw_only=True)
class QFlatten(Node):
    """(C, H, W) -> (C*H*W,), no arithmetic."""

    scale: float


FLOAT_NODES = (Input, Conv2d, TTConv2d, Linear, TTLinear, BatchNorm, Relu, Relu6, MaxPool, AvgPool, GlobalAvgPool, Add,
               Concat, Flatten)
QUANTISED_NODES = (QInput, QConv2d, QMaxPool, QAvgPool, QAdd, QConcat, QFlatten)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A directed acyclic graph in topological order.

    Args:
        name: of the network.
        nodes: every node after its inputs; the first is the input.
        output: name of the node whose tensor leaves the accelerator.
        labels: class names, if known.
    """

    name: str
    nodes: tuple[Node, ...]
    output: str
    labels: tuple[str, ...] = ()
    _index: dict[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {n.name: n for n in self.nodes})

    def __getitem__(self, name: str) -> Node:
        """Node by name; KeyError when absent."""
        return self._index[name]

    def consumers(self, name: str) -> tuple[Node, ...]:
        """Nodes that read tensor ``name``, in topological order."""
        return tuple(n for n in self.nodes if name in n.inputs)

    def input_node(self) -> Node:
        """The one Input or QInput node."""
        return next(n for n in self.nodes if isinstance(n, Input | QInput))
