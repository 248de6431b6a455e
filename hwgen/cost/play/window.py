"""The window unit, which runs its descriptors beside the array."""

from __future__ import annotations

from hwgen.cost.play.compute import Span
from hwgen.cost.play.events import Process
from hwgen.cost.play.frame import Frame
from rtl_templates.engine.timing import WINDOW_START, window_latency


class WindowUnit:
    """One descriptor after the other; it reads where the array does not."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.spans: dict[int, Span] = {}

    def run(self) -> Process:
        """All descriptors of the unit."""
        frame, c, config = self._frame, self._frame.constants, self._frame.config
        clock = frame.clock
        lines, free, turn = 0, 0.0, 0
        for number, d in enumerate(frame.network.descriptors):
            if not d.window:
                continue
            turn += 1
            yield frame.window_handed.reaches(turn)
            earliest = max(free, frame.window_times[number] + c.window_queue) + WINDOW_START
            before = free
            for count, value in ((frame.landed, d.wait_act), (frame.stored, d.wait_store),
                                 (frame.progress, d.wait_progress)):
                if value:
                    if count.value < value:
                        yield count.reaches(value)
                    earliest = max(earliest, (count.time(value) or 0.0) + c.wait)
            words = d.counts[0] * d.counts[1]
            begun, now, waited = 0.0, earliest, 0.0
            target = frame.window_banks[frame.bank(d.reads[0].start if d.reads else d.src_base)]
            for block in range(d.blocks):
                lines += config.window_lines
                if frame.window_lines.value < lines:
                    yield frame.window_lines.reaches(lines)
                begin = max(now, (frame.window_lines.time(lines) or 0.0) + c.window_lines)
                waited += begin - now
                begun = begin if block == 0 else begun
                if begin > clock.now:
                    yield clock.until(begin)
                frame.window_taken.reach(lines)
                yield frame.window_memory.transfer(words, target)
                now = clock.now
            # numbers of the last outputs that lie behind the map
            now += d.window_words - words * d.blocks
            free = now + window_latency(config)
            self.spans[number] = Span(node=d.node, start=begun, end=now, issue=float(d.window_words),
                                      wait_weights=waited, wait_other=max(0.0, earliest - before))
            frame.retire(number, free)
