"""Sizes and lifetimes of a network's tensors for words of ``p_i`` bytes, as the compiler's planner will see them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.cycles import folds_input
from hwgen.cost.work import NetworkWork, Work

#: strips that a window operation is cut into where it reads from buffers
BUFFER_STRIPS = 8


@dataclass
class Lives:
    """Tensor -> words, index of the operation that writes it (-1: the input) and of the last one that reads it.

    ``readers``: how many read it; ``kept``: nobody does, it is the output.
    """

    words: dict[str, int] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    readers: dict[str, int] = field(default_factory=dict)
    source: str = ""


def window_groups(network: NetworkWork) -> tuple[tuple[int, ...], ...]:
    """Operations that can run beside one another if there is a window unit: its own, with the convolutions before and
    behind it (indices into ``network.works``; ``hwgen.compiler.overlap``)."""
    out: list[tuple[int, ...]] = []
    taken: set[int] = set()
    works = network.works

    def plain(index: int) -> bool:
        work = works[index]
        return not work.pool and not work.windowed and work.origin not in network.variants and not work.local

    for index, work in enumerate(works):
        if not work.windowed:
            continue
        members = [index]
        if index and index - 1 not in taken and plain(index - 1) and works[index - 1].writes in work.reads:
            members.insert(0, index - 1)
        if index + 1 < len(works) and plain(index + 1) and works[index + 1].reads[:1] == (work.writes,):
            members.append(index + 1)
        if len(members) > 1 and not work.from_input:
            out.append(tuple(members))
            taken.update(members)
    return tuple(out)


def tensor_lives(
    network: NetworkWork, p_i: int, groups: Collection[tuple[int, ...]] = (), *, buffered: bool = False
) -> Lives:
    """Lifetimes in the order of ``network.works``; the tensors of ``groups`` live as long as their group runs.

    Args:
        buffered: what a window operation reads from the convolution before it takes two buffers for strips.
    """
    begins = {index: min(group) for group in groups for index in group}
    ends = {index: max(group) for group in groups for index in group}
    channels, height, width = network.input_shape if len(network.input_shape) == 3 else (*network.input_shape, 1, 1)
    out = Lives()
    for index, work in enumerate(network.works):
        if work.writes:
            lanes = 4 * work.channels_out if work.raw else work.channels_out
            out.words[work.writes] = -(-lanes // p_i) * (work.pixels + work.size_out[1] % 2 | 1)  # a pair may hang over
            out.first[work.writes] = begins.get(index, index)
            if index in ends:
                out.last[work.writes] = ends[index]
        for name in work.reads:
            if name not in out.words:  # the network's input
                plain = -(-channels // p_i) * (height * width | 1)
                out.words[name], out.first[name] = folded_words(work, p_i) or plain, -1
                out.source = out.source or name
            out.last[name] = max(out.last.get(name, 0), ends.get(index, index))
            out.readers[name] = out.readers.get(name, 0) + 1
    for group in groups if buffered else ():
        window = next(network.works[index] for index in group if network.works[index].windowed)
        name = window.reads[0]
        if network.works[group[0]].writes == name and out.readers[name] == 1:
            out.words[name] = min(out.words[name], _buffer_words(window, p_i))
    return out


def _buffer_words(work: Work, p_i: int) -> int:
    """Words of two buffers for strips of what a window operation reads."""
    rows = (-(-work.size_out[0] // BUFFER_STRIPS) - 1) * work.stride[0] + work.kernel[0]
    return 2 * -(-work.channels_in // p_i) * ((min(rows, work.size_in[0]) * work.size_in[1] + 1) | 1)


def folded_words(work: Work, p_i: int) -> int:
    """Words of the network's input if ``work``, its first convolution, has its taps in the channel lanes; else 0.

    The decision (``hwgen.cost.cycles.folds_input``) hardly depends on more than ``p_i``; here it is made for a wide
    array on two ports.
    """
    if not work.from_input or work.pool or work.groups > 1:
        return 0
    config = AcceleratorConfig(p_i=p_i, p_o=2 * p_i, line_columns=2, axi_ports=2)
    if not folds_input(work, ConfigTable.of([config]))[0]:
        return 0
    return -(-work.channels_in * work.kernel[0] * work.kernel[1] // p_i) * (work.pixels | 1)
