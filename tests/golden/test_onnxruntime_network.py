"""Whole integer networks, written as ONNX and executed by onnxruntime: every output equal to the golden model's."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from hwgen.frontend import from_torch
from hwgen.golden import run_all
from hwgen.golden.conv import reconstruct
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Requantise, TTExecution
from hwgen.passes.plan import plan
from hwgen.passes.tensor_train import forms_by_rank, tensor_train
from hwgen.quantize import calibrate, quantise
from hwgen.zoo.resnet_cifar import ResNetCifar, ResNetCifarParams

torch.set_num_threads(1)


class Writer:
    """Integer operators as standard ONNX ones: ConvInteger, exact arithmetic in double, Floor, Clip."""

    def __init__(self, graph: Graph) -> None:
        self.nodes, self.constants = [], {}
        for node in graph.nodes[1:]:
            self.write(node)
        source = graph.nodes[0]
        outputs = []
        for node in graph.nodes[1:]:
            raw = isinstance(node, ir.QConv2d) and node.requantise is None
            kind = TensorProto.INT32 if raw else TensorProto.INT8
            outputs.append(helper.make_tensor_value_info(node.name, kind, ["N", *node.shape]))
        proto = helper.make_graph(
            self.nodes, "g", [helper.make_tensor_value_info(source.name, TensorProto.INT8, ["N", *source.shape])],
            outputs, [numpy_helper.from_array(np.asarray(v), k) for k, v in self.constants.items()],
        )
        model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options,
                                                    providers=["CPUExecutionProvider"])

    def constant(self, name: str, value) -> str:
        self.constants[name] = value
        return name

    def op(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolve(self, node, weight: np.ndarray, output: str, **attributes) -> str:
        """ConvInteger of uint8 data: x + 128 with zero point 128 is the same convolution."""
        name = node.name
        wide = self.op("Cast", [node.inputs[0]], f"{name}/wide", to=TensorProto.INT32)
        shifted = self.op("Add", [wide, self.constant(f"{name}/c128", np.int32(128))], f"{name}/shifted")
        data = self.op("Cast", [shifted], f"{name}/u8", to=TensorProto.UINT8)
        top, bottom, left, right = node.padding
        inputs = [data, self.constant(f"{name}/w", weight), self.constant(f"{name}/z", np.uint8(128))]
        return self.op("ConvInteger", inputs, output, strides=list(node.stride),
                       pads=[top, left, bottom, right], **attributes)

    def requantise(self, node, acc: str, q: Requantise, residual: str | None) -> None:
        def column(label: str, values) -> str:
            return self.constant(f"{node.name}/{label}", np.asarray(values, np.float64).reshape(1, -1, 1, 1))

        total = self.op("Cast", [acc], f"{node.name}/d", to=TensorProto.DOUBLE)
        total = self.op("Mul", [total, column("M", q.multiplier)], f"{node.name}/dm")
        if residual is not None:
            wide = self.op("Cast", [residual], f"{node.name}/r", to=TensorProto.DOUBLE)
            wide = self.op("Mul", [wide, column("R", q.residual_multiplier)], f"{node.name}/rm")
            total = self.op("Add", [total, wide], f"{node.name}/sum")
        total = self.op("Add", [total, column("half", np.exp2(q.shift - 1.0))], f"{node.name}/half_added")
        total = self.op("Mul", [total, column("step", np.exp2(-q.shift.astype(float)))], f"{node.name}/scaled")
        total = self.op("Floor", [total], f"{node.name}/floor")
        bounds = [self.constant(f"{node.name}/{k}", np.float64(v)) for k, v in (("lo", q.lo), ("hi", q.hi))]
        total = self.op("Clip", [total, *bounds], f"{node.name}/clip")
        self.op("Cast", [total], node.name, to=TensorProto.INT8)

    def write(self, node: ir.Node) -> None:
        match node:
            case ir.QConv2d():
                weight = node.weight
                weight = reconstruct(weight) if isinstance(weight, ir.ReconstructedKernel) else weight
                acc = self.convolve(node, weight, f"{node.name}/acc", dilations=list(node.dilation), group=node.groups)
                raw = node.requantise is None
                bias = self.constant(f"{node.name}/b", node.bias.reshape(1, -1, 1, 1))
                acc = self.op("Add", [acc, bias], node.name if raw else f"{node.name}/acc_b")
                if node.requantise is not None:
                    self.requantise(node, acc, node.requantise, node.inputs[1] if len(node.inputs) == 2 else None)
            case ir.QMaxPool():
                top, bottom, left, right = node.padding
                self.op("MaxPool", [node.inputs[0]], node.name, kernel_shape=list(node.kernel),
                        strides=list(node.stride), pads=[top, left, bottom, right])
            case ir.QAvgPool():
                ones = np.ones((node.shape[0], 1, *node.kernel), np.int8)
                acc = self.convolve(node, ones, f"{node.name}/acc", group=node.shape[0])
                self.requantise(node, acc, node.requantise, None)
            case ir.QAdd():
                self.requantise(node, node.inputs[0], node.requantise, node.inputs[1])
            case ir.QConcat():
                self.op("Concat", list(node.inputs), node.name, axis=1)


def compare(quantised: Graph, images: np.ndarray) -> None:
    found = run_all(quantised, images)
    names = [n.name for n in quantised.nodes[1:]]
    expected = Writer(quantised).session.run(names, {quantised.nodes[0].name: images})
    for name, array in zip(names, expected, strict=True):
        assert found[name].dtype == array.dtype
        assert (found[name] == array).all(), name


@pytest.mark.parametrize("execution", [None, TTExecution.CHAIN, TTExecution.RECONSTRUCT])
def test_residual_network(execution):
    torch.manual_seed(0)
    params = ResNetCifarParams(stem=12, channels=(12, 20), blocks=(1, 1), shortcut="conv")
    graph = from_torch(ResNetCifar((3, 17, 15), 10, params).eval(), (3, 17, 15))
    if execution is not None:
        graph = tensor_train(graph, forms_by_rank(graph, 8)).graph
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3, 17, 15)).astype(np.float32)
    planned = plan(graph, default=execution or TTExecution.CHAIN)
    compare(quantise(calibrate(planned, x)), rng.integers(-128, 128, (4, 3, 17, 15), dtype=np.int8))


def test_pools_concat_dilation_and_groups():
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = torch.nn.Conv2d(4, 8, 3, 2, 2, 2), torch.nn.Conv2d(8, 8, 3, padding=1, groups=4)
            self.pool, self.average = torch.nn.MaxPool2d(3, 2, 1), torch.nn.AvgPool2d(3, 2, 1)

        def forward(self, x):
            x = torch.nn.functional.relu6(self.a(x))
            y = self.pool(self.b(x)) + self.average(x)
            return torch.cat([y, self.average(x).relu(), self.pool(x)], 1).mean((2, 3))

    torch.manual_seed(0)
    graph = plan(from_torch(Net(), (4, 19, 14)))
    rng = np.random.default_rng(0)
    quantised = quantise(calibrate(graph, rng.normal(size=(8, 4, 19, 14)).astype(np.float32)))
    assert {"QMaxPool", "QAvgPool", "QAdd", "QConcat"} <= {n.op for n in quantised.nodes}
    compare(quantised, rng.integers(-128, 128, (5, 4, 19, 14), dtype=np.int8))
