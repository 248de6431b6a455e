"""The weight stream: positions of every batch in the ring, and what a load run is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.emit import Batch
from hwgen.compiler.options import CompileOptions
from hwgen.compiler.strips import RingBudget
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.isa.layout import ComputeFlag, LoadKind


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one load descriptor fetches from the image.

    Args:
        kind, flags, segment_log2, dest, wait_progress, wait_store: as in the load descriptor.
        payload: plaintext, a multiple of 16 bytes.
        offset: first beat's distance from the image address, in beats.
        index: segment index of the first segment.
        nodes: graph nodes whose weights it carries.
    """

    kind: LoadKind
    flags: int
    segment_log2: int
    payload: bytes
    dest: int = 0
    wait_progress: int = 0
    wait_store: int = 0
    offset: int = 0
    index: int = 0
    nodes: tuple[str, ...] = ()

    @property
    def beats(self) -> int:
        """Payload in 16-byte beats."""
        return len(self.payload) // 16

    @property
    def segments(self) -> int:
        """Number of segments."""
        return -(-self.beats // (1 << self.segment_log2))

    @property
    def stored_beats(self) -> int:
        """Payload and tags."""
        return self.beats + self.segments

    def chunks(self) -> list[bytes]:
        """Payload of every segment."""
        size = 16 << self.segment_log2
        return [self.payload[i:i + size] for i in range(0, len(self.payload), size)]


@dataclass(frozen=True)
class Ring:
    """Division of weight memory and of the transfers into it."""

    lines: int
    segment_log2: int
    segment_lines: int

    @property
    def budget(self) -> RingBudget:
        """What descriptors that share weights may keep."""
        most = self.lines - 2 * self.segment_lines
        return RingBudget(max(1, most // 2), most)


def plan_ring(config: AcceleratorConfig, local_lines: int, options: CompileOptions) -> Ring:
    """Ring behind which ``local_lines`` lines are for reconstructed kernels.

    Raises:
        HwgenError: nothing useful is left.
    """
    lines = config.weight_lines - local_lines - local_lines % 2
    line_beats = config.line_bytes // 16
    log2 = options.segment_log2
    while log2 > 0 and (1 << log2) // line_beats > max(1, lines // 8):
        log2 -= 1
    log2 = max(log2, line_beats.bit_length() - 1)
    segment_lines = (1 << log2) // line_beats
    if lines < config.lines_per_tile + config.param_lines + 2 * segment_lines:
        raise HwgenError(
            f"weight memory: reconstructed kernels take {local_lines} of {config.weight_lines} lines, too few are left",
            where="config.weight_lines",
        )
    return Ring(lines, log2, segment_lines)


def place_batches(batches: Sequence[Batch], ring: Ring) -> tuple[list[list[Descriptor]], list[tuple[int, int]]]:
    """Descriptors of every batch with stream positions and RELEASE flags, and its (first, end) line in the stream.

    Raises:
        HwgenError: a batch would wait for lines that only it can free.
    """
    out, spans, at = [], [], 0
    for batch in batches:
        placed: list[Descriptor] = []
        lines = batch.descriptors[0].lines
        end = at + lines * batch.blocks
        for position, d in enumerate(batch.descriptors):
            flags = d.flags
            if position == len(batch.descriptors) - 1:
                flags = flags | {ComputeFlag.RELEASE}
            placed.append(replace(d, weight_seq=at, weight_line=at % ring.lines, flags=flags))
        if len(batch.descriptors) > 1 and end - at + ring.segment_lines > ring.lines:
            raise HwgenError(
                f"{end - at} lines of weights are shared by tiles, the ring has {ring.lines} lines",
                where=batch.descriptors[0].node, hint="a configuration with more weight_lines",
            )
        out.append(placed)
        spans.append((at, end))
        at = end
    return out, spans
