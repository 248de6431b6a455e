"""What the window unit takes over from the array."""

from __future__ import annotations

from hwgen.compiler.operations import Tensor
from hwgen.config.accelerator import WINDOW_MIN_WIDTH, AcceleratorConfig, WindowUnit
from hwgen.ir.nodes import QAvgPool, QConv2d, QMaxPool, ReconstructedKernel


def depthwise(node: QConv2d, source: Tensor, config: AcceleratorConfig) -> bool:
    """Whether a convolution is depthwise and one for the window unit."""
    if isinstance(node.weight, ReconstructedKernel) or node.requantise is None or len(node.inputs) > 1:
        return False
    channels = source.layout.channels
    return (node.groups == channels == node.weight.shape[0] and node.dilation == (1, 1)
            and fits_window(node, source, config, maximum=False))


def fits_window(
    node: QConv2d | QMaxPool | QAvgPool, source: Tensor, config: AcceleratorConfig, *, maximum: bool
) -> bool:
    """Whether the unit of ``config`` can do an operation on ``source`` (docs/architecture.md, the window unit)."""
    able = (WindowUnit.POOL, WindowUnit.DEPTHWISE) if maximum else (WindowUnit.DEPTHWISE,)
    kernel = node.weight.shape[2:] if isinstance(node, QConv2d) else node.kernel
    top, bottom, left, right = node.padding
    rows = min(source.height, (node.shape[1] - 1) * node.stride[0] - top + kernel[0])
    enough = source.layout.blocks == 1 or rows * source.width >= config.window_block_words
    return (config.window in able and max(kernel) <= config.window_kernel
            and top + bottom < kernel[0] and left + right < kernel[1]
            and WINDOW_MIN_WIDTH <= source.width <= config.window_width and enough)
