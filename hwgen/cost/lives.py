"""Sizes and lifetimes of a network's tensors for words of ``p_i`` bytes, as the compiler's planner will see them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.cost.work import NetworkWork


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


def tensor_lives(network: NetworkWork, p_i: int) -> Lives:
    """Lifetimes in the order of ``network.works``."""
    channels, height, width = network.input_shape if len(network.input_shape) == 3 else (*network.input_shape, 1, 1)
    out = Lives()
    for index, work in enumerate(network.works):
        if work.writes:
            lanes = 4 * work.channels_out if work.raw else work.channels_out
            out.words[work.writes] = -(-lanes // p_i) * (work.pixels | 1)
            out.first[work.writes] = index
        for name in work.reads:
            if name not in out.words:  # the network's input, folded or not: the larger of both
                folded = -(-work.channels_in * work.kernel[0] * work.kernel[1] // p_i) * (work.pixels | 1)
                plain = -(-channels // p_i) * (height * width | 1)
                out.words[name], out.first[name] = max(folded if work.from_input else plain, plain), -1
                out.source = out.source or name
            out.last[name] = index
            out.readers[name] = out.readers.get(name, 0) + 1
    return out
