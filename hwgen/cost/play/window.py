"""The window unit, which runs its descriptors beside the array."""

from __future__ import annotations

from hwgen.cost.play.compute import Span
from hwgen.cost.play.events import Process
from hwgen.cost.play.frame import Frame
from hwgen.isa.layout import Opcode


def window_words(counts: tuple[int, ...], numbers: tuple[int, int, int, int]) -> int:
    """Words that pass the unit: all of the map, and as many more as the last output's last tap lies behind it.

    Args:
        counts: of the loops: input x, input y, output x, output y, 1, channel blocks.
        numbers: of the last tap of the first output, and its distance per output column, row and block.
    """
    base, step_x, step_y, step_o = numbers
    _, _, out_x, out_y, _, blocks = counts
    last = base + (out_x - 1) * step_x + (out_y - 1) * step_y + (blocks - 1) * step_o
    return max(counts[0] * counts[1] * blocks, last + 1)


class WindowUnit:
    """One descriptor after the other; the activation memory is taken to serve it and the array together."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.spans: dict[int, Span] = {}

    def run(self) -> Process:
        """All descriptors of the unit."""
        frame, c = self._frame, self._frame.constants
        lines, free, turn = 0, 0.0, 0
        for number, d in enumerate(frame.network.descriptors):
            if d.opcode not in (Opcode.WINDOW_CONV, Opcode.WINDOW_MAX):
                continue
            turn += 1
            yield frame.window_handed.reaches(turn)
            earliest = max(free, frame.window_times[number] + c.dispatch)
            for count, value in ((frame.landed, d.wait_act), (frame.stored, d.wait_store),
                                 (frame.progress, d.wait_progress)):
                if value:
                    if count.value < value:
                        yield count.reaches(value)
                    earliest = max(earliest, (count.time(value) or 0.0) + c.wait)
            total = window_words(d.counts, (d.res[0], d.res[1], d.res[2], d.res[3]))
            per_block = d.counts[0] * d.counts[1]
            begun, now, waited = 0.0, earliest, 0.0
            for block in range(d.blocks):
                lines += frame.config.window_lines
                if frame.window_lines.value < lines:
                    yield frame.window_lines.reaches(lines)
                begin = max(now, (frame.window_lines.time(lines) or 0.0) + c.wait)
                waited += begin - now
                begun = begin if block == 0 else begun
                frame.clock.at(begin, lambda n=lines: frame.window_taken.reach(n))
                now = begin + (per_block if block < d.blocks - 1 else total - per_block * (d.blocks - 1))
            free = now + c.window
            self.spans[number] = Span(node=d.node, start=begun, end=now, issue=float(total), wait_weights=waited,
                                      wait_other=max(0.0, earliest - free))
            frame.retire(number, free)
