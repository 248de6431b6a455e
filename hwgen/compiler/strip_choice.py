"""The ways in which an operation can run in strips, with what each takes in activation memory and in time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from hwgen.compiler.operations import ConvOp, Tensor, WindowOp
from hwgen.compiler.options import Timing
from hwgen.compiler.shapes import Part, block_lines
from hwgen.compiler.strips import (
    Pass,
    RingBudget,
    Rows,
    Staging,
    StripOp,
    StripPlan,
    even_strips,
    passes,
    source_rows,
    strip_tiles,
    union,
    unit_words,
    word_range,
)
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: numbers of strips that are tried (and one for every row)
COUNTS = (1, 2, 3, 4, 5, 7, 8, 10, 14, 19, 28, 56)
#: bytes per cycle of the memory that the choice assumes at most; the compiler does not know the board
MEMORY_RATE = 40
#: cycles of the load unit per plane, and of the memory until the first word is there
PER_PLANE, LATENCY = 20, 150


@dataclass(frozen=True)
class Staged:
    """Which operands of an operation are not on the chip."""

    source: bool
    residual: bool
    target: bool

    @property
    def any(self) -> bool:
        """Whether the operation runs in strips at all."""
        return self.source or self.residual or self.target


@dataclass(frozen=True)
class Candidate:
    """A plan, the words of all its buffers, those of the largest one, and predicted cycles."""

    plan: StripPlan
    words: int
    largest: int
    cycles: float


@dataclass(frozen=True)
class StripProblem:
    """An operation with its tensors.

    Args:
        words: output channel blocks.
        overhang: the second pixel of a pair may hang over a row's end.
        word_price: cycles that a word of program memory is worth.
    """

    op: StripOp
    parts: tuple[Part, ...]
    src: Tensor
    dst: Tensor
    words: int
    overhang: bool
    config: AcceleratorConfig
    budget: RingBudget
    timing: Timing
    word_price: float = 1.0
    _slots: dict[tuple[bool, int], list[int]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def limits(self) -> tuple[int, ...]:
        """Largest numbers of blocks of a pass that are tried; small ones need few planes of pools and of groups."""
        grouped = not self.parts or any(part.window.step for part in self.parts)
        return (0, 2, 1) if grouped else (0, 1)

    def candidates(self, staged: Staged) -> list[Candidate]:
        """All plans for the given operands, fastest first.

        Raises:
            HwgenError: no way is possible (weights that do not fit into the ring).
        """
        height, out = self.dst.height, []
        step = 2 if self.config.p_i == 8 and self.dst.width % 2 and staged.target else 1
        cuts = {even_strips(height, n, step) for n in (*COUNTS, height) if n <= height}
        error: HwgenError | None = None
        for strips in sorted(cuts, key=len):
            for restream in (False, True):
                if restream and (len(strips) == 1 or not staged.source):
                    continue
                for limit in (0,) if restream else self.limits:
                    try:
                        out += self._sized(StripPlan(strips, restream, limit), staged)
                    except HwgenError as failed:
                        error = failed
        if not out:
            assert error is not None
            raise error
        return sorted(out, key=lambda c: (c.cycles, c.words))

    def passes(self, plan: StripPlan) -> list[Pass]:
        """The passes of a plan."""
        tiles = max(len(self.tiles(part, rows)) for part in self.parts or (None,) for rows in set(plan.strips[:2]))
        shared = tiles > 1 if plan.restream else tiles * len(plan.strips) > 1
        return passes(self.op, self.parts, self.words, self.config, self.budget, shared=shared, limit=plan.limit)

    def tiles(self, part: Part | None, rows: Rows) -> list[int]:
        """Issue slots of every tile of a strip (window unit: words of a channel block)."""
        if isinstance(self.op, WindowOp):
            first, end = source_rows(self.op, self.src, rows)
            return [(end - first) * self.src.width]
        if part is None or not isinstance(self.op, ConvOp):
            return [self.op.kernel[0] * self.op.kernel[1] * (rows[1] - rows[0]) * self.dst.width]
        key = part.pair, rows[1] - rows[0]
        if key not in self._slots:
            tiling = strip_tiles(part, self.op, self.dst, rows, self.config)
            self._slots[key] = [tile.iterations(part.pair) for tile in tiling.tiles]
        return self._slots[key]

    def _sized(self, plan: StripPlan, staged: Staged) -> list[Candidate]:
        """The plan with two buffers per operand and with one."""
        op, config = self.op, self.config
        all_passes = self.passes(plan)
        if isinstance(op, WindowOp) and any(one.blocks > 1 for one in all_passes):
            least = min(slots for rows in plan.strips for slots in self.tiles(None, rows))
            if least < config.window_block_words:
                raise HwgenError(f"strips of {least} words of a channel block", where=op.node,
                                 allowed=f"{config.window_block_words} at least")
        ins = [word_range(source_rows(op, self.src, rows), self.src.width, config) for rows in plan.strips]
        outs = [(rows[1] - rows[0]) * self.dst.width for rows in plan.strips]
        unit = unit_words(config)
        residual_words = max(word_range(rows, self.dst.width, config)[1] - word_range(rows, self.dst.width, config)[0]
                             for rows in plan.strips)

        def planes(given: list[tuple[int, int]]) -> int:
            return union(given)[1] if plan.restream else max(n for _, n in given)

        sources = [one.source for one in all_passes]
        words = [(one.first_word, one.words) for one in all_passes]
        targets = [one.target for one in all_passes]
        uses = len(plan.strips) * (1 if plan.restream else len(all_passes))
        out = []
        for slots in (2, 1) if uses > 1 else (1,):
            sized = replace(
                plan,
                source=Staging(slots, planes(sources), max(b - a for a, b in ins) | 1) if staged.source else None,
                residual=Staging(slots, planes(words), (residual_words + self.overhang) | 1)
                if staged.residual else None,
                target=Staging(slots, planes(targets), (-(-max(outs) // unit) * unit + self.overhang) | 1)
                if staged.target else None)
            buffers = [s for s in (sized.source, sized.residual, sized.target) if s is not None]
            out.append(Candidate(sized, sum(s.slots * s.words for s in buffers), max(s.words for s in buffers),
                                 self._cycles(sized, staged, all_passes, ins, slots)))
        return out

    def _cycles(self, plan: StripPlan, staged: Staged, all_passes: list[Pass], ins: list[Rows], slots: int) -> float:
        config, timing, op = self.config, self.timing, self.op
        heights = Counter(rows[1] - rows[0] for rows in plan.strips)
        first_of = {rows[1] - rows[0]: rows for rows in reversed(plan.strips)}
        compute, descriptors = 0, 0
        interval = timing.raw_interval if isinstance(op, ConvOp) and op.raw else 1
        for one in all_passes:
            records = one.lines
            per_tile = 0
            if one.part is not None:
                records, lines = block_lines(config, one.part.pair, one.steps)
                per_tile = lines // one.steps
            for height, count in heights.items():
                for slot, same in Counter(self.tiles(one.part, first_of[height])).items():
                    step = max(slot * interval, per_tile, timing.min_step)
                    block = (max(one.steps, 1) - 1) * step + max(step, per_tile + records)
                    compute += same * count * (one.blocks * block + timing.descriptor)
                    descriptors += same * count
        strips = len(plan.strips)
        words, transfers, planes, rows = 0, 0, 0, 0
        in_words = sum(b - a for a, b in ins)
        if plan.restream:
            source_planes = [union([one.source for one in all_passes])[1]]
        else:
            source_planes = [one.source[1] for one in all_passes]
        if staged.source:
            words += in_words * sum(source_planes)
            rows += in_words // self.src.width * sum(source_planes)
            transfers += strips * len(source_planes)
            planes += strips * sum(source_planes)
        for used, count in ((staged.residual, sum(one.words for one in all_passes)),
                            (staged.target, sum(one.target[1] for one in all_passes))):
            if used:
                words += count * self.dst.pixels
                rows += count * self.dst.height
                transfers += strips * (1 if plan.restream else len(all_passes))
                planes += strips * count
        rate = min(config.axi_ports * config.axi_bytes, MEMORY_RATE)
        moved = words * config.p_i + 16 * rows * config.protect_activations
        if plan.restream:
            moved += sum(one.blocks * one.lines for one in all_passes) * (strips - 1) * config.line_bytes
        memory = moved / rate + planes * PER_PLANE / config.axi_ports
        first = ins[0][1] - ins[0][0]
        lead = LATENCY + first * source_planes[0] * config.p_i / rate if staged.source else 0.0
        busy = max(float(compute), memory) if slots == 2 else compute + memory + transfers * LATENCY
        return busy + lead + self.word_price * (6 * descriptors + 2 * transfers)
