"""Step ``plan``: BatchNorm folded, every TT layer's execution fixed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hwgen.ir.nodes import TTConv2d, TTLinear
from hwgen.passes.plan import plan
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.frontend import GRAPH
from hwgen.pipeline.steps.search import load_choices

PLANNED = "planned.safetensors"


def run(context: StepContext) -> dict[str, Any]:
    """Write the planned graph."""
    graph = plan(load_graph(context.results["compress"] / GRAPH), load_choices(context.results["search"]))
    save_graph(graph, context.out / PLANNED)
    kinds = Counter(n.execution.value for n in graph.nodes if isinstance(n, TTConv2d | TTLinear))
    text = ", ".join(f"{n} layers as {kind}" for kind, n in sorted(kinds.items())) or "no tensor-train layers"
    return {"text": text, "executions": dict(kinds)}


STEP = Step(
    name="plan", title="planning", needs=("compress", "search"), inputs=lambda request: {}, run=run,
    code=("hwgen.passes", "hwgen.ir", "hwgen.pipeline.steps.plan"),
)
