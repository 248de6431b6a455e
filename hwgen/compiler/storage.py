"""Which tensors stay on the chip, which lie in memory, and in which strips the operations on the latter run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from hwgen.compiler.memory_plan import START, MemoryPlan, contraction_inputs, make_requests, plan_memory, roots
from hwgen.compiler.operations import ContractOp, ConvOp, Lowered, WindowOp
from hwgen.compiler.options import Timing
from hwgen.compiler.overlap import Group, buffered
from hwgen.compiler.shapes import Part
from hwgen.compiler.strip_choice import Candidate, Staged, StripProblem
from hwgen.compiler.strips import RingBudget, StripPlan
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: shares of activation memory that are planned with, until everything finds a place
SHARES = (1.0, 0.94, 0.88, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.12, 0.06)

#: how much smaller than the strips of a group those are tried that come in buffers
FINER = (1, 2, 4)


@dataclass(frozen=True)
class Storage:
    """Result.

    Args:
        plan: places of the tensors on the chip and of the buffers.
        spilled: roots of the tensors in memory.
        strips: operation -> its plan, for operations on tensors in memory.
        problems: operation -> what its plan was made for.
        groups: operations on the chip that run beside one another, in program order.
    """

    plan: MemoryPlan
    spilled: frozenset[str] = frozenset()
    strips: Mapping[int, StripPlan] = field(default_factory=dict)
    problems: Mapping[int, StripProblem] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()


def plan_storage(
    lowered: Lowered, config: AcceleratorConfig, parts: Mapping[int, tuple[Part, ...]], *, stored: Collection[str],
    budget: RingBudget, timing: Timing, word_price: float = 1.0, groups: tuple[Group, ...] = (),
) -> Storage:
    """Everything on the chip if that is possible; first cores come at the start of the frame if there is room.

    Args:
        stored: tensors that leave the accelerator.
        word_price: cycles that a word of program memory is worth where strips are chosen.
        groups: operations that run beside one another if their tensors find a place; those that take most give way.

    Raises:
        HwgenError: even the smallest strips do not fit.
    """
    overhang = overhanging(lowered, parts)
    readers = contraction_inputs(lowered)
    lates = [dict[str, int]()]
    if readers:
        lates += [{name: max(START, at - lead) for name, at in readers.items()} for lead in (8, 3, 1)]
    error: HwgenError | None = None
    window = any(isinstance(op, WindowOp) for op in lowered.operations)
    for late in lates:
        for kept in _fewer(groups, lowered):
            for apart in (True, False) if window else (False,):
                try:
                    plan = plan_memory(lowered, config, overhang, stored, late, groups=kept, window_apart=apart)
                    return Storage(plan, groups=kept)
                except HwgenError as failed:
                    error = error or failed
    assert error is not None
    spiller = _Spiller(lowered, config, parts, overhang=overhang, stored=stored, budget=budget, timing=timing,
                       word_price=word_price)
    for late in lates[-1:]:
        for share in SHARES:
            found = spiller.plan(share, late)
            if found is not None:
                return found
    raise error


def _fewer(groups: tuple[Group, ...], lowered: Lowered) -> Iterator[tuple[Group, ...]]:
    """All groups; then the map between expand and window operation of the one that takes most, and of the next ones, in
    buffers, first large, then smaller ones; then one group less after the other, down to none."""
    def words(group: Group) -> int:
        names = {lowered.operations[i].dst or "" for i in group.together}
        return sum(lowered.tensors[n].pixels * lowered.tensors[n].layout.blocks for n in names)

    kept = dict(enumerate(groups))
    order = sorted(kept, key=lambda n: words(kept[n]), reverse=True)
    yield tuple(kept.values())
    for finer in FINER:
        for number in order:
            strip = buffered(groups[number], lowered, finer)
            if strip is not None:
                kept[number] = strip
                yield tuple(kept.values())
    for number in order:
        del kept[number]
        yield tuple(kept.values())


def overhanging(lowered: Lowered, parts: Mapping[int, tuple[Part, ...]]) -> set[str]:
    """Tensors with a spare word behind the map: the pair shape with an odd number of columns writes or reads it."""
    out: set[str] = set()
    for index, op in enumerate(lowered.operations):
        if isinstance(op, ConvOp) and any(p.tiling.overhang for p in parts[index]):
            out |= {op.dst} | ({op.residual} if op.residual else set())
    return out


class _Spiller:
    """Spills the tensors whose spilling costs least until what is live at any time fits into a share of the memory."""

    def __init__(self, lowered: Lowered, config: AcceleratorConfig, parts: Mapping[int, tuple[Part, ...]], *,
                 overhang: Collection[str], stored: Collection[str], budget: RingBudget, timing: Timing,
                 word_price: float) -> None:
        self.lowered, self.config, self.parts = lowered, config, parts
        self.overhang, self.stored = overhang, stored
        self.budget, self.timing, self.word_price = budget, timing, word_price
        self.root = roots(lowered)
        fixed = {k.first for k in lowered.kernels.values()}
        fixed |= {op.dst for op in lowered.operations if isinstance(op, ContractOp) and op.dst}
        self.spillable = set(self.root.values()) - fixed
        self.options = cache(self._options)
        self.problem = cache(self._problem)

    def _problem(self, index: int) -> StripProblem:
        """Operation ``index`` as something to be cut into strips."""
        op = self.lowered.operations[index]
        assert not isinstance(op, ContractOp)
        tensors = self.lowered.tensors
        dst = tensors[op.dst]
        parts = self.parts.get(index, ())
        # strips of an even map may be odd, and their last pair hangs over
        pair = any(p.pair for p in parts) and dst.width % 2 == 1
        return StripProblem(op, parts, tensors[op.src], dst, dst.layout.blocks, pair, self.config, self.budget,
                            self.timing, self.word_price)

    def _options(self, index: int, staged: Staged) -> tuple[Candidate, ...]:
        return tuple(c for c in self.problem(index).candidates(staged) if c.largest <= self.config.act_words)

    def _staged(self, index: int, spilled: Collection[str]) -> Staged:
        op = self.lowered.operations[index]
        if isinstance(op, ContractOp):
            return Staged(False, False, False)
        residual = op.residual if isinstance(op, ConvOp) else None
        return Staged(self.root[op.src] in spilled, residual is not None and self.root[residual] in spilled,
                      self.root[op.dst] in spilled)

    def _need(self, index: int, spilled: Collection[str]) -> int | None:
        """Fewest words for the buffers of an operation; None: impossible."""
        staged = self._staged(index, spilled)
        if not staged.any:
            return 0
        return min((c.words for c in self.options(index, staged)), default=None)

    def plan(self, share: float, late: Mapping[str, int]) -> Storage | None:
        """A plan within a share of the memory, if there is one."""
        config, count = self.config, len(self.lowered.operations)
        limit = int(share * 2 * config.act_words)
        sizes = {r.name: r for r in make_requests(self.lowered, config, self.overhang, (), late)}
        spilled: set[str] = {name for name in self.spillable if name in sizes and sizes[name].words > config.act_words}
        while True:
            resident = [sum(r.words for n, r in sizes.items() if n not in spilled and r.first <= i <= r.last)
                        for i in range(count)]
            needs = [self._need(i, spilled) for i in range(count)]
            if any(n is None for n in needs):
                return None
            excess = {i: resident[i] + (needs[i] or 0) - limit for i in range(count)}
            over = {i: e for i, e in excess.items() if e > 0}
            if not over:
                break
            best, best_value = None, 0.0
            for name in sorted(self.spillable - spilled):
                if name not in sizes:
                    continue
                request, relief = sizes[name], 0
                for i, e in over.items():
                    if request.first <= i <= request.last:
                        more = self._need(i, spilled | {name})
                        if more is None:
                            relief = -1
                            break
                        relief += max(0, min(e, request.words - (more - (needs[i] or 0))))
                if relief <= 0:
                    continue
                value = relief / self._bytes(name, request.words)
                if value > best_value:
                    best, best_value = name, value
            if best is None:
                return None
            spilled.add(best)
        strips: dict[int, StripPlan] = {}
        for i in range(count):
            staged = self._staged(i, spilled)
            if staged.any:
                room = limit - resident[i]
                strips[i] = next(c.plan for c in self.options(i, staged) if c.words <= room)
        for groups in dict.fromkeys((self._followed(strips), ())):
            try:
                plan = plan_memory(self.lowered, config, self.overhang, (), late, spilled=spilled, strips=strips,
                                   groups=groups)
            except HwgenError:
                continue
            return Storage(plan, frozenset(spilled), strips, {i: self.problem(i) for i in strips}, groups)
        return None

    def _followed(self, strips: Mapping[int, StripPlan]) -> tuple[Group, ...]:
        """Convolutions in strips whose result stays on the chip and is read by a window operation there, which can
        follow strip by strip."""
        out = []
        for index, plan in strips.items():
            op = self.lowered.operations[index]
            after = self.lowered.operations[index + 1] if index + 1 < len(self.lowered.operations) else None
            if (isinstance(op, ConvOp) and isinstance(after, WindowOp) and after.src == op.dst and plan.target is None
                    and index + 1 not in strips and not plan.restream and len(self.problem(index).passes(plan)) == 1):
                out.append(Group(index + 1, expands=True, projects=False))
        return tuple(out)

    def _bytes(self, name: str, words: int) -> float:
        """Words that cross the memory ports because the tensor is not on the chip."""
        readers = 0
        for op in self.lowered.operations:
            read = [op.src, *([op.residual] if isinstance(op, ConvOp) and op.residual else [])]
            readers += sum(self.root[r] == name for r in read)
        if name == self.root[self.lowered.input]:
            return words * max(readers - 1, 0.05)  # it comes from memory anyway
        return words * (1 + readers) - (words if name in {self.root[s] for s in self.stored} else 0) + 1
