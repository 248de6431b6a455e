"""Shape inference, one rule per node class; shapes leave out the batch axis: (C, H, W) or (F,)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Node, Padding, Pair, Shape


def window_count(size: int, kernel: int, stride: int, padding: Pair, *, dilation: int = 1) -> int:
    """Number of window positions along one axis (floor mode); 0 or less when the window does not fit.

    ``padding`` is (before, after).
    """
    return (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def window_shape(
    node: Node, size: Pair, kernel: Pair, stride: Pair, padding: Padding, *, dilation: Pair = (1, 1)
) -> Pair:
    """Output height and width of a sliding window; HwgenError when it does not fit into the padded map."""
    if min(*kernel, *stride, *dilation) < 1 or min(padding) < 0:
        raise HwgenError(
            f"kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}", where=_where(node),
            allowed="kernel, stride and dilation of at least 1, padding of at least 0",
        )
    height = window_count(size[0], kernel[0], stride[0], padding[:2], dilation=dilation[0])
    width = window_count(size[1], kernel[1], stride[1], padding[2:], dilation=dilation[1])
    if height < 1 or width < 1:
        raise HwgenError(
            f"a {kernel[0]}x{kernel[1]} window (dilation {dilation}) does not fit into a {size[0]}x{size[1]} map "
            f"with padding {padding}", where=_where(node),
        )
    return height, width


def infer_shape(node: Node, inputs: Sequence[Shape]) -> Shape:
    """Shape of the output of ``node`` from the shapes of its inputs.

    Raises:
        HwgenError: the inputs do not fit the node; names the node and the shapes.
    """
    rule = _RULES.get(type(node))
    if rule is None:
        raise HwgenError(f"no shape rule for {node.op}", where=node.name)
    return rule(node, inputs)


def _where(node: Node) -> str:
    return f"{node.name} ({node.op})"


def _arity(node: Node, inputs: Sequence[Shape], count: int) -> None:
    if len(inputs) != count:
        raise HwgenError(f"{len(inputs)} inputs", where=_where(node), allowed=f"{count}")


def _map_input(node: Node, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise HwgenError(f"input of shape {shape}", where=_where(node), allowed="a feature map (C, H, W)")
    return shape[0], shape[1], shape[2]


def _input(node: Node, inputs: Sequence[Shape]) -> Shape:
    _arity(node, inputs, 0)
    if len(node.shape) not in (1, 3) or min(node.shape) < 1:
        raise HwgenError(f"input shape {node.shape}", where=_where(node), allowed="(C, H, W) or (F,)")
    return node.shape


def _same(node: Node, inputs: Sequence[Shape]) -> Shape:
    _arity(node, inputs, 1)
    return inputs[0]


def _conv(node: Node, inputs: Sequence[Shape]) -> Shape:
    assert isinstance(node, ir.Conv2d | ir.QConv2d)
    residual = isinstance(node, ir.QConv2d) and len(inputs) == 2
    _arity(node, inputs, 2 if residual else 1)
    weight_shape = node.weight.shape
    if len(weight_shape) != 4:
        raise HwgenError(f"weight of shape {weight_shape}", where=_where(node), allowed="[O, I/groups, Kh, Kw]")
    channels, height, width = _map_input(node, inputs[0])
    out, per_group, kernel_h, kernel_w = weight_shape
    if node.groups < 1 or out % node.groups or per_group * node.groups != channels:
        raise HwgenError(
            f"{channels} input channels, weight {tuple(weight_shape)}, groups {node.groups}", where=_where(node),
            allowed="weight [O, I/groups, Kh, Kw] with I the input channels and O a multiple of groups",
        )
    size = window_shape(node, (height, width), (kernel_h, kernel_w), node.stride, node.padding, dilation=node.dilation)
    shape = (out, *size)
    if residual and inputs[1] != shape:
        raise HwgenError(f"residual of shape {inputs[1]}", where=_where(node), allowed=f"{shape}")
    return shape


def tt_kernel_shape(node: ir.TTConv2d) -> tuple[int, int, int, int]:
    """(O, I, Kh, Kw) of a TT convolution; HwgenError unless the grouping is legal and the cores fit it."""
    if "".join(node.grouping) != "IHWO" or "" in node.grouping:
        raise HwgenError(
            f"grouping {'|'.join(node.grouping)!r}", where=_where(node),
            allowed="consecutive groups of the letters I, H, W, O, such as I|HW|O",
        )
    if len(node.cores) != len(node.grouping):
        raise HwgenError(f"{len(node.cores)} cores for grouping {'|'.join(node.grouping)}", where=_where(node))
    sizes: dict[str, int] = {}
    rank = 1
    for index, (core, group) in enumerate(zip(node.cores, node.grouping, strict=True)):
        if core.ndim != len(group) + 2 or core.shape[0] != rank:
            raise HwgenError(
                f"core {index} has shape {core.shape}", where=_where(node),
                allowed=f"[{rank}, {', '.join(group)}, rank]",
            )
        sizes.update(zip(group, core.shape[1:-1], strict=True))
        rank = core.shape[-1]
    if rank != 1:
        raise HwgenError(f"the last core ends with rank {rank}", where=_where(node), allowed="1")
    return sizes["O"], sizes["I"], sizes["H"], sizes["W"]


def _tt_conv(node: Node, inputs: Sequence[Shape]) -> Shape:
    assert isinstance(node, ir.TTConv2d)
    _arity(node, inputs, 1)
    out, channels_in, kernel_h, kernel_w = tt_kernel_shape(node)
    channels, height, width = _map_input(node, inputs[0])
    if channels != channels_in:
        raise HwgenError(f"{channels} input channels", where=_where(node), allowed=f"{channels_in}")
    size = window_shape(node, (height, width), (kernel_h, kernel_w), node.stride, node.padding, dilation=node.dilation)
    return (out, *size)


def _linear(node: Node, inputs: Sequence[Shape]) -> Shape:
    assert isinstance(node, ir.Linear | ir.TTLinear)
    _arity(node, inputs, 1)
    if isinstance(node, ir.Linear):
        if node.weight.ndim != 2:
            raise HwgenError(f"weight of shape {node.weight.shape}", where=_where(node), allowed="[O, I]")
        out, features = node.weight.shape
    else:
        shapes = [core.shape for core in node.cores]
        if (len(shapes) != 2 or any(len(s) != 3 for s in shapes) or shapes[0][0] != 1 or shapes[1][2] != 1
                or shapes[0][2] != shapes[1][0]):
            raise HwgenError(f"cores of shapes {shapes}", where=_where(node), allowed="[1, I, r] and [r, O, 1]")
        features, out = shapes[0][1], shapes[1][1]
    if inputs[0] != (features,):
        raise HwgenError(
            f"input of shape {inputs[0]}", where=_where(node), allowed=f"({features},)",
            hint="flatten the feature map before the fully connected layer",
        )
    return (out,)


def _batch_norm(node: Node, inputs: Sequence[Shape]) -> Shape:
    assert isinstance(node, ir.BatchNorm)
    _arity(node, inputs, 1)
    for name in ("gamma", "beta", "mean", "var"):
        array: np.ndarray = getattr(node, name)
        if array.shape != (inputs[0][0],):
            raise HwgenError(f"{name} of shape {array.shape}", where=_where(node), allowed=f"({inputs[0][0]},)")
    return inputs[0]


def _pool(node: Node, inputs: Sequence[Shape]) -> Shape:
    assert isinstance(node, ir.MaxPool | ir.AvgPool | ir.QMaxPool | ir.QAvgPool)
    _arity(node, inputs, 1)
    channels, height, width = _map_input(node, inputs[0])
    for axis, (before, after) in enumerate((node.padding[:2], node.padding[2:])):
        if max(before, after) >= node.kernel[axis]:
            raise HwgenError(
                f"padding {node.padding} with kernel {node.kernel}", where=_where(node),
                allowed="padding smaller than the kernel",
            )
    return (channels, *window_shape(node, (height, width), node.kernel, node.stride, node.padding))


def _global_pool(node: Node, inputs: Sequence[Shape]) -> Shape:
    _arity(node, inputs, 1)
    return (_map_input(node, inputs[0])[0], 1, 1)


def _add(node: Node, inputs: Sequence[Shape]) -> Shape:
    _arity(node, inputs, 2)
    if inputs[0] != inputs[1]:
        raise HwgenError(f"operands of shapes {inputs[0]} and {inputs[1]}", where=_where(node), allowed="equal shapes")
    return inputs[0]


def _concat(node: Node, inputs: Sequence[Shape]) -> Shape:
    if not inputs:
        raise HwgenError("no inputs", where=_where(node), allowed="at least one")
    if any(shape[1:] != inputs[0][1:] or len(shape) != len(inputs[0]) for shape in inputs):
        raise HwgenError(f"inputs of shapes {tuple(inputs)}", where=_where(node), allowed="equal height and width")
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


def _flatten(node: Node, inputs: Sequence[Shape]) -> Shape:
    _arity(node, inputs, 1)
    return (int(np.prod(inputs[0])),)


_RULES: dict[type[Node], Callable[[Node, Sequence[Shape]], Shape]] = {
    ir.Input: _input, ir.QInput: _input,
    ir.Conv2d: _conv, ir.QConv2d: _conv, ir.TTConv2d: _tt_conv,
    ir.Linear: _linear, ir.TTLinear: _linear,
    ir.BatchNorm: _batch_norm, ir.Relu: _same, ir.Relu6: _same,
    ir.MaxPool: _pool, ir.AvgPool: _pool, ir.QMaxPool: _pool, ir.QAvgPool: _pool, ir.GlobalAvgPool: _global_pool,
    ir.Add: _add, ir.QAdd: _add, ir.Concat: _concat, ir.QConcat: _concat,
    ir.Flatten: _flatten, ir.QFlatten: _flatten,
}
