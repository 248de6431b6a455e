"""What can be encrypted by itself: every TT core and every dense kernel, as convolutions of the integer network."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from hwgen.golden.conv import reconstruct
from hwgen.ir.nodes import Graph, QConv2d, ReconstructedKernel

#: stored bytes of an output channel's bias and requantisation (docs/architecture.md, weight stream)
RECORD_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One TT core or dense kernel.

    Args:
        node: its node in the integer network, which the compiler can store encrypted.
        layer: the float layer it came from; the cores of a train share one.
        shape: of its kernel, (O, I / groups, Kh, Kw).
        parameters: weights and biases (inner cores of a train have none).
        bytes: what it takes in the stored weights: a byte a weight, and 16 bytes an output channel for bias and
            requantisation. (Lanes that a configuration of the accelerator leaves idle are not counted.)
    """

    node: str
    layer: str
    shape: tuple[int, int, int, int]
    parameters: int
    bytes: int


def kernel_of(node: QConv2d) -> np.ndarray:
    """int8 kernel [O, I / groups, Kh, Kw] of a convolution, contracted where the hardware contracts it."""
    return reconstruct(node.weight) if isinstance(node.weight, ReconstructedKernel) else node.weight


def channel_scale(node: QConv2d) -> np.ndarray:
    """Real value of one accumulator step of every output channel, float64 [O]."""
    if node.requantise is None:
        assert node.raw_scale is not None
        return node.raw_scale.astype(np.float64)
    return node.requantise.multiplier * np.exp2(-node.requantise.shift.astype(np.float64)) * node.scale


def is_structural(node: QConv2d) -> bool:
    """Whether the kernel only picks or copies channels (identity, option-A shortcut): the architecture, no secret."""
    kernel = kernel_of(node).reshape(len(node.bias), -1)
    used = kernel != 0
    values = (kernel * channel_scale(node)[:, None])[used]
    return bool((used.sum(axis=1) <= 1).all() and not node.bias.any() and np.allclose(values, values[:1], rtol=1e-2))


def units_of(graph: Graph) -> tuple[Unit, ...]:
    """The units of a quantised graph in the order in which they run, structural kernels left out.

    Raises:
        HwgenError: there is none.
    """
    found = []
    for node in graph.nodes:
        if not isinstance(node, QConv2d) or is_structural(node):
            continue
        out, inputs, rows, columns = node.weight.shape
        weights = _stored_weights(node)
        found.append(Unit(node=node.name, layer=node.origin or node.name, shape=(out, inputs, rows, columns),
                          parameters=weights + (out if node.bias.any() else 0), bytes=weights + RECORD_BYTES * out))
    if not found:
        raise HwgenError("has no weights to encrypt", where=graph.name)
    return tuple(found)


def _stored_weights(node: QConv2d) -> int:
    kernel = node.weight
    if isinstance(kernel, ReconstructedKernel):
        return kernel.first.size + sum(step.core.size for step in kernel.steps)
    return kernel.size


def bytes_of(units: Iterable[Unit], nodes: Collection[str]) -> int:
    """Stored bytes of the units named in ``nodes``."""
    return sum(u.bytes for u in units if u.node in nodes)


def share_of(units: Collection[Unit], nodes: Collection[str], of: str = "bytes") -> float:
    """Share (0..1) of the units named in ``nodes`` in all units, by ``bytes`` or ``parameters``."""
    total = sum(getattr(u, of) for u in units)
    return sum(getattr(u, of) for u in units if u.node in nodes) / total
