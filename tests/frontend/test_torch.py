"""PyTorch front end: every operator against torch itself, names by module path, and every refusal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.frontend import from_exported, from_torch
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float
from hwgen.zoo.tt_op import tt_conv2d

torch.set_num_threads(1)


class Call(nn.Module):
    """A module from a function, with optional parameters as attributes."""

    def __init__(self, function, **modules) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


def randomise(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1 if tensor.ndim == 1 else
                         torch.randn(tensor.shape, generator=generator))
    return module.eval()


def check(module: nn.Module, shape) -> ir.Graph:
    randomise(module)
    graph = from_torch(module, shape, "net")
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(x).numpy()
    found = run_float(graph, x.numpy())[graph.output]
    assert found.size == expected.size
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)
    return graph


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("arguments", [
    {"kernel_size": 3}, {"kernel_size": (3, 5), "stride": (2, 1), "padding": (1, 2)},
    {"kernel_size": 3, "dilation": (2, 3), "padding": 2}, {"kernel_size": 1, "bias": False},
    {"kernel_size": 3, "groups": 2}, {"kernel_size": 3, "groups": 4, "stride": 2},
    {"kernel_size": (2, 4), "padding": "same"}, {"kernel_size": 3, "padding": "valid"},
])
def test_conv(arguments):
    check(nn.Sequential(nn.Conv2d(4, 8, **arguments)), (4, 11, 9))


@pytest.mark.parametrize("module", [
    nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, ceil_mode=True), nn.MaxPool2d((3, 2), (2, 3), (1, 0)),
    nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((9, 1)), nn.ReLU(),
    nn.ReLU6(),
    nn.Hardtanh(0, 6), nn.BatchNorm2d(3), nn.Dropout(), nn.Dropout2d(), nn.Identity(), nn.AvgPool2d((9, 7)),
    nn.AvgPool2d(3, 2, 1, count_include_pad=True, divisor_override=9),
])
def test_single_module(module):
    check(nn.Sequential(nn.Conv2d(3, 3, 1), module), (3, 9, 7))


@pytest.mark.parametrize("function", [
    lambda m, x: functional.relu(x), lambda m, x: x.clamp(0, 6), lambda m, x: x.clamp(min=0),
    lambda m, x: x + functional.relu(x), lambda m, x: torch.cat([x, functional.relu6(x), x], 1),
    lambda m, x: x.mean((2, 3)), lambda m, x: x.mean((-2, -1), keepdim=True), lambda m, x: x.flatten(1),
    lambda m, x: x.view(x.size(0), -1), lambda m, x: x.reshape(x.shape[0], 3 * 9 * 7),
    lambda m, x: functional.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1),
    lambda m, x: functional.relu(x, inplace=True), lambda m, x: functional.adaptive_avg_pool2d(x, 1).squeeze((2, 3)),
])
def test_functions(function):
    check(Call(function), (3, 9, 7))


def test_classifier_of_a_vector_with_batch_norm():
    layers = [nn.Flatten(), nn.Linear(60, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)]
    check(nn.Sequential(*layers), (3, 4, 5))
    check(nn.Linear(6, 3), (6,))


def test_weights_computed_from_constants_are_evaluated():
    def standardised(m, x):
        w = m.conv.weight
        return functional.conv2d(x, (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True), m.conv.bias)

    assert [n.op for n in check(Call(standardised, conv=nn.Conv2d(3, 4, 3)), (3, 8, 8)).nodes] == ["Input", "Conv2d"]


def test_names_are_module_paths():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()

        def forward(self, x):
            return self.act(self.conv2(self.act(self.conv1(x))) + x)

    graph = check(nn.Sequential(nn.Conv2d(3, 4, 1), Block()), (3, 6, 6))
    assert [n.name for n in graph.nodes[1:]] == ["0", "1.conv1", "1.act", "1.conv2", "1.add", "1.act_1"]


def test_exported_programs_in_both_forms():
    """As exported, and decomposed to core ATen operators (convolution, addmm, batch norm with three results, ...)."""
    torch.manual_seed(0)
    module = randomise(nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2), nn.Dropout(),
        nn.Conv2d(8, 8, 3, groups=8), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)))
    x = torch.randn(2, 3, 12, 12)
    program = torch.export.export(module, (x,))
    for form in (program, program.run_decompositions()):
        graph = from_exported(form)
        with torch.no_grad():
            expected = module(x).numpy()
        np.testing.assert_allclose(run_float(graph, x.numpy())[graph.output], expected, rtol=1e-4, atol=1e-4)
    ops = [n.op for n in graph.nodes]
    assert ops == ["Input", "Conv2d", "BatchNorm", "Relu6", "MaxPool", "Conv2d", "AvgPool", "GlobalAvgPool", "Flatten",
                   "Linear"]


def test_dynamic_batch():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), Call(lambda m, x: x.view(x.size(0), -1)), nn.Linear(4 * 36, 2)).eval()
    x = torch.randn(3, 3, 8, 8)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("n", min=1, max=64)},))
    graph = from_exported(program)
    with torch.no_grad():
        np.testing.assert_allclose(run_float(graph, x.numpy())[graph.output], module(x).numpy(), rtol=1e-4, atol=1e-5)
    moving = torch.export.export(module[0], (x,), dynamic_shapes=({2: torch.export.Dim("h", min=4, max=64)},))
    with pytest.raises(HwgenError, match="the input is no tensor of fixed shape"):
        from_exported(moving)


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    from_torch(module, (3, 8, 8))
    assert module.training


@pytest.mark.parametrize(("grouping", "shapes"), [
    ("I|HW|O", [(1, 4, 3), (3, 3, 5, 2), (2, 6, 1)]), ("I|H|W|O", [(1, 4, 3), (3, 3, 2), (2, 5, 4), (4, 6, 1)]),
    ("IH|WO", [(1, 4, 3, 3), (3, 5, 6, 1)]), ("IHW|O", [(1, 4, 3, 5, 2), (2, 6, 1)]),
    ("I|HWO", [(1, 4, 2), (2, 3, 5, 6, 1)]),
])
def test_tensor_train_operator(grouping, shapes):
    class Tt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cores = nn.ParameterList(nn.Parameter(torch.zeros(s)) for s in shapes)
            self.bias = nn.Parameter(torch.zeros(6))

        def forward(self, x):
            return tt_conv2d(x, list(self.cores), self.bias, [2, 1], [1, 2], grouping)

    graph = check(nn.Sequential(Tt()), (4, 9, 8))
    node = graph.nodes[1]
    assert isinstance(node, ir.TTConv2d) and node.name == "0" and node.grouping == tuple(grouping.split("|"))


@pytest.mark.parametrize(("module", "fragments"), [
    (nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sigmoid()),
     ["1: operator aten.sigmoid.default is not supported", "max pooling"]),
    (nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU()), ["1: operator aten.gelu"]),
    (nn.ConvTranspose2d(3, 3, 3), ["conv_transpose2d"]),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), ["divisor varies at the border"]),
    (nn.AvgPool2d(2, ceil_mode=True), ["divisor varies at the border (ceil_mode)"]),
    (nn.AvgPool2d(2, divisor_override=3), ["divisor_override 3"]),
    (nn.MaxPool2d(2, dilation=2), ["max pooling with dilation (2, 2)"]),
    (nn.AdaptiveAvgPool2d(4), ["adaptive average pooling to (4, 4)"]),
    (nn.Hardtanh(-1, 1), ["clamp to [-1, 1]", "ReLU6"]),
    (nn.BatchNorm2d(3, track_running_stats=False), ["without running statistics"]),
    (Call(lambda m, x: x + 1.0), ["add of a constant"]),
    (Call(lambda m, x: torch.cat([x, x], 2)), ["concatenation along dimension 2", "1 (channels)"]),
    (Call(lambda m, x: x.mean(1)), ["mean over dimensions"]),
    (Call(lambda m, x: x.view(x.size(0), 3, -1)), ["reshape of (3, 9, 7)"]),
    (Call(lambda m, x: (x, x)), ["returns 2 tensors"]),
    (Call(lambda m, x: torch.zeros(1, 3)), ["does not depend on the input"]),
    (Call(lambda m, x: x if x.sum() > 0 else -x), ["torch.export failed", "data-dependent"]),
    (nn.Linear(5, 3), ["torch.export failed"]),
])
def test_refusals(module, fragments):
    with pytest.raises(HwgenError) as caught:
        from_torch(module, (3, 9, 7), "net")
    for fragment in fragments:
        assert fragment in str(caught.value), str(caught.value)


def test_bad_weights_are_refused_by_name():
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(HwgenError, match="0: weight holds 1 NaN or infinite values"):
        from_torch(module, (3, 8, 8))
    with pytest.raises(HwgenError, match=r"0\.weight: weights of type torch\.float64"):
        from_torch(nn.Sequential(nn.Conv2d(3, 4, 3)).double(), (3, 8, 8))
