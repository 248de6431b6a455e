"""A float graph as a torch module, so that a pruned or decomposed network can be trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.ir import nodes as ir
from hwgen.ir.execute import conv, evaluate_node
from hwgen.ir.nodes import Graph, Node
from hwgen.ir.walk import output_of
from hwgen.passes.rewrite import rebuild

#: arrays of a node that are trained
_TRAINED = ("weight", "bias", "gamma", "beta")
#: arrays of a BatchNorm that follow the images in training mode
_STATISTICS = ("mean", "var")
#: share of a batch's statistics in the running ones, as torch's default
_MOMENTUM = 0.1


class GraphModule(nn.Module):
    """``graph`` with its weights as parameters.

    Tensor-train layers compute with the kernel that their cores contract to, which is the same function and faster to
    train than a chain of thin convolutions. In training mode a BatchNorm uses its batch's statistics and follows them.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.arrays = nn.ParameterDict()
        self._key: dict[int, str] = {}
        for key, array in _arrays(graph):
            # cores as [r, modes, r']: torch's memory formats know tensors of four dimensions only as images
            shape = (array.shape[0], -1, array.shape[-1]) if "/core" in key else array.shape
            self.arrays[key] = nn.Parameter(torch.from_numpy(array.copy()).reshape(shape))
            self._key[id(array)] = key
        for number, node in enumerate(graph.nodes):
            for name in _STATISTICS if isinstance(node, ir.BatchNorm) else ():
                self._key[id(getattr(node, name))] = key = f"{number}/{name}"
                self.register_buffer(key, torch.from_numpy(getattr(node, name).copy()))

    def tensor(self, array: np.ndarray) -> Tensor:
        """The parameter (or running statistics) that stands for an array of the graph, in its shape."""
        key = self._key[id(array)]
        found = self.arrays[key] if key in self.arrays else self.get_buffer(key)
        return found.reshape(array.shape)

    def tensor_gradient(self, array: np.ndarray) -> np.ndarray:
        """The gradient of the parameter that stands for ``array``, in its shape; zeros where there is none."""
        gradient = self.arrays[self._key[id(array)]].grad
        return np.zeros(array.shape, np.float32) if gradient is None else gradient.reshape(array.shape).numpy()

    def forward(self, images: Tensor) -> Tensor:
        """[N, *input shape] -> [N, *output shape]."""
        def compute(node: Node, inputs: list[Tensor]) -> Tensor:
            return images if isinstance(node, ir.Input) else self.evaluate_node(node, inputs)

        return output_of(self.graph, compute)

    def evaluate_node(self, node: Node, inputs: list[Tensor]) -> Tensor:
        """The tensor of one node from those of its inputs, with the parameters' values."""
        match node:
            case ir.TTConv2d():
                kernel = self._contract(node.cores)  # I, Kh, Kw, O
                return conv(inputs[0], kernel.permute(3, 0, 1, 2), self.tensor(node.bias), stride=node.stride,
                            padding=node.padding, dilation=node.dilation)
            case ir.TTLinear():
                return functional.linear(inputs[0], self._contract(node.cores).T, self.tensor(node.bias))
            case ir.BatchNorm():
                return functional.batch_norm(
                    inputs[0], self.tensor(node.mean), self.tensor(node.var), self.tensor(node.gamma),
                    self.tensor(node.beta), self.training, _MOMENTUM, node.eps)
        return evaluate_node(node, inputs, self.tensor)

    def _contract(self, cores: tuple[np.ndarray, ...]) -> Tensor:
        product = self.tensor(cores[0])
        for core in cores[1:]:
            product = torch.tensordot(product, self.tensor(core), dims=1)
        return product.squeeze(0).squeeze(-1)

    def to_graph(self) -> Graph:
        """The graph with the parameters' present values."""
        nodes: list[Node] = []
        for node in self.graph.nodes:
            changed: dict[str, np.ndarray | tuple[np.ndarray, ...]] = {
                name: self._array(getattr(node, name)) for name in (*_TRAINED, *_STATISTICS) if hasattr(node, name)}
            if isinstance(node, ir.TTConv2d | ir.TTLinear):
                changed["cores"] = tuple(self._array(core) for core in node.cores)
            nodes.append(dataclasses.replace(node, **changed))  # pyright: ignore[reportArgumentType]
        return rebuild(self.graph, nodes)

    def _array(self, array: np.ndarray) -> np.ndarray:
        return np.array(self.tensor(array).detach().float().numpy(), order="C")  # a copy: training goes on


def _arrays(graph: Graph) -> Iterator[tuple[str, np.ndarray]]:
    """Every trained array with a name of its own (parameter names must not hold dots)."""
    for number, node in enumerate(graph.nodes):
        for name in _TRAINED:
            if hasattr(node, name):
                yield f"{number}/{name}", getattr(node, name)
        if isinstance(node, ir.TTConv2d | ir.TTLinear):
            for k, core in enumerate(node.cores):
                yield f"{number}/core{k}", core
