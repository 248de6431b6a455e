"""The load program: runs of the image and strips of feature maps in the order in which they are fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hwgen.compiler.emit import Batch
from hwgen.compiler.operations import Operation
from hwgen.compiler.options import CompileOptions
from hwgen.compiler.schedule import Core, Item, Stream, Weights
from hwgen.compiler.stream import Ring, Run
from hwgen.compiler.transfer import Load
from hwgen.compiler.weights import batch_stream
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import LoadFlag, LoadKind


@dataclass(frozen=True)
class LoadProgram:
    """Runs of the image in payload order (without the program), and the loads: numbers of runs, or strips."""

    runs: list[Run]
    entries: list[int | Load]


def load_program(
    items: Sequence[Item], batches: Sequence[Batch], operations: Sequence[Operation], ring: Ring, *, resident: bool,
    options: CompileOptions, config: AcceleratorConfig, early: int | None, pieces: int,
) -> LoadProgram:
    """Cut the weight stream into runs and put everything in order.

    Args:
        resident: the whole stream stays in the ring between frames.
        early: the weights up to this operation form a run of their own, which comes behind the first piece of the
            input; None: they come behind all of it.
        pieces: loads of the input at the head of ``items``.
    """
    builder = _Builder(batches, operations, ring, resident=resident, options=options, config=config)
    waiting: list[Load] = []

    def release() -> None:
        """The pieces that wait; activation loads are counted, so none may overtake them."""
        builder.loads(waiting)
        waiting.clear()

    for position, item in enumerate(items):
        if isinstance(item, Load):
            if early is not None and 0 < position < pieces:
                waiting.append(item)
            else:
                release()
                builder.load(item)
        elif isinstance(item, Core):
            release()
            builder.run(item.run)
        elif isinstance(item, Stream):
            builder.stream(item)
        elif isinstance(item, Weights):
            if early is not None and batches[item.batch].operation > early:
                early = None
                release()
            builder.weights(batches[item.batch])
    builder.flush()
    release()
    return LoadProgram(builder.runs, builder.entries)


@dataclass
class _Builder:
    """Collects bytes of the weight stream until a run must end."""

    batches: Sequence[Batch]
    operations: Sequence[Operation]
    ring: Ring
    resident: bool = field(kw_only=True)
    options: CompileOptions = field(kw_only=True)
    config: AcceleratorConfig = field(kw_only=True)
    runs: list[Run] = field(default_factory=list)
    entries: list[int | Load] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ramp = [(beats, log2) for beats, log2 in self.options.ramp if log2 < self.ring.segment_log2]
        self._pending: list[bytes] = []
        self._nodes: dict[str, None] = {}
        self._encrypted = False
        self._loaded = 0
        self._streams: dict[int, tuple[int, int]] = {}  # operation -> its runs [first, end)

    def load(self, item: Load) -> None:
        """A strip."""
        self.flush()
        self.entries.append(item)

    def loads(self, items: Sequence[Load]) -> None:
        """Several strips."""
        for item in items:
            self.load(item)

    def run(self, run: Run) -> None:
        """A run that is complete."""
        self.flush()
        self.entries.append(len(self.runs))
        self.runs.append(run)

    def stream(self, item: Stream) -> None:
        """Begin or end of weights that come again, or all of them again."""
        self.flush()
        if item.first:
            first = self._streams.get(item.operation, (len(self.runs), 0))[0]
            self._streams[item.operation] = (first, len(self.runs))
        else:
            self.entries += range(*self._streams[item.operation])

    def weights(self, batch: Batch) -> None:
        """The stream of a batch."""
        if batch.again:
            return
        node = batch.descriptors[0].node
        secret = self.options.encrypt is None or node in self.options.encrypt
        if secret != self._encrypted:
            self.flush()
        self._encrypted = secret
        self._pending.append(batch_stream(batch, self.operations[batch.operation], self.config))
        self._nodes[node] = None

    def flush(self) -> None:
        """End the run."""
        line_beats = self.config.line_bytes // 16
        flags = (1 << LoadFlag.RESIDENT) if self.resident else 0
        data = b"".join(self._pending)
        while data:
            log2, size = self.ring.segment_log2, len(data)
            if self._ramp:
                beats, log2 = self._ramp[0]
                log2 = max(log2, line_beats.bit_length() - 1)
                size = min(size, 16 * (beats - self._loaded))
            self._loaded += size // 16
            if self._ramp and self._loaded >= self._ramp[0][0]:
                self._ramp.pop(0)
                self._loaded = 0
            self.entries.append(len(self.runs))
            self.runs.append(Run(
                kind=LoadKind.WEIGHTS, flags=flags | (int(self._encrypted) << LoadFlag.ENCRYPTED), segment_log2=log2,
                payload=data[:size], nodes=tuple(self._nodes)))
            data = data[size:]
        self._pending.clear()
        self._nodes.clear()
