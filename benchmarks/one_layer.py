"""A network around one tensor-train layer, and its cycles in every contraction order: for sweeps and their tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hwgen.compiler.compile import compile_network
from hwgen.compiler.result import CompiledNetwork
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.network import network_cost
from hwgen.cost.timeline import MemoryModel
from hwgen.cost.work import network_work
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.passes.plan import TTChoice, plan
from hwgen.quantize import calibrate, quantise
from hwgen.search.orders import with_orders

GROUPING = ("I", "HW", "O")
#: channels of the image, and of the result
_OUTSIDE = 8
_SEED = 5


@dataclass(frozen=True, kw_only=True)
class Point:
    """One layer of a sweep.

    Args:
        channels_in, channels_out, ranks, kernel, stride: of the layer; it is padded unless kernel and stride are equal.
        size: height and width of the map before it.
        bytes_per_cycle: of the memory.
    """

    channels_in: int
    channels_out: int
    ranks: tuple[int, int]
    size: int
    kernel: int = 3
    stride: int
    bytes_per_cycle: float

    @property
    def memory(self) -> MemoryModel:
        """The point's memory; 100 cycles of latency."""
        return MemoryModel(bytes_per_cycle=self.bytes_per_cycle, latency=100)


def one_layer(point: Point) -> Graph:
    """1x1 convolution, the layer, and a 1x1 convolution of stride 4 (seeded weights)."""
    return _graph(replace(point, bytes_per_cycle=1))


@cache
def _graph(point: Point) -> Graph:
    inside, outside, kernel, stride, size = (point.channels_in, point.channels_out, point.kernel, point.stride,
                                             point.size)
    rng = np.random.default_rng(_SEED)

    def weights(*shape: int, fan: int) -> np.ndarray:
        return (rng.normal(size=shape) * (2 / fan) ** 0.5).astype(np.float32)

    def zeros(count: int) -> np.ndarray:
        return np.zeros(count, np.float32)

    r1, r2 = point.ranks
    cores = (weights(1, inside, r1, fan=inside), weights(r1, kernel, kernel, r2, fan=kernel**2 * r1),
             weights(r2, outside, 1, fan=r2))
    pad = 0 if kernel == stride else kernel // 2
    made = (size + 2 * pad - kernel) // stride + 1
    last = (made - 1) // 4 + 1
    nodes: tuple[ir.Node, ...] = (
        ir.Input(name="image", inputs=(), shape=(_OUTSIDE, size, size)),
        ir.Conv2d(name="before", inputs=("image",), shape=(inside, size, size), bias=zeros(inside),
                  weight=weights(inside, _OUTSIDE, 1, 1, fan=_OUTSIDE)),
        ir.Relu(name="before.relu", inputs=("before",), shape=(inside, size, size)),
        ir.TTConv2d(name="layer", inputs=("before.relu",), shape=(outside, made, made), cores=cores, grouping=GROUPING,
                    bias=zeros(outside), stride=(stride, stride), padding=(pad, pad, pad, pad)),
        ir.Relu(name="layer.relu", inputs=("layer",), shape=(outside, made, made)),
        ir.Conv2d(name="after", inputs=("layer.relu",), shape=(_OUTSIDE, last, last), bias=zeros(_OUTSIDE),
                  weight=weights(_OUTSIDE, outside, 1, 1, fan=outside), stride=(4, 4)),
    )
    return Graph(name="one_layer", nodes=nodes, output="after")


def analytic(point: Point, config: AcceleratorConfig) -> dict[str, tuple[TTChoice, float]]:
    """Order -> the choice and the cycles of a cold frame that the search's model predicts."""
    graph = one_layer(point)
    work = network_work(graph)
    table, node = ConfigTable.of([config]), graph["layer"]
    assert isinstance(node, ir.TTConv2d)
    found = {}
    for number, variant in enumerate(work.variants["layer"]):
        cost = network_cost(with_orders(work, {"layer": number}), table, point.memory, config.packing)
        found[variant.choice.order(node)] = (variant.choice, float(cost.cold[0]))
    return found


def quantised_layer(point: Point, choice: TTChoice) -> Graph:
    """The integer network in which the layer executes as ``choice``, calibrated on noise."""
    planned = plan(one_layer(point), {"layer": choice})
    images = np.random.default_rng(_SEED).normal(size=(2, _OUTSIDE, point.size, point.size)).astype(np.float32)
    return quantise(calibrate(planned, images, "minmax"))


def compiled_layer(point: Point, choice: TTChoice, config: AcceleratorConfig) -> CompiledNetwork:
    """Its program."""
    return compile_network(quantised_layer(point, choice), config)
