"""Gradients of strided depthwise convolutions on a CPU without the slow path that torch takes for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode


class StridedDepthwise(TorchFunctionMode):
    """While active, a strided depthwise convolution is one of stride 1 of which every s-th pixel is kept.

    The outputs are the same sums. In bfloat16, oneDNN differentiates the strided kind several times slower than that of
    stride 1 with its s * s times as many pixels (``benchmarks/training_speed.py``). Outside of autocast on the CPU, and
    where no gradient is recorded, nothing changes.
    """

    def __torch_function__(self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
                           kwargs: Mapping[str, Any] | None = None) -> Any:
        if func is torch.conv2d and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu"):
            return _conv2d(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _conv2d(  # noqa: PLR0917 - the parameters of torch.conv2d
        input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, groups: int = 1) -> Tensor:
    rows, columns = (stride, stride) if isinstance(stride, int) else stride
    depthwise = 1 < groups == weight.shape[0] and weight.shape[1] == 1
    if depthwise and rows * columns > 1 and input.device.type == "cpu":
        every = torch.conv2d(input, weight, bias, 1, padding, dilation, groups)
        kept: Tensor = _Kept.apply(every, rows, columns)  # pyright: ignore[reportAssignmentType]
        return kept
    return torch.conv2d(input, weight, bias, stride, padding, dilation, groups)


class _Kept(torch.autograd.Function):
    """``x[:, :, ::rows, ::columns]`` whose value and gradient keep the channels-last order, for what works on them."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, rows: int, columns: int) -> Tensor:
        ctx.shape, ctx.rows, ctx.columns = x.shape, rows, columns  # pyright: ignore[reportAttributeAccessIssue]
        return x[:, :, ::rows, ::columns].contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        gradient = torch.empty(ctx.shape, dtype=grad_outputs[0].dtype, memory_format=torch.channels_last).zero_()
        gradient[:, :, ::ctx.rows, ::ctx.columns] = grad_outputs[0]
        return gradient, None, None
