"""Float execution of float and planned graphs with torch operators: calibration, accuracy, tests.

This is the reference for "what the network computes before quantisation"; it shares nothing with ``hwgen.golden``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node
from hwgen.ir.tt_chain import chain_convs
from hwgen.ir.walk import walk

ToTensor = Callable[[np.ndarray], Tensor]


def run_float(graph: Graph, images: np.ndarray, keep: Collection[str] = ()) -> dict[str, np.ndarray]:
    """Runs ``graph`` on a batch.

    Args:
        graph: float or planned.
        images: float32 [N, *input shape].
        keep: names of further tensors to return.

    Returns:
        Tensor name -> float32 [N, *shape], for the output and ``keep``.
    """
    wanted = {graph.output, *keep}
    found: dict[str, np.ndarray] = {}

    def visit(node: Node, value: Tensor) -> None:
        if node.name in wanted:
            found[node.name] = value.numpy()

    visit_float(graph, images, visit)
    return found


def visit_float(graph: Graph, images: np.ndarray, visit: Callable[[Node, Tensor], None]) -> None:
    """Runs ``graph`` on float32 ``images``, hands every tensor to ``visit`` in order, frees it after its last use."""
    expected = graph.input_node().shape
    if images.shape[1:] != expected:
        raise HwgenError(f"images of shape {images.shape[1:]}", where=graph.name, allowed=f"{expected}")

    def compute(node: Node, inputs: list[Tensor]) -> Tensor:
        if isinstance(node, ir.Input):
            return torch.from_numpy(np.array(images, dtype=np.float32))
        return evaluate_node(node, inputs)

    with torch.no_grad():
        for node, value in walk(graph, compute):
            visit(node, value)


def _t(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.copy())


def _pad(x: Tensor, padding: ir.Padding, value: float = 0.0) -> Tensor:
    top, bottom, left, right = padding
    return functional.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, *, stride: ir.Pair, padding: ir.Padding,
         dilation: ir.Pair, groups: int = 1) -> Tensor:
    """Convolution [N, I, H, W] -> [N, O, H', W'] with padding (top, bottom, left, right)."""
    symmetric = padding[0] == padding[1] and padding[2] == padding[3]
    inner = (padding[0], padding[2]) if symmetric else (0, 0)
    source = x if symmetric else _pad(x, padding)
    return functional.conv2d(source, weight, bias, stride, inner, dilation, groups)


def _tt_conv(node: ir.TTConv2d, x: Tensor) -> Tensor:
    for link in chain_convs(node):
        x = conv(x, _t(link.weight), None, stride=link.stride, padding=link.padding, dilation=link.dilation)
    return x + _t(node.bias)[:, None, None]


def _batch_norm(node: ir.BatchNorm, x: Tensor, tensor: ToTensor) -> Tensor:
    return functional.batch_norm(x, _t(node.mean), _t(node.var), tensor(node.gamma), tensor(node.beta), eps=node.eps)


def evaluate_node(node: Node, inputs: Sequence[Tensor], tensor: ToTensor = _t) -> Tensor:
    """The tensor of ``node`` from those of its inputs, [N, *shape]; ``tensor`` turns its weights into tensors.

    Raises:
        HwgenError: no float node.
    """
    x = inputs[0]
    match node:
        case ir.Conv2d():
            return conv(x, tensor(node.weight), tensor(node.bias), stride=node.stride, padding=node.padding,
                        dilation=node.dilation, groups=node.groups)
        case ir.TTConv2d():
            return _tt_conv(node, x)
        case ir.Linear():
            return functional.linear(x, tensor(node.weight), tensor(node.bias))
        case ir.TTLinear():
            return x @ _t(node.cores[0][0]) @ _t(node.cores[1][:, :, 0]) + _t(node.bias)
        case ir.BatchNorm():
            return _batch_norm(node, x, tensor)
        case ir.Relu():
            return x.clamp_min(0)
        case ir.Relu6():
            return x.clamp(0, 6)
        case ir.MaxPool():
            return functional.max_pool2d(_pad(x, node.padding, -torch.inf), node.kernel, node.stride)
        case ir.AvgPool():
            return functional.avg_pool2d(_pad(x, node.padding), node.kernel, node.stride)
        case ir.GlobalAvgPool():
            return x.mean(dim=(2, 3), keepdim=True)
        case ir.Add():
            return x + inputs[1]
        case ir.Concat():
            return torch.cat(list(inputs), dim=1)
        case ir.Flatten():
            return x.flatten(1)
    raise HwgenError(f"{node.op} has no float execution", where=node.name)
