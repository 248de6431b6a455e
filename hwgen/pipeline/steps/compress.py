"""Step ``compress``: what the recipe says about tensor trains; a trained checkpoint has its cores already."""

from __future__ import annotations

from typing import Any

from hwgen.errors import HwgenError
from hwgen.ir.count import count, count_layers
from hwgen.ir.nodes import Graph, TTConv2d, TTLinear
from hwgen.ir.verify import Stage, verify
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.passes.tensor_train import eligible, forms_by_budget, tensor_train
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.frontend import GRAPH
from hwgen.tt.ranks import Budget


def run(context: StepContext) -> dict[str, Any]:
    """Write the compressed float graph."""
    graph = load_graph(context.results["frontend"] / GRAPH)
    ratio, note = context.request.compress, ""
    if ratio:
        graph = by_macs(graph, ratio)
        note = ", by TT-SVD without fine-tuning"
    verify(graph, Stage.FLOAT)
    save_graph(graph, context.out / GRAPH)
    totals = count(graph)
    layers = sum(isinstance(n, TTConv2d | TTLinear) for n in graph.nodes)
    text = f"{layers} tensor-train layers{note}: {totals.parameters:,} of {totals.dense_parameters:,} parameters, " \
           f"{totals.macs:,} of {totals.dense_macs:,} MACs" if layers else "nothing to compress: the network is dense"
    return {"text": text, "tt_layers": layers, "parameters": totals.parameters, "macs": totals.macs,
            "dense_parameters": totals.dense_parameters, "dense_macs": totals.dense_macs}


def by_macs(graph: Graph, ratio: float, grouping: tuple[str, ...] = ("I", "HW", "O"), multiple: int = 8) -> Graph:
    """Decompose the convolutions of a dense graph until the whole network has ``ratio`` times fewer MACs.

    Raises:
        HwgenError: nothing to decompose; the smallest ranks already take more.
    """
    graph = require_dense(fold_batchnorm(graph))
    names = {n.name for n in eligible(graph)}
    counts = count_layers(graph)
    mine = [c for c in counts if c.name in names]
    total, own = sum(c.macs for c in counts), sum(c.macs for c in mine)
    budget = Budget(macs=max(1, int(total / ratio) - (total - own)), parameters=sum(c.parameters for c in mine))
    return tensor_train(graph, forms_by_budget(graph, budget, grouping, multiple)).graph


def require_dense(graph: Graph) -> Graph:
    """The graph; HwgenError if it has no dense convolution that could become a tensor train."""
    if eligible(graph):
        return graph
    trains = sum(isinstance(n, TTConv2d | TTLinear) for n in graph.nodes)
    already = f": {trains} layers are tensor trains already" if trains else ""
    raise HwgenError(f"nothing to compress{already}", where=graph.name,
                     allowed="networks with dense convolutions of more than one tap and more than 8 input channels",
                     hint="leave --compress out" if trains else "")


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Everything that decides the result besides the float graph."""
    source = model_source(request)
    return {"ratio": request.compress, "model": source.name}


STEP = Step(
    name="compress", title="compressing", needs=("frontend",), inputs=inputs, run=run,
    code=("hwgen.passes", "hwgen.ir", "hwgen.tt", "hwgen.pipeline.steps.compress"),
)
