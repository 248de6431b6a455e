"""Which operations run beside one another: an operation of the window unit with the convolutions around it.

The convolution that makes its input (expand) and the one that reads its output (project) are cut like the operation
itself, into strips of rows or into ranges of channels, so that the array works on one strip while the window unit works
on another. The map between them stays on the chip as a whole, and strips need no halo twice in the array; where it does
not fit, expand makes it strip by strip, halos included, in two buffers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from hwgen.compiler.operations import ConvOp, Lowered, Operation, Tensor, WindowOp
from hwgen.compiler.options import Timing
from hwgen.compiler.shapes import Part, block_lines
from hwgen.compiler.strips import Pass, RingBudget, Rows, Staging, even_strips, passes, source_rows, strip_tiles
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: numbers of strips and largest numbers of blocks of a pass that are tried
STRIPS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 28)
LIMITS = (0, 1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Step:
    """Output rows [first, end) of an operation of a group; ``strip``: number of the window operation's strip."""

    operation: int
    rows: Rows
    strip: int


@dataclass(frozen=True)
class Group:
    """Operations that run beside one another.

    Args:
        window: index of the window operation; expands, projects: the ones before and behind it belong to the group.
        steps: in program order, when the group is cut by rows. Every operation's steps are all its rows, in order
            (with ``buffers``, expand's overlap).
        limit: when it is cut by channels (no steps): largest number of output blocks of a pass of expand; the window
            operation follows it pass by pass, project comes behind them.
        cycles: predicted.
        buffers: for expand's result, a strip in each; None: its map is on the chip as a whole.
    """

    window: int
    expands: bool
    projects: bool
    steps: tuple[Step, ...] = ()
    limit: int = 0
    cycles: float = 0.0
    buffers: Staging | None = None

    @property
    def operations(self) -> tuple[int, ...]:
        """Indices of all its operations, one after the other."""
        return tuple(range(self.window - self.expands, self.window + self.projects + 1))

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
        expands = index > 0 and index - 1 not in taken and _feeds(lowered.operations[index - 1], op)
        projects = index + 1 < len(lowered.operations) and _reads(lowered.operations[index + 1], op)
        group = Group(index, expands, projects)
        if len(group.operations) > 1 and not {op.src, op.dst} & set(stored):
            best = _Chooser(lowered, config, parts, budget, timing, word_price, group).best()
            if best is not None:
                out.append(best)
                taken.update(group.operations)
    return tuple(out)


def buffered(group: Group, lowered: Lowered, finer: int) -> Group | None:
    """The group with two buffers instead of expand's map, in ``finer`` times as many strips; None where others read
    that map too, or the group is not cut by rows, or cannot be cut finer."""
    window = lowered.operations[group.window]
    assert isinstance(window, WindowOp)
    readers = sum(window.src in (op.src, getattr(op, "residual", None)) for op in lowered.operations)
    joined = any(window.src in names for names in lowered.joins.values())
    height, count = lowered.tensors[window.dst].height, finer * sum(s.operation == group.window for s in group.steps)
    if not (group.steps and group.expands) or readers > 1 or joined or count > height:
        return None
    source = lowered.tensors[window.src]
    steps: list[Step] = []
    largest = 0
    for step in _steps(group, lowered, even_strips(height, count, 1)):
        if step.operation == group.window:
            rows = source_rows(window, source, step.rows)
            largest = max(largest, rows[1] - rows[0])
            steps.append(Step(group.window - 1, rows, step.strip))
        if step.operation >= group.window:
            steps.append(step)
    # a pair may hang over the last row
    staging = Staging(2, source.layout.blocks, (largest * source.width + 1) | 1)
    return replace(group, steps=tuple(steps), buffers=staging)


def _steps(group: Group, lowered: Lowered, strips: tuple[Rows, ...]) -> tuple[Step, ...]:
    """Expand a strip ahead, project a strip behind."""
    window = lowered.operations[group.window]
    assert isinstance(window, WindowOp)
    source = lowered.tensors[window.src]
    out: list[Step] = []
    made = projected = 0
    for number, rows in enumerate(strips):
        end = source.height if number == len(strips) - 1 else source_rows(window, source, rows)[1]
        if group.expands and end > made:
            out.append(Step(group.window - 1, (made, end), number))
        made = max(made, end)
        out.append(Step(group.window, rows, number))
        if group.projects and number:
            projected = _project(group, lowered, out, projected, there=strips[number - 1][1])
    if group.projects:
        _project(group, lowered, out, projected, there=lowered.tensors[window.dst].height)
    return tuple(out)


def _project(group: Group, lowered: Lowered, out: list[Step], done: int, *, there: int) -> int:
    """Append the rows of project whose input rows [0, there) are there; the rows that are done then."""
    op = lowered.operations[group.window + 1]
    assert isinstance(op, ConvOp)
    source, height = lowered.tensors[op.src], lowered.tensors[op.dst].height
    end = height
    while there < source.height and end > done and source_rows(op, source, (0, end))[1] > there:
        end -= 1
    if end > done:
        out.append(Step(group.window + 1, (done, end), out[-1].strip))
    return max(done, end)


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
    group: Group

    @property
    def window(self) -> int:
        """Index of the window operation."""
        return self.group.window

    def best(self) -> Group | None:
        """The fastest way; None when one after the other is as fast."""
        alone = replace(self.group, cycles=self._by_channels(0))
        found = [alone]
        height = self._tensor(self.window).height
        if self._lines() <= self.budget.preferred:
            for strips in sorted({even_strips(height, n, 1) for n in STRIPS if 1 < n <= height}, key=len):
                steps = _steps(self.group, self.lowered, strips)
                try:
                    cycles, descriptors = self._by_rows(steps)
                except HwgenError:
                    continue
                found.append(replace(self.group, steps=steps, cycles=cycles + 6 * self.word_price * descriptors))
        if self.group.expands:
            found += [replace(self.group, limit=limit, cycles=self._by_channels(limit)) for limit in LIMITS if limit]
        best = min(found, key=lambda g: g.cycles)
        return best if best is not alone else None

    def _tensor(self, index: int) -> Tensor:
        return self.lowered.tensors[self.lowered.operations[index].dst or ""]

    def _lines(self) -> int:
        """Lines of weight memory that the group keeps while it runs row by row."""
        total = 0
        for index in self.group.operations:
            op, words = self.lowered.operations[index], self._tensor(index).layout.blocks
            assert isinstance(op, ConvOp | WindowOp)
            total += sum(one.lines * one.blocks for one in
                         passes(op, self.parts.get(index, ()), words, self.config, self.budget, shared=False))
        return total

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
        if not self.group.expands:
            window = total
        else:
            index = self.window - 1
            op = self.lowered.operations[index]
            assert isinstance(op, ConvOp)
            for one in passes(op, self.parts[index], words, self.config, self.budget, shared=False, limit=limit):
                array += self._pass_cycles(index, op, one, (0, self._tensor(index).height))[0]
                window = max(window, array + self.timing.pipeline_latency) + total * one.words / words
        if self.group.projects:
            array = max(array, window)
            array += self._cost(self.window + 1, (0, self._tensor(self.window + 1).height))[0]
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
