"""The best candidates of the search compiled, so that the winner is chosen by its program's cycles.

The analytic model ranks all configurations; where feature maps run in strips or beside the window unit it is several
per cent off (``benchmarks/cost_error.py``). What an operation takes does not depend on the weights' values, so a
network with any scales has the program of the one that is quantised later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwgen.compiler.compile import compile_network
from hwgen.compiler.options import CompileOptions
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.timeline import predict
from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.passes.plan import TTChoice, plan
from hwgen.quantize import Calibration, quantise
from hwgen.quantize.fuse import fuse
from hwgen.quantize.lower import lower
from hwgen.seal import Selection

#: candidates that are compiled, and how far behind the best by the model they may lie
CANDIDATES, WITHIN = 6, 0.15
#: fields in which two candidates that are compiled differ; the others are chosen by the model
_KINDS = ("p_i", "p_o", "act_words", "window", "engines")
#: magnitude of int8 127 in every tensor of a network that is compiled for its cycles alone
_THRESHOLD = 16.0


@dataclass(frozen=True)
class ProgramCycles:
    """Of a cold frame and a following one with the whole memory; cycles per frame with all engines at work."""

    cold: int
    steady: int
    interval: float


def contenders(table: ConfigTable, rows: np.ndarray, values: np.ndarray, limit: int) -> list[np.ndarray]:
    """The rows of every kind of configuration that is worth compiling, best kind first.

    Args:
        rows: [M], those that fit; values: [M], their objective; limit: number of kinds.
    """
    near = values <= values.min() * (1 + WITHIN)
    rows, values = rows[near], values[near]
    kinds = np.stack([np.asarray(getattr(table, name))[rows].astype(np.int64) for name in _KINDS], axis=1)
    _, kind = np.unique(kinds, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    best = np.full(int(kind.max()) + 1, np.inf)
    np.minimum.at(best, kind, values)
    return [rows[kind == number] for number in np.argsort(best, kind="stable")[:limit]]


def skeleton(graph: Graph, choices: Mapping[str, TTChoice]) -> Graph:
    """The quantised form of a float graph for its structure alone: equal scales everywhere, no biases.

    Raises:
        HwgenError: the graph cannot be lowered or quantised.
    """
    lowered = lower(plan(graph, choices))
    thresholds = dict.fromkeys((f.tensor for f in fuse(lowered.graph)), _THRESHOLD)
    out = quantise(Calibration(lowered=lowered, histograms={}, thresholds=thresholds, means={}, images=0))
    return replace(out, nodes=tuple(
        replace(n, bias=np.zeros_like(n.bias)) if isinstance(n, ir.QConv2d) and n.bias is not None else n
        for n in out.nodes))


def program_cycles(
    graph: Graph, system: SystemConfig, memory: MemoryModel, encrypted: Collection[str] | Selection | None
) -> ProgramCycles | None:
    """Cycles of the program of a quantised graph; None if it cannot be compiled for ``system``.

    Args:
        encrypted: names of the float layers or nodes whose weights are stored encrypted, or a selection; None: all.
    """
    options = CompileOptions()
    if isinstance(encrypted, Selection):
        encrypted = encrypted.nodes_in(graph, graph.name)
    if encrypted is not None:
        names = frozenset(n.name for n in graph.nodes if n.name in encrypted or getattr(n, "origin", "") in encrypted)
        options = CompileOptions(encrypt=names, encrypt_program=False)
    try:
        network = compile_network(graph, system.engine, options)
        alone = predict(network, memory)
        shared = predict(network, memory.share(system.engines)).steady if system.engines > 1 else alone.steady
    except HwgenError:
        return None
    return ProgramCycles(alone.cold.cycles, alone.steady.cycles, shared.cycles / system.engines)
