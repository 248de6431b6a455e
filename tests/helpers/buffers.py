"""Packs input images and unpacks output buffers, written straight from docs/image-format.md."""

from __future__ import annotations

import numpy as np

from hwgen.image.io_layout import InputLayout, OutputLayout


def pack_input(layout: InputLayout, image: np.ndarray) -> bytes:
    """int8 [C, H, W] -> input buffer."""
    channels, height, width = image.shape
    assert (channels, height, width) == (layout.channels, layout.height, layout.width)
    buffer = np.zeros(layout.bytes, np.int8)
    (kernel_h, kernel_w), (stride_y, stride_x), (dilation_y, dilation_x) = layout.kernel, layout.stride, layout.dilation
    top, left = layout.padding[0], layout.padding[2]
    oy, ox = np.mgrid[:layout.out_height, :layout.out_width]
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            y, x = oy * stride_y + ky * dilation_y - top, ox * stride_x + kx * dilation_x - left
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            for c in range(channels):
                v = (ky * kernel_w + kx) * channels + c
                word = v // layout.p_i * layout.plane_stride + oy * layout.out_width + ox
                values = np.where(inside, image[c, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)], 0)
                buffer[word * layout.p_i + v % layout.p_i] = values
    return buffer.tobytes()


def unpack_output(layout: OutputLayout, buffer: bytes) -> np.ndarray:
    """Output buffer -> int32 or int8 of ``layout.shape``."""
    data = np.frombuffer(buffer, np.uint8)[16 * layout.offset:16 * layout.offset + layout.bytes]
    y, x = np.mgrid[:layout.height, :layout.width]
    out = np.zeros((layout.channels, layout.height, layout.width), np.int32)
    if layout.kind == "raw":
        per = layout.p_i // 4
        for c in range(layout.channels):
            at = (c // per * layout.plane_stride + y * layout.width + x) * layout.p_i + 4 * (c % per)
            out[c] = np.stack([data[at + k] for k in range(4)], axis=-1).copy().view("<i4")[..., 0]
        return out.reshape(layout.shape)
    for first, channels, plane in layout.parts:
        for c in range(first, first + channels):
            word = (plane + (c - first) // layout.p_i) * layout.plane_stride + y * layout.width + x
            out[c] = data[word * layout.p_i + (c - first) % layout.p_i].view(np.int8)
    return out.astype(np.int8).reshape(layout.shape)
