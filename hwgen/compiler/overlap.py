"""Which operations run beside one another: an operation of the window unit with the convolutions around it.

The convolution that makes its input (expand) and the one that reads its output (project) are cut like the operation
itself, into strips of rows or into ranges of channels, so that the array works on one strip while the window unit works
on another. The map between them stays on the chip as a whole; strips need no halo twice in the array.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hwgen.compiler.operations import ConvOp, Lowered, Operation, Tensor, WindowOp
from hwgen.compiler.options import Timing
from hwgen.compiler.shapes import Part, block_lines
from hwgen.compiler.strips import Pass, RingBudget, Rows, even_strips, passes, source_rows, strip_tiles
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: numbers of strips and largest numbers of blocks of a pass that are tried
STRIPS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 28)
LIMITS = (0, 1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Step:
    """Output rows [first, end) of an operation of a group."""

    operation: int
    rows: Rows


@dataclass(frozen=True)
class Group:
    """Operations that run beside one another.

    Args:
        operations: indices: expand (perhaps), window, project (perhaps); one after the other.
        steps: in program order, when the group is cut by rows. Every operation's steps are all its rows, in order.
        limit: when it is cut by channels (no steps): largest number of output blocks of a pass of expand; the window
            operation follows it pass by pass, project comes behind them.
        cycles: predicted.
    """

    operations: tuple[int, ...]
    steps: tuple[Step, ...]
    limit: int
    cycles: float

    @property
    def together(self) -> tuple[int, ...]:
        """Operations whose tensors are alive at the same time."""
        return self.operations if self.steps else self.operations[:2]


def find_groups(
    lowered: Lowered, config: AcceleratorConfig, parts: Mapping[int, tuple[Part, ...]], *, budget: RingBudget,
    timing: Timing, word_price: float, stored: Collection[str],
) -> tuple[Group, ...]:
    """The groups of a network whose operands are all on the chip, in program order; each operation is in one at most.

    Args:
        budget: lines of weight memory that descriptors which share weights may keep.
        word_price: cycles that a word of program memory is worth.
        stored: tensors that leave the accelerator.
    """
    out: list[Group] = []
    taken: set[int] = set()
    for index, op in enumerate(lowered.operations):
        if not isinstance(op, WindowOp):
            continue
        members = [index]
        if index and index - 1 not in taken and _feeds(lowered.operations[index - 1], op):
            members.insert(0, index - 1)
        if index + 1 < len(lowered.operations) and _reads(lowered.operations[index + 1], op):
            members.append(index + 1)
        if len(members) > 1 and not {op.src, op.dst} & set(stored):
            best = _Chooser(lowered, config, parts, budget, timing, word_price, tuple(members)).best()
            if best is not None:
                out.append(best)
                taken.update(members)
    return tuple(out)


def _feeds(before: Operation, op: WindowOp) -> bool:
    return isinstance(before, ConvOp) and before.dst == op.src and before.local is None


def _reads(after: Operation, op: WindowOp) -> bool:
    return isinstance(after, ConvOp) and after.src == op.dst and after.residual != op.dst and after.local is None


@dataclass(frozen=True)
class _Chooser:
    """Compares the ways to cut one group by playing both units against each other."""

    lowered: Lowered
    config: AcceleratorConfig
    parts: Mapping[int, tuple[Part, ...]]
    budget: RingBudget
    timing: Timing
    word_price: float
    members: tuple[int, ...]

    @property
    def window(self) -> int:
        """Index of the window operation."""
        return next(i for i in self.members if isinstance(self.lowered.operations[i], WindowOp))

    def best(self) -> Group | None:
        """The fastest way; None when one after the other is as fast."""
        alone = Group(self.members, (), 0, self._by_channels(0))
        found = [alone]
        height = self._tensor(self.window).height
        if self._lines() <= self.budget.preferred:
            for strips in sorted({even_strips(height, n, 1) for n in STRIPS if 1 < n <= height}, key=len):
                steps = self._steps(strips)
                try:
                    cycles, descriptors = self._by_rows(steps)
                except HwgenError:
                    continue
                found.append(Group(self.members, steps, 0, cycles + 6 * self.word_price * descriptors))
        if self.members[0] != self.window:
            found += [Group(self.members, (), limit, self._by_channels(limit)) for limit in LIMITS if limit]
        best = min(found, key=lambda g: g.cycles)
        return best if best is not alone else None

    def _tensor(self, index: int) -> Tensor:
        return self.lowered.tensors[self.lowered.operations[index].dst or ""]

    def _lines(self) -> int:
        """Lines of weight memory that the group keeps while it runs row by row."""
        total = 0
        for index in self.members:
            op, words = self.lowered.operations[index], self._tensor(index).layout.blocks
            assert isinstance(op, ConvOp | WindowOp)
            total += sum(one.lines * one.blocks for one in
                         passes(op, self.parts.get(index, ()), words, self.config, self.budget, shared=False))
        return total

    def _steps(self, strips: tuple[Rows, ...]) -> tuple[Step, ...]:
        """Expand a strip ahead, project a strip behind."""
        window = self.lowered.operations[self.window]
        assert isinstance(window, WindowOp)
        before, after = self.window - 1 in self.members, self.window + 1 in self.members
        source, target = self.lowered.tensors[window.src], self._tensor(self.window)
        out: list[Step] = []
        made = projected = 0
        for number, rows in enumerate(strips):
            end = source.height if number == len(strips) - 1 else source_rows(window, source, rows)[1]
            if before and end > made:
                out.append(Step(self.window - 1, (made, end)))
            made = max(made, end)
            out.append(Step(self.window, rows))
            if after and number:
                projected = self._project(out, projected, strips[number - 1][1])
        if after:
            self._project(out, projected, target.height)
        return tuple(out)

    def _project(self, out: list[Step], done: int, there: int) -> int:
        """Append the rows of project whose input rows [0, there) are there."""
        op, index = self.lowered.operations[self.window + 1], self.window + 1
        assert isinstance(op, ConvOp)
        source, height = self._tensor(self.window), self._tensor(index).height
        end = height
        while there < source.height and end > done and source_rows(op, source, (0, end))[1] > there:
            end -= 1
        if end > done:
            out.append(Step(index, (done, end)))
        return max(done, end)

    # ------------------------------------------------------------ cycles
    def _by_rows(self, steps: tuple[Step, ...]) -> tuple[float, int]:
        """(Cycles, descriptors) of a group cut by rows."""
        array = window = 0.0  # when each unit is done with what it was given
        ready: dict[int, list[tuple[int, float]]] = {}  # operation -> (rows made, when)
        descriptors = 0
        for step in steps:
            op = self.lowered.operations[step.operation]
            assert isinstance(op, ConvOp | WindowOp)
            cycles, count = self._cost(step.operation, step.rows)
            descriptors += count
            source = self.lowered.tensors[op.src]
            needed = source_rows(op, source, step.rows)[1]
            start = next((at for rows, at in ready.get(step.operation - 1, ()) if rows >= needed), 0.0)
            if isinstance(op, WindowOp):
                window = max(window, start) + cycles
                ready.setdefault(step.operation, []).append((step.rows[1], window))
            else:
                array = max(array, start) + cycles
                # the last results are still in the pipeline
                ready.setdefault(step.operation, []).append((step.rows[1], array + self.timing.pipeline_latency))
        return max(array, window), descriptors

    def _by_channels(self, limit: int) -> float:
        """Cycles when the window operation follows expand range by range, project behind both."""
        array = window = 0.0
        rows = (0, self._tensor(self.window).height)
        words = self._tensor(self.window).layout.blocks
        total = self._cost(self.window, rows)[0]
        if self.members[0] == self.window:
            window = total
        else:
            index = self.members[0]
            op = self.lowered.operations[index]
            assert isinstance(op, ConvOp)
            for one in passes(op, self.parts[index], words, self.config, self.budget, shared=False, limit=limit):
                array += self._pass_cycles(index, op, one, (0, self._tensor(index).height))[0]
                window = max(window, array + self.timing.pipeline_latency) + total * one.words / words
        if self.members[-1] != self.window:
            array = max(array, window)
            array += self._cost(self.members[-1], (0, self._tensor(self.members[-1]).height))[0]
        return max(array, window)

    def _cost(self, index: int, rows: Rows) -> tuple[float, int]:
        """(Cycles, descriptors) of rows of an operation."""
        op = self.lowered.operations[index]
        if isinstance(op, WindowOp):
            source = self.lowered.tensors[op.src]
            first, end = source_rows(op, source, rows)
            own = (end - first) * source.width
            if source.layout.blocks > 1 and own < self.config.window_block_words:
                raise HwgenError(f"strips of {own} words of a channel block", where=op.node,
                                 allowed=f"{self.config.window_block_words} at least")
            return own * source.layout.blocks + self.timing.window, 1
        assert isinstance(op, ConvOp)
        words = self._tensor(index).layout.blocks
        cycles, descriptors = 0.0, 0
        for one in passes(op, self.parts[index], words, self.config, self.budget, shared=False):
            more, count = self._pass_cycles(index, op, one, rows)
            cycles, descriptors = cycles + more, descriptors + count
        return cycles, descriptors

    def _pass_cycles(self, index: int, op: ConvOp, one: Pass, rows: Rows) -> tuple[float, int]:
        assert one.part is not None
        tiling = strip_tiles(one.part, op, self._tensor(index), rows, self.config)
        records, lines = block_lines(self.config, one.part.pair, one.steps)
        per_tile = lines // one.steps
        total = 0
        for tile in tiling.tiles:
            slots = tile.iterations(one.part.pair) * (self.timing.raw_interval if op.raw else 1)
            step = max(slots, per_tile, self.timing.min_step)
            total += one.blocks * ((one.steps - 1) * step + max(step, per_tile + records)) + self.timing.descriptor
        return total, len(tiling.tiles)
