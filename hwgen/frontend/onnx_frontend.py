"""ONNX front end: a float32 CNN file -> float Graph."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from hwgen.errors import HwgenError
from hwgen.frontend.builder import SUPPORTED, GraphBuilder, weights
from hwgen.frontend.onnx_constants import FOLDABLE, fold
from hwgen.frontend.windows import ceil_padding, same_padding
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Padding, Pair, Shape

_MAX_FLOAT32 = float(np.finfo(np.float32).max)


def load_onnx(path: str | Path, name: str = "", labels: tuple[str, ...] = ()) -> Graph:
    """Reads a float32 CNN with one input and one output.

    Args:
        path: of the .onnx file.
        name: of the graph; default: the file's name.
        labels: class names, if known.

    Raises:
        HwgenError: the file is missing, truncated or invalid; an operator, attribute, type or shape is not supported
            (named by node); weights with NaN or infinite values.
    """
    path = Path(path)
    try:
        model = onnx.load(str(path))
    except FileNotFoundError as error:
        raise HwgenError("no such file", where=str(path)) from error
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise HwgenError(f"not a readable ONNX file: {_first_line(error)}", where=str(path),
                         hint="the file may be truncated; export it again") from error
    return from_onnx(model, name or path.stem, labels, str(path))


def from_onnx(model: onnx.ModelProto, name: str, labels: tuple[str, ...] = (), where: str = "ONNX model") -> Graph:
    """Translates a loaded model; see ``load_onnx``."""
    if not model.graph.node:
        raise HwgenError("the file holds no network", where=where, hint="the file may be truncated; export it again")
    translator = _Translator(model, where)
    domains = {o.domain for o in model.opset_import} - {"", "ai.onnx"}
    for node in model.graph.node:
        # before the checker, whose message for an operator unknown to it names no node
        known = node.op_type in _HANDLERS or node.op_type in FOLDABLE
        if not known or node.domain not in ("", "ai.onnx"):
            raise HwgenError(f"operator {node.op_type} is not supported", where=_name(node), allowed=SUPPORTED)
    if not domains:
        try:
            onnx.checker.check_model(model)
        except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
            raise HwgenError(f"not a valid ONNX model: {_first_line(error)}", where=where) from error
    return translator.run(name, labels)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _name(node: onnx.NodeProto) -> str:
    return node.name or (node.output[0] if node.output else node.op_type)


Value = str | np.ndarray | None


class _Translator:
    """Walks the nodes in file order; every ONNX value is a tensor name or a constant array."""

    def __init__(self, model: onnx.ModelProto, where: str) -> None:
        self.model, self.where = model, where
        self.builder = GraphBuilder()
        self.values: dict[str, Value] = {"": None}
        self.batch = 1
        self.uses = Counter(i for node in model.graph.node for i in node.input) + Counter(
            o.name for o in model.graph.output)
        self.opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1)

    def run(self, name: str, labels: tuple[str, ...]) -> Graph:
        graph = self.model.graph
        for tensor in graph.initializer:
            self.values[tensor.name] = self._initializer(tensor)
        inputs = [i for i in graph.input if i.name not in self.values]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise HwgenError(f"{len(inputs)} inputs and {len(graph.output)} outputs", where=self.where,
                             allowed="one input and one output")
        self.values[inputs[0].name] = self.builder.add_input(inputs[0].name, self._input_shape(inputs[0]))
        for node in graph.node:
            try:
                self._node(node)
            except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
                # attributes or constants of a kind that no exporter writes: a damaged file
                raise HwgenError(f"{node.op_type} is malformed: {_first_line(error)}", where=_name(node),
                                 hint="the file may be damaged; export it again") from error
        result = self.values.get(graph.output[0].name)
        if not isinstance(result, str):
            raise HwgenError("the output does not depend on the input", where=self.where)
        return self.builder.finish(name, result, labels)

    def _initializer(self, tensor: onnx.TensorProto) -> np.ndarray:
        try:
            return numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise HwgenError(f"weights cannot be read: {_first_line(error)}", where=tensor.name,
                             hint="the file may be truncated; export it again") from error

    def _input_shape(self, value: onnx.ValueInfoProto) -> Shape:
        kind = value.type.tensor_type
        if kind.elem_type != onnx.TensorProto.FLOAT:
            names = {number: text for text, number in onnx.TensorProto.DataType.items()}
            raise HwgenError(f"input of type {names.get(kind.elem_type, kind.elem_type)}", where=value.name,
                             allowed="FLOAT (float32)")
        dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else (d.dim_param or "?")
                for d in kind.shape.dim]
        if len(dims) not in (2, 4):
            raise HwgenError(f"input of shape {tuple(dims)}", where=value.name, allowed="(N, C, H, W) or (N, F)")
        fixed = [d for d in dims[1:] if isinstance(d, int)]
        if len(fixed) != len(dims) - 1:
            raise HwgenError(f"dynamic input shape ({', '.join(map(str, dims))})", where=value.name,
                             allowed="a fixed shape; only the batch may be dynamic",
                             hint="export with fixed height and width")
        if isinstance(dims[0], int):
            self.batch = dims[0]
        return tuple(fixed)

    def _node(self, node: onnx.NodeProto) -> None:
        where = _name(node)
        for name in node.input:
            if name not in self.values:
                raise HwgenError(f"input {name!r} does not exist", where=where)
        inputs = [self.values[name] for name in node.input]
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Shape":
            shape = inputs[0].shape if isinstance(inputs[0], np.ndarray) else (self.batch, *self._shape(inputs[0]))
            self.values[node.output[0]] = np.array(shape[attributes.get("start", 0):attributes.get("end")], np.int64)
        elif all(not isinstance(v, str) for v in inputs) and node.op_type in FOLDABLE:
            self.values.update(zip(node.output, fold(node, self.opset, inputs), strict=True))
        else:
            handler = _HANDLERS.get(node.op_type)
            if handler is None:
                raise HwgenError(f"operator {node.op_type} is not supported", where=where, allowed=SUPPORTED)
            if any(used for used in node.output[1:]) and node.op_type != "Dropout":
                raise HwgenError(f"{node.op_type} with {len(node.output)} outputs", where=where, allowed="1")
            self.values[node.output[0]] = handler(_Call(self, where, node, inputs, attributes))

    def _shape(self, value: Value) -> Shape:
        return self.builder.shape(value) if isinstance(value, str) else ()


@dataclasses.dataclass(frozen=True)
class _Call:
    """One ONNX node with its values and attributes."""

    translator: _Translator
    where: str
    node: onnx.NodeProto
    inputs: Sequence[Value]
    attributes: dict[str, Any]

    @property
    def op(self) -> str:
        return self.node.op_type

    @property
    def builder(self) -> GraphBuilder:
        return self.translator.builder

    def tensor(self, index: int) -> str:
        """Name of an input that depends on the network's input."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, str):
            raise HwgenError(f"input {index} of {self.op} is constant", where=self.where,
                             allowed="a tensor that depends on the network's input")
        return value

    def has(self, index: int) -> bool:
        """Whether an optional input is present."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def constant(self, index: int, what: str) -> np.ndarray:
        """A constant input of any type."""
        value = self.inputs[index]
        if not isinstance(value, np.ndarray):
            raise HwgenError(f"{what} of {self.op} is computed from the network's input", where=self.where,
                             allowed="a constant")
        return value

    def weights(self, index: int, what: str) -> np.ndarray:
        """A constant float32 input, checked to be finite."""
        return weights(self.constant(index, what), self.where, what)

    def size(self) -> Pair:
        """Height and width of the first input."""
        shape = self.builder.shape(self.tensor(0))
        if len(shape) != 3:
            raise HwgenError(f"{self.op} of a tensor of shape (N, {', '.join(map(str, shape))})", where=self.where,
                             allowed="(N, C, H, W)")
        return shape[1], shape[2]

    def pair(self, name: str, default: Pair = (1, 1)) -> Pair:
        """A two-dimensional attribute."""
        values = self.attributes.get(name)
        if values is None:
            return default
        if len(values) != 2:
            raise HwgenError(f"{name} {list(values)}", where=self.where, allowed="two spatial dimensions")
        return int(values[0]), int(values[1])

    def padding(self, kernel: Pair) -> Padding:
        """Explicit padding from ``pads`` or ``auto_pad``."""
        auto = self.attributes.get("auto_pad", b"NOTSET").decode()
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            return same_padding(self.size(), kernel, self.pair("strides"), self.pair("dilations"),
                                auto == "SAME_UPPER")
        if auto == "VALID":
            return 0, 0, 0, 0
        pads = [int(p) for p in self.attributes.get("pads", [0, 0, 0, 0])]  # top, left, bottom, right
        if len(pads) != 4:
            raise HwgenError(f"pads {pads}", where=self.where, allowed="four values")
        return pads[0], pads[2], pads[1], pads[3]


# ---------------------------------------------------------------- operators
def _conv(c: _Call) -> str:
    kernel = c.weights(1, "weight")
    c.size()
    if kernel.ndim != 4:
        raise HwgenError(f"weight of shape {kernel.shape}", where=c.where, allowed="[O, I/groups, Kh, Kw]")
    window = (kernel.shape[2], kernel.shape[3])
    bias = c.weights(2, "bias") if c.has(2) else np.zeros(kernel.shape[0], np.float32)
    return c.builder.add(
        ir.Conv2d, c.where, [c.tensor(0)], weight=kernel, bias=bias, stride=c.pair("strides"),
        padding=c.padding(window), dilation=c.pair("dilations"), groups=int(c.attributes.get("group", 1)),
    )


def _gemm(c: _Call) -> str:
    alpha, beta = float(c.attributes.get("alpha", 1.0)), float(c.attributes.get("beta", 1.0))
    if c.attributes.get("transA", 0):
        raise HwgenError("Gemm with transA = 1", where=c.where, allowed="transA = 0")
    weight = c.weights(1, "weight")
    weight = np.ascontiguousarray((weight if c.attributes.get("transB", 0) else weight.T) * np.float32(alpha))
    bias = np.zeros(weight.shape[0], np.float32)
    if c.has(2):
        given = c.weights(2, "bias") * np.float32(beta)
        if given.size not in (1, weight.shape[0]):
            raise HwgenError(f"bias of shape {given.shape}", where=c.where, allowed=f"({weight.shape[0]},)")
        bias = bias + given.reshape(-1)
    return c.builder.add(ir.Linear, c.where, [c.tensor(0)], weight=weight, bias=bias)


def _matmul(c: _Call) -> str:
    weight = c.weights(1, "weight")
    if weight.ndim != 2:
        raise HwgenError(f"MatMul with a weight of shape {weight.shape}", where=c.where, allowed="[I, O]")
    return c.builder.add(
        ir.Linear, c.where, [c.tensor(0)], weight=np.ascontiguousarray(weight.T),
        bias=np.zeros(weight.shape[1], np.float32),
    )


def _batch_norm(c: _Call) -> str:
    if c.attributes.get("training_mode", 0):
        raise HwgenError("batch normalisation in training mode", where=c.where, allowed="inference mode")
    names = ("gamma", "beta", "mean", "var")
    arrays = {name: c.weights(index + 1, name) for index, name in enumerate(names)}
    return c.builder.add(ir.BatchNorm, c.where, [c.tensor(0)], eps=float(c.attributes.get("epsilon", 1e-5)), **arrays)


def _relu(c: _Call) -> str:
    return c.builder.add_relu(c.where, c.tensor(0))


def _clip(c: _Call) -> str:
    def bound(index: int, name: str, default: float) -> float:
        if c.has(index):
            return float(c.constant(index, name).reshape(()))
        return float(c.attributes.get(name, default))

    return c.builder.add_clamp(c.where, c.tensor(0), bound(1, "min", -_MAX_FLOAT32), bound(2, "max", _MAX_FLOAT32))


def _max_pool(c: _Call) -> str:
    kernel, stride = c.pair("kernel_shape"), c.pair("strides")
    if c.pair("dilations") != (1, 1):
        raise HwgenError(f"max pooling with dilation {c.pair('dilations')}", where=c.where, allowed="(1, 1)")
    padding = c.padding(kernel)
    if c.attributes.get("ceil_mode", 0):
        padding = ceil_padding(c.size(), kernel, stride, padding)
    return c.builder.add(ir.MaxPool, c.where, [c.tensor(0)], kernel=kernel, stride=stride, padding=padding)


def _avg_pool(c: _Call) -> str:
    kernel, stride = c.pair("kernel_shape"), c.pair("strides")
    if c.pair("dilations") != (1, 1):
        raise HwgenError(f"average pooling with dilation {c.pair('dilations')}", where=c.where, allowed="(1, 1)")
    padding = c.padding(kernel)
    if c.attributes.get("ceil_mode", 0) and ceil_padding(c.size(), kernel, stride, padding) != padding:
        raise HwgenError("average pooling whose divisor varies at the border (ceil_mode)", where=c.where,
                         allowed="ceil_mode = 0, or sizes at which it changes nothing")
    return c.builder.add_avg_pool(
        c.where, c.tensor(0), kernel=kernel, stride=stride, padding=padding,
        count_include_pad=bool(c.attributes.get("count_include_pad", 0)),
    )


def _global_avg_pool(c: _Call) -> str:
    c.size()
    return c.builder.add_global_avg_pool(c.where, c.tensor(0), True)


def _reduce_mean(c: _Call) -> str:
    axes = c.constant(1, "axes").tolist() if c.has(1) else c.attributes.get("axes", [])
    c.size()
    if sorted(a % 4 for a in axes) != [2, 3]:
        raise HwgenError(f"ReduceMean over axes {list(axes)}", where=c.where, allowed="the spatial axes 2 and 3")
    return c.builder.add_global_avg_pool(c.where, c.tensor(0), bool(c.attributes.get("keepdims", 1)))


def _add(c: _Call) -> str:
    constants = [i for i in range(2) if isinstance(c.inputs[i], np.ndarray)]
    if constants:
        return _add_bias(c, c.tensor(1 - constants[0]), c.weights(constants[0], "constant operand"))
    return c.builder.add(ir.Add, c.where, [c.tensor(0), c.tensor(1)])


def _add_bias(c: _Call, source: str, constant: np.ndarray) -> str:
    """Constant per output channel after a convolution or MatMul: its bias."""
    layer = c.builder.last()
    channels = layer.shape[0]
    full = np.broadcast_shapes((1,) * (len(layer.shape) + 1), constant.shape)
    fits = full in ((1, channels, *([1] * (len(layer.shape) - 1))), (1,) * (len(layer.shape) + 1))
    alone = all(c.translator.uses[name] == 1 for name in c.node.input)
    if not (isinstance(layer, ir.Conv2d | ir.Linear) and layer.name == source and fits and alone):
        raise HwgenError(f"Add of a constant of shape {constant.shape}", where=c.where,
                         allowed="one value per output channel, directly after a Conv or MatMul")
    c.builder.replace_last(dataclasses.replace(layer, bias=layer.bias + constant.reshape(-1)))
    return source


def _concat(c: _Call) -> str:
    tensors = [c.tensor(i) for i in range(len(c.inputs))]
    axis = int(c.attributes.get("axis", 1)) % (len(c.builder.shape(tensors[0])) + 1)
    if axis != 1:
        raise HwgenError(f"Concat along axis {axis}", where=c.where, allowed="1 (channels)")
    return c.builder.add(ir.Concat, c.where, tensors)


def _flatten(c: _Call) -> str:
    axis = int(c.attributes.get("axis", 1)) % (len(c.builder.shape(c.tensor(0))) + 1)
    if axis != 1:
        raise HwgenError(f"Flatten at axis {axis}", where=c.where, allowed="1 (all but the batch)")
    return c.builder.add_reshape(c.where, c.tensor(0), [-1])


def _reshape(c: _Call) -> str:
    target = [int(d) for d in (c.constant(1, "shape") if c.has(1) else c.attributes.get("shape", []))]
    source = c.tensor(0)
    full = (c.translator.batch, *c.builder.shape(source))
    if not c.attributes.get("allowzero", 0):
        target = [full[i] if d == 0 and i < len(full) else d for i, d in enumerate(target)]
    if target and target[0] == -1 and -1 not in target[1:]:
        target[0] = c.translator.batch if int(np.prod(target[1:])) == int(np.prod(full[1:])) else -1
    if not target or target[0] != c.translator.batch:
        raise HwgenError(f"Reshape to {tuple(target)} moves the batch axis", where=c.where, allowed="(N, -1)")
    return c.builder.add_reshape(c.where, source, target[1:])


def _squeeze(c: _Call) -> str:
    shape = (c.translator.batch, *c.builder.shape(c.tensor(0)))
    axes = c.constant(1, "axes").tolist() if c.has(1) else c.attributes.get("axes", [i for i in (2, 3)])
    axes = {int(a) % len(shape) for a in axes}
    if 0 in axes or any(shape[a] != 1 for a in axes):
        raise HwgenError(f"Squeeze of axes {sorted(axes)} of {shape}", where=c.where, allowed="spatial axes of size 1")
    kept = [d for i, d in enumerate(shape) if i not in axes]
    return c.builder.add_reshape(c.where, c.tensor(0), [int(np.prod(kept[1:]))])


def _identity(c: _Call) -> str:
    return c.tensor(0)


def _dropout(c: _Call) -> str:
    if c.has(2) and bool(c.constant(2, "training_mode").reshape(())):
        raise HwgenError("Dropout in training mode", where=c.where, allowed="inference mode")
    return c.tensor(0)


_HANDLERS: dict[str, Callable[[_Call], str]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "Relu": _relu,
    "Clip": _clip,
    "MaxPool": _max_pool,
    "AveragePool": _avg_pool,
    "GlobalAveragePool": _global_avg_pool,
    "ReduceMean": _reduce_mean,
    "Add": _add,
    "Concat": _concat,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Identity": _identity,
    "Dropout": _dropout,
}
