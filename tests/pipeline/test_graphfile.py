"""Graph files: every node class survives, equal graphs give equal bytes, foreign files are refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.pipeline.graphfile import load_graph, save_graph


def _graph() -> ir.Graph:
    rng = np.random.default_rng(0)
    req = ir.Requantise(multiplier=np.arange(4), shift=np.full(4, 9), residual_multiplier=np.zeros(4, np.int64))
    kernel = ir.ReconstructedKernel(
        first=rng.integers(-5, 5, (4, 2), dtype=np.int8), shape=(4, 3, 1, 1),
        steps=(ir.ContractionStep(core=rng.integers(-5, 5, (2, 3), dtype=np.int8), requantise=req),))
    return ir.Graph(name="t", output="d", labels=("cat", "dog"), nodes=(
        ir.QInput(name="x", inputs=(), shape=(3, 8, 8), scale=0.02),
        ir.QConv2d(name="c", inputs=("x",), shape=(4, 8, 8), weight=kernel, bias=np.zeros(4, np.int32), requantise=req,
                   scale=0.1, origin="layer"),
        ir.QAvgPool(name="d", inputs=("c",), shape=(4, 1, 1), kernel=(8, 8), stride=(8, 8), requantise=req, scale=0.1),
    ))


def _same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(
            _same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a) if f.init)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(_same, a, b))
    return a == b and type(a) is type(b)


def test_round_trip(tmp_path: Path) -> None:
    graph = _graph()
    save_graph(graph, tmp_path / "g")
    assert _same(graph, load_graph(tmp_path / "g"))


def test_float_nodes_round_trip(tmp_path: Path) -> None:
    core = np.ones((1, 3, 2), np.float32)
    graph = ir.Graph(name="f", output="t", nodes=(
        ir.Input(name="x", inputs=(), shape=(3, 4, 4)),
        ir.TTConv2d(name="t", inputs=("x",), shape=(5, 4, 4), cores=(core, np.ones((2, 1, 1, 5, 1), np.float32)),
                    grouping=("I", "HWO"), bias=np.zeros(5, np.float32), execution=ir.TTExecution.CHAIN),
    ))
    save_graph(graph, tmp_path / "g")
    assert _same(graph, load_graph(tmp_path / "g"))


def test_equal_graphs_give_equal_bytes(tmp_path: Path) -> None:
    save_graph(_graph(), tmp_path / "a")
    save_graph(_graph(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{}            ", b"garbage" * 50])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "g").write_bytes(content)
    with pytest.raises(HwgenError):
        load_graph(tmp_path / "g")
