"""Latencies of a stage, in cycles."""

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import PipelineConfig, StageConfig, StageKind
from hwgen.stream.layout import stage_packing
from rtl_templates.engine.timing import POST_PROCESS
from rtl_templates.stream.products import part_latency

#: issue of a step to its values at the array: selected, register
SELECT = 2
#: a group of channels to its parameters: memory, register
RECORD = 2


def lines_latency(pipeline: PipelineConfig) -> int:
    """A line of weights leaves the loader to the last stage's memories having it, at most."""
    return len(pipeline.stages) + 8


def row_columns(stage: StageConfig) -> int:
    """Columns of a row of windows, with the padding on both sides."""
    last_end = (stage.out_width - 1) * stage.stride[1] - stage.padding[2] + stage.kernel[1] - 1
    return stage.padding[2] + max(stage.width, last_end + 1)


def row_cycles(stage: StageConfig) -> int:
    """Cycles of a row of windows."""
    return row_columns(stage) * stage.parts


def _shifted(stage: StageConfig, columns: int) -> int:
    """Cycles from the start of an output to that of the next one, ``columns`` columns behind it, at least: its window
    is shifted in while the last part of the one before waits."""
    return (stage.parts - 1) * stage.slices + (columns - 1) * stage.parts + 1


def output_gap(stage: StageConfig) -> int:
    """Cycles from the start of an output to that of the next one of its row, at least."""
    return 1 if stage.whole else _shifted(stage, stage.stride[1])


def row_gap(stage: StageConfig) -> int:
    """Cycles from the start of a row's last output to that of the next row's first one, at least: there are columns
    that no window ends at."""
    if stage.whole:
        return 1
    if stage.kernel[1] == 1 and stage.stride[1] == 1:
        return output_gap(stage)
    return _shifted(stage, row_columns(stage) - (stage.out_width - 1) * stage.stride[1])


def group_latency(stage: StageConfig) -> int:
    """A group of sums enters requantisation to its results."""
    if stage.kind is StageKind.MAXIMUM:
        return 1
    return RECORD + (1 if stage.raw else POST_PROCESS)


def output_latency(config: AcceleratorConfig, stage: StageConfig) -> int:
    """First step of an output to the cycle in which it can be read, if nothing waits."""
    array = part_latency(stage.kind, stage.simd, stage_packing(stage, config.packing))
    # summed up; groups; results; word; queue
    return SELECT + array + stage.depth + 1 + stage.groups + group_latency(stage) + 1 + 2
