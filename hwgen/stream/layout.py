"""Where a stage's weights and requantisation records stand in its lines of the weight stream (docs/architecture.md)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.config.pipeline import StageConfig, StageKind

#: of a record: bias, multiplier, residual multiplier, shift as in the tensor engine, then lower and upper bound of the
#: result (offset in bits, width)
RECORD_FIELDS = ((0, 32), (32, 16), (48, 16), (64, 6), (72, 8), (80, 8))
RECORD_BYTES = 16
#: words up to which a memory is made of LUTs
LUT_DEPTH = 64


@dataclass(frozen=True)
class Row:
    """Value ``number`` of a step: multiplied at place ``position`` of multiplier chain ``chain``."""

    number: int
    chain: int
    position: int


def stage_packing(stage: StageConfig, packing: DspPacking) -> DspPacking:
    """Two products share a multiplier only where they share the activation."""
    return packing if stage.kind is StageKind.DENSE else DspPacking.NONE


def chain_shape(simd: int, packing: DspPacking) -> tuple[int, int]:
    """Multiplier chains of a column and the places of the longest one."""
    chains = -(-simd // packing.chain)
    return chains, -(-simd // chains)


def rows(simd: int, packing: DspPacking) -> tuple[Row, ...]:
    """All rows in the order of their positions. Chains are equally long or one shorter, and end together."""
    chains, longest = chain_shape(simd, packing)
    found, number = [], 0
    for chain in range(chains):
        length = simd // chains + (chain < simd % chains)
        for k in range(length):
            found.append(Row(number, chain, longest - length + k))
            number += 1
    return tuple(sorted(found, key=lambda row: (row.position, row.number)))


def weight_columns(stage: StageConfig, packing: DspPacking) -> int:
    """Weights per row of a step: one for each of ``pe`` channels, whole pairs where products are packed."""
    return 2 * stage.pairs if stage_packing(stage, packing) is not DspPacking.NONE else stage.pe


def weight_bytes(stage: StageConfig, packing: DspPacking) -> int:
    """Bytes of a word of weight memory: row after row (``rows``), in a row column after column."""
    return stage.simd * weight_columns(stage, packing) if stage.kind.weighted else 0


@dataclass(frozen=True)
class Cut:
    """Bytes [first, end) of a weight word: of one line of it, of rows at one position."""

    chunk: int
    position: int
    first: int
    end: int


def weight_cuts(stage: StageConfig, config: AcceleratorConfig) -> tuple[Cut, ...]:
    """A weight word, cut where lines end and where rows of another position begin: each is a memory of its own."""
    columns, cuts, first = weight_columns(stage, config.packing), list[Cut](), 0
    for position, same in groupby(rows(stage.simd, stage_packing(stage, config.packing)), lambda row: row.position):
        end = first + columns * sum(1 for _ in same)
        while first < end:
            chunk = first // config.line_bytes
            last = min(end, (chunk + 1) * config.line_bytes)
            cuts.append(Cut(chunk, position, first, last))
            first = last
    return tuple(cuts)


@dataclass(frozen=True)
class StageLines:
    """Lines of the weight stream of one stage.

    Weight words are cut into ``weight_chunks`` lines; first come the first lines of all words, then the second ones ...
    Behind them the records in the same way: a word holds ``lanes`` records of following channels.

    Args:
        base: first line.
        weight_chunks, weight_words, record_chunks, record_words: lines of a word and words.
    """

    base: int
    weight_chunks: int
    weight_words: int
    record_chunks: int
    record_words: int

    @property
    def record_base(self) -> int:
        """First line of records."""
        return self.base + self.weight_chunks * self.weight_words

    @property
    def end(self) -> int:
        """Line behind the last one."""
        return self.record_base + self.record_chunks * self.record_words


def _lines_from(stage: StageConfig, config: AcceleratorConfig, base: int) -> StageLines:
    """A stage's lines from line ``base`` on."""
    chunks = -(-weight_bytes(stage, config.packing) // config.line_bytes)
    requantised = stage.kind is not StageKind.MAXIMUM
    return StageLines(base, chunks, stage.depth if chunks else 0,
                      -(-stage.lanes * RECORD_BYTES // config.line_bytes) if requantised else 0,
                      stage.blocks * stage.groups if requantised else 0)


def stage_lines(config: AcceleratorConfig) -> tuple[StageLines, ...]:
    """Lines of every stage, in their order."""
    assert config.pipeline is not None
    found, base = [], 0
    for stage in config.pipeline.stages:
        found.append(_lines_from(stage, config, base))
        base = found[-1].end
    return tuple(found)


def lines_of(stage: StageConfig, config: AcceleratorConfig) -> int:
    """Number of a stage's lines."""
    return _lines_from(stage, config, 0).end


def result_planes(stage: StageConfig, config: AcceleratorConfig) -> int:
    """Words of ``p_i`` bytes that hold a pixel's int32 sums; word k of all pixels is plane k of the output buffer."""
    return -(-4 * stage.out_channels // config.p_i)
