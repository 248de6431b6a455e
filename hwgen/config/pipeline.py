"""The parameters of a streaming pipeline: one engine per layer, all running at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Padding, Pair

#: ``StageConfig.source`` of the stage that reads the frame's input
INPUT = "input"


class StageKind(StrEnum):
    """What a stage computes from a window."""

    DENSE = "dense"  #: every output channel from all input channels
    DEPTHWISE = "depthwise"  #: every output channel from its own input channel
    SUM = "sum"  #: sum of the window, per channel (average pools, additions)
    MAXIMUM = "maximum"  #: maximum of the window, per channel

    @property
    def per_channel(self) -> bool:
        """Whether an output channel reads one input channel only."""
        return self is not StageKind.DENSE

    @property
    def weighted(self) -> bool:
        """Whether the stage multiplies by weights."""
        return self in (StageKind.DENSE, StageKind.DEPTHWISE)


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage: a window over a map, ``pe`` x ``simd`` multipliers (or adders), requantisation lanes.

    Args:
        name: of the graph node.
        kind: see ``StageKind``.
        source: name of the stage whose results it reads, or ``INPUT``.
        residual: name of the stage (or ``INPUT``) whose results are added before requantisation; "": none.
        channels, height, width: of the source.
        out_channels, out_height, out_width: of the result.
        kernel, stride, padding: of the window; ``padding`` is top, bottom, left, right.
        whole: the window is the whole map (no padding), summed up as the pixels come; no window is kept.
        tile: pixels of the network's map that are one pixel of the source, their channels side by side.
        out_tile: the same of the result.
        places: of which pixels of the window (``TiledWindow.places``) the values come: per channel one row for every
            pixel of a tile of the result, dense one row; (): all, in their order.
        serial: the channels of a pixel go through columns and windows one block of ``pe`` after the other, so that a
            window holds those of one block only; per channel, of single pixels, blocks without a remainder.
        pe: output channels per step; even, or 1.
        simd: of the values of a window (of its taps where ``per_channel``) those of a step.
        lanes: requantisation lanes, a divisor of ``pe``.
        raw: int32 sums are the result.
        columns: entries of the queue of window columns, whole: of pixels.
        queue: pixels between the stage's start of an output and whoever reads it.
        residual_queue: pixels that the residual may be ahead.
    """

    name: str
    kind: StageKind
    source: str
    residual: str = ""
    channels: int
    height: int
    width: int
    out_channels: int
    out_height: int
    out_width: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    whole: bool = False
    tile: Pair = (1, 1)
    out_tile: Pair = (1, 1)
    places: tuple[tuple[int, ...], ...] = ()
    serial: bool = False
    pe: int = 1
    simd: int = 1
    lanes: int = 1
    raw: bool = False
    columns: int = 4
    queue: int = 16
    residual_queue: int = 0

    def __post_init__(self) -> None:
        def require(ok: bool, field: str, allowed: str) -> None:
            if not ok:
                raise HwgenError(f"{getattr(self, field)!r} is not possible", where=f"stage {self.name}: {field}",
                                 allowed=allowed)

        require(1 <= self.pe <= self.out_channels + 1 and (self.pe == 1 or self.pe % 2 == 0), "pe",
                f"1, or even and at most {self.out_channels + 1}")
        require(1 <= self.simd <= self.window_values, "simd", f"1..{self.window_values}")
        require(self.pe % self.lanes == 0, "lanes", f"a divisor of {self.pe}")
        require(self.groups <= self.steps_between, "lanes", f"at least {self.pe}/{self.steps_between}")
        top, bottom, left, right = self.padding
        require(max(top, bottom) < self.kernel[0] and max(left, right) < self.kernel[1], "padding",
                "smaller than the kernel")
        self._check_tiles(require)
        require(not self.serial or self.can_be_serial, "serial", "per channel, without tiles, not of a whole map, more "
                "than one block, all of them full")
        require(not self.raw or (self.kind is StageKind.DENSE and not self.residual), "raw", "dense, without residual")
        require(self.columns >= 2, "columns", "2 at least")
        require(self.queue >= 2, "queue", "2 at least")
        require(bool(self.residual) == (self.residual_queue >= 2), "residual_queue", "2 at least, with a residual")

    def _check_tiles(self, require: Callable[[bool, str, str], None]) -> None:
        """Tiles and places must belong together."""
        phases = self.tile[0] * self.tile[1]
        require(min(self.tile) >= 1 and self.channels % phases == 0, "tile", f"a divisor of {self.channels} channels")
        results = self.out_tile[0] * self.out_tile[1]
        require(min(self.out_tile) >= 1 and self.out_channels % results == 0, "out_tile",
                f"a divisor of {self.out_channels} channels")
        if self.places:
            rows = results if self.kind.per_channel else 1
            require(not self.whole and len(self.places) == rows and len({len(row) for row in self.places}) == 1
                    and all(0 <= place < self.taps * phases for row in self.places for place in row), "places",
                    f"{rows} rows of 0..{self.taps * phases - 1}, equally long")

    @property
    def can_be_serial(self) -> bool:
        """Whether a pixel's channels can come one block after the other."""
        return (self.kind.per_channel and not self.whole and not self.places and self.pixels == 1
                and self.blocks > 1 and self.channels == self.out_channels == self.blocks * self.pe)

    @property
    def parts(self) -> int:
        """Transfers in which a pixel goes through columns and windows."""
        return self.blocks if self.serial else 1

    @property
    def part_channels(self) -> int:
        """Channels of such a transfer, and of a window."""
        return self.channels // self.parts

    @property
    def pixels(self) -> int:
        """Pixels of the network's map in one of the source."""
        return self.tile[0] * self.tile[1]

    def value_place(self, number: int, channel: int) -> int | None:
        """Index, in the window (pixel by pixel, channels innermost), of value ``number`` of output channel ``channel``
        (serial: of the window's block; dense: of any); None behind the last one."""
        if number >= self.window_values:
            return None
        if self.kind.per_channel:
            if channel >= self.out_channels:
                return None
            if not self.places:
                return number * self.part_channels + channel
            inner = self.channels // self.pixels
            return self.places[channel // inner][number] * inner + channel % inner
        if not self.places:
            return number
        inner = self.channels // self.pixels
        return self.places[0][number // inner] * inner + number % inner

    @property
    def taps(self) -> int:
        """Pixels of a window; whole: of a step's window, one."""
        return 1 if self.whole else self.kernel[0] * self.kernel[1]

    @property
    def window_values(self) -> int:
        """Values that a step can choose from for one output channel."""
        if self.places:
            return len(self.places[0]) * (1 if self.kind.per_channel else self.channels // self.pixels)
        return self.taps if self.kind.per_channel else self.taps * self.channels

    @property
    def slices(self) -> int:
        """Steps for one block of ``pe`` output channels of a window."""
        return -(-self.window_values // self.simd)

    @property
    def blocks(self) -> int:
        """Blocks of ``pe`` output channels."""
        return -(-self.out_channels // self.pe)

    @property
    def steps(self) -> int:
        """Steps (cycles) of a window; whole: of a pixel."""
        return self.blocks * self.slices

    @property
    def pixels_per_output(self) -> int:
        """Windows that are summed up for one output."""
        return self.height * self.width if self.whole else 1

    @property
    def outputs(self) -> int:
        """Output pixels of a frame."""
        return self.out_height * self.out_width

    @property
    def frame_steps(self) -> int:
        """Steps (cycles) of a frame: the ideal interval of this stage."""
        return self.outputs * self.pixels_per_output * self.steps

    @property
    def depth(self) -> int:
        """Words of weight memory."""
        return self.pixels_per_output * self.steps

    @property
    def steps_between(self) -> int:
        """Steps between two blocks of sums, at least."""
        return self.slices

    @property
    def groups(self) -> int:
        """Groups of ``lanes`` channels of a block: cycles in which its sums go through requantisation."""
        return self.pe // self.lanes

    @property
    def pairs(self) -> int:
        """Pairs of output channels that share multipliers (dense)."""
        return -(-self.pe // 2)

    @property
    def macs_per_cycle(self) -> int:
        """Products per cycle."""
        return self.pe * self.simd if self.kind.weighted else 0

    def replace(self, **changes: Any) -> StageConfig:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)


def _tuples(value: Any) -> Any:
    """Lists as tuples, whatever is in them."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _lists(value: Any) -> Any:
    """Inverse of ``_tuples``."""
    return [_lists(v) for v in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """Stages in topological order; the last one's results leave the accelerator."""

    stages: tuple[StageConfig, ...]

    def __post_init__(self) -> None:
        known = {INPUT}
        for stage in self.stages:
            for source in (stage.source, stage.residual):
                if source and source not in known:
                    raise HwgenError(f"reads {source!r}, which no stage before it makes", where=f"stage {stage.name}")
            if stage.name in known:
                raise HwgenError("is the name of two stages", where=f"stage {stage.name}")
            known.add(stage.name)
        if not self.stages or not self.stages[-1].raw or any(stage.raw for stage in self.stages[:-1]):
            raise HwgenError("the last stage and no other one must be raw", where="pipeline")

    @property
    def first(self) -> StageConfig:
        """A stage that reads the input."""
        return next(stage for stage in self.stages if INPUT in (stage.source, stage.residual))

    @property
    def last(self) -> StageConfig:
        """The stage whose results leave the accelerator."""
        return self.stages[-1]

    @property
    def slowest(self) -> StageConfig:
        """The stage with most steps in a frame."""
        return max(self.stages, key=lambda stage: stage.frame_steps)

    @property
    def macs_per_cycle(self) -> int:
        """Products per cycle of all stages."""
        return sum(stage.macs_per_cycle for stage in self.stages)

    def readers(self, name: str) -> tuple[tuple[int, bool], ...]:
        """(number of the stage, as its residual) of everyone who reads ``name``, in order."""
        return tuple((number, residual) for number, stage in enumerate(self.stages) for residual in (False, True)
                     if (stage.residual if residual else stage.source) == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"stages": [{f.name: _lists(getattr(stage, f.name)) for f in dataclasses.fields(stage)}
                           for stage in self.stages]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PipelineConfig:
        """Inverse of ``to_dict``; HwgenError for unknown fields or values."""
        known = {f.name for f in dataclasses.fields(StageConfig)}
        stages = []
        try:
            for stage in values["stages"]:
                for key in stage:
                    if key not in known:
                        raise HwgenError(f"unknown field {key!r}", where="config.pipeline",
                                         allowed=", ".join(sorted(known)))
                fixed = {key: _tuples(v) for key, v in stage.items()}
                stages.append(StageConfig(**{**fixed, "kind": StageKind(fixed["kind"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise HwgenError(f"cannot be understood: {error}", where="config.pipeline") from error
        return cls(stages=tuple(stages))
