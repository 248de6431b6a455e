"""Operations of a network in order, and the weights that stream through the ring for them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

#: pieces in which an operation is followed whose weights are more than an eighth of the ring
STREAM_PIECES = 4
#: operations whose segments' headers a channel has before their data
KNOWN_AHEAD = 4
#: configurations that are followed at once, few enough to stay in a processor's cache
CHUNK = 2048


@dataclass(frozen=True)
class Sequence:
    """Operations in order: cycles, weight lines, slots of the last step, descriptors; [operations, configurations].
    ``encrypted`` [operations]: their weights are stored encrypted."""

    cycles: np.ndarray
    lines: np.ndarray
    last: np.ndarray
    descriptors: np.ndarray
    encrypted: np.ndarray

    def pieces(self, lines: float) -> Sequence:
        """Operations with more than ``lines`` weight lines on some configuration in ``STREAM_PIECES`` equal pieces."""
        parts = np.where(self.lines.max(axis=1, initial=0) > lines, STREAM_PIECES, 1)
        ends = np.cumsum(parts) - 1
        cycles, own, descriptors = (np.repeat(a / parts[:, None], parts, axis=0)
                                    for a in (self.cycles, self.lines, self.descriptors))
        last = np.zeros_like(cycles)
        last[ends] = self.last
        return Sequence(cycles, own, last, descriptors, np.repeat(self.encrypted, parts))

    def take(self, row: np.ndarray) -> Sequence:
        """The columns at ``row``."""
        return Sequence(self.cycles[:, row], self.lines[:, row], self.last[:, row], self.descriptors[:, row],
                        self.encrypted)


@dataclass(frozen=True, kw_only=True)
class WeightStream:
    """How the weights come; [N] each.

    Args:
        shape: number of each configuration's shape: those of one shape differ in their weight memory alone.
        ring: lines of the ring; per_line: cycles that the transfer of a line takes; per_secret_line: that the cipher
            takes for one that is encrypted; keystream: for all the key stream that its queue holds.
        begin: cycle in which the first operation may start; load: in which the first line is there.
    """

    shape: np.ndarray
    ring: np.ndarray
    per_line: np.ndarray
    per_secret_line: np.ndarray
    keystream: np.ndarray
    begin: np.ndarray
    load: np.ndarray

    def take(self, row: np.ndarray) -> WeightStream:
        """The configurations at ``row``."""
        return WeightStream(**{f.name: getattr(self, f.name)[row] for f in fields(self)})


def flow(sequence: Sequence, stream: WeightStream) -> np.ndarray:
    """Cycle in which the last operation ends when its weights stream through the ring.

    An operation ends when it has been computed and its last weights have come; the weights of line n come once line
    n - ring has been used. Within an operation, use is taken as linear in time.
    """
    streaming = sequence.lines.sum(axis=0) > stream.ring
    out = np.empty(len(stream.ring))
    # where all weights fit, the ring makes no difference
    fitting = np.flatnonzero(~streaming)
    _, firsts, same = np.unique(stream.shape[fitting], return_index=True, return_inverse=True)
    for streams, every in ((True, np.flatnonzero(streaming)), (False, fitting[firsts])):
        for first in range(0, every.size, CHUNK):
            part = every[first:first + CHUNK]
            own = sequence.take(part)
            own = own.pieces(stream.ring[every].min() / 8) if streams else own
            out[part] = _play(own, stream.take(part))
    out[fitting] = out[fitting[firsts]][same]
    return out


def _play(sequence: Sequence, stream: WeightStream) -> np.ndarray:
    """``flow`` where the weights of all configurations fit into the ring, or those of none."""
    ring = stream.ring
    count, rows = len(sequence.cycles), np.arange(len(ring))
    end, loaded = stream.begin, stream.load
    used = np.cumsum(sequence.lines, axis=0)
    transfer, secret = sequence.lines * stream.per_line, sequence.lines * stream.per_secret_line
    ends_of_loads: list[np.ndarray] = []  # of the last operations
    cipher = np.zeros(len(ring))  # is done
    streams = bool((used[-1] > ring).any())
    starts, ends = (np.empty((count, len(ring))) if streams else None for _ in range(2))
    pointer = np.zeros(len(ring), np.int64)  # operation whose end makes room
    room: np.ndarray | float = 0.0
    for k in range(count):
        before = room  # when there was room for all earlier weights, and so for the first of these
        need = used[k] - ring
        if starts is not None and ends is not None and k and bool((need > 0).any()):
            while True:
                behind = (used[pointer, rows] < need) & (pointer < k - 1)
                if not behind.any():
                    break
                pointer += behind
            own = np.maximum(sequence.lines[pointer, rows], 1)
            share = np.clip(1 - (used[pointer, rows] - need) / own, 0, 1)
            when = starts[pointer, rows] + share * (ends[pointer, rows] - starts[pointer, rows])
            room = np.where(need > 0, when, 0.0)
        first = np.maximum(loaded, before)
        loaded = first + transfer[k]
        if sequence.encrypted[k]:  # key stream has been made since the header was known, as far as there is room
            known = np.maximum(cipher, ends_of_loads[0] if len(ends_of_loads) == KNOWN_AHEAD else stream.load)
            loaded = first + np.maximum(transfer[k], secret[k] - np.clip(first - known, 0, stream.keystream))
            cipher = np.maximum(known + secret[k], first + secret[k] - stream.keystream)
        loaded = np.maximum(loaded, room)
        ends_of_loads = [*ends_of_loads[1 - KNOWN_AHEAD:], loaded]
        arrived = np.where(sequence.lines[k] > 0, loaded + sequence.last[k], 0.0)
        begin_k, end = end, np.maximum(end + sequence.cycles[k], arrived)
        if starts is not None and ends is not None:
            starts[k], ends[k] = begin_k, end
    return end
