"""The frame as one sequence of loads, weights, compute descriptors and stores, in which they could run one by one.

What really runs at the same time follows from the waits that ``dependencies`` derives from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.emit import (
    Batch,
    Operands,
    Place,
    Surroundings,
    conv_batch,
    conv_tile,
    emit_contract,
    pool_batch,
    pool_tile,
    window_batch,
    window_tile,
)
from hwgen.compiler.memory_plan import block_of, buffer_name, roots
from hwgen.compiler.operations import ContractOp, ConvOp, Lowered, WindowOp
from hwgen.compiler.overlap import Group, Step
from hwgen.compiler.shapes import Part, block_lines
from hwgen.compiler.storage import Storage
from hwgen.compiler.stream import Ring, Run
from hwgen.compiler.strips import (
    Pass,
    Rows,
    Staging,
    StripOp,
    StripPlan,
    passes,
    source_rows,
    strip_tiles,
    union,
    unit_words,
    word_range,
)
from hwgen.compiler.tiling import Tile
from hwgen.compiler.transfer import Box, Load, Region, Store
from hwgen.config.accelerator import AcceleratorConfig


@dataclass(frozen=True)
class Weights:
    """The weight stream of batch ``batch`` begins."""

    batch: int


@dataclass(frozen=True)
class Compute:
    """Compute descriptor ``position`` of batch ``batch``."""

    batch: int
    position: int


@dataclass(frozen=True)
class Core:
    """A first core of a reconstructed kernel is loaded."""

    run: Run


@dataclass(frozen=True)
class Stream:
    """Around the weights of an operation that come again: ``first``: they are in the image between this and the mark
    with ``end``; otherwise all of them are fetched here once more."""

    operation: int
    first: bool
    end: bool = False


Item = Weights | Compute | Core | Stream | Load | Store


@dataclass(frozen=True)
class Destination:
    """A region that a tensor is stored to; ``block``: plane of the region at which it begins, ``planes`` of the tensor
    that are stored."""

    region: Region
    block: int
    planes: int


@dataclass
class Scheduler:
    """Collects the sequence, operation by operation.

    Args:
        destinations: tensor -> regions that its strips go to.
        sources: root of a spilled tensor -> where its strips come from.
    """

    lowered: Lowered
    config: AcceleratorConfig
    storage: Storage
    parts: Mapping[int, tuple[Part, ...]]
    ring: Ring
    kernel_lines: Mapping[str, int]
    sources: Mapping[str, Region]
    destinations: Mapping[str, Sequence[Destination]]
    items: list[Item] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._where = Surroundings(self.lowered.tensors, self.storage.plan.places, self.config)
        self._root = roots(self.lowered)
        self._turn: dict[str, int] = {}

    def add(self, index: int) -> None:
        """Append operation ``index``."""
        op = self.lowered.operations[index]
        if isinstance(op, ContractOp):
            granule = (self.ring.lines + self.kernel_lines[op.kernel]) * self.config.line_columns
            kernel = self.lowered.kernels[op.kernel]
            for batch in emit_contract(index, op, kernel, self._where, region=granule, budget=self.ring.budget):
                self._batch(batch)
        elif index in self.storage.strips:
            plan = self.storage.strips[index]
            if plan.restream:
                self._strips_outside(index, op, plan)
            else:
                self._passes_outside(index, op, plan)
        elif isinstance(op, ConvOp):
            operands = self._on_chip(op)
            for part in self.parts[index]:
                tiles = part.tiling.tiles
                for one in passes(op, (part,), self._words(op), self.config, self.ring.budget, shared=len(tiles) > 1):
                    self._batch(self._conv(index, op, one, [(t, part.tiling.joined, operands) for t in tiles]))
        else:
            operands, rows = self._on_chip(op), (0, self.lowered.tensors[op.dst].height)
            for one in passes(op, (), self._words(op), self.config, self.ring.budget, shared=False):
                made = self._descriptors(index, op, one, rows, operands, again=False)
                self._batch(self._as_batch(index, op, one, made, again=False))

    def add_group(self, group: Group) -> None:
        """Append the operations of a group (on the chip), so that the window unit works beside the array."""
        if group.operations[0] in self.storage.strips:
            self._strips_followed(group)
        elif group.steps:
            self._rows_together(group)
        else:
            self._channels_together(group)

    def _rows_together(self, group: Group) -> None:
        """Batch by batch in the weight stream, strip by strip in the program."""
        numbers: dict[int, list[tuple[Pass, int]]] = {}
        made: dict[int, list[Descriptor]] = {}
        for index in group.operations:
            op, first = self._strip_op(index), len(self.batches) + len(made)
            every = passes(op, self.parts.get(index, ()), self._words(op), self.config, self.ring.budget, shared=False)
            numbers[index] = [(one, first + k) for k, one in enumerate(every)]
            made.update({number: [] for _, number in numbers[index]})
        begun: set[int] = set()
        for step in group.steps:
            op = self._strip_op(step.operation)
            operands = self._in_group(group, step, op)
            for one, number in numbers[step.operation]:
                if number not in begun:
                    begun.add(number)
                    self.items.append(Weights(number))
                for d in self._descriptors(step.operation, op, one, step.rows, operands, again=False):
                    self.items.append(Compute(number, len(made[number])))
                    made[number].append(d)
        for index in group.operations:
            op = self._strip_op(index)
            self.batches += [self._as_batch(index, op, one, made[number], again=False)
                             for one, number in numbers[index]]

    def _strips_followed(self, group: Group) -> None:
        """The window operation takes up the rows of every strip of the convolution before it as they are made."""
        expand, window = group.operations
        op, last = self._strip_op(expand), self._strip_op(window)
        plan, source = self.storage.strips[expand], self.lowered.tensors[last.src]
        (one,) = self.storage.problems[expand].passes(plan)
        (own,) = passes(last, (), self._words(last), self.config, self.ring.budget, shared=False)
        height, at, number = self.lowered.tensors[last.dst].height, self._on_chip(last), len(self.batches)
        made: list[Descriptor] = []
        followed: list[Descriptor] = []
        done = 0

        def enough(first: int, end: int) -> bool:
            """Rows [first, end) are none, or make blocks of the least size of a descriptor of several."""
            rows = source_rows(last, source, (first, end)) if end > first else (0, 0)
            least = 0 if own.blocks == 1 else self.config.window_block_words
            return end == first or (rows[1] - rows[0]) * source.width >= least

        self.items.append(Weights(number))
        for rows in plan.strips:
            operands = self._fetch(expand, op, plan, rows, source=one.source, target=one.target,
                                   words=(one.first_word, one.words))
            self._run(number, made, self._descriptors(expand, op, one, rows, operands, again=False))
            end = done
            while end < height and source_rows(last, source, (0, end + 1))[1] <= rows[1]:
                end += 1
            if end > done and enough(done, end) and enough(end, height):
                if not followed:
                    self.items.append(Weights(number + 1))
                self._run(number + 1, followed, self._descriptors(window, last, own, (done, end), at, again=False))
                done = end
        self.batches += [self._as_batch(expand, op, one, made, again=False),
                         self._as_batch(window, last, own, followed, again=False)]

    def _run(self, number: int, made: list[Descriptor], found: Sequence[Descriptor]) -> None:
        """Append descriptors to the sequence and to those of batch ``number``."""
        self.items += [Compute(number, len(made) + k) for k in range(len(found))]
        made.extend(found)

    def _in_group(self, group: Group, step: Step, op: StripOp) -> Operands:
        """Where a step's operands are: on the chip, or in one of the group's buffers."""
        places, staging = self.storage.plan.places, group.buffers
        if staging is None or step.operation > group.window:
            return self._on_chip(op)
        window = self._strip_op(group.window)
        source = self.lowered.tensors[window.src]
        first = step.rows[0] if step.operation < group.window else source_rows(window, source, step.rows)[0]
        slot = self.storage.plan.buffers[buffer_name(group.window, "source", step.strip % staging.slots)]
        strip = Place(slot - first * source.width, staging.plane)
        if step.operation == group.window:
            return Operands(strip, places[op.dst])
        residual = op.residual if isinstance(op, ConvOp) else None
        return Operands(places[op.src], strip, None if residual is None else places[residual])

    def _channels_together(self, group: Group) -> None:
        """Every range of channels of the first operation, then the same range of the window operation."""
        expand, window = group.operations[:2]
        op, last = self._strip_op(expand), self._strip_op(window)
        assert isinstance(op, ConvOp)
        operands, at = self._on_chip(op), self._on_chip(last)
        rows = (0, self.lowered.tensors[last.dst].height)
        for part in self.parts[expand]:
            tiles = part.tiling.tiles
            for one in passes(op, (part,), self._words(op), self.config, self.ring.budget, shared=len(tiles) > 1,
                              limit=group.limit):
                self._batch(self._conv(expand, op, one, [(t, part.tiling.joined, operands) for t in tiles]))
                same = (one.first_word, one.words)
                own = Pass(None, one.first_word, one.words, *same, same, same, 0, self.config.window_lines)
                made = self._descriptors(window, last, own, rows, at, again=False)
                self._batch(self._as_batch(window, last, own, made, again=False))
        for index in group.operations[2:]:
            self.add(index)

    def _strip_op(self, index: int) -> StripOp:
        op = self.lowered.operations[index]
        assert not isinstance(op, ContractOp)
        return op

    # ------------------------------------------------------------ orders of the loops
    def _passes_outside(self, index: int, op: StripOp, plan: StripPlan) -> None:
        for one in self.storage.problems[index].passes(plan):
            # weights that the ring cannot hold would keep the strip behind them from coming, and wait for its use
            late = one.lines * one.blocks + self.ring.segment_lines > self.ring.lines
            if not late:
                self.items.append(Weights(len(self.batches)))
            made: list[Descriptor] = []
            for rows in plan.strips:
                operands = self._fetch(index, op, plan, rows, source=one.source, target=one.target,
                                       words=(one.first_word, one.words))
                if late and not made:
                    self.items.append(Weights(len(self.batches)))
                found = self._descriptors(index, op, one, rows, operands, again=False)
                self.items += [Compute(len(self.batches), len(made) + k) for k in range(len(found))]
                made += found
                self._store(op, plan, rows, operands, one.target)
            self.batches.append(self._as_batch(index, op, one, made, again=False))

    def _strips_outside(self, index: int, op: StripOp, plan: StripPlan) -> None:
        every = self.storage.problems[index].passes(plan)
        source, target = union([one.source for one in every]), union([one.target for one in every])
        words = union([(one.first_word, one.words) for one in every])
        for number, rows in enumerate(plan.strips):
            operands = self._fetch(index, op, plan, rows, source=source, words=words, target=target)
            self.items.append(Stream(index, first=number == 0))
            for one in every:
                made = self._descriptors(index, op, one, rows, operands, again=number > 0)
                self._batch(self._as_batch(index, op, one, made, again=number > 0))
            if number == 0:
                self.items.append(Stream(index, first=True, end=True))
            self._store(op, plan, rows, operands, target)

    # ------------------------------------------------------------ descriptors
    def _batch(self, batch: Batch) -> None:
        self.items.append(Weights(len(self.batches)))
        self.items += [Compute(len(self.batches), k) for k in range(len(batch.descriptors))]
        self.batches.append(batch)

    def _conv(self, index: int, op: ConvOp, one: Pass, tiles: Sequence[tuple[Tile, bool, Operands]]) -> Batch:
        return conv_batch(index, op, one, (
            conv_tile(index, op, one, tile, where=self._where, operands=operands, joined=joined,
                      tile_line=self._tile_line(op, one))
            for tile, joined, operands in tiles), self.config)

    def _tile_line(self, op: ConvOp, one: Pass) -> int:
        if op.local is None or one.part is None:
            return 0
        _, lines = block_lines(self.config, one.part.pair, one.steps)
        return self.ring.lines + self.kernel_lines[op.local] + one.block * lines

    def _descriptors(
        self, index: int, op: StripOp, one: Pass, rows: Rows, operands: Operands, *, again: bool
    ) -> list[Descriptor]:
        if isinstance(op, WindowOp):
            return [replace(window_tile(index, op, one, rows, where=self._where, operands=operands), again=again)]
        if not isinstance(op, ConvOp):
            return [replace(pool_tile(index, op, one, rows, where=self._where, operands=operands), again=again)]
        assert one.part is not None
        tiling = strip_tiles(one.part, op, self.lowered.tensors[op.dst], rows, self.config)
        return [conv_tile(index, op, one, tile, where=self._where, operands=operands, joined=tiling.joined,
                          tile_line=self._tile_line(op, one), again=again) for tile in tiling.tiles]

    def _as_batch(self, index: int, op: StripOp, one: Pass, made: list[Descriptor], *, again: bool) -> Batch:
        if isinstance(op, WindowOp):
            return window_batch(index, one, made, self.config, again=again)
        if not isinstance(op, ConvOp):
            return pool_batch(index, one, made, self.config, again=again)
        return conv_batch(index, op, one, made, self.config, again=again)

    # ------------------------------------------------------------ operands
    def _words(self, op: StripOp) -> int:
        return self.lowered.tensors[op.dst].layout.blocks

    def _on_chip(self, op: StripOp) -> Operands:
        places, residual = self.storage.plan.places, op.residual if isinstance(op, ConvOp) else None
        return Operands(places[op.src], places[op.dst], None if residual is None else places[residual])

    def _fetch(
        self, index: int, op: StripOp, plan: StripPlan, rows: Rows, *, source: tuple[int, int],
        words: tuple[int, int], target: tuple[int, int],
    ) -> Operands:
        """Load what a strip reads; where its operands are. Ranges of planes are (first, count)."""
        tensors, places = self.lowered.tensors, self.storage.plan.places
        src, dst = tensors[op.src], tensors[op.dst]
        if plan.source is None:
            at_source = places[op.src]
        else:
            at_source = self._load(self._slot(index, "source", plan.source), plan.source, op.src,
                                   source_rows(op, src, rows), source)
        residual = op.residual if isinstance(op, ConvOp) else None
        at_residual = None
        if residual is not None:
            at_residual = places[residual] if plan.residual is None else self._load(
                self._slot(index, "residual", plan.residual), plan.residual, residual, rows, words)
        if plan.target is None:
            return Operands(at_source, places[op.dst], at_residual)
        slot = self._slot(index, "target", plan.target)
        at_target = Place(slot - target[0] * plan.target.plane - rows[0] * dst.width, plan.target.plane)
        return Operands(at_source, at_target, at_residual)

    def _slot(self, index: int, kind: str, staging: Staging) -> int:
        """The next buffer in turn."""
        key = f"{index}.{kind}"
        turn = self._turn.get(key, 0)
        self._turn[key] = turn + 1
        return self.storage.plan.buffers[buffer_name(index, kind, turn % staging.slots)]

    def _load(self, slot: int, staging: Staging, name: str, rows: Rows, planes: tuple[int, int]) -> Place:
        """Load rows of a tensor; where the tensor's first word would be."""
        region, width = self.sources[self._root[name]], self.lowered.tensors[name].width
        words = word_range(rows, width, self.config)
        if region.row:
            words = rows[0] * width, rows[1] * width
        if words[1] > words[0]:
            self.items.append(Load(
                box=Box(slot, planes[1], staging.plane, words[1] - words[0]), region=region,
                first_plane=block_of(name, self.lowered) + planes[0], first_word=words[0]))
        return Place(slot - planes[0] * staging.plane - words[0], staging.plane)

    def _store(self, op: StripOp, plan: StripPlan, rows: Rows, operands: Operands, target: tuple[int, int],
               ) -> None:
        if plan.target is None:
            return
        dst, unit, place = self.lowered.tensors[op.dst], unit_words(self.config), operands.target
        first = rows[0] * dst.width
        exact = (rows[1] - rows[0]) * dst.width
        words = -(-exact // unit) * unit
        for to in self.destinations[op.dst]:
            planes = min(target[1], to.planes - target[0])
            if planes > 0:
                self.items.append(Store(
                    box=Box(place.base + target[0] * place.plane + first, planes, place.plane,
                            exact if to.region.row else words),
                    region=to.region, first_plane=to.block + target[0], first_word=first))
