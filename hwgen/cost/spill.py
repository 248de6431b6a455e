"""What feature maps cost that do not fit into activation memory: bytes that cross the memory ports, by operation.

A short form of ``hwgen.compiler.storage``: sizes and lifetimes only, no addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.cost.lives import Lives, tensor_lives
from hwgen.cost.work import NetworkWork, Work

#: share of the memory that the allocator fills in practice
FILLED = 0.9
#: rows of a strip that the buffers of an operation hold at least, for good overlap
STRIP_ROWS = 4
#: rows of the input that come twice, per strip of about this many rows
HALO_ROWS = 14


@dataclass(frozen=True)
class Spill:
    """Traffic of a network.

    Args:
        bytes: operation (by name) -> what comes and goes while it runs.
        transfers: loads and stores of strips.
        input_in_strips: the frame's input, too, does not fit on the chip.
        possible: the smallest strips of every operation do.
    """

    bytes: dict[str, float]
    transfers: int
    input_in_strips: bool
    possible: bool = True

    @property
    def total(self) -> float:
        """Bytes of a frame."""
        return sum(self.bytes.values())


#: a network that fits
NOTHING = Spill({}, 0, input_in_strips=False)


def spill(network: NetworkWork, p_i: int, act_words: int) -> Spill:
    """Traffic of ``network``, which does not fit, with two banks of ``act_words`` words of ``p_i`` bytes."""
    lives = tensor_lives(network, p_i)
    limit = FILLED * 2 * act_words
    spilled = {name for name, words in lives.words.items() if words > act_words}
    count = len(network.works)
    if not spilled and all(_live(lives, spilled, i) <= limit for i in range(count)):
        return NOTHING
    while True:
        over = [i for i, work in enumerate(network.works)
                if _live(lives, spilled, i) + _buffers(work, spilled, p_i) > limit]
        alive = {name for name in lives.words if name not in spilled
                 and any(lives.first[name] <= i <= lives.last.get(name, lives.first[name]) for i in over)}
        if not alive:
            break
        spilled.add(max(sorted(alive), key=lambda n: lives.words[n] / _price(lives, n)))
    moved: dict[str, float] = {}
    transfers = 0
    for work in network.works:
        size = 0.0
        if work.reads and work.reads[0] in spilled:
            halo = max(0, work.kernel[0] - work.stride[0]) / HALO_ROWS
            size += lives.words[work.reads[0]] * p_i * (1 + (0 if work.from_input else halo))
        size += sum(lives.words[name] * p_i for name in work.reads[1:] if name in spilled)
        if work.writes in spilled:
            size += lives.words[work.writes] * p_i
        if size:
            moved[work.name] = moved.get(work.name, 0.0) + size
            transfers += 3 * max(4, -(-work.size_out[0] // STRIP_ROWS))
    possible = all(_least(work, spilled, p_i) <= act_words for work in network.works)
    return Spill(moved, transfers, lives.source in spilled, possible)


def _live(lives: Lives, spilled: set[str], index: int) -> int:
    return sum(words for name, words in lives.words.items() if name not in spilled
               and lives.first[name] <= index <= lives.last.get(name, lives.first[name]))


def _least(work: Work, spilled: set[str], p_i: int) -> int:
    """Words of the input rows of one output row, which must lie in one bank."""
    if not work.reads or work.reads[0] not in spilled:
        return 0
    if work.from_input:  # folded, or few channels
        return work.size_out[1] * -(-work.channels_in * work.kernel[0] * work.kernel[1] // p_i)
    planes = 2 if work.pool else -(-work.channels_in // p_i)
    return min(work.kernel[0], work.size_in[0]) * work.size_in[1] * planes


def _buffers(work: Work, spilled: set[str], p_i: int) -> int:
    """Words of two strips of every operand that is not on the chip."""
    rows = min(STRIP_ROWS, work.size_out[0])
    planes_in, planes_out = -(-work.channels_in // p_i), -(-work.channels_out // p_i)
    words = 0
    if work.reads and work.reads[0] in spilled:
        read = min(work.size_in[0], rows * work.stride[0] + work.kernel[0])
        words += read * work.size_in[1] * planes_in
    for name in (*work.reads[1:], work.writes):
        if name in spilled:
            words += rows * work.size_out[1] * planes_out
    return 2 * words


def _price(lives: Lives, name: str) -> float:
    """Words that cross the ports when it is spilled; the input does so anyway."""
    words = lives.words[name]
    if name == lives.source:
        return max(1.0, words * max(lives.readers.get(name, 1) - 1, 0.05))
    return words * (lives.readers.get(name, 0) + 1.0)
