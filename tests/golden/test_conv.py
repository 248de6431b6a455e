"""Integer convolution against onnxruntime's ConvInteger, torch's integer convolution and QLinearConv."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hwgen.golden import conv
from hwgen.golden.requantise import requantise
from hwgen.ir.nodes import Requantise

torch.set_num_threads(1)


def session(nodes, weights, output_type) -> onnxruntime.InferenceSession:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.INT8, None)],
        [helper.make_tensor_value_info("y", output_type, None)],
        [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def attributes(stride, padding, dilation, groups) -> dict:
    top, bottom, left, right = padding
    return {"strides": list(stride), "pads": [top, left, bottom, right], "dilations": list(dilation), "group": groups}


@st.composite
def cases(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    depthwise = draw(st.booleans()) and groups > 1
    inputs = groups if depthwise else groups * draw(st.integers(1, 5))
    outputs = groups * draw(st.integers(1, 5))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(4))
    size = tuple(dilation[a] * (kernel[a] - 1) + draw(st.integers(1, 7)) for a in range(2))
    return {"groups": groups, "kernel": kernel, "dilation": dilation, "stride": stride, "padding": padding,
            "x": (draw(st.integers(1, 3)), inputs, *size), "w": (outputs, inputs // groups, *kernel)}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(cases(), st.integers(0, 2**32 - 1))
def test_accumulators_equal_torch_and_onnxruntime(case, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, case["x"], dtype=np.int8)
    w = rng.integers(-127, 128, case["w"], dtype=np.int8)
    bias = rng.integers(-(2**20), 2**20, case["w"][0], dtype=np.int32)
    geometry = {k: case[k] for k in ("stride", "padding", "dilation", "groups")}
    found = np.moveaxis(conv.conv2d(np.moveaxis(x, 1, -1), w, bias, **geometry), -1, 1)
    assert found.dtype == np.int32

    top, bottom, left, right = case["padding"]
    wide = [torch.from_numpy(a).to(torch.int64) for a in (x, w, bias)]
    padded = torch.nn.functional.pad(wide[0], (left, right, top, bottom))
    expected = torch.nn.functional.conv2d(padded, wide[1], wide[2], case["stride"], 0, case["dilation"],
                                          case["groups"]).numpy()
    assert (found == expected).all()

    node = helper.make_node("ConvInteger", ["xu", "w", "zero"], ["acc"], **attributes(**geometry))
    # onnxruntime's ConvInteger wants uint8 data: x + 128 with zero point 128 is the same convolution
    nodes = [helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.INT32),
             helper.make_node("Add", ["wide", "offset"], ["shifted"]),
             helper.make_node("Cast", ["shifted"], ["xu"], to=TensorProto.UINT8), node,
             helper.make_node("Add", ["acc", "b"], ["y"])]
    weights = {"w": w, "zero": np.uint8(128).reshape(()), "offset": np.int32(128).reshape(()),
               "b": bias.reshape(1, -1, 1, 1)}
    (other,) = session(nodes, weights, TensorProto.INT32).run(None, {"x": x})
    assert (found == other).all()


@pytest.mark.parametrize(("stride", "dilation", "groups"), [((1, 1), (1, 1), 1), ((2, 2), (1, 2), 4)])
def test_requantised_differs_from_qlinearconv_only_at_ties(stride, dilation, groups):
    """QLinearConv multiplies in float32 and rounds ties to even: count what differs; it must be by one step."""
    rng = np.random.default_rng(7)
    channels, outputs = 16, 24
    x = rng.integers(-128, 128, (8, channels, 13, 11), dtype=np.int8)
    w = rng.integers(-127, 128, (outputs, channels // groups, 3, 3), dtype=np.int8)
    bias = rng.integers(-3000, 3000, outputs, dtype=np.int32)
    shift = np.full(outputs, 22)
    multiplier = rng.integers(2000, 16000, outputs)
    geometry = {"stride": stride, "padding": (1, 1, 2, 1), "dilation": dilation, "groups": groups}
    acc = conv.conv2d(np.moveaxis(x, 1, -1), w, bias, **geometry)
    parameters = Requantise(multiplier=multiplier, shift=shift, residual_multiplier=np.zeros(outputs, np.int64))
    found = np.moveaxis(requantise(acc, parameters), -1, 1)

    scale = (multiplier / 2.0**22).astype(np.float32)  # exact: 14-bit integers over a power of two
    node = helper.make_node("QLinearConv", ["x", "one", "zero", "w", "ws", "wz", "one", "zero", "b"], ["y"],
                            **attributes(**geometry))
    weights = {"one": np.float32(1).reshape(()), "zero": np.int8(0).reshape(()), "w": w, "ws": scale,
               "wz": np.zeros(outputs, np.int8), "b": bias}
    (other,) = session([node], weights, TensorProto.INT8).run(None, {"x": x})
    different = found != other
    assert (np.abs(found[different].astype(int) - other[different]) == 1).all()
    exact = np.moveaxis(acc, -1, 1).astype(np.int64) * multiplier.reshape(1, -1, 1, 1) * 2
    ties = (exact % 2**22 == 0) & (exact % 2**23 != 0)
    assert different.sum() <= ties.sum() + found.size * 1e-5, f"{different.sum()} of {found.size} differ"


def test_sums_beyond_float32_are_exact():
    """4,608 products of the largest magnitude need 27 bits; float32 alone would lose the last ones."""
    rng = np.random.default_rng(1)
    x = rng.choice(np.array([-128, 127], np.int8), (2, 512, 3, 3))
    w = rng.choice(np.array([-127, 126, 127], np.int8), (5, 512, 3, 3))
    w[0], x[0] = 127, -128
    w[1, :, 1, 1] = 126
    bias = np.array([0, 1, -1, 2**20, 5], np.int32)
    found = conv.conv2d(np.moveaxis(x, 1, -1), w, bias, stride=(1, 1),
                        padding=(0, 0, 0, 0), dilation=(1, 1), groups=1)
    expected = np.einsum("nihw,oihw->no", x.astype(np.int64), w.astype(np.int64)) + bias
    assert expected[0, 0] == -128 * 127 * 4608
    assert (found[:, 0, 0] == expected).all()


def test_accumulators_that_could_overflow_are_refused():
    w = np.full((1, 140_000, 1, 1), 127, np.int8)
    with pytest.raises(OverflowError, match="more than 31 bits"):
        conv.conv2d(np.zeros((1, 1, 1, 140_000), np.int8), w, np.zeros(1, np.int32), stride=(1, 1),
                    padding=(0, 0, 0, 0), dilation=(1, 1), groups=1)
