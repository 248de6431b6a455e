"""How much activation memory a network needs: the compiler's allocator on tensor sizes."""

from __future__ import annotations

from functools import lru_cache

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.banks import BankConstraints
from hwgen.cost.lives import tensor_lives
from hwgen.cost.work import NetworkWork, Work
from hwgen.ir.nodes import Shape


def activation_words(network: NetworkWork, p_i: int) -> int:
    """Words of ``p_i`` bytes per bank that hold all live tensors."""
    return _words(network.works, network.input_shape, p_i)


@lru_cache(maxsize=16)
def _words(works: tuple[Work, ...], input_shape: Shape, p_i: int) -> int:
    # asked again for every choice of variants, which leaves ``works`` alone
    network = NetworkWork(name="", works=works, variants={}, input_shape=input_shape, output_values=0, macs=0)
    lives, constraints = tensor_lives(network, p_i), BankConstraints()
    for work in network.works:
        if len(work.reads) > 1:
            constraints.apart(work.reads[0], work.reads[1])
    sizes, first, last = lives.words, lives.first, lives.last
    groups = constraints.groups(sizes)
    requests = [Request(name, size + size % 2, first[name], last.get(name, 1 << 30), *groups[name])
                for name, size in sizes.items()]
    peak = allocate(requests, 2, 0, tries=0).peak
    smaller = 1 << (peak - 1).bit_length() - 1  # banks have a power of two words: look closer where one is near
    return allocate(requests, 2, smaller, tries=40).peak if peak <= 1.25 * smaller else peak
