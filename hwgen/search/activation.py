"""How much activation memory a network needs: the compiler's allocator on tensor sizes."""

from __future__ import annotations

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.banks import BankConstraints
from hwgen.cost.work import NetworkWork


def activation_words(network: NetworkWork, p_i: int) -> int:
    """Words of ``p_i`` bytes per bank that hold all live tensors."""
    channels, height, width = network.input_shape if len(network.input_shape) == 3 else (*network.input_shape, 1, 1)
    sizes: dict[str, int] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    constraints = BankConstraints()
    for index, work in enumerate(network.works):
        if work.writes:
            lanes = 4 * work.channels_out if work.raw else work.channels_out
            sizes[work.writes] = -(-lanes // p_i) * (work.pixels | 1)
            first[work.writes] = index
        for name in work.reads:
            if name not in sizes:  # the network's input, folded or not: the larger of both
                folded = -(-work.channels_in * work.kernel[0] * work.kernel[1] // p_i) * (work.pixels | 1)
                plain = -(-channels // p_i) * (height * width | 1)
                sizes[name], first[name] = max(folded if work.from_input else plain, plain), -1
            last[name] = index
        if len(work.reads) > 1:
            constraints.apart(work.reads[0], work.reads[1])
    groups = constraints.groups(sizes)
    requests = [Request(name, size + size % 2, first[name], last.get(name, 1 << 30), *groups[name])
                for name, size in sizes.items()]
    peak = allocate(requests, 2, 0, tries=0).peak
    smaller = 1 << (peak - 1).bit_length() - 1  # banks have a power of two words: look closer where one is near
    return allocate(requests, 2, smaller, tries=40).peak if peak <= 1.25 * smaller else peak
