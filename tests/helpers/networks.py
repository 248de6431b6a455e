"""Small float and quantised networks for tests of everything behind the front end."""

from __future__ import annotations

import numpy as np

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.passes.plan import plan
from hwgen.quantize import calibrate, quantise


def residual_network(widths: tuple[int, ...] = (16, 32), size: int = 16, *, tt: bool = False, seed: int = 0) -> Graph:
    """Stem, one residual block per width (every one after the first halves the map), pool, classifier of 10."""
    rng = np.random.default_rng(seed)
    nodes: list[ir.Node] = [ir.Input(name="x", inputs=(), shape=(3, size, size))]

    def conv(name: str, source: str, channels: tuple[int, int], form: tuple[int, int], side: int) -> str:
        (inside, out), (kernel, stride) = channels, form
        pad = kernel // 2
        common = {"inputs": (source,), "shape": (out, side, side), "bias": np.zeros(out, np.float32),
                  "stride": (stride, stride), "padding": (pad,) * 4}
        if tt and kernel == 3 and inside > 3:
            r = max(4, min(inside, out) // 2)
            shapes = ((1, inside, r), (r, 3, 3, r), (r, out, 1))
            cores = tuple((rng.normal(size=s) * (2 / np.prod(s[:-1])) ** 0.5).astype(np.float32) for s in shapes)
            nodes.append(ir.TTConv2d(name=name, cores=cores, grouping=("I", "HW", "O"), **common))
        else:
            weight = (rng.normal(size=(out, inside, kernel, kernel)) * (2 / (inside * kernel**2)) ** 0.5)
            nodes.append(ir.Conv2d(name=name, weight=weight.astype(np.float32), **common))
        return name

    def relu(name: str, source: str, shape: tuple[int, ...]) -> str:
        nodes.append(ir.Relu(name=name, inputs=(source,), shape=shape))
        return name

    width, side = widths[0], size
    at = relu("stem.relu", conv("stem", "x", (3, width), (3, 1), side), (width, side, side))
    for number, out in enumerate(widths):
        stride = 2 if number else 1
        inside, shortcut = width, at
        side = -(-side // stride)
        shape = (out, side, side)
        first = relu(f"b{number}.relu1", conv(f"b{number}.conv1", at, (inside, out), (3, stride), side), shape)
        second = conv(f"b{number}.conv2", first, (out, out), (3, 1), side)
        if number:
            shortcut = conv(f"b{number}.short", at, (inside, out), (1, stride), side)
        nodes.append(ir.Add(name=f"b{number}.add", inputs=(second, shortcut), shape=shape))
        at, width = relu(f"b{number}.relu2", f"b{number}.add", shape), out
    nodes += [
        ir.GlobalAvgPool(name="pool", inputs=(at,), shape=(width, 1, 1)),
        ir.Flatten(name="flat", inputs=("pool",), shape=(width,)),
        ir.Linear(name="fc", inputs=("flat",), shape=(10,), weight=rng.normal(size=(10, width)).astype(np.float32),
                  bias=np.zeros(10, np.float32)),
    ]
    return Graph(name="small", nodes=tuple(nodes), output="fc")


def quantised(graph: Graph, seed: int = 0, execution: TTExecution = TTExecution.CHAIN) -> Graph:
    """``graph`` with its tensor trains planned as ``execution`` and quantised on noise."""
    planned = plan(graph, default=execution)
    images = np.random.default_rng(seed).normal(size=(4, *planned.input_node().shape)).astype(np.float32)
    return quantise(calibrate(planned, images, "minmax"))
