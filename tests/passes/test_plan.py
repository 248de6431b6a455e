"""Planning: merging cores keeps the function, AUTO follows the cost, illegal choices are named."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.ir.tt_chain import dense_kernel
from hwgen.passes.plan import TTChoice, candidates, coarser_groupings, merge_cores, plan

RNG = np.random.default_rng(5)


def core(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def train(grouping: str = "I|H|W|O") -> ir.TTConv2d:
    sizes = {"I": 6, "H": 3, "W": 5, "O": 8}
    groups = tuple(grouping.split("|"))
    ranks = [1, *range(3, 2 + len(groups)), 1]
    cores = tuple(core(ranks[k], *(sizes[m] for m in g), ranks[k + 1]) for k, g in enumerate(groups))
    return ir.TTConv2d(name="tt", inputs=("x",), shape=(8, 5, 9), cores=cores, grouping=groups, bias=core(8),
                       stride=(2, 1), padding=(1, 1, 2, 2))


def graph_of(node: ir.TTConv2d) -> Graph:
    head = ir.TTLinear(name="fc", inputs=("flat",), shape=(4,), cores=(core(1, 360, 2), core(2, 4, 1)), bias=core(4))
    flat = ir.Flatten(name="flat", inputs=("tt",), shape=(360,))
    return Graph(name="g", nodes=(ir.Input(name="x", inputs=(), shape=(6, 9, 9)), node, flat, head), output="fc")


@pytest.mark.parametrize("grouping", coarser_groupings(("I", "H", "W", "O")))
def test_merging_keeps_the_kernel(grouping):
    node = train()
    merged = merge_cores(node, grouping)
    assert merged.grouping == grouping
    np.testing.assert_allclose(dense_kernel(merged), dense_kernel(node), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("choice", candidates(train()))
def test_every_candidate_is_the_same_function(choice):
    graph = graph_of(train())
    x = RNG.normal(size=(2, 6, 9, 9)).astype(np.float32)
    planned = plan(graph, {"tt": choice})
    before, after = (run_float(g, x)[g.output] for g in (graph, planned))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3)


def test_candidates_of_a_chain():
    chosen = [(c.execution.value, "|".join(c.grouping or ())) for c in candidates(train("I|HW|O"))]
    assert chosen == [("chain", ""), ("merged", "IHW|O"), ("merged", "I|HWO"), ("merged", "IHWO"),
                      ("reconstruct", "I|HW|O"), ("reconstruct", "IHW|O"), ("reconstruct", "I|HWO"),
                      ("mixed", "I|HW+O"), ("mixed", "I+HW|O")]


@pytest.mark.parametrize(("choice", "order"), [
    (TTChoice(TTExecution.CHAIN), "I|HW|O"), (TTChoice(TTExecution.MERGED, ("I", "HWO")), "I|HW·O"),
    (TTChoice(TTExecution.MERGED, ("IHWO",)), "I·HW·O"), (TTChoice(TTExecution.RECONSTRUCT), "I+HW+O"),
    (TTChoice(TTExecution.RECONSTRUCT, ("IHW", "O")), "I·HW+O"), (TTChoice(TTExecution.MIXED, ("I", "HW+O")), "I|HW+O"),
])
def test_orders_in_words(choice, order):
    assert choice.order(train("I|HW|O")) == order


def test_every_order_of_four_cores():
    """Two joints apart from those of H and W, and of the latter all but the contraction on the chip, and its
    neighbours."""
    node = train("I|H|W|O")
    orders = [c.order(node) for c in candidates(node)]
    assert len(set(orders)) == len(orders) == 9 + 9 and orders[0] == "I|H|W|O"
    assert {"I+H|W+O", "I|H·W+O", "I+H·W·O", "I·H|W+O"} <= set(orders)
    assert not any("H+W" in order for order in orders)


def test_default_is_chain_and_auto_asks_the_cost():
    graph = graph_of(train())
    assert plan(graph)["tt"].execution is TTExecution.CHAIN  # type: ignore[attr-defined]
    seen = []

    def cost(node, shape) -> float:
        seen.append((node.name, shape))
        return 0.0 if node.execution is TTExecution.RECONSTRUCT else 1.0

    planned = plan(graph, default=TTExecution.AUTO, cost=cost)
    assert isinstance(planned["tt"], ir.TTConv2d) and planned["tt"].execution is TTExecution.RECONSTRUCT
    assert planned["tt"].grouping == ("I", "HW", "O")
    assert isinstance(planned["fc"], ir.TTLinear) and planned["fc"].execution is TTExecution.RECONSTRUCT
    assert ("tt", (6, 9, 9)) in seen and ("fc", (360,)) in seen


def test_a_layer_keeps_its_own_execution():
    graph = graph_of(train("IHW|O"))
    own = plan(graph, {"tt": TTExecution.RECONSTRUCT, "fc": TTExecution.CHAIN})
    assert plan(own, default=TTExecution.CHAIN)["tt"].execution is TTExecution.RECONSTRUCT  # type: ignore[attr-defined]


@pytest.mark.parametrize(("grouping", "choice", "message"), [
    ("IH|WO", TTChoice(TTExecution.RECONSTRUCT), "IH|WO cannot be reconstructed"),
    ("I|HW|O", TTChoice(TTExecution.MERGED), "merged execution without a grouping"),
    ("I|HW|O", TTChoice(TTExecution.MERGED, ("I", "H", "W", "O")), "cannot be merged to I|H|W|O"),
    ("I|H|W|O", TTChoice(TTExecution.RECONSTRUCT, ("I", "H", "WO")), "cannot be reconstructed"),
    ("I|H|W|O", TTChoice(TTExecution.MIXED), "mixed execution without a grouping"),
    ("I|H|W|O", TTChoice(TTExecution.MIXED, ("I", "H+W+O")), "H+W+O cannot be contracted on the chip"),
])
def test_refusals(grouping, choice, message):
    with pytest.raises(HwgenError, match=re.escape(message)):
        plan(graph_of(train(grouping)), {"tt": choice})


def test_executions_by_their_text():
    planned = plan(graph_of(train("I|HW|O")), default="reconstruct")  # type: ignore[arg-type]
    assert planned["tt"].execution is TTExecution.RECONSTRUCT  # type: ignore[attr-defined]
    with pytest.raises(HwgenError, match=r"unknown execution 'fast'\n  allowed: auto, chain"):
        plan(graph_of(train()), {"tt": "fast"})  # type: ignore[dict-item]


def test_unknown_layer_is_named_with_the_known_ones():
    with pytest.raises(HwgenError, match=r"(?s)no tensor-train layer named 'conv9'.*allowed: tt, fc"):
        plan(graph_of(train()), {"conv9": TTExecution.CHAIN})
    with pytest.raises(HwgenError, match="nothing to merge"):
        plan(graph_of(train()), {"fc": TTChoice(TTExecution.MERGED, ("I", "O"))})
