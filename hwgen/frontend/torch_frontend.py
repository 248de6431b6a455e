"""PyTorch front end: nn.Module -> torch.export -> float Graph."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hwgen.errors import HwgenError
from hwgen.frontend.builder import SUPPORTED, GraphBuilder, weights
from hwgen.frontend.windows import ceil_padding
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Padding, Pair, Shape


def from_torch(module: nn.Module, input_shape: Shape, name: str = "network", labels: tuple[str, ...] = ()) -> Graph:
    """Translates ``module`` in evaluation mode.

    Args:
        module: takes one float32 tensor [N, *input_shape] and returns one tensor. It is not changed.
        input_shape: (C, H, W) or (F,).
        name: of the graph.
        labels: class names, if known.

    Raises:
        HwgenError: the module cannot be exported, or an operator is not supported (named by its module path).
    """
    module = copy.deepcopy(module).eval()
    module = module.to(device="cpu")
    for key, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            raise HwgenError(f"weights of type {tensor.dtype}", where=key, allowed="torch.float32",
                             hint="call .float() on the module")
    example = torch.zeros(1, *input_shape)
    try:
        with torch.no_grad():
            program = torch.export.export(module, (example,))
    except HwgenError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise HwgenError(
            f"torch.export failed: {lines[0]}", where=f"{name} ({type(module).__name__})",
            hint="the forward pass must be free of data-dependent control flow and accept a tensor of shape "
            f"{(1, *input_shape)}",
        ) from error
    return from_exported(program, name, labels)


def from_exported(program: torch.export.ExportedProgram, name: str = "network", labels: tuple[str, ...] = ()) -> Graph:
    """Translates a program exported in evaluation mode (core ATen or training operators); see ``from_torch``."""
    return _Translator(program).run(name, labels)


#: (translator, name, arguments in schema order) -> tensor name, or a list for operators with several outputs
Handler = Callable[["_Translator", str, list[Any]], Any]


class _Translator:
    """Walks the exported graph once; every fx node becomes a tensor name or a constant."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.batch = 1
        self.builder = GraphBuilder()
        self.values: dict[torch.fx.Node, Any] = {}

    def run(self, name: str, labels: tuple[str, ...]) -> Graph:
        graph = self.program.graph_module.graph
        signature = self.program.graph_signature
        state = {**self.program.state_dict, **self.program.constants}
        sources = {getattr(s.arg, "name", ""): s.target for s in signature.input_specs if s.target is not None}
        output: Any = None
        for node in graph.nodes:
            if node.op == "placeholder":
                if node.name in sources:
                    self.values[node] = state[sources[node.name]].detach()
                else:
                    self._input(node)
            elif node.op == "output":
                output = node.args[0]
            elif node.op == "call_function":
                self.values[node] = self._call(node)
            elif not str(node.target).startswith("_guards"):  # input checks that torch.export adds
                raise HwgenError(f"unexpected {node.op} in the exported graph", where=node.name)
        if not (isinstance(output, tuple | list) and len(output) == 1):
            count = len(output) if isinstance(output, tuple | list) else 0
            raise HwgenError(f"the module returns {count} tensors", where=name, allowed="one tensor")
        result = self.values[output[0]]
        if not isinstance(result, str):
            raise HwgenError("the output does not depend on the input", where=name)
        return self.builder.finish(name, result, labels)

    def _input(self, node: torch.fx.Node) -> None:
        if any(isinstance(v, str) for v in self.values.values()):
            raise HwgenError("more than one input", where=node.name, allowed="one tensor")
        example = node.meta.get("val")
        if not isinstance(example, torch.Tensor) or not all(isinstance(d, int) for d in example.shape[1:]):
            raise HwgenError("the input is no tensor of fixed shape", where=node.name, allowed="(N, C, H, W) or (N, F)")
        self.batch = int(example.shape[0]) if isinstance(example.shape[0], int) else 1
        self.values[node] = self.builder.add_input(node.name, tuple(int(d) for d in example.shape[1:]))

    def _call(self, node: torch.fx.Node) -> Any:
        args = [self._resolve(a) for a in node.args]
        kwargs = {k: self._resolve(v) for k, v in node.kwargs.items()}
        target: Any = node.target
        if target is operator.getitem:
            return args[0][args[1]]
        if not any(isinstance(a, str) for a in _flat(node.all_input_nodes, self.values)):
            with torch.no_grad():  # only constants: evaluated here
                return target(*args, **kwargs)
        where = _path(node)
        op = str(target)
        handler = _HANDLERS.get(op)
        if handler is None:
            raise HwgenError(f"operator {op} is not supported", where=where, allowed=SUPPORTED)
        return handler(self, where, _normalise(target, args, kwargs))

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, torch.fx.Node):
            return self.values[value]
        if isinstance(value, list | tuple):
            return [self._resolve(v) for v in value]
        return value


def _flat(nodes: Sequence[torch.fx.Node], values: dict[torch.fx.Node, Any]) -> list[Any]:
    found: list[Any] = []
    for node in nodes:
        value = values[node]
        found.extend(value if isinstance(value, list | tuple) else [value])
    return found


def _normalise(target: Any, args: list[Any], kwargs: dict[str, Any]) -> list[Any]:
    """All arguments in schema order, defaults filled in."""
    full: list[Any] = []
    for index, argument in enumerate(target._schema.arguments):
        if index < len(args):
            full.append(args[index])
        elif argument.name in kwargs:
            full.append(kwargs[argument.name])
        else:
            full.append(argument.default_value)
    return full


def _path(node: torch.fx.Node) -> str:
    """Module path of an fx node: the path of a leaf module, or the enclosing path and the operator's own name."""
    stack = node.meta.get("nn_module_stack") or {}
    path, kind = "", None
    for value in stack.values():
        path, kind = value[0], value[1]
    path = path.removeprefix("L['self']").lstrip(".")
    path = path.replace("slice(None, None, None)", "").strip(".")
    kind_name = str(kind).rsplit(".", 1)[-1].rstrip("'>")
    is_leaf = str(kind).startswith("torch.nn.modules.") and kind_name not in ("Sequential", "ModuleList", "Module")
    if path and (is_leaf or str(node.target).startswith("hwgen.")):
        return path
    own = str(node.target).split(".")[1].rstrip("_") if "." in str(node.target) else node.name
    return f"{path}.{own}" if path else own


# ---------------------------------------------------------------- argument helpers
def _pair(value: Any) -> Pair:
    values = list(value) if isinstance(value, list | tuple) else [value]
    return (int(values[0]), int(values[0])) if len(values) == 1 else (int(values[0]), int(values[1]))


def _both_sides(padding: Any) -> Padding:
    vertical, horizontal = _pair(padding)
    return vertical, vertical, horizontal, horizontal


def _array(value: Any, where: str, what: str) -> np.ndarray:
    if not isinstance(value, torch.Tensor):
        raise HwgenError(f"{what} is computed from the input", where=where, allowed="constant weights")
    return weights(value.detach().cpu().numpy(), where, what)


def _bias(value: Any, size: int, where: str) -> np.ndarray:
    return np.zeros(size, np.float32) if value is None else _array(value, where, "bias")


def _tensor(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise HwgenError("a constant operand", where=where, allowed="tensors that depend on the input")
    return value


# ---------------------------------------------------------------- operators
def _conv2d(t: _Translator, where: str, a: list[Any]) -> str:
    x, weight, bias, stride, padding, dilation, groups = a[:7]
    kernel = _array(weight, where, "weight")
    if isinstance(padding, str):
        if padding == "valid":
            sides: Padding = (0, 0, 0, 0)
        else:
            v, h = (d * (k - 1) for k, d in zip(kernel.shape[2:], _pair(dilation), strict=True))
            sides = (v // 2, v - v // 2, h // 2, h - h // 2)
    else:
        sides = _both_sides(padding)
    return t.builder.add(
        ir.Conv2d, where, [_tensor(x, where)], weight=kernel, bias=_bias(bias, kernel.shape[0], where),
        stride=_pair(stride), padding=sides, dilation=_pair(dilation), groups=int(groups),
    )


def _convolution(t: _Translator, where: str, a: list[Any]) -> str:
    if a[6]:
        raise HwgenError("transposed convolution is not supported", where=where, allowed=SUPPORTED)
    return _conv2d(t, where, [*a[:6], a[8]])


def _tt_conv2d(t: _Translator, where: str, a: list[Any]) -> str:
    x, cores, bias, stride, padding, grouping = a[:6]
    arrays = tuple(_array(core, where, f"core {i}") for i, core in enumerate(cores))
    out = arrays[-1].shape[-2]
    return t.builder.add(
        ir.TTConv2d, where, [_tensor(x, where)], cores=arrays, grouping=tuple(str(grouping).split("|")),
        bias=_bias(bias, out, where), stride=_pair(stride), padding=_both_sides(padding),
    )


def _linear(t: _Translator, where: str, a: list[Any]) -> str:
    weight = _array(a[1], where, "weight")
    return t.builder.add(
        ir.Linear, where, [_tensor(a[0], where)], weight=weight, bias=_bias(a[2], weight.shape[0], where)
    )


def _addmm(t: _Translator, where: str, a: list[Any]) -> str:
    if a[3] != 1 or a[4] != 1:
        raise HwgenError(f"addmm with beta {a[3]} and alpha {a[4]}", where=where, allowed="1 and 1")
    return _linear(t, where, [a[1], a[2].t(), a[0]])


def _batch_norm(t: _Translator, where: str, a: list[Any]) -> str:
    x, gamma, beta, mean, var, training, _, eps = a[:8]
    if training or mean is None or var is None:
        raise HwgenError("batch normalisation without running statistics", where=where, allowed="inference mode")
    m = _array(mean, where, "mean")
    return t.builder.add(
        ir.BatchNorm, where, [_tensor(x, where)], mean=m, var=_array(var, where, "variance"), eps=float(eps),
        gamma=np.ones_like(m) if gamma is None else _array(gamma, where, "gamma"),
        beta=np.zeros_like(m) if beta is None else _array(beta, where, "beta"),
    )


def _batch_norm_inference(t: _Translator, where: str, a: list[Any]) -> list[Any]:
    x, gamma, beta, mean, var, momentum, eps = a[:7]
    return [_batch_norm(t, where, [x, gamma, beta, mean, var, False, momentum, eps]), None, None]


def _relu(t: _Translator, where: str, a: list[Any]) -> str:
    return t.builder.add_relu(where, _tensor(a[0], where))


def _relu6(t: _Translator, where: str, a: list[Any]) -> str:
    return t.builder.add_clamp(where, _tensor(a[0], where), 0, 6)


def _clamp(t: _Translator, where: str, a: list[Any]) -> str:
    low = -np.inf if len(a) < 2 or a[1] is None else float(a[1])
    high = np.inf if len(a) < 3 or a[2] is None else float(a[2])
    return t.builder.add_clamp(where, _tensor(a[0], where), low, high)


def _max_pool(t: _Translator, where: str, a: list[Any]) -> str:
    x, kernel, stride, padding, dilation, ceil_mode = a[:6]
    if _pair(dilation) != (1, 1):
        raise HwgenError(f"max pooling with dilation {_pair(dilation)}", where=where, allowed="(1, 1)")
    source, window = _tensor(x, where), _pair(kernel)
    step = _pair(stride) if stride else window
    sides = _both_sides(padding)
    if ceil_mode:
        sides = ceil_padding(t.builder.shape(source)[1:], window, step, sides)  # type: ignore[arg-type]
    return t.builder.add(ir.MaxPool, where, [source], kernel=window, stride=step, padding=sides)


def _max_pool_with_indices(t: _Translator, where: str, a: list[Any]) -> list[Any]:
    return [_max_pool(t, where, a), None]


def _avg_pool(t: _Translator, where: str, a: list[Any]) -> str:
    x, kernel, stride, padding, ceil_mode, count_include_pad, divisor = a[:7]
    source, window = _tensor(x, where), _pair(kernel)
    step = _pair(stride) if stride else window
    sides = _both_sides(padding)
    size = t.builder.shape(source)[1:]
    if divisor is not None and int(divisor) != window[0] * window[1]:
        raise HwgenError(f"divisor_override {divisor}", where=where, allowed=f"{window[0] * window[1]}")
    if ceil_mode and ceil_padding(size, window, step, sides) != sides:  # type: ignore[arg-type]
        raise HwgenError(
            "average pooling whose divisor varies at the border (ceil_mode)", where=where,
            allowed="ceil_mode = False, or sizes at which it changes nothing",
        )
    return t.builder.add_avg_pool(
        where, source, kernel=window, stride=step, padding=sides, count_include_pad=bool(count_include_pad)
    )


def _adaptive_avg_pool(t: _Translator, where: str, a: list[Any]) -> str:
    source, target = _tensor(a[0], where), _pair(a[1])
    size = t.builder.shape(source)[1:]
    if target == (1, 1):
        return t.builder.add_global_avg_pool(where, source, True)
    if len(size) == 2 and not size[0] % target[0] and not size[1] % target[1]:
        window = (size[0] // target[0], size[1] // target[1])
        return t.builder.add(ir.AvgPool, where, [source], kernel=window, stride=window)
    raise HwgenError(f"adaptive average pooling to {target} of a {size} map", where=where, allowed="1x1, or a divisor")


def _mean(t: _Translator, where: str, a: list[Any]) -> str:
    source = _tensor(a[0], where)
    rank = len(t.builder.shape(source)) + 1
    axes = sorted(d % rank for d in a[1] or [])
    if rank != 4 or axes != [2, 3]:
        raise HwgenError(f"mean over dimensions {a[1]}", where=where, allowed="the two spatial dimensions (2, 3)")
    return t.builder.add_global_avg_pool(where, source, bool(a[2]))


def _add(t: _Translator, where: str, a: list[Any]) -> str:
    if len(a) > 2 and a[2] != 1:
        raise HwgenError(f"add with alpha {a[2]}", where=where, allowed="1")
    if not (isinstance(a[0], str) and isinstance(a[1], str)):
        raise HwgenError("add of a constant", where=where, allowed="the sum of two tensors of equal shape")
    return t.builder.add(ir.Add, where, [a[0], a[1]])


def _cat(t: _Translator, where: str, a: list[Any]) -> str:
    tensors = [_tensor(x, where) for x in a[0]]
    rank = len(t.builder.shape(tensors[0])) + 1
    if a[1] % rank != 1:
        raise HwgenError(f"concatenation along dimension {a[1]}", where=where, allowed="1 (channels)")
    return t.builder.add(ir.Concat, where, tensors)


def _flatten(t: _Translator, where: str, a: list[Any]) -> str:
    source = _tensor(a[0], where)
    rank = len(t.builder.shape(source)) + 1
    if a[1] % rank != 1 or a[2] % rank != rank - 1:
        raise HwgenError(f"flatten of dimensions {a[1]}..{a[2]}", where=where, allowed="1..-1 (all but the batch)")
    return t.builder.add_reshape(where, source, [-1])


def _view(t: _Translator, where: str, a: list[Any]) -> str:
    target = [int(d) for d in a[1]]
    if target and target[0] == -1 and -1 not in target[1:]:
        target[0] = t.batch
    if not target or target[0] != t.batch:
        raise HwgenError(f"reshape to {tuple(target)} moves the batch axis", where=where, allowed="(N, -1)")
    return t.builder.add_reshape(where, _tensor(a[0], where), target[1:])


def _size(t: _Translator, where: str, a: list[Any]) -> int:
    return (t.batch, *t.builder.shape(_tensor(a[0], where)))[int(a[1])]


def _squeeze(t: _Translator, where: str, a: list[Any]) -> str:
    source = _tensor(a[0], where)
    shape = (1, *t.builder.shape(source))
    axes = [d % len(shape) for d in (a[1] if isinstance(a[1], list) else [a[1]])]
    if 0 in axes:
        raise HwgenError("squeeze of the batch axis", where=where, allowed="spatial axes of size 1")
    kept = [d for i, d in enumerate(shape) if not (i in axes and d == 1)]
    if len(kept) == 3:  # only one of the two spatial axes: the other goes next, the flattened vector is the same
        kept = [1, int(np.prod(kept))]
    return t.builder.add_reshape(where, source, kept[1:])


def _identity(t: _Translator, where: str, a: list[Any]) -> str:
    return _tensor(a[0], where)


def _dropout(t: _Translator, where: str, a: list[Any]) -> str:
    if len(a) > 2 and a[2]:
        raise HwgenError("dropout in training mode", where=where, allowed="evaluation mode")
    return _tensor(a[0], where)


_HANDLERS: dict[str, Handler] = {
    "aten.conv2d.default": _conv2d,
    "aten.conv2d.padding": _conv2d,
    "aten.convolution.default": _convolution,
    "hwgen.tt_conv2d.default": _tt_conv2d,
    "aten.linear.default": _linear,
    "aten.addmm.default": _addmm,
    "aten.batch_norm.default": _batch_norm,
    "aten._native_batch_norm_legit_no_training.default": _batch_norm_inference,
    "aten.relu.default": _relu,
    "aten.relu_.default": _relu,
    "aten.relu6.default": _relu6,
    "aten.relu6_.default": _relu6,
    "aten.hardtanh.default": _clamp,
    "aten.hardtanh_.default": _clamp,
    "aten.clamp.default": _clamp,
    "aten.clamp_.default": _clamp,
    "aten.clamp_min.default": _clamp,
    "aten.max_pool2d.default": _max_pool,
    "aten.max_pool2d_with_indices.default": _max_pool_with_indices,
    "aten.avg_pool2d.default": _avg_pool,
    "aten.adaptive_avg_pool2d.default": _adaptive_avg_pool,
    "aten.mean.dim": _mean,
    "aten.add.Tensor": _add,
    "aten.add_.Tensor": _add,
    "aten.cat.default": _cat,
    "aten.concat.default": _cat,
    "aten.flatten.using_ints": _flatten,
    "aten.view.default": _view,
    "aten.reshape.default": _view,
    "aten.sym_size.int": _size,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.dropout.default": _dropout,
    "aten.dropout_.default": _dropout,
    "aten.feature_dropout.default": _dropout,
    "aten.alpha_dropout.default": _dropout,
    "aten.contiguous.default": _identity,
    "aten.clone.default": _identity,
    "aten.alias.default": _identity,
    "aten.detach.default": _identity,
}
