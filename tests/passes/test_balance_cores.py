"""Balancing keeps the function and makes chains of plain decompositions quantise better."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import nn

from hwgen.frontend import from_torch
from hwgen.golden import quantise_input
from hwgen.golden.evaluate import logits
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph
from hwgen.passes.balance_cores import balance_cores
from hwgen.passes.plan import plan
from hwgen.passes.tensor_train import forms_by_rank, tensor_train
from hwgen.quantize import calibrate, quantise

torch.set_num_threads(1)
X = np.random.default_rng(0).normal(size=(32, 12, 9, 9)).astype(np.float32)


def chain() -> Graph:
    """A chain whose inner channels differ in size by a factor of 300."""
    torch.manual_seed(0)
    graph = from_torch(nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 16, 3)), (12, 9, 9))
    graph = tensor_train(graph, forms_by_rank(graph, 16)).graph
    nodes = []
    for node in graph.nodes:
        if isinstance(node, ir.TTConv2d):
            cores = [c.copy() for c in node.cores]
            spread = np.geomspace(1, 300, cores[0].shape[-1]).astype(np.float32)
            cores[0], cores[1] = cores[0] * spread, cores[1] / spread[:, None, None, None]
            nodes.append(dataclasses.replace(node, cores=tuple(cores)))
        else:
            nodes.append(node)
    return Graph(name="g", nodes=tuple(nodes), output=graph.output)


def sqnr(graph: Graph) -> float:
    planned = plan(graph)
    quantised = quantise(calibrate(planned, X))
    reference = run_float(planned, X)[planned.output]
    found = logits(quantised, quantise_input(X, quantised.input_node().scale))  # type: ignore[attr-defined]
    return 10 * float(np.log10((reference**2).sum() / ((reference - found) ** 2).sum()))


def test_function_stays_and_noise_falls():
    graph = chain()
    balanced = balance_cores(graph, X)
    before, after = (run_float(g, X)[g.output] for g in (graph, balanced))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4)
    assert sqnr(balanced) > sqnr(graph) + 3


def test_graphs_without_trains_are_returned_as_they_are():
    graph = from_torch(nn.Sequential(nn.Conv2d(12, 4, 1)), (12, 9, 9))
    assert balance_cores(graph, X).nodes == graph.nodes
