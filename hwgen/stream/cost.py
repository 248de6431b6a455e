"""What a stage takes: cycles of a frame exactly, multipliers and block memories by construction, logic by counting."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.config.board import Board, Resources
from hwgen.config.pipeline import StageConfig, StageKind
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memories import block_rams
from hwgen.cost.resources import NAMES, estimate
from hwgen.stream.layout import LUT_DEPTH, RECORD_FIELDS, chain_shape, result_planes, rows, stage_packing, weight_cuts
from rtl_templates.engine.timing import POST_PROCESS
from rtl_templates.stream.timing import output_gap, row_cycles, row_gap

#: LUTs and flip-flops of a requantisation lane, without and with a residual, beside its multipliers
LANE_LUT, LANE_FF = (170, 330), (134, 300)
#: counters, handshakes, addresses of a stage
STAGE_LUT, STAGE_FF = 150, 150
#: of a bit of a sum: adder, its first term, the group that waits
SUM_LUT = 4


def source_cycles(stage: StageConfig) -> int:
    """Cycles of a frame that pixels, columns and windows take, whatever the folding."""
    if stage.whole:
        return stage.height * stage.width
    bottom = (stage.out_height - 1) * stage.stride[0] - stage.padding[0] + stage.kernel[0] - stage.height
    columns = (stage.height + max(0, bottom)) * stage.width * stage.parts
    return max(columns, stage.out_height * row_cycles(stage))


def stage_cycles(stage: StageConfig) -> int:
    """Cycles of a frame in which this stage can take no other one."""
    waits = (stage.out_width - 1) * max(0, output_gap(stage) - stage.steps) + max(0, row_gap(stage) - stage.steps)
    return max(stage.frame_steps + stage.out_height * waits, source_cycles(stage))


@cache
def memory(width: int, depth: int) -> tuple[float, float]:
    """(LUTs, 36 kbit blocks) of a memory with one port to write and one to read."""
    if width == 0 or depth == 0:
        return 0.0, 0.0
    if depth > LUT_DEPTH:
        return 0.0, float(block_rams(np.array(width), np.array(max(depth, 512))))
    if depth <= 32:
        return 8 * math.ceil(width / 14), 0.0
    return 8 * math.ceil(width / 7), 0.0


def _mux(inputs: int) -> float:
    """LUTs of a multiplexer per bit."""
    return math.ceil((inputs - 1) / 3)


def stage_resources(stage: StageConfig, config: AcceleratorConfig) -> Resources:
    """Of one stage. Registers and adders inside DSP blocks are not counted."""
    packing = stage_packing(stage, config.packing)
    pe, simd, lanes, acc = stage.pe, stage.simd, stage.lanes, config.acc_bits
    pixel, out_pixel = 8 * stage.part_channels, stage.out_channels * (32 if stage.raw else 8)
    line = 8 * config.line_bytes
    # lines pass every stage; each of its memories looks at them for two cycles
    lut, ff, blocks = float(STAGE_LUT), float(STAGE_FF + line), 0.0

    def add(width: int, depth: int, count: int = 1) -> None:
        nonlocal lut, blocks
        more_lut, more_blocks = memory(width, depth)
        lut, blocks = lut + count * more_lut, blocks + count * more_blocks

    # ---- window: rows, columns, taps, the window at work
    window = pixel * stage.taps
    if stage.serial:
        lut, ff = lut + pixel * _mux(stage.parts), ff + pixel
    if not stage.whole and (stage.kernel[0] > 1 or stage.stride[0] > 1):
        add((stage.kernel[0] - 1) * pixel, stage.width * stage.parts)
        add(stage.kernel[0] * pixel, stage.columns)
        lut += stage.kernel[0] * pixel
        ff += stage.kernel[0] * pixel
    if not stage.whole and (stage.kernel[1] > 1 or stage.stride[1] > 1):
        lut, ff = lut + stage.kernel[0] * pixel, ff + window
        if stage.serial:
            add((stage.kernel[1] - 1) * stage.kernel[0] * pixel, stage.parts)
    ff += window

    # ---- values of a step
    values = 8 * simd * (pe if stage.kind.per_channel else 1)
    choices = stage.slices * (stage.blocks if stage.kind.per_channel and not stage.serial else 1)
    lut, ff = lut + values * _mux(choices), ff + 2 * values
    dsp = 0.0
    if stage.kind.weighted:
        columns = 1 if packing is DspPacking.NONE else 2
        units = math.ceil(pe / columns)
        dsp += units * simd
        chains, _ = chain_shape(simd, packing)
        width = 16 + (simd - 1).bit_length()
        lut += pe * (chains - 1) * width + units * chains * 8
        ff += pe * (chains - 1) * width + units * chains * 18 * columns
        ff += 8 * (pe if stage.kind.per_channel else 1) * sum(row.position for row in rows(simd, packing))
        for size, count in Counter(cut.end - cut.first for cut in weight_cuts(stage, config)).items():
            add(8 * size, stage.depth, count)
            ff += 8 * size * count * (stage.depth <= LUT_DEPTH)
        ff += 2 * line
    elif stage.kind is StageKind.SUM:
        lut, ff = lut + values * 1.2, ff + values * 1.2
    else:
        lut, ff = lut + values * 1.5, ff + values

    # ---- sums, lanes, words
    bits = 8 if stage.kind is StageKind.MAXIMUM else acc
    lut, ff = lut + SUM_LUT * pe * bits, ff + 2 * pe * bits
    if stage.whole and stage.blocks > 1:
        add(pe * bits, stage.blocks)
    if stage.kind is not StageKind.MAXIMUM:
        record = sum(width for _, width in RECORD_FIELDS)
        add(lanes * record, stage.blocks * stage.groups)
        ff += lanes * (2 * record + 2 * acc) + 2 * line
        if stage.raw:
            lut, ff = lut + 32 * lanes, ff + 32 * lanes
        else:
            lut += LANE_LUT[bool(stage.residual)] * lanes
            ff += (LANE_FF[bool(stage.residual)] + 16 * (POST_PROCESS - 1)) * lanes
            dsp += lanes * (math.ceil(acc / config.packing.wide_bits) + bool(stage.residual))
    ff += 2 * out_pixel
    add(out_pixel, stage.queue)
    if stage.residual:
        add(8 * stage.out_channels, max(stage.residual_queue, 1))
        lut, ff = lut + 8 * lanes * _mux(stage.blocks * stage.groups), ff + 8 * stage.out_channels + 24 * lanes
    return Resources(dsp=dsp, bram36=blocks, uram=0, lut=round(lut), ff=round(ff))


def shell_resources(config: AcceleratorConfig, board: Board) -> Resources:
    """Of everything but the stages: no more logic than the smallest engine with such a port and decryptor has."""
    smallest = config.replace(pipeline=None, acc_depth=512, act_words=64, weight_lines=4 * config.lines_per_tile)
    row = estimate(ConfigTable.of([SystemConfig(engine=smallest)]), board, key_bits=config.aes_key_bits).row(0)
    results = 0.0
    if config.pipeline is not None:
        last = config.pipeline.last
        results = memory(8 * config.p_i, 2 * last.outputs * result_planes(last, config))[1]
    return Resources(dsp=0, bram36=results + 2, uram=0, lut=row.lut, ff=row.ff)


__all__ = ["NAMES", "memory", "shell_resources", "source_cycles", "stage_cycles",
           "stage_resources"]
