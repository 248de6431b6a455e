"""TT layers: contraction equals chain, one node per layer in an exported program."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwgen.tt import TtForm, parse_grouping, tt_svd
from hwgen.zoo import TTConv2d, build_module, load_recipe, set_tt_execution

RANKS = {"I|HW|O": (3, 4), "I|H|W|O": (3, 4, 5), "IH|WO": (6,), "IHW|O": (5,), "I|HWO": (4,)}


def tt_layer(grouping: str, *, bias: bool) -> TTConv2d:
    torch.manual_seed(0)
    form = TtForm(parse_grouping(grouping), RANKS[grouping])
    layer = TTConv2d(6, 7, (3, 5), form, stride=(2, 1), padding=(1, 2), bias=bias)
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    return layer.eval()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("grouping", RANKS)
def test_contraction_equals_chain(grouping: str, bias: bool) -> None:
    layer = tt_layer(grouping, bias=bias)
    x = torch.randn(2, 6, 9, 8)
    dense = layer(x)
    layer.execution = "chain"
    torch.testing.assert_close(layer(x), dense, rtol=1e-4, atol=1e-5)
    assert dense.shape == (2, 7, 5, 8)


def test_decomposition_of_a_convolution_gives_its_output() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 8, 3, stride=2, padding=1)
    layer = TTConv2d.like(conv, TtForm(("I", "HW", "O"), (6, 8)))
    layer.load_decomposition(tt_svd(conv.weight.detach().double().numpy(), layer.form))
    assert layer.bias is not None
    with torch.no_grad():
        layer.bias.copy_(conv.bias) if conv.bias is not None else None
    x = torch.randn(1, 6, 7, 7)
    torch.testing.assert_close(layer(x), conv(x), rtol=1e-4, atol=1e-5)


def test_both_ways_train_alike() -> None:
    layer = tt_layer("I|HW|O", bias=True)
    x = torch.randn(2, 6, 9, 8)
    gradients: list[list[Tensor]] = []
    for execution in ("dense", "chain"):
        layer.execution = execution
        layer.zero_grad()
        layer(x).square().sum().backward()
        gradients.append([core.grad.clone() for core in layer.cores if core.grad is not None])
    assert len(gradients[0]) == 3
    for dense, chain in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, chain, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("grouping", RANKS)
def test_export_keeps_one_node(grouping: str) -> None:
    layer = tt_layer(grouping, bias=True)
    x = torch.randn(1, 6, 9, 8)
    program = torch.export.export(layer, (x,))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert [str(node.target) for node in calls] == ["hwgen.tt_conv2d.default"]
    assert calls[0].args[3:] == ([2, 1], [1, 2], grouping)
    torch.testing.assert_close(program.module()(x), layer(x))


def test_export_of_the_whole_network() -> None:
    recipe = load_recipe("resnet18_tt")
    module = build_module(recipe).module
    x = torch.randn(1, *recipe.input.shape)
    program = torch.export.export(module, (x,))
    targets = [str(node.target) for node in program.graph.nodes if node.op == "call_function"]
    assert targets.count("hwgen.tt_conv2d.default") == len(recipe.tt.layers) == 16
    with torch.no_grad():
        expected = module(x)
        torch.testing.assert_close(program.module()(x), expected)
        set_tt_execution(module, "chain")
        torch.testing.assert_close(module(x), expected, rtol=1e-3, atol=1e-4)


def test_operator_passes_torchs_own_checks() -> None:
    layer = tt_layer("I|H|W|O", bias=True)
    assert layer.bias is not None
    cores = [core.detach() for core in layer.cores]
    arguments = (torch.randn(1, 6, 9, 8), cores, layer.bias.detach(), [2, 1], [1, 2], "I|H|W|O")
    checks = ("test_schema", "test_faketensor")
    torch.library.opcheck(torch.ops.hwgen.tt_conv2d.default, arguments, test_utils=checks)


def test_initial_variance_is_kaimings() -> None:
    torch.manual_seed(0)
    layer = TTConv2d(64, 64, (3, 3), TtForm(("I", "HW", "O"), (32, 32)), padding=(1, 1))
    with torch.no_grad():
        x = torch.randn(4, 64, 16, 16)
        assert 1.0 < float(layer(x).std()) < 2.0  # sqrt(2) for unit inputs
