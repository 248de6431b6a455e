"""ONNX front end: every operator against onnxruntime, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwgen.errors import HwgenError
from hwgen.frontend import load_onnx
from hwgen.frontend.onnx_frontend import from_onnx
from hwgen.ir import nodes as ir
from hwgen.ir.execute import run_float

RNG = np.random.default_rng(11)


def array(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def model(nodes, shape, weights=None, *, opset=17, batch=1, name="net") -> onnx.ModelProto:
    """A model reading ``x`` [batch, *shape] and giving the last node's output."""
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(a, n) for n, a in (weights or {}).items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(proto)
    if not inferred.graph.output[0].type.tensor_type.HasField("shape"):
        inferred.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, []))
    return inferred


def node(op, inputs, output="y", **attributes):
    return helper.make_node(op, inputs, [output], name=f"{output}_node", **attributes)


def reference(proto: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def check(proto: onnx.ModelProto, shape) -> ir.Graph:
    graph = from_onnx(proto, "net")
    x = array(1, *shape)
    expected = reference(proto, x)
    found = run_float(graph, x)[graph.output]
    assert found.size == expected.size
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)
    return graph


@pytest.mark.parametrize("attributes", [
    {}, {"strides": [2, 1]}, {"pads": [1, 2, 0, 1]}, {"dilations": [2, 3]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"auto_pad": "SAME_LOWER", "strides": [2, 3]}, {"auto_pad": "VALID"},
    {"strides": [3, 2], "pads": [2, 2, 2, 2]},
])
def test_conv(attributes):
    shape = (4, 11, 9)
    check(model([node("Conv", ["x", "w", "b"], **attributes)], shape, {"w": array(6, 4, 3, 2), "b": array(6)}), shape)


@pytest.mark.parametrize("groups", [2, 4])
def test_conv_groups(groups):
    weights = {"w": array(8, 4 // groups, 3, 3)}
    check(model([node("Conv", ["x", "w"], group=groups)], (4, 7, 5), weights), (4, 7, 5))


@pytest.mark.parametrize("attributes", [
    {"kernel_shape": [2, 2], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [3, 3], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [3, 2], "strides": [1, 1], "auto_pad": "SAME_LOWER"},
])
@pytest.mark.parametrize("size", [(8, 8), (9, 7), (10, 11)])
def test_max_pool(attributes, size):
    check(model([node("MaxPool", ["x"], **attributes)], (3, *size)), (3, *size))


@pytest.mark.parametrize("attributes", [
    {"kernel_shape": [2, 2], "strides": [2, 2]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    {"kernel_shape": [8, 6], "strides": [8, 6]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
])
def test_avg_pool(attributes):
    check(model([node("AveragePool", ["x"], **attributes)], (3, 8, 6)), (3, 8, 6))


def test_batch_norm_relu_clip():
    weights = {"g": array(4), "b": array(4), "m": array(4), "v": np.abs(array(4)) + 0.5,
               "low": np.float32(0).reshape(()), "high": np.float32(6).reshape(())}
    nodes = [
        node("BatchNormalization", ["x", "g", "b", "m", "v"], "bn", epsilon=1e-3),
        node("Clip", ["bn", "low", "high"], "clip"), node("Relu", ["clip"], "y"),
    ]
    graph = check(model(nodes, (4, 5, 5), weights), (4, 5, 5))
    assert [n.op for n in graph.nodes] == ["Input", "BatchNorm", "Relu6", "Relu"]


def test_clip_by_attributes_and_open_end():
    check(model([node("Clip", ["x"], min=0.0, max=6.0)], (2, 3, 3), opset=10), (2, 3, 3))
    graph = check(model([node("Clip", ["x", "low"])], (2, 3, 3), {"low": np.float32(0).reshape(())}), (2, 3, 3))
    assert graph.nodes[-1].op == "Relu"


def test_classifier_forms():
    shape = (3, 4, 5)
    weights = {"w": array(3 * 20, 7), "wt": array(7, 60), "b": array(7), "shape": np.array([1, -1])}
    check(model([node("Flatten", ["x"], "f"), node("Gemm", ["f", "wt", "b"], transB=1, alpha=0.5, beta=2.0)], shape,
                weights), shape)
    check(model([node("Reshape", ["x", "shape"], "f"), node("MatMul", ["f", "w"], "m"), node("Add", ["m", "b"])],
                shape, weights), shape)
    check(model([node("GlobalAveragePool", ["x"], "p"), node("Flatten", ["p"], "f"), node("Identity", ["f"], "i"),
                 node("Dropout", ["i"])], shape), shape)
    check(model([node("ReduceMean", ["x"], axes=[2, 3], keepdims=0)], shape), shape)
    check(model([node("GlobalAveragePool", ["x"], "p"), node("Squeeze", ["p", "axes"])], shape,
                {"axes": np.array([2, 3])}), shape)


def test_shape_arithmetic_of_old_exporters():
    """torch.onnx wrote x.view(x.size(0), -1) as Shape, Gather, Unsqueeze, Concat, Reshape."""
    nodes = [
        node("Shape", ["x"], "s"), node("Gather", ["s", "zero"], "n", axis=0), node("Unsqueeze", ["n", "axes"], "n1"),
        node("Concat", ["n1", "minus"], "t", axis=0), node("Reshape", ["x", "t"], "f"), node("MatMul", ["f", "w"]),
    ]
    weights = {"zero": np.array(0), "axes": np.array([0]), "minus": np.array([-1]), "w": array(24, 5)}
    check(model(nodes, (2, 3, 4), weights), (2, 3, 4))


def test_constant_nodes_and_concat_of_three_readers():
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(array(4, 3, 3, 3)), name="c")
    nodes = [
        constant, node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1]), node("Relu", ["a"], "r"),
        node("Concat", ["a", "r", "x"], "cat", axis=1), node("Conv", ["cat", "w2"], "d"), node("Add", ["d", "r"], "e"),
        node("Conv", ["e", "w3", "b3"], "y", strides=[2, 2]),
    ]
    weights = {"w2": array(4, 11, 1, 1), "w3": array(5, 4, 1, 1), "b3": array(5)}
    graph = check(model(nodes, (3, 7, 9), weights), (3, 7, 9))
    assert graph["cat_node"].shape == (11, 7, 9)


def test_constant_after_convolution_becomes_its_bias():
    nodes = [node("Conv", ["x", "w"], "c"), node("Add", ["c", "b"])]
    graph = check(model(nodes, (3, 5, 5), {"w": array(4, 3, 3, 3), "b": array(1, 4, 1, 1)}), (3, 5, 5))
    assert [n.op for n in graph.nodes] == ["Input", "Conv2d"]


def test_dynamic_batch_is_accepted():
    proto = model([node("Flatten", ["x"], "f"), node("Reshape", ["f", "s"], "g"), node("MatMul", ["g", "w"])],
                  (2, 3, 3), {"w": array(18, 4), "s": np.array([-1, 18])}, batch="N")
    check(proto, (2, 3, 3))


def refused(proto, *fragments):
    with pytest.raises(HwgenError) as caught:
        from_onnx(proto, "net")
    for fragment in fragments:
        assert fragment in str(caught.value), str(caught.value)


def conv_model(weight, **attributes):
    return model([node("Conv", ["x", "w"], **attributes)], (3, 6, 6), {"w": weight})


def test_refusals():
    good = array(4, 3, 3, 3)
    bad = good.copy()
    bad[0, 0, 0, 0], bad[1, 1, 1, 1] = np.nan, np.inf
    refused(conv_model(bad), "y_node: weight holds 2 NaN or infinite values")
    half = model([node("Cast", ["x"], "h", to=TensorProto.FLOAT16)], (3, 4, 4))
    refused(half, "h_node: operator Cast is not supported", "convolution")
    refused(model([node("Sigmoid", ["x"])], (3, 4, 4)), "y_node: operator Sigmoid is not supported", "max pooling")
    refused(model([node("Relu", ["x"])], ("C", 4, 4)), "x: dynamic input shape (1, C, 4, 4)", "fixed height and width")
    refused(model([node("AveragePool", ["x"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])], (3, 6, 6)),
            "y_node: average pooling whose divisor varies at the border")
    refused(model([node("AveragePool", ["x"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], (3, 6, 6)),
            "divisor varies at the border (ceil_mode)")
    refused(model([node("MaxPool", ["x"], kernel_shape=[2, 2], dilations=[2, 2])], (3, 6, 6)),
            "max pooling with dilation (2, 2)")
    refused(model([node("Clip", ["x"], min=-1.0, max=1.0)], (2, 3, 3), opset=10), "clamp to [-1, 1]", "ReLU6")
    refused(model([node("Concat", ["x", "x"], axis=2)], (2, 3, 3)), "Concat along axis 2", "1 (channels)")
    refused(model([node("Reshape", ["x", "s"])], (4, 3, 3), {"s": np.array([1, 2, 2, 9])}), "reshape of (4, 3, 3)")
    refused(model([node("Reshape", ["x", "s"])], (4, 3, 3), {"s": np.array([9, 4])}), "moves the batch axis")
    refused(model([node("Add", ["x", "b"])], (4, 3, 3), {"b": array(4, 3, 3)}), "Add of a constant")
    refused(model([node("Conv", ["x", "x"])], (3, 6, 6)), "computed from the network's input")
    refused(model([node("Gemm", ["x", "w"], transA=1)], (4,), {"w": array(1, 3)}), "transA")


def test_wrong_types_and_several_inputs():
    double = model([node("Conv", ["x", "w"])], (3, 6, 6), {"w": array(4, 3, 3, 3)})
    double.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    double.graph.initializer[0].CopyFrom(numpy_helper.from_array(RNG.normal(size=(4, 3, 3, 3)), "w"))
    refused(double, "x: input of type DOUBLE", "float32")
    two = model([node("Add", ["x", "z"])], (3, 6, 6))
    two.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 3, 6, 6]))
    refused(two, "2 inputs and 1 outputs")


def test_foreign_domain_is_refused_by_node_name():
    proto = model([node("Relu", ["x"])], (3, 4, 4))
    quant = helper.make_node("Quant", ["x"], ["y"], name="quant0", domain="qonnx.custom_op.general")
    proto.graph.node[0].CopyFrom(quant)
    proto.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    refused(proto, "quant0: operator Quant is not supported")


def test_files(tmp_path: Path):
    proto = conv_model(array(4, 3, 3, 3))
    path = tmp_path / "small_net.onnx"
    onnx.save(proto, path)
    assert load_onnx(path).name == "small_net"
    data = path.read_bytes()
    for share in (0, 10, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:share])
        with pytest.raises(HwgenError, match=r"(?s)small_net\.onnx.*truncated|not a valid ONNX|weights cannot be read"):
            load_onnx(path)
    with pytest.raises(HwgenError, match="no such file"):
        load_onnx(tmp_path / "absent.onnx")




def test_damaged_files_never_end_in_a_traceback(tmp_path: Path):
    """Every truncation and 150 random corruptions of a small network: a graph or an HwgenError, nothing else."""
    nodes = [node("Conv", ["x", "w"], "a", pads=[1, 1, 1, 1], strides=[2, 2]), node("Relu", ["a"], "r"),
             node("MaxPool", ["r"], "p", kernel_shape=[2, 2]), node("Flatten", ["p"], "f"),
             node("Gemm", ["f", "g"], "y")]
    data = model(nodes, (3, 8, 8), {"w": array(4, 3, 3, 3), "g": array(36, 5)}).SerializeToString()
    rng = np.random.default_rng(0)
    cases = [data[:n] for n in range(0, len(data), 7)]
    for _ in range(150):
        changed = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(data), 3)
        changed[places] = rng.integers(0, 256, 3)
        cases.append(changed.tobytes())
    path, refused_count = tmp_path / "net.onnx", 0
    for case in cases:
        path.write_bytes(case)
        try:
            load_onnx(path)
        except HwgenError:
            refused_count += 1
    assert refused_count > len(data) // 7


def test_external_weights(tmp_path: Path):
    path, weights_file = tmp_path / "big.onnx", tmp_path / "big.bin"
    onnx.save(conv_model(array(8, 3, 3, 3)), path, save_as_external_data=True, location="big.bin", size_threshold=10)
    assert load_onnx(path).name == "big"
    weights_file.write_bytes(weights_file.read_bytes()[:50])
    with pytest.raises(HwgenError, match=r"big\.onnx: not a readable ONNX file: .*exceeds"):
        load_onnx(path)
    weights_file.unlink()
    with pytest.raises(HwgenError, match=r"big\.onnx: not a readable ONNX file: .*big\.bin"):
        load_onnx(path)
