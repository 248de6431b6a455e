"""What feature maps cost that do not fit into activation memory: bytes that cross the memory ports, by operation.

A short form of ``hwgen.compiler.storage``: sizes and lifetimes only, no addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.cost.lives import Lives, folded_words, tensor_lives
from hwgen.cost.work import NetworkWork, Work

#: share of the memory that the allocator fills in practice
FILLED = 0.9
#: rows of a strip that the buffers of an operation hold at least, for good overlap
STRIP_ROWS = 4
#: numbers of strips (and one for every row)
COUNTS = (1, 2, 3, 4, 5, 7, 8, 10, 14, 19, 28, 56)
#: strips that an operation is cut into at least, so that transfers and computation overlap
LEAST = 3


@dataclass(frozen=True, kw_only=True)
class Strips:
    """How an operation runs that reads or writes maps which are not on the chip.

    Args:
        count: strips.
        loads, stores: words that come and go.
        planes_in, planes_out: transfers' planes, over all strips; rows_in, rows_out: rows of these planes.
    """

    count: int
    loads: float
    stores: float
    planes_in: int
    planes_out: int
    rows_in: int = 0
    rows_out: int = 0


@dataclass(frozen=True)
class Spill:
    """Traffic of a network.

    Args:
        strips: operation (by name) -> how it runs.
        word: bytes of a word.
        input_in_strips: the frame's input, too, does not fit on the chip.
        possible: the smallest strips of every operation do.
    """

    strips: dict[str, Strips]
    word: int
    input_in_strips: bool
    possible: bool = True

    @property
    def total(self) -> float:
        """Bytes of a frame."""
        return self.word * sum(one.loads + one.stores for one in self.strips.values())

    @property
    def rows(self) -> int:
        """Rows of planes that come and go; where feature maps are protected, each has a tag."""
        return sum(one.rows_in + one.rows_out for one in self.strips.values())

    @property
    def transfers(self) -> int:
        """Loads and stores."""
        return sum(one.count * ((one.loads > 0) + (one.stores > 0)) for one in self.strips.values())


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
    strips = {work.name: _strips(work, spilled, p_i, limit - _live(lives, spilled, index))
              for index, work in enumerate(network.works) if spilled & {*work.reads, work.writes}}
    possible = all(_least(work, spilled, p_i) <= act_words for work in network.works)
    return Spill(strips, p_i, lives.source in spilled, possible)


def _strips(work: Work, spilled: set[str], p_i: int, room: float) -> Strips:
    """The fewest strips whose buffers, two for every operand, fit into ``room`` words."""
    height, width = work.size_out
    planes_in = -(-work.channels_in // p_i)
    kernel, stride, width_in = work.kernel[0], work.stride[0], work.size_in[1]
    if folded_words(work, p_i):
        planes_in, kernel, stride, width_in = -(-work.channels_in * work.kernel[0] * work.kernel[1] // p_i), 1, 1, width
    planes_out = -(-work.channels_out // p_i)
    source = bool(work.reads) and work.reads[0] in spilled
    residual, target = any(name in spilled for name in work.reads[1:]), work.writes in spilled
    high = height if kernel == 1 and stride == 1 else work.size_in[0]

    def sizes(count: int) -> tuple[int, int]:
        rows = -(-height // count)
        return min(high, (rows - 1) * stride + kernel) * width_in * planes_in, rows * width * planes_out

    counts = [n for n in (*COUNTS, height) if n <= height and n >= min(LEAST, height)]
    count = counts[-1]
    for one in counts:
        inside, outside = sizes(one)
        if 2 * (inside * source + outside * (residual + target)) <= room:
            count = one
            break
    rows_in = high + (count - 1) * max(0, kernel - stride)
    return Strips(
        count=count, loads=float(rows_in * width_in * planes_in * source + height * width * planes_out * residual),
        stores=float(height * width * planes_out * target),
        planes_in=count * (planes_in * source + planes_out * residual), planes_out=count * planes_out * target,
        rows_in=rows_in * planes_in * source + height * planes_out * residual, rows_out=height * planes_out * target)


def _live(lives: Lives, spilled: set[str], index: int) -> int:
    return sum(words for name, words in lives.words.items() if name not in spilled
               and lives.first[name] <= index <= lives.last.get(name, lives.first[name]))


def _least(work: Work, spilled: set[str], p_i: int) -> int:
    """Words of the input rows of one output row, which must lie in one bank."""
    if not work.reads or work.reads[0] not in spilled:
        return 0
    if folded_words(work, p_i):
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
