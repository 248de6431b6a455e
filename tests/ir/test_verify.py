"""The verifier: every rule, by the message that its violation gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Requantise, TTExecution
from hwgen.ir.verify import Stage, verify

F32 = np.float32


def zeros(*shape: int, dtype=F32) -> np.ndarray:
    return np.zeros(shape, dtype)


def float_graph(**changes) -> Graph:
    """x -> conv -> add(conv, x) with fields of ``conv`` replaced."""
    conv = ir.Conv2d(name="conv", inputs=("x",), shape=(4, 6, 6), weight=zeros(4, 4, 3, 3), bias=zeros(4),
                     padding=(1, 1, 1, 1))
    conv = dataclasses.replace(conv, **changes)
    add = ir.Add(name="add", inputs=("conv", "x"), shape=(4, 6, 6))
    return Graph(name="g", nodes=(ir.Input(name="x", inputs=(), shape=(4, 6, 6)), conv, add), output="add")


def requantise(channels: int = 4, **changes) -> Requantise:
    fields = {"multiplier": np.full(channels, 40000), "shift": np.full(channels, 20),
              "residual_multiplier": np.zeros(channels, np.int64), **changes}
    return Requantise(**fields)


def quantised_graph(**changes) -> Graph:
    """x -> conv -> raw fc with fields of ``conv`` replaced."""
    conv = ir.QConv2d(name="conv", inputs=("x",), shape=(4, 6, 6), weight=zeros(4, 4, 3, 3, dtype=np.int8),
                      bias=zeros(4, dtype=np.int32), requantise=requantise(), scale=0.1, padding=(1, 1, 1, 1))
    conv = dataclasses.replace(conv, **changes)
    fc = ir.QConv2d(name="fc", inputs=("conv",), shape=(2, 1, 1), weight=zeros(2, 4, 6, 6, dtype=np.int8),
                    bias=zeros(2, dtype=np.int32), requantise=None, scale=1.0, raw_scale=np.ones(2))
    return Graph(name="g", nodes=(ir.QInput(name="x", inputs=(), shape=(4, 6, 6), scale=0.1), conv, fc), output="fc")


def test_legal_graphs_pass():
    assert verify(float_graph(), "float") is not None
    assert verify(quantised_graph(), Stage.QUANTISED).output == "fc"


@pytest.mark.parametrize(("changes", "message"), [
    ({"weight": zeros(4, 3, 3, 3)}, r"conv \(Conv2d\): 4 input channels, weight \(4, 3, 3, 3\), groups 1"),
    ({"weight": zeros(4, 4, 9, 9)}, r"a 9x9 window .* does not fit into a 6x6 map"),
    ({"weight": zeros(4, 4)}, r"weight of shape \(4, 4\)"),
    ({"stride": (0, 1)}, r"stride \(0, 1\)"),
    ({"stride": (2, 2)}, r"shape \(4, 6, 6\) is stated\n  allowed: \(4, 3, 3\)"),
    ({"bias": zeros(5)}, r"bias of shape \(5,\)"),
    ({"bias": zeros(4, dtype=np.float64)}, r"bias is float64\n  allowed: float32"),
    ({"bias": np.full(4, np.nan, F32)}, r"bias holds NaN"),
    ({"inputs": ("y",)}, r"input 'y' does not exist"),
    ({"inputs": ("add",)}, r"input 'add' is produced later"),
    ({"name": "x"}, r"the name is empty or not unique"),
    ({"inputs": ("x", "x")}, r"2 inputs\n  allowed: 1"),
])
def test_float_violations(changes, message):
    with pytest.raises(HwgenError, match=message):
        verify(float_graph(**changes), Stage.FLOAT)


@pytest.mark.parametrize(("changes", "message"), [
    ({"weight": np.full((4, 4, 3, 3), -128, np.int8)},
     r"conv \(QConv2d\): weight spans -128\.\.-128\n  allowed: -127\.\.127"),
    ({"weight": zeros(4, 4, 3, 3)}, r"weight is float32\n  allowed: int8"),
    ({"bias": zeros(4, dtype=np.int64)}, r"bias is int64"),
    ({"bias": zeros(3, dtype=np.int32)}, r"bias of shape \(3,\)"),
    ({"scale": 0.0}, r"scale 0\.0"),
    ({"scale": float("nan")}, r"scale nan"),
    ({"requantise": requantise(3)}, r"requantise\.multiplier of shape \(3,\)"),
    ({"requantise": requantise(multiplier=np.full(4, 65536))}, r"requantise\.multiplier spans 65536\.\.65536"),
    ({"requantise": requantise(shift=np.zeros(4, np.int64))}, r"requantise\.shift spans 0\.\.0\n  allowed: 1\.\.47"),
    ({"requantise": requantise(shift=np.full(4, 48))}, r"requantise\.shift spans 48\.\.48"),
    ({"requantise": requantise(multiplier=np.full(4, 1, np.int32))}, r"requantise\.multiplier is int32"),
    ({"requantise": requantise(residual_multiplier=np.full(4, 7))}, r"a residual multiplier without a residual"),
    ({"requantise": requantise(lo=5, hi=4)}, r"requantise clamps to 5\.\.4"),
    ({"requantise": requantise(hi=128)}, r"requantise clamps to -128\.\.128"),
    ({"requantise": None, "raw_scale": np.ones(4)}, r"raw int32 results feed another node|is raw int32"),
])
def test_quantised_violations(changes, message):
    with pytest.raises(HwgenError, match=message):
        verify(quantised_graph(**changes), Stage.QUANTISED)


def test_residual_of_another_shape():
    with pytest.raises(HwgenError, match=r"residual of shape \(4, 6, 6\)\n  allowed: \(4, 4, 4\)"):
        verify(quantised_graph(inputs=("x", "x"), padding=(0, 0, 0, 0)), Stage.QUANTISED)


def test_scales_of_nodes_without_arithmetic():
    pool = ir.QMaxPool(name="pool", inputs=("x",), shape=(4, 3, 3), kernel=(2, 2), stride=(2, 2), scale=0.2)
    graph = quantised_graph()
    changed = dataclasses.replace(graph, nodes=(*graph.nodes, pool))
    with pytest.raises(HwgenError, match=r"pool \(QMaxPool\): input 'x' has scale 0\.1\n  allowed: 0\.2"):
        verify(changed, Stage.QUANTISED)


def test_wrong_stage_and_output():
    with pytest.raises(HwgenError, match=r"Input is not legal in a quantised graph\n  allowed: QInput"):
        verify(float_graph(), Stage.QUANTISED)
    with pytest.raises(HwgenError, match=r"output 'nothing' does not exist"):
        verify(dataclasses.replace(float_graph(), output="nothing"), Stage.FLOAT)
    second = ir.Input(name="z", inputs=(), shape=(4, 6, 6))
    graph = float_graph()
    with pytest.raises(HwgenError, match=r"z \(Input\): a graph has exactly one input"):
        verify(dataclasses.replace(graph, nodes=(*graph.nodes, second)), Stage.FLOAT)


def tt_graph(**changes) -> Graph:
    cores = (zeros(1, 4, 2), zeros(2, 3, 3, 3), zeros(3, 5, 1))
    node = ir.TTConv2d(name="tt", inputs=("x",), shape=(5, 6, 6), cores=cores,
                       grouping=("I", "HW", "O"), bias=zeros(5), padding=(1, 1, 1, 1))
    node = dataclasses.replace(node, **changes)
    return Graph(name="g", nodes=(ir.Input(name="x", inputs=(), shape=(4, 6, 6)), node), output="tt")


@pytest.mark.parametrize(("changes", "message"), [
    ({"grouping": ("I", "WH", "O")}, r"grouping 'I\|WH\|O'"),
    ({"cores": (zeros(1, 4, 2), zeros(2, 3, 3, 3))}, r"2 cores for grouping I\|HW\|O"),
    ({"cores": (zeros(1, 4, 2), zeros(3, 3, 3, 3), zeros(3, 5, 1))},
     r"core 1 has shape \(3, 3, 3, 3\)\n  allowed: \[2, H, W"),
    ({"cores": (zeros(1, 4, 2), zeros(2, 3, 3, 3), zeros(3, 5, 2))}, r"ends with rank 2"),
    ({"cores": (zeros(1, 3, 2), zeros(2, 3, 3, 3), zeros(3, 5, 1))}, r"4 input channels\n  allowed: 3"),
])
def test_tensor_train_violations(changes, message):
    with pytest.raises(HwgenError, match=message):
        verify(tt_graph(**changes), Stage.FLOAT)


def test_planned_graphs_need_a_decision_and_no_batchnorm():
    with pytest.raises(HwgenError, match=r"tt \(TTConv2d\): execution 'auto'\n  allowed: chain, mixed, reconstruct"):
        verify(tt_graph(), Stage.PLANNED)
    verify(tt_graph(execution=TTExecution.RECONSTRUCT), Stage.PLANNED)
    norm = ir.BatchNorm(name="bn", inputs=("x",), shape=(4, 6, 6), gamma=zeros(4), beta=zeros(4), mean=zeros(4),
                        var=zeros(4), eps=1e-5)
    graph = dataclasses.replace(float_graph(), nodes=(*float_graph().nodes, norm))
    verify(graph, Stage.FLOAT)
    with pytest.raises(HwgenError, match="BatchNorm is not legal in a planned graph"):
        verify(graph, Stage.PLANNED)
    negative = dataclasses.replace(norm, var=np.full(4, -1, F32))
    with pytest.raises(HwgenError, match=r"bn \(BatchNorm\): negative variance"):
        verify(dataclasses.replace(graph, nodes=(*graph.nodes[:-1], negative)), Stage.FLOAT)


def kernel(**changes) -> ir.ReconstructedKernel:
    steps = (ir.ContractionStep(core=zeros(3, 3, 3, 2, dtype=np.int8), requantise=requantise(18, lo=-127)),
             ir.ContractionStep(core=zeros(2, 4, dtype=np.int8), requantise=requantise(4, lo=-127)))
    fields = {"first": zeros(4, 3, dtype=np.int8), "steps": steps, "shape": (4, 4, 3, 3), **changes}
    return ir.ReconstructedKernel(**fields)


@pytest.mark.parametrize(("changes", "message"), [
    ({"first": zeros(5, 3, dtype=np.int8)}, r"first of shape \(5, 3\)"),
    ({"first": np.full((4, 3), -128, np.int8)}, r"first spans -128"),
    ({"first": zeros(4, 2, dtype=np.int8)}, r"steps\[0\]\.core of shape \(3, 3, 3, 2\)"),
    ({"steps": (kernel().steps[0], ir.ContractionStep(core=zeros(2, 4, dtype=np.int8), requantise=requantise()))},
     r"steps\[1\] clamps to -128"),
    ({"steps": kernel().steps[:1]}, r"the cores contract to 18 values per output channel\n  allowed: 36"),
])
def test_reconstruction_violations(changes, message):
    with pytest.raises(HwgenError, match=message):
        verify(quantised_graph(weight=kernel(**changes)), Stage.QUANTISED)
    verify(quantised_graph(weight=kernel()), Stage.QUANTISED)


@pytest.mark.parametrize(("node", "message"), [
    (ir.Linear(name="n", inputs=("x",), shape=(2,), weight=zeros(2, 4), bias=zeros(2)), "flatten the feature map"),
    (ir.MaxPool(name="n", inputs=("x",), shape=(4, 6, 6), kernel=(2, 2), stride=(1, 1), padding=(2, 1, 0, 0)),
     "padding smaller than the kernel"),
    (ir.Concat(name="n", inputs=(), shape=(4, 6, 6)), "no inputs"),
    (ir.BatchNorm(name="n", inputs=("x",), shape=(4, 6, 6), gamma=zeros(3), beta=zeros(4), mean=zeros(4), var=zeros(4),
                  eps=1e-5), r"gamma of shape \(3,\)"),
])
def test_other_shapes(node, message):
    graph = Graph(name="g", nodes=(ir.Input(name="x", inputs=(), shape=(4, 6, 6)), node), output="n")
    with pytest.raises(HwgenError, match=message):
        verify(graph, Stage.FLOAT)
