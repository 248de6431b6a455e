"""When every pixel of a frame is ready in a pipeline that waits for nothing but its input: the latency, exactly paced.

Queues that are deep enough never stop anybody within one frame, so a stage's pixels follow from its source's alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import INPUT, StageConfig
from hwgen.stream.cost import stage_cycles
from rtl_templates.stream.timing import output_gap, output_latency, row_gap

#: a pixel in the queue behind a stage to its column's, a column's to its window's first use; a pixel to its first part
_COLUMN, _WINDOW, _PART = 3, 2, 1


@dataclass(frozen=True)
class Times:
    """Cycles from the input's first pixel: ``first`` step and last result (``end``) of every stage; ``total``."""

    first: dict[str, float]
    end: dict[str, float]
    total: float


def play(config: AcceleratorConfig, pixel_cycles: float = 1.0) -> Times:
    """One frame; a pixel of the input comes every ``pixel_cycles`` cycles."""
    pipeline = config.pipeline
    assert pipeline is not None
    source = pipeline.first
    there = {INPUT: [n * pixel_cycles for n in range(source.height * source.width)]}
    first: dict[str, float] = {}
    for stage in pipeline.stages:
        residual = there[stage.residual] if stage.residual else None
        begun = starts_of(stage, there[stage.source], residual)
        first[stage.name] = begun[0]
        latency = output_latency(config, stage) - (stage.depth - stage.steps)
        there[stage.name] = [time + latency for time in begun]
    end = {stage.name: there[stage.name][-1] for stage in pipeline.stages}
    return Times(first, end, end[pipeline.last.name])


def starts_of(stage: StageConfig, arrived: Sequence[float], residual: Sequence[float] | None = None) -> list[float]:
    """First step of every output, of pixels and residuals that come at these times; whole: of the last pixel that it
    sums up."""
    if stage.whole:
        now = 0.0
        for time in arrived:
            now = max(now + stage.steps, time + 1)
        return [now]
    windows = _windows(stage, arrived)
    row, inner = max(stage.steps, row_gap(stage)), max(stage.steps, output_gap(stage))
    begun, now = [], -1.0 * row
    for number, window in enumerate(windows):
        pause = inner if number % stage.out_width else row
        now = max(now + pause, window, 0.0 if residual is None else residual[number] + 1)
        begun.append(now)
    return begun


def _windows(stage: StageConfig, arrived: Sequence[float]) -> list[float]:
    """When every window is complete (serial: its first part)."""
    parts = stage.parts
    if stage.serial:
        arrived = [time + _PART for time in arrived]
    rows = max(stage.height, (stage.out_height - 1) * stage.stride[0] - stage.padding[0] + stage.kernel[0])
    buffered = stage.kernel[0] > 1 or stage.stride[0] > 1
    shifted = stage.kernel[1] > 1 or stage.stride[1] > 1
    taken, now = [], -1.0 * parts
    for number in range(rows * stage.width):
        now = max(now + parts, arrived[number] if number < len(arrived) else 0.0) if buffered else arrived[number]
        taken.append(now)
    found, now = [], -1.0 * parts
    for row in range(stage.out_height):
        last = row * stage.stride[0] - stage.padding[0] + stage.kernel[0] - 1
        for x in range(stage.width) if not shifted else range(
                -stage.padding[2], max(stage.width, (stage.out_width - 1) * stage.stride[1] - stage.padding[2]
                                       + stage.kernel[1])):
            ready = taken[last * stage.width + x] + (_COLUMN if buffered else 0) if 0 <= x < stage.width else 0.0
            now = max(now + parts, ready) if shifted else ready
            column = x + stage.padding[2] - stage.kernel[1] + 1
            if column >= 0 and column % stage.stride[1] == 0 and column // stage.stride[1] < stage.out_width:
                found.append(now + (_WINDOW if shifted else 1))
    return found


def interval(config: AcceleratorConfig, pixel_cycles: float = 1.0) -> int:
    """Cycles between two frames: of the slowest stage, or of the input."""
    assert config.pipeline is not None
    source = config.pipeline.first
    slowest = max(stage_cycles(stage) for stage in config.pipeline.stages)
    return round(max(slowest, source.height * source.width * pixel_cycles))
