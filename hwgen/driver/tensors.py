"""Packs input tensors and unpacks output tensors as the image's metadata says (docs/image-format.md)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DriverError


def quantise(real: np.ndarray, layout: dict[str, Any]) -> np.ndarray:
    """int8 values of a real tensor [C, H, W]."""
    return np.clip(np.floor(np.asarray(real, np.float64) / layout["scale"] + 0.5), -128, 127).astype(np.int8)


def _folded(tensor: np.ndarray, layout: dict[str, Any]) -> np.ndarray:
    """Kernel taps into channels: [(ky, kx, c), oh, ow]."""
    kernel, stride, dilation = layout["kernel"], layout["stride"], layout["dilation"]
    top, bottom, left, right = layout["padding"]
    out_height, out_width = layout["out_height"], layout["out_width"]
    padded = np.pad(tensor, ((0, 0), (top, bottom), (left, right)))
    taps = []
    for ky in range(kernel[0]):
        for kx in range(kernel[1]):
            y, x = ky * dilation[0], kx * dilation[1]
            taps.append(padded[:, y:y + stride[0] * (out_height - 1) + 1:stride[0],
                               x:x + stride[1] * (out_width - 1) + 1:stride[1]])
    return np.concatenate(taps)


def pack_input(tensor: np.ndarray, layout: dict[str, Any]) -> bytes:
    """The input buffer of an int8 tensor [C, H, W].

    Raises:
        DriverError: wrong shape or element type.
    """
    shape = (layout["channels"], layout["height"], layout["width"])
    if tensor.dtype != np.int8 or tensor.shape != shape:
        raise DriverError(f"the input must be int8 {list(shape)}, not {tensor.dtype} {list(tensor.shape)}")
    values = _folded(tensor, layout) if layout["kind"] == "folded" else tensor
    p_i, planes, plane_stride = layout["p_i"], layout["planes"], layout["plane_stride"]
    _, height, width = values.shape
    buffer = np.zeros((planes, plane_stride, p_i), np.int8)
    for plane in range(planes):
        part = values[plane * p_i:(plane + 1) * p_i].reshape(-1, height * width)
        buffer[plane, :height * width, :len(part)] = part.T
    return buffer.tobytes().ljust(layout["bytes"], b"\0")


def unpack_output(data: bytes, layout: dict[str, Any]) -> np.ndarray:
    """The tensor [C, H, W] of an output region: int32 for raw outputs, else int8."""
    channels, height, width = layout["channels"], layout["height"], layout["width"]
    p_i, plane_stride, pixels = layout["p_i"], layout["plane_stride"], height * width
    words = np.frombuffer(data, np.int8)
    words = words[:len(words) // p_i * p_i].reshape(-1, p_i)
    if layout["kind"] == "raw":
        result, lanes, parts, typed = np.zeros((channels, pixels), np.int32), p_i // 4, [(0, channels, 0)], "<i4"
    else:
        result, lanes, parts, typed = np.zeros((channels, pixels), np.int8), p_i, layout["parts"], "i1"
    for first, count, first_plane in parts:
        for block in range(-(-count // lanes)):
            start = (first_plane + block) * plane_stride
            lane_values = np.ascontiguousarray(words[start:start + pixels]).view(typed)
            taken = min(lanes, count - block * lanes)
            result[first + block * lanes:first + block * lanes + taken] = lane_values[:, :taken].T
    return result.reshape(channels, height, width)


def dequantise(tensor: np.ndarray, layout: dict[str, Any]) -> np.ndarray:
    """Real values of an output tensor [C, H, W], in the shape that the network's author knows."""
    scale = np.asarray(layout["scale"], np.float64)
    return (tensor * (scale[:, None, None] if scale.ndim else scale)).reshape(layout["shape"])
