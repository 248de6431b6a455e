"""Where every tensor lies in activation memory: liveness, banks, concatenation by placement."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.banks import BankConstraints
from hwgen.compiler.emit import Place
from hwgen.compiler.lower import copy_operation
from hwgen.compiler.operations import ContractOp, ConvOp, Lowered, Operation, Tensor
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
    """

    places: dict[str, Place]
    used: tuple[int, ...]
    act_words: int


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


def plan_memory(
    lowered: Lowered, config: AcceleratorConfig, overhang: Collection[str], stored: Collection[str],
    late: Mapping[str, int],
) -> MemoryPlan:
    """Addresses of all tensors.

    Args:
        overhang: tensors that need a spare word behind the map (pair shape with an odd number of columns).
        stored: tensors that leave the accelerator: their words are never used again.
        late: first cores of reconstructed kernels that are loaded only once this many operations have retired, instead
            of at the start of the frame.

    Raises:
        HwgenError: they do not fit; says how many words per bank would be needed.
    """
    root = roots(lowered)
    planes: dict[str, int] = {}
    firsts: dict[str, int] = {root[lowered.input]: START}
    lasts: dict[str, int] = {root[name]: FOREVER for name in stored}
    plane: dict[str, int] = {}
    for name, tensor in lowered.tensors.items():
        top = root[name]
        need = (tensor.pixels + (name in overhang)) | 1
        plane[top] = max(plane.get(top, 0), need)
        if name == top:
            planes[top] = word_planes(tensor, config)
    constraints = BankConstraints()
    for kernel in lowered.kernels.values():
        firsts[kernel.first] = late.get(kernel.first, START)
    for index, op in enumerate(lowered.operations):
        if op.dst is not None:
            firsts[root[op.dst]] = min(firsts.get(root[op.dst], FOREVER), index)
        read = [op.src]
        if isinstance(op, ConvOp) and op.residual is not None:
            read.append(op.residual)
            constraints.apart(root[op.src], root[op.residual])
        for name in read:
            lasts[root[name]] = max(lasts.get(root[name], index), index)
    names = sorted(set(root.values()))
    groups = constraints.groups(names)
    requests = [
        Request(name, _even(planes[name] * plane[name]), firsts[name],
                max(lasts.get(name, firsts[name]), firsts[name]), *groups[name])
        for name in names if name in firsts
    ]
    found = allocate(requests, 2, config.act_words)
    if found.peak > config.act_words:
        largest = max(requests, key=lambda r: r.words)
        raise HwgenError(
            f"activation memory: needs {found.peak} words of {config.p_i} bytes per bank, the configuration has "
            f"{config.act_words} (short by {found.peak - config.act_words})", where="config.act_words",
            hint=f"the largest tensor, {largest.name}, takes {largest.words} words; a board with more on-chip memory "
                 "or a smaller input",
        )
    bases = {name: home.bank * config.act_words + home.offset for name, home in found.homes.items()}
    places = {}
    for name in lowered.tensors:
        if root[name] in bases:
            block = _block_of(name, lowered)
            places[name] = Place(bases[root[name]] + block * plane[root[name]], plane[root[name]])
    return MemoryPlan(places, found.used, config.act_words)


def _block_of(name: str, lowered: Lowered) -> int:
    """First channel block of a tensor within the memory of its root."""
    for whole, parts in lowered.joins.items():
        if name in parts:
            before = sum(lowered.tensors[p].layout.blocks for p in parts[:parts.index(name)])
            return before + _block_of(whole, lowered)
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
