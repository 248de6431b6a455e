"""Layouts of the frame's input and output buffers, as written into the image's metadata (docs/image-format.md)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Padding, Pair


@dataclass(frozen=True, kw_only=True)
class InputLayout:
    """How the driver packs an image.

    Args:
        kind: "plain" or "folded" (im2col of the first convolution in the channel lanes).
        channels, height, width: of the image.
        kernel, stride, padding, dilation: of the fold; neutral for plain.
        out_height, out_width: pixels of the buffer's planes.
        p_i: lanes of a word.
        planes: words per pixel.
        plane_stride: words between planes.
        scale: real value of one step.
        bytes: size of the buffer, a multiple of 16.
    """

    kind: str
    channels: int
    height: int
    width: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    out_height: int
    out_width: int
    p_i: int
    planes: int
    plane_stride: int
    scale: float
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> InputLayout:
        """Inverse of ``to_dict``; HwgenError when fields are missing or unknown."""
        return cls(**_checked(cls, values, "input"))


@dataclass(frozen=True, kw_only=True)
class OutputLayout:
    """Where a tensor lies in the output buffer.

    Args:
        kind: "raw" (int32) or "int8".
        shape: as the author of the network knows it.
        parts: int8: (first channel, channels, first plane) of every part.
        scale: real value of one step: one number, for raw one per channel.
        offset: in 16-byte units from the output address.
        bytes: size, a multiple of 16.
    """

    kind: str
    channels: int
    height: int
    width: int
    shape: tuple[int, ...]
    p_i: int
    plane_stride: int
    parts: tuple[tuple[int, int, int], ...]
    scale: float | tuple[float, ...]
    offset: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        values = dataclasses.asdict(self)
        values["parts"] = [list(p) for p in self.parts]
        values["shape"] = list(self.shape)
        values["scale"] = list(self.scale) if isinstance(self.scale, tuple) else self.scale
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> OutputLayout:
        """Inverse of ``to_dict``; HwgenError when fields are missing or unknown."""
        fixed = _checked(cls, values, "output")
        fixed["parts"] = tuple(tuple(p) for p in fixed["parts"])
        return cls(**fixed)


def _checked(cls: type, values: dict[str, Any], where: str) -> dict[str, Any]:
    known = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - set(known))
    missing = sorted(n for n, f in known.items() if n not in values and f.default is dataclasses.MISSING)
    if unknown or missing:
        raise HwgenError(f"layout with unknown fields {unknown}, missing fields {missing}", where=f"metadata.{where}")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
