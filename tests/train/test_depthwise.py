"""Strided depthwise convolutions by way of stride 1: the same values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwgen.train.depthwise import StridedDepthwise


def layer(groups: int = 8, outputs: int = 8, stride: int | tuple[int, int] = 2, padding: int = 1) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(8, outputs, 3, stride, padding, groups=groups).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def results(conv: nn.Conv2d, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
    # small integers: their products and sums are exact in bfloat16, so that any order of summation gives the same
    y.backward((torch.arange(y.numel()).reshape(y.shape) % 3 - 1).to(y.dtype))
    found = [y, x.grad, conv.weight.grad, None if conv.bias is None else conv.bias.grad]
    conv.zero_grad()
    return [t for t in found if t is not None]


@pytest.mark.parametrize("height", [7, 8])
@pytest.mark.parametrize(("groups", "outputs", "stride", "padding"), [
    (8, 8, 2, 1), (8, 8, (1, 2), 0), (8, 8, 3, 2), (8, 8, 1, 1), (4, 8, 2, 1), (1, 4, 2, 1), (8, 16, 2, 1)])
def test_values_and_gradients_are_those_of_the_strided_kind(
        groups: int, outputs: int, stride: int | tuple[int, int], padding: int, height: int) -> None:
    conv = layer(groups, outputs, stride, padding)
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape))
    x = torch.randint(-3, 4, (4, 8, height, 9)).float().contiguous(memory_format=torch.channels_last)
    expected = results(conv, x)
    with StridedDepthwise():
        found = results(conv, x)
    assert [t.shape for t in found] == [t.shape for t in expected]
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


def test_takes_the_other_way_only_where_bfloat16_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    conv, x = layer(), torch.zeros(1, 8, 8, 8)
    seen: list[object] = []
    original = torch.conv2d
    monkeypatch.setattr("hwgen.train.depthwise._conv2d", lambda *a, **k: (seen.append(a[3]), original(*a, **k))[1])
    with StridedDepthwise():
        conv(x)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                conv(x)
            assert not seen
            conv(x)
    assert seen == [(2, 2)]
    conv(x)
    assert len(seen) == 1


def test_the_value_keeps_the_channels_last_order() -> None:
    x = torch.zeros(2, 8, 8, 8).contiguous(memory_format=torch.channels_last)
    with StridedDepthwise(), torch.autocast("cpu", torch.bfloat16):
        assert layer()(x).is_contiguous(memory_format=torch.channels_last)
