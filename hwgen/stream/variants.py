"""The pipelines that a network can become on a board, by the tiles in which its input comes, before they are folded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.config.board import Board
from hwgen.cost.decryptor import PORT_BYTES
from hwgen.cost.memory import MemoryModel
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, Pair
from hwgen.stream.compile import pipeline_config
from hwgen.stream.folding import Folding, Option, OptionTable, available, cheapest, fold, too_small
from hwgen.stream.latency import LatencyProblem, Quickest
from hwgen.stream.play import play
from hwgen.stream.shapes import stages_of

#: bounds within this factor of the lowest one may still lead to the best folding
NEAR = 1.1
#: rows and columns of pixels that may come at a time
TILES: tuple[Pair, ...] = ((1, 1), (1, 2), (2, 2), (2, 4), (4, 4))


@dataclass(frozen=True)
class Variant:
    """A design whose stages have one multiplier each, and what the board has for them.

    Args:
        config: the design; board: that it is for.
        options: all foldings of every stage; have: resources (``NAMES``).
        pixel_cycles: from tile to tile of the input, by the memory's bandwidth; line_cycles: of a line of weights, by
            the decryptor, too.
    """

    config: AcceleratorConfig
    board: Board
    options: tuple[tuple[Option, ...], ...]
    have: np.ndarray
    pixel_cycles: float
    line_cycles: float

    @property
    def input_cycles(self) -> float:
        """From the first tile of the input to the last one."""
        assert self.config.pipeline is not None
        first = self.config.pipeline.first
        return first.height * first.width * self.pixel_cycles

    def played(self, found: Quickest) -> float:
        """The mean of a cold and a following frame, but for what all foldings have in common."""
        design = pipeline_config(found.stages, self.config.replace(pipeline=None), self.config.acc_bits)
        return play(design, self.pixel_cycles).total + self.line_cycles / 2 * found.lines

    def latency(self) -> LatencyProblem:
        """The programme that looks for the quickest folding."""
        return LatencyProblem(self.options, self.have, self.pixel_cycles, self.line_cycles)


def variants(form: Graph, board: Board, base: AcceleratorConfig, acc_bits: int, table: OptionTable) -> list[Variant]:
    """All that the network's maps allow.

    Args:
        form: integer graph; base: crypto, packing and clock.

    Raises:
        HwgenError: names the node that no stage can do.
    """
    found = []
    for tile in TILES:
        try:
            shapes = stages_of(form, tile)
            config = pipeline_config(shapes, base, acc_bits)
        except HwgenError:
            if tile == (1, 1):
                raise
            continue
        have = available(board, config)
        rate = min(MemoryModel.of(board).bytes_per_cycle, config.axi_bytes)
        weights = rate if config.crypto is Crypto.BYPASS else min(rate, PORT_BYTES / config.aes_cycles)
        found.append(Variant(config, board, tuple(table.of(stage, config, have) for stage in shapes), have,
                             max(1.0, config.p_i / rate), config.line_bytes / weights))
    return found


def for_rate(found: Sequence[Variant], interval: int) -> Folding:
    """The fewest resources for ``interval`` cycles a frame; HwgenError says what is possible."""
    best: Folding | None = None
    for variant in found:
        if variant.input_cycles <= interval:
            folding = cheapest(variant.options, interval, variant.have)
            if folding is not None and (best is None or folding.share < best.share):
                best = folding
    if best is None:
        raise HwgenError(f"{interval:,} cycles a frame are too few", where=f"board {found[0].board.name}",
                         allowed=f"{fastest(found).interval:,} or more")
    return best


def fastest(found: Sequence[Variant]) -> Folding:
    """The highest frame rate, with the fewest resources for it; HwgenError: the board is too small for all of them."""
    best: Folding | None = None
    for variant in found:
        folding = fold(variant.options, variant.have, round(variant.input_cycles))
        if folding is not None and (best is None or (folding.interval, folding.share) < (best.interval, best.share)):
            best = folding
    if best is None:
        raise too_small(found[0].options, found[0].have, found[0].board)
    return best


def quickest(found: Sequence[Variant]) -> Quickest:
    """The least latency of a frame that is alone; HwgenError: the board is too small for all of them.

    Tiles with a bound near the lowest one are folded; of what comes out the best one is taken as it is played, frame by
    frame without the programme's even paces.
    """
    problems = [(variant, variant.latency()) for variant in found]
    bounds = [(bound, *one) for one in problems if (bound := one[1].relaxed()) is not None]
    limit = NEAR * min((bound.value for bound, *_ in bounds), default=0.0)
    solved = [(variant.played(one), one) for bound, variant, problem in bounds if bound.value <= limit
              and (one := problem.solve(bound)) is not None]
    if not solved:
        raise too_small(found[0].options, found[0].have, found[0].board)
    return min(solved, key=lambda pair: pair[0])[1]


def quickest_bound(found: Sequence[Variant]) -> Quickest:
    """What no folding of any variant can beat; HwgenError: the board is too small for all of them."""
    bounds = [bound for variant in found if (bound := variant.latency().relaxed()) is not None]
    if not bounds:
        raise too_small(found[0].options, found[0].have, found[0].board)
    return min(bounds, key=lambda bound: bound.value)
