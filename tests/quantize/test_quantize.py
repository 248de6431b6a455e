"""Quantised networks: legal, close to float, with the proven widths; every form of layer and every TT grouping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.frontend import from_torch
from hwgen.golden import quantise_input, run, run_all
from hwgen.golden.evaluate import logits
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.ir.verify import Stage, verify
from hwgen.passes.plan import TTChoice, candidates, plan
from hwgen.passes.tensor_train import forms_by_rank, tensor_train
from hwgen.quantize import calibrate, quantise
from hwgen.quantize.bounds import bounds, requantise_bits, required_acc_bits
from hwgen.quantize.report import layer_quality

torch.set_num_threads(1)


class Net(nn.Module):
    """Three readers, Concat of three, both pools, ReLU6, depthwise, dilation, odd sizes, a 3x2 map flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn = nn.Conv2d(3, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.a, self.b = nn.Conv2d(12, 20, (3, 1), padding=(1, 0)), nn.Conv2d(20, 12, 3, padding=2, dilation=2)
        self.dw, self.short = nn.Conv2d(12, 12, 3, 2, 1, groups=12), nn.Conv2d(12, 12, 1, 2)
        self.fc1, self.fc2 = nn.Linear(36 * 6, 16), nn.Linear(16, 5)

    def forward(self, x):
        x = self.bn(self.stem(x)).relu()
        y = functional.relu6(self.b(self.a(x).relu()) + x)
        z = self.dw(y) + self.short(x)
        w = functional.max_pool2d(y, 2, 2, ceil_mode=True)
        x = torch.cat([z.relu(), w, functional.avg_pool2d(x, 3, 2, 1)], 1)
        x = functional.max_pool2d(x, 2)
        return self.fc2(self.fc1(x.flatten(1)).relu())


X = np.random.default_rng(0).normal(size=(24, 3, 13, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> Graph:
    torch.manual_seed(4)
    return plan(from_torch(Net(), (3, 13, 9), "net", tuple("abcde")))


def sqnr(graph: Graph, quantised: Graph, images: np.ndarray = X) -> float:
    reference = run_float(graph, images)[graph.output].astype(np.float64)
    source = quantised.input_node()
    assert isinstance(source, ir.QInput)
    integers = quantise_input(images.reshape(-1, *source.shape), source.scale)
    found = logits(quantised, integers).reshape(reference.shape)
    return 10 * float(np.log10((reference**2).sum() / ((reference - found) ** 2).sum()))


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_close_to_float(network, method):
    quantised = quantise(calibrate(network, X, method))
    assert sqnr(network, quantised) > 28
    assert quantised.labels == tuple("abcde") and quantised.output == "fc2"


def test_structure(network):
    quantised = quantise(calibrate(network, X))
    ops = {n.name: n.op for n in quantised.nodes}
    assert list(ops.values()).count("QConv2d") == 7 and not {"QAdd", "QFlatten"} & set(ops.values())
    b, dw, fc1 = quantised["b"], quantised["dw"], quantised["fc1"]
    assert isinstance(b, ir.QConv2d) and b.inputs == ("a", "stem") and b.dilation == (2, 2) and b.origin == "b"
    assert b.requantise is not None and 0 < b.requantise.hi < 128 and b.requantise.lo == 0
    assert b.requantise.hi == min(127, round(6 / b.scale))
    assert isinstance(dw, ir.QConv2d) and dw.groups == 12 and len(dw.inputs) == 2
    assert isinstance(fc1, ir.QConv2d) and isinstance(fc1.weight, np.ndarray) and fc1.weight.shape == (16, 36, 3, 2)
    last = quantised["fc2"]
    assert isinstance(last, ir.QConv2d) and last.requantise is None and last.shape == (5, 1, 1)
    parts = [n for n in quantised.nodes if n.op in ("QConcat", "QMaxPool")]
    assert len({getattr(quantised[i], "scale", 0) for n in parts for i in n.inputs}) == 1


def test_multipliers_are_normal_and_exact(network):
    """M uses its 16 bits (or R does), and scale_in * weight scale / scale_out is exactly M / 2^S."""
    quantised = quantise(calibrate(network, X))
    for node in quantised.nodes:
        if isinstance(node, ir.QConv2d) and node.requantise is not None:
            q = node.requantise
            assert (np.maximum(q.multiplier, q.residual_multiplier) >= 32768).all(), node.name
            assert isinstance(node.weight, np.ndarray) and np.abs(node.weight).max() >= 120


def test_the_same_input_gives_the_same_graph(network):
    first, second = (quantise(calibrate(network, X)) for _ in range(2))
    for a, b in zip(first.nodes, second.nodes, strict=True):
        assert a.name == b.name
        if isinstance(a, ir.QConv2d) and isinstance(b, ir.QConv2d):
            assert isinstance(a.weight, np.ndarray) and isinstance(b.weight, np.ndarray)
            assert (a.weight == b.weight).all() and (a.bias == b.bias).all()


def test_bounds_hold_for_the_worst_input(network):
    quantised = quantise(calibrate(network, X))
    found = {b.name: b for b in bounds(quantised)}
    fc1 = quantised["fc1"]
    assert isinstance(fc1, ir.QConv2d) and isinstance(fc1.weight, np.ndarray)
    flat = fc1.weight.reshape(16, -1).astype(np.int64)
    worst = (np.abs(flat).sum(axis=1) * 128 + np.abs(fc1.bias.astype(np.int64))).max()
    assert found["fc1"].accumulator == worst
    assert worst.item().bit_length() + 1 <= required_acc_bits(quantised) <= 32
    assert found["fc2"].requantise == 0 and 17 < requantise_bits(quantised) <= 64
    averages = found[next(n.name for n in quantised.nodes if n.op == "QAvgPool")]
    assert averages.accumulator == 128 * 9


def test_layer_report(network):
    calibration = calibrate(network, X)
    quantised = quantise(calibration)
    report = layer_quality(calibration.lowered, quantised, X[:8])
    assert [layer.name for layer in report] == [n.name for n in quantised.nodes]
    assert all(20 < layer.sqnr_db < 80 and 0 <= layer.saturated < 0.6 for layer in report), report
    assert report[0].sqnr_db > 40


@pytest.mark.parametrize("form", [
    lambda m, x: m.conv(x).relu(), lambda m, x: x.mean((2, 3)), lambda m, x: functional.max_pool2d(m.conv(x), 2),
    lambda m, x: m.conv(x) + x, lambda m, x: torch.cat([m.conv(x), x], 1).flatten(1), lambda m, x: x.relu(),
    lambda m, x: m.conv(x).relu() + x, lambda m, x: (y := m.conv(x)) + y,
    lambda m, x: functional.relu6(x + x),
])
def test_networks_that_do_not_end_in_a_plain_convolution(form):
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return form(self, x)

    torch.manual_seed(0)
    graph = plan(from_torch(Small(), (3, 13, 9)))
    quantised = quantise(calibrate(graph, X, "minmax"))
    assert sqnr(graph, quantised) > 30
    last = quantised[quantised.output]
    assert isinstance(last, ir.QConv2d) and last.requantise is None


def test_multilayer_perceptron():
    torch.manual_seed(0)
    graph = plan(from_torch(nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 4)), (20,)))
    x = np.random.default_rng(0).normal(size=(64, 20)).astype(np.float32)
    quantised = quantise(calibrate(graph, x))
    assert quantised.input_node().shape == (20, 1, 1) and sqnr(graph, quantised, x) > 30


def trained(grouping: str) -> Graph:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 32, (3, 5), (2, 1), (1, 2)), nn.ReLU(),
              nn.Flatten(), nn.Linear(32 * 7 * 9, 6)]
    graph = from_torch(nn.Sequential(*layers), (3, 13, 9), "net")
    forms = forms_by_rank(graph, 12, grouping.split("|"), layers=["2"]) | forms_by_rank(graph, 4, layers=["5"])
    return tensor_train(graph, forms).graph


def variants():
    for grouping in ("I|HW|O", "I|H|W|O", "IH|WO"):
        node = trained(grouping)["2"]
        assert isinstance(node, ir.TTConv2d)
        yield from ((grouping, choice) for choice in candidates(node))


@pytest.mark.parametrize(("grouping", "choice"), list(variants()))
def test_every_execution_of_every_grouping(grouping, choice):
    graph = plan(trained(grouping), {"2": choice})
    quantised = quantise(calibrate(graph, X, "minmax"))
    assert sqnr(graph, quantised) > 27
    cores = [n for n in quantised.nodes if isinstance(n, ir.QConv2d) and n.origin == "2"]
    parts = choice.grouping or tuple(grouping.split("|"))
    if choice.execution is TTExecution.RECONSTRUCT:
        assert len(cores) == 1 and isinstance(cores[0].weight, ir.ReconstructedKernel)
    else:  # named after the last core that each holds: tensors keep their meaning whatever is merged
        modes = ["".join(parts[:k + 1]).replace("+", "") for k in range(len(parts))]
        own = ["".join(grouping.split("|")[:k + 1]) for k in range(len(grouping.split("|")))]
        assert [c.name for c in cores] == ([f"2.core{own.index(m)}" for m in modes] if len(parts) > 1 else ["2"])
        assert [isinstance(c.weight, ir.ReconstructedKernel) for c in cores] == ["+" in part for part in parts]
        assert all(c.requantise is not None and c.requantise.lo == -128 for c in cores[:-1])
        assert cores[-1].requantise is not None and cores[-1].requantise.lo == 0


def test_stride_and_padding_are_split_between_the_cores():
    quantised = quantise(calibrate(plan(trained("I|H|W|O")), X, "minmax"))
    geometry = [(n.weight.shape[2:], n.stride, n.padding) for n in quantised.nodes
                if isinstance(n, ir.QConv2d) and n.origin == "2"]
    assert geometry == [((1, 1), (1, 1), (0, 0, 0, 0)), ((3, 1), (2, 1), (1, 1, 0, 0)), ((1, 5), (1, 1), (0, 0, 2, 2)),
                        ((1, 1), (1, 1), (0, 0, 0, 0))]


def test_tensor_train_classifiers():
    graph = trained("I|HW|O")
    for execution in (TTExecution.CHAIN, TTExecution.RECONSTRUCT):
        planned = plan(graph, {"5": TTChoice(execution)})
        quantised = quantise(calibrate(planned, X, "minmax"))
        assert sqnr(planned, quantised) > 27
        last = quantised[quantised.output]
        assert isinstance(last, ir.QConv2d) and last.origin == "5"
        assert isinstance(last.weight, ir.ReconstructedKernel) == (execution is TTExecution.RECONSTRUCT)


def test_a_residual_on_a_tensor_train():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 3, padding=1)

        def forward(self, x):
            x = self.a(x)
            return (self.b(x.relu()) + x).relu().mean((2, 3))

    torch.manual_seed(0)
    graph = from_torch(Residual(), (3, 13, 9))
    graph = tensor_train(graph, forms_by_rank(graph, 8, layers=["b"])).graph
    for execution in (TTExecution.CHAIN, TTExecution.RECONSTRUCT):
        planned = plan(graph, default=execution)
        quantised = quantise(calibrate(planned, X, "minmax"))
        name = "b.core2" if execution is TTExecution.CHAIN else "b"
        assert quantised[name].inputs[1] == "a" and sqnr(planned, quantised) > 27


def test_dead_channels_and_huge_biases_stay_legal():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        module[0].weight[2] = 0
        module[0].bias[2], module[0].bias[3] = 0, 50.0
        module[0].weight[4] *= 1e-12
    graph = plan(from_torch(module, (3, 13, 9)))
    quantised = verify(quantise(calibrate(graph, X)), Stage.QUANTISED)
    assert sqnr(graph, quantised) > 20 and required_acc_bits(quantised) <= 27


def test_a_silent_network_is_legal():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    quantised = quantise(calibrate(plan(from_torch(module, (3, 13, 9))), X))
    assert not run(quantised, np.full((1, 3, 13, 9), 127, np.int8)).any()


def test_intermediate_tensors_have_the_shapes_of_the_graph(network):
    quantised = quantise(calibrate(network, X))
    tensors = run_all(quantised, np.zeros((2, 3, 13, 9), np.int8))
    assert all(tensors[n.name].shape[1:] == n.shape for n in quantised.nodes)


def test_calibration_refusals(network):
    with pytest.raises(HwgenError, match="calibration: no images"):
        calibrate(network, X[:0])
    broken = X.copy()
    broken[3, 1, 2, 2] = np.inf
    with pytest.raises(HwgenError, match="NaN or infinite"):
        calibrate(network, broken)
    with pytest.raises(HwgenError, match=r"(?s)unknown method 'entropy'.*minmax, percentile, mse"):
        calibrate(network, X, "entropy")
    with pytest.raises(HwgenError, match=r"images of shape \(3, 9, 13\)\n  allowed: \(3, 13, 9\)"):
        calibrate(network, X.transpose(0, 1, 3, 2))
    with pytest.raises(HwgenError, match="BatchNorm is not legal in a planned graph"):
        calibrate(from_torch(Net(), (3, 13, 9)), X)
