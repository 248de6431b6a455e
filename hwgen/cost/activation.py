"""How much activation memory a network needs: the compiler's allocator on tensor sizes."""

from __future__ import annotations

from functools import lru_cache

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.banks import BankConstraints
from hwgen.cost.lives import tensor_lives, window_groups
from hwgen.cost.work import NetworkWork, Work
from hwgen.ir.nodes import Shape

#: orders of the tensors that are tried beyond the allocator's own
TRIES = 100


def activation_words(network: NetworkWork, p_i: int, *, beside: bool = False, buffered: bool = False) -> int:
    """Words of ``p_i`` bytes per bank that hold all live tensors.

    Args:
        beside: there is a window unit whose operations run beside the convolutions around them;
        buffered: what they read from the ones before comes strip by strip in buffers.
    """
    groups = window_groups(network) if beside else ()
    return _words(network.works, network.input_shape, p_i, groups, buffered=buffered)


@lru_cache(maxsize=16)
def _words(
    works: tuple[Work, ...], input_shape: Shape, p_i: int, groups: tuple[tuple[int, ...], ...], *, buffered: bool
) -> int:
    # asked again for every choice of variants, which leaves ``works`` alone
    network = NetworkWork(name="", works=works, variants={}, input_shape=input_shape, output_values=0, macs=0)
    lives, constraints = tensor_lives(network, p_i, groups, buffered=buffered), BankConstraints()
    for work in network.works:
        if len(work.reads) > 1:
            constraints.apart(work.reads[0], work.reads[1])
    sizes, first = lives.words, lives.first
    sides = constraints.groups(sizes)
    requests = [Request(name, size + size % 2, first[name], lives.last[name] if name in lives.readers else 1 << 30,
                        *sides[name]) for name, size in sizes.items()]
    return allocate(requests, 2, 0, tries=TRIES).peak
