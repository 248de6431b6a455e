"""Constant folding of ONNX nodes whose inputs are all known: shape arithmetic and constants of exported files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from hwgen.errors import HwgenError

#: operators that exporters put between weights, shapes and their users
FOLDABLE = frozenset({
    "Constant", "ConstantOfShape", "Identity", "Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast",
    "Reshape", "Transpose", "Add", "Sub", "Mul", "Div", "Floor", "Flatten",
})


def fold(node: onnx.NodeProto, opset: int, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The outputs of ``node`` for constant ``inputs`` (arrays, None where an optional input is missing).

    Raises:
        HwgenError: the node cannot be evaluated.
    """
    where = node.name or node.output[0]
    given = {name: array for name, array in zip(node.input, inputs, strict=True) if name}
    infos = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in given.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = onnx.helper.make_graph([node], "constant", infos, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        results = ReferenceEvaluator(model).run(None, given)
    except Exception as error:  # the evaluator raises whatever its numpy code raises
        raise HwgenError(f"constant {node.op_type} cannot be evaluated: {error}", where=where) from error
    return [np.asarray(r) for r in results]  # type: ignore[union-attr]
