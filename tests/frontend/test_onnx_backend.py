"""The test models that ship inside the onnx package: equal to the recorded outputs, or refused with a reason."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import numpy_helper
from onnx.backend.test.case import node as node_cases

from hwgen.errors import HwgenError
from hwgen.frontend.onnx_frontend import from_onnx
from hwgen.ir.execute import run_float

DATA = Path(onnx.backend.test.__file__).parent / "data"
CONVERTED = (
    "AvgPool2d", "AvgPool2d_stride", "BatchNorm2d_eval", "BatchNorm2d_momentum_eval", "Conv2d", "Conv2d_depthwise",
    "Conv2d_depthwise_padded", "Conv2d_depthwise_strided", "Conv2d_depthwise_with_multiplier", "Conv2d_dilated",
    "Conv2d_groups", "Conv2d_groups_thnn", "Conv2d_no_bias", "Conv2d_padding", "Conv2d_strided", "Linear",
    "Linear_no_bias", "MaxPool2d", "ReLU",
)
REFUSED = {
    "MaxPool2d_stride_padding_dilation": "dilation (10, 10)",
    "ConvTranspose2d": "ConvTranspose",
    "Conv1d": "(N, C, H, W)", "Conv3d": "(N, C, H, W)", "Sigmoid": "Sigmoid", "Softmax": "Softmax",
    "ReflectionPad2d": "Pad", "PixelShuffle": "reshape of (9, 4, 4)",
}


def load(name: str) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    folder = DATA / "pytorch-converted" / f"test_{name}"
    x, y = (numpy_helper.to_array(onnx.load_tensor(str(folder / "test_data_set_0" / f"{n}_0.pb")))
            for n in ("input", "output"))
    return onnx.load(str(folder / "model.onnx")), x, y


@pytest.mark.parametrize("name", CONVERTED)
def test_converted_model(name):
    proto, x, y = load(name)
    graph = from_onnx(proto, name)
    np.testing.assert_allclose(run_float(graph, x)[graph.output].reshape(y.shape), y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_refused_model(name, reason):
    with pytest.raises(HwgenError) as caught:
        from_onnx(load(name)[0], name)
    assert reason in str(caught.value)


@pytest.mark.parametrize("op", ["averagepool", "maxpool", "globalaveragepool"])
def test_pool_cases(op):
    """Importing a case module registers its cases; float32 with one output; everything refused must say why."""
    importlib.import_module(f"onnx.backend.test.case.node.{op}")
    checked, reasons = [], {}
    for case in node_cases._NodeTestCases:
        if not case.name.startswith(f"test_{op}") or case.model is None or not case.data_sets:
            continue
        inputs, outputs = case.data_sets[0]
        try:
            graph = from_onnx(case.model, case.name)
        except HwgenError as error:
            reasons[case.name] = str(error)
            continue
        found = run_float(graph, inputs[0])[graph.output]
        np.testing.assert_allclose(found, outputs[0], rtol=1e-3, atol=1e-4, err_msg=case.name)
        checked.append(case.name)
    allowed = ("divisor varies", "dilation", "two spatial dimensions", "(N, C, H, W)", "outputs", "UINT8")
    assert all(any(a in reason for a in allowed) for reason in reasons.values()), reasons
    assert len(checked) >= {"averagepool": 3, "maxpool": 6, "globalaveragepool": 2}[op], reasons
