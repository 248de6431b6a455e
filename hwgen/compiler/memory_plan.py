"""Where every tensor lies in activation memory: liveness, banks, concatenation by placement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.banks import BankConstraints
from hwgen.compiler.emit import Place
from hwgen.compiler.lower import copy_operation
from hwgen.compiler.operations import ContractOp, ConvOp, Lowered, Operation, Tensor, WindowOp
from hwgen.compiler.overlap import Group
from hwgen.compiler.strips import Staging, StripPlan
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

FOREVER = 1 << 30
START = -1


@dataclass(frozen=True)
class MemoryPlan:
    """Result of the planner.

    Args:
        places: address and plane stride of every tensor.
        used: words used of each bank.
        act_words: words of a bank.
        buffers: address of every buffer for strips, by ``buffer_name``.
    """

    places: dict[str, Place]
    used: tuple[int, ...]
    act_words: int
    buffers: dict[str, int] = field(default_factory=dict)


def separate_banks(lowered: Lowered) -> Lowered:
    """The same network with copies inserted where input and residual of an operation cannot be in different banks."""
    constraints = BankConstraints()
    operations: list[Operation] = []
    tensors = dict(lowered.tensors)
    root = roots(lowered)
    for op in lowered.operations:
        if not isinstance(op, ConvOp) or op.residual is None:
            operations.append(op)
        elif not constraints.apart(root[op.src], root[op.residual]):
            tensor, copy = copy_operation(tensors[op.residual], f"{op.residual}.copy.{op.node}", op.node)
            tensors[tensor.name] = tensor
            constraints.apart(root[op.src], tensor.name)
            operations += [copy, replace(op, residual=tensor.name)]
        else:
            operations.append(op)
    return replace(lowered, operations=tuple(operations), tensors=tensors)


def roots(lowered: Lowered) -> dict[str, str]:
    """Tensor -> the tensor whose memory holds it (itself, or the concatenation it is part of)."""
    parent = {part: whole for whole, parts in lowered.joins.items() for part in parts}
    out = {}
    for name in lowered.tensors:
        top = name
        while top in parent:
            top = parent[top]
        out[name] = top
    return out


def word_planes(tensor: Tensor, config: AcceleratorConfig) -> int:
    """Planes a tensor takes: channel blocks; raw: 4 words for every p_i channels of whole output blocks."""
    if not tensor.raw:
        return tensor.layout.blocks
    return -(-tensor.layout.lanes // config.p_o) * 4 * (config.p_o // config.p_i)


def make_requests(
    lowered: Lowered, config: AcceleratorConfig, overhang: Collection[str], stored: Collection[str],
    late: Mapping[str, int], *, spilled: Collection[str] = (), strips: Mapping[int, StripPlan] | None = None,
    groups: Collection[Group] = (), window_apart: bool = False,
) -> list[Request]:
    """What activation memory must hold; arguments as of ``plan_memory``."""
    root, strips = roots(lowered), strips or {}
    begins = {index: min(g.together) for g in groups for index in g.together}
    ends = {index: max(g.together) for g in groups for index in g.together}
    planes: dict[str, int] = {}
    firsts: dict[str, int] = {root[lowered.input]: START}
    lasts: dict[str, int] = {root[name]: FOREVER for name in stored}
    plane = plane_strides(lowered, overhang)
    for name, tensor in lowered.tensors.items():
        if name == root[name]:
            planes[name] = word_planes(tensor, config)
    constraints = BankConstraints()
    for kernel in lowered.kernels.values():
        firsts[kernel.first] = late.get(kernel.first, START)
    buffers: list[tuple[str, int, int]] = []
    for index, op in enumerate(lowered.operations):
        begin, end = begins.get(index, index), ends.get(index, index)
        if op.dst is not None:
            firsts[root[op.dst]] = min(firsts.get(root[op.dst], FOREVER), begin)
            lasts[root[op.dst]] = max(lasts.get(root[op.dst], end), end)
        own = strips.get(index)
        staged = {} if own is None else {
            kind: staging for kind in ("source", "residual", "target") if (staging := getattr(own, kind)) is not None}
        for kind, staging in staged.items():
            buffers += [(buffer_name(index, kind, slot), staging.words, index) for slot in range(staging.slots)]
        read = [op.src]
        if isinstance(op, ConvOp) and op.residual is not None:
            read.append(op.residual)
            for slot in range(max((s.slots for s in staged.values()), default=1)):
                constraints.apart(_operand(index, "source", slot, staged, root[op.src]),
                                  _operand(index, "residual", slot, staged, root[op.residual]))
        for name in read:
            lasts[root[name]] = max(lasts.get(root[name], end), end)
    for index, op in enumerate(lowered.operations) if window_apart else ():
        if isinstance(op, WindowOp) and not {root[op.src], root[op.dst]} & set(spilled):
            _apart_from_array(lowered, index, op, root, constraints)
    in_buffers = {root[lowered.operations[g.window].src]: g for g in groups if g.buffers}
    names = sorted(set(root.values()) - set(spilled) - set(in_buffers))
    sides = constraints.groups([*names, *in_buffers, *(name for name, _, _ in buffers)])
    return [
        Request(name, _even(planes[name] * plane[name]), firsts[name],
                max(lasts.get(name, firsts[name]), firsts[name]), *sides[name])
        for name in names if name in firsts
    ] + [Request(name, words, index, index, *sides[name]) for name, words, index in buffers] + [
        Request(buffer_name(g.window, "source", slot), g.buffers.words, min(g.together), max(g.together), *sides[name])
        for name, g in in_buffers.items() if g.buffers for slot in range(g.buffers.slots)]


def _apart_from_array(
    lowered: Lowered, index: int, op: WindowOp, root: Mapping[str, str], constraints: BankConstraints
) -> None:
    """What the window unit reads lies apart from what it writes, which the next convolution reads beside it, and from
    what the convolution before reads. In an inverted residual block that one's input is the next one's residual and
    lies in the same bank: ``shapes`` has the array read one word a cycle from it."""
    constraints.apart(root[op.src], root[op.dst])
    before = lowered.operations[index - 1] if index else None
    after = lowered.operations[index + 1] if index + 1 < len(lowered.operations) else None
    if isinstance(before, ConvOp) and before.dst == op.src:
        residual = after.residual if isinstance(after, ConvOp) and after.src == op.dst else None
        if residual is None or root[residual] != root[before.src]:
            constraints.apart(root[before.src], root[op.src])


def buffer_name(index: int, kind: str, slot: int) -> str:
    """Name of a staging buffer of operation ``index``."""
    return f"{index}.{kind}.{slot}"


def _operand(index: int, kind: str, slot: int, staged: Mapping[str, Staging], name: str) -> str:
    return buffer_name(index, kind, min(slot, staged[kind].slots - 1)) if kind in staged else name


def plane_strides(lowered: Lowered, overhang: Collection[str]) -> dict[str, int]:
    """Root -> distance of its channel blocks on the chip, odd."""
    root, plane = roots(lowered), dict[str, int]()
    for name, tensor in lowered.tensors.items():
        need = (tensor.pixels + (name in overhang)) | 1
        plane[root[name]] = max(plane.get(root[name], 0), need)
    return plane


def plan_memory(
    lowered: Lowered, config: AcceleratorConfig, overhang: Collection[str], stored: Collection[str],
    late: Mapping[str, int], *, spilled: Collection[str] = (), strips: Mapping[int, StripPlan] | None = None,
    groups: Collection[Group] = (), window_apart: bool = False,
) -> MemoryPlan:
    """Addresses of all tensors.

    Args:
        overhang: tensors that need a spare word behind the map (pair shape with an odd number of columns).
        stored: tensors whose words are not used again after their last use, so that nothing waits for their stores.
        late: first cores of reconstructed kernels that are loaded only once this many operations have retired, instead
            of at the start of the frame.
        spilled: roots of tensors that are not on the chip.
        strips: operation -> how it runs in strips, with buffers of its own.
        groups: operations that run beside one another.
        window_apart: what the window unit reads lies in another bank than what it writes, where that is possible: the
            array then reads its results while the unit reads on.

    Raises:
        HwgenError: they do not fit; says how many words per bank would be needed.
    """
    root, plane = roots(lowered), plane_strides(lowered, overhang)
    requests = make_requests(lowered, config, overhang, stored, late, spilled=spilled, strips=strips, groups=groups,
                             window_apart=window_apart)
    tries = 40 if strips or groups else 200
    live = max((sum(r.words for r in requests if r.first <= at.first <= r.last) for at in requests), default=0)
    found = allocate(requests, 2, config.act_words, tries=tries if live <= 2 * config.act_words else 0)
    if found.peak > config.act_words:
        largest = max(requests, key=lambda r: r.words)
        raise HwgenError(
            f"activation memory: needs {found.peak} words of {config.p_i} bytes per bank, the configuration has "
            f"{config.act_words} (short by {found.peak - config.act_words})", where="config.act_words",
            hint=f"the largest tensor, {largest.name}, takes {largest.words} words; a board with more on-chip memory "
                 "or a smaller input",
        )
    bases = {name: home.bank * config.act_stride + home.offset for name, home in found.homes.items()}
    places = {}
    for name in lowered.tensors:
        if root[name] in bases:
            block = block_of(name, lowered)
            places[name] = Place(bases[root[name]] + block * plane[root[name]], plane[root[name]])
    buffers = {r.name: bases[r.name] for r in requests if r.name not in root}
    return MemoryPlan(places, found.used, config.act_words, buffers)


def block_of(name: str, lowered: Lowered) -> int:
    """First channel block of a tensor within its root."""
    for whole, parts in lowered.joins.items():
        if name in parts:
            before = sum(lowered.tensors[p].layout.blocks for p in parts[:parts.index(name)])
            return before + block_of(whole, lowered)
    return 0


def contraction_inputs(lowered: Lowered) -> dict[str, int]:
    """First core's tensor -> index of the operation that reads it first."""
    firsts = {kernel.first for kernel in lowered.kernels.values()}
    out: dict[str, int] = {}
    for index, op in enumerate(lowered.operations):
        if isinstance(op, ContractOp) and op.src in firsts:
            out.setdefault(op.src, index)
    return out


def _even(words: int) -> int:
    """Sizes and addresses are even, so that transfers of 16 bytes fit for every p_i."""
    return words + words % 2
