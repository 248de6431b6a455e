"""A network's run with every map in sight: gates on channels and ranks, and the inputs of all layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from hwgen.ir import nodes as ir
from hwgen.ir.execute import conv
from hwgen.ir.nodes import Node
from hwgen.ir.tt_chain import chain_convs
from hwgen.ir.walk import output_of
from hwgen.passes.prune_channels import Layer
from hwgen.passes.prune_ranks import bond_name
from hwgen.train.graph_module import GraphModule
from hwgen.zoo.tt_op import core_kernel

#: (name of the layer or bond, map that the layer, or the core behind the bond, reads)
Visit = Callable[[str, Tensor], None]


def trace(module: GraphModule, x: Tensor, gates: Mapping[str, Tensor] | None = None, visit: Visit | None = None,
          ) -> Tensor:
    """Outputs [N, classes]; tensor trains run as chains, which is the same function.

    Args:
        gates: layer or bond -> factors [N, C] (or [1, C]) of its output's channels.
        visit: sees what every layer and every core behind a bond reads.
    """
    gates = gates or {}

    def gated(name: str, value: Tensor) -> Tensor:
        gate = gates.get(name)
        return value if gate is None else value * gate.reshape(*gate.shape, *[1] * (value.ndim - 2))

    def chain(node: ir.TTConv2d | ir.TTLinear, value: Tensor) -> Tensor:
        links = chain_convs(node) if isinstance(node, ir.TTConv2d) else (None,) * len(node.cores)
        for k, (core, link) in enumerate(zip(node.cores, links, strict=True)):
            last = k == len(node.cores) - 1
            tensor, bias = module.tensor(core), module.tensor(node.bias) if last else None
            if visit is not None and k:
                visit(bond_name(node.name, k - 1), value)
            if link is None:
                value = value @ (tensor[:, :, 0] if last else tensor[0])
                value = value if bias is None else value + bias
            else:
                assert isinstance(node, ir.TTConv2d)
                value = conv(value, core_kernel(tensor, node.grouping[k]), bias, stride=link.stride,
                             padding=link.padding, dilation=link.dilation)
            value = gated(node.name if last else bond_name(node.name, k), value)
        return value

    def compute(node: Node, inputs: list[Tensor]) -> Tensor:
        if isinstance(node, ir.Input):
            return x
        if isinstance(node, Layer) and visit is not None:
            visit(node.name, inputs[0])
        if isinstance(node, ir.TTConv2d | ir.TTLinear):
            return chain(node, inputs[0])
        return gated(node.name, module.evaluate_node(node, inputs))

    return output_of(module.graph, compute)
