"""How deep every queue must be, from the schedule in which all stages work at one even pace.

A frame takes ``interval`` cycles in every stage. A stage's results come evenly spread over an interval, which begins
with the stage's *start*: as early as the last of its pixels has what it needs in time. So a residual must wait for the
difference of two starts, and a queue of columns holds what has come and is not yet used. A queue that is too small
costs cycles, never a result; one in front of an addition that is smaller than the other way's delay would stop
everything.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import INPUT, PipelineConfig, StageConfig
from rtl_templates.stream.timing import output_latency

#: pixels or columns on top of what the even schedule needs
MARGIN = 8


def column_depth(stage: StageConfig) -> int:
    """Columns (serial: their parts) that wait when a frame's last pixel has come, and those of a row that comes faster
    than it is used."""
    early = stage.kernel[0] - 1 - stage.padding[0]
    pace = stage.out_height / stage.height
    waiting = early * pace + max(0.0, 1.0 - pace)
    return math.ceil(waiting * stage.width * stage.parts) + MARGIN


def rows_needed(stage: StageConfig, row: int) -> int:
    """Rows of the source that output row ``row`` needs."""
    return min(stage.height, row * stage.stride[0] - stage.padding[0] + stage.kernel[0])


def output_depth(config: AcceleratorConfig, stage: StageConfig, readers: list[StageConfig]) -> int:
    """Outputs that are under way, and those that come while a reader is busy with rows of padding."""
    per_output = stage.pixels_per_output * stage.steps
    pause = 0
    for reader in readers:
        last = (reader.out_height - 1) * reader.stride[0] - reader.padding[0] + reader.kernel[0] - 1
        pause = max(pause, (last - reader.height + 1) * reader.width * reader.parts)
    return math.ceil(output_latency(config, stage) / per_output) + math.ceil(pause / per_output) + 2


def starts(config: AcceleratorConfig, pipeline: PipelineConfig, interval: int) -> dict[str, float]:
    """Cycle in which the interval of every stage's results begins, the input's at 0."""
    found = {INPUT: 0.0}
    for stage in pipeline.stages:
        source = found[stage.source]
        late = 0.0
        if not stage.whole:
            for row in range(stage.out_height):
                there = rows_needed(stage, row) / stage.height
                late = max(late, there - row / stage.out_height)
        begin = source + interval * late + output_latency(config, stage)
        if stage.residual:
            begin = max(begin, found[stage.residual] + interval / stage.outputs)
        found[stage.name] = begin
    return found


def residual_depth(stage: StageConfig, begin: dict[str, float], interval: int) -> int:
    """Pixels of the residual between its arrival and its use, and a row."""
    ahead = (begin[stage.name] - begin[stage.residual]) / (interval / stage.outputs)
    return math.ceil(max(0.0, ahead)) + stage.out_width + MARGIN


def with_queues(config: AcceleratorConfig) -> AcceleratorConfig:
    """``config`` with all queues of its pipeline as deep as its folding needs them."""
    pipeline = config.pipeline
    assert pipeline is not None
    stages = {stage.name: stage for stage in pipeline.stages}
    begin = starts(config, pipeline, pipeline.slowest.frame_steps)
    sized = []
    for stage in pipeline.stages:
        readers = [pipeline.stages[number] for number, residual in pipeline.readers(stage.name) if not residual]
        sized.append(replace(
            stages[stage.name], columns=column_depth(stage), queue=output_depth(config, stage, readers),
            residual_queue=residual_depth(stage, begin, pipeline.slowest.frame_steps) if stage.residual else 0))
    return config.replace(pipeline=PipelineConfig(stages=tuple(sized)))
