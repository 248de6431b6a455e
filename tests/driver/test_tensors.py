"""Packing and unpacking against the layouts' definition (docs/image-format.md), element by element."""

import numpy as np
import pytest

from hwgen.driver import DriverError
from hwgen.driver.tensors import dequantise, pack_input, quantise, unpack_output


def input_layout(kind="plain", **changes):
    layout = {"kind": kind, "channels": 5, "height": 7, "width": 6, "kernel": [1, 1], "stride": [1, 1],
              "padding": [0, 0, 0, 0], "dilation": [1, 1], "out_height": 7, "out_width": 6, "p_i": 8, "planes": 1,
              "plane_stride": 43, "scale": 0.1, "bytes": 43 * 8 + 8}
    return layout | changes


FOLDED = input_layout("folded", channels=3, kernel=[3, 2], stride=[2, 1], padding=[1, 0, 1, 2], dilation=[1, 2],
                      out_height=3, out_width=7, planes=3, plane_stride=21, bytes=3 * 21 * 8 + 8)
FOLDED["height"], FOLDED["width"] = 6, 6


def test_plain_input():
    layout = input_layout(channels=13, planes=2, bytes=2 * 43 * 8)
    tensor = np.random.default_rng(1).integers(-128, 128, (13, 7, 6)).astype(np.int8)
    data = np.frombuffer(pack_input(tensor, layout), np.int8)
    assert len(data) == layout["bytes"]
    wanted = np.zeros(layout["bytes"], np.int8)
    for c, y, x in np.ndindex(13, 7, 6):
        wanted[(c // 8 * 43 + y * 6 + x) * 8 + c % 8] = tensor[c, y, x]
    assert np.array_equal(data, wanted)


def test_folded_input():
    layout = FOLDED
    tensor = np.random.default_rng(2).integers(-128, 128, (3, 6, 6)).astype(np.int8)
    data = np.frombuffer(pack_input(tensor, layout), np.int8)
    wanted = np.zeros(layout["bytes"], np.int8)
    for oy, ox, ky, kx, c in np.ndindex(3, 7, 3, 2, 3):
        y, x = oy * 2 + ky - 1, ox + kx * 2 - 1
        v = (ky * 2 + kx) * 3 + c
        if 0 <= y < 6 and 0 <= x < 6:
            wanted[(v // 8 * 21 + oy * 7 + ox) * 8 + v % 8] = tensor[c, y, x]
    assert np.array_equal(data, wanted)


@pytest.mark.parametrize("tensor", [np.zeros((5, 7, 6)), np.zeros((5, 6, 7), np.int8), np.zeros(210, np.int8)])
def test_wrong_input(tensor):
    with pytest.raises(DriverError, match=r"must be int8 \[5, 7, 6\], not"):
        pack_input(tensor, input_layout())


def test_quantise():
    layout = {"scale": 0.5}
    values = quantise(np.array([[[0.0, 0.24, 0.25, -0.25, -0.26, 1e9, -1e9]]]), layout)
    assert values.dtype == np.int8
    assert values.tolist() == [[[0, 0, 1, 0, -1, 127, -128]]]


def test_raw_output():
    layout = {"kind": "raw", "channels": 10, "height": 2, "width": 3, "shape": [10, 2, 3], "p_i": 16, "plane_stride": 7,
              "parts": [], "scale": [0.5 * (k + 1) for k in range(10)]}
    rng = np.random.default_rng(3)
    tensor = rng.integers(-2**31, 2**31, (10, 2, 3)).astype(np.int32)
    data = np.zeros(3 * 7 * 16, np.uint8)
    for c, y, x in np.ndindex(10, 2, 3):
        at = (c // 4 * 7 + y * 3 + x) * 16 + 4 * (c % 4)
        data[at:at + 4] = np.frombuffer(tensor[c, y, x].astype("<i4").tobytes(), np.uint8)
    assert np.array_equal(unpack_output(data.tobytes(), layout), tensor)
    assert np.allclose(dequantise(tensor, layout)[4], tensor[4] * 2.5)


def test_int8_output_of_several_parts():
    layout = {"kind": "int8", "channels": 15, "height": 2, "width": 2, "shape": [15, 2, 2], "p_i": 8, "plane_stride": 5,
              "parts": [[0, 10, 0], [10, 5, 2]], "scale": 0.25}
    tensor = np.random.default_rng(4).integers(-128, 128, (15, 2, 2)).astype(np.int8)
    data = np.zeros(3 * 5 * 8, np.int8)
    for first, count, plane in layout["parts"]:
        for c, y, x in np.ndindex(count, 2, 2):
            data[((plane + c // 8) * 5 + y * 2 + x) * 8 + c % 8] = tensor[first + c, y, x]
    result = unpack_output(data.tobytes(), layout)
    assert result.dtype == np.int8 and np.array_equal(result, tensor)
    assert dequantise(tensor, layout).shape == (15, 2, 2)
