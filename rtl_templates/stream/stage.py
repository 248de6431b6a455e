"""One layer: window, steps, results."""

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.config.pipeline import StageConfig, StageKind
from hwgen.stream.layout import RECORD_BYTES, RECORD_FIELDS, StageLines, weight_cuts
from rtl_templates.engine.delay import delay
from rtl_templates.stream.columns import ColumnSource
from rtl_templates.stream.line_store import LineStore, Piece, write_layout
from rtl_templates.stream.parts import PartSource
from rtl_templates.stream.results import Results, pixel_bits
from rtl_templates.stream.step_array import StepArray
from rtl_templates.stream.timing import SELECT
from rtl_templates.stream.windows import WindowSource


def weight_pieces(config: AcceleratorConfig, stage: StageConfig) -> list[Piece]:
    """The memories of a weight word."""
    return [Piece(cut.chunk, ((8 * (cut.first - cut.chunk * config.line_bytes), 8 * (cut.end - cut.first)),),
                  cut.position) for cut in weight_cuts(stage, config)]


def record_pieces(config: AcceleratorConfig, stage: StageConfig) -> list[Piece]:
    """``lanes`` records, without the bits that nobody uses."""
    per_line = config.line_bytes // RECORD_BYTES
    return [Piece(first // per_line, tuple((8 * RECORD_BYTES * (lane - first) + at, width)
                                           for lane in range(first, min(first + per_line, stage.lanes))
                                           for at, width in RECORD_FIELDS))
            for first in range(0, stage.lanes, per_line)]


class Stage(wiring.Component):
    """An output starts when its window is there, its result has room, and its residual is there; nothing stalls behind.

    Members:
        i: In(stream of pixels); residual: In(stream of pixels of the result's size).
        o: Out(stream of pixels).
        write: In(write_layout), lines of the weight stream; passed: Out(write_layout), the same a cycle later.
        busy, starved, blocked: Out(1), in this cycle a step is issued; waits for a window; for room or the residual.
    """

    def __init__(self, *, config: AcceleratorConfig, stage: StageConfig, lines: StageLines) -> None:
        self.config, self.stage, self.lines = config, stage, lines
        self.array = StepArray(config=config, stage=stage)
        self.results = Results(config=config, stage=stage)
        super().__init__({
            "i": In(stream.Signature(stage.channels * 8)), "o": Out(stream.Signature(pixel_bits(stage))),
            "write": In(write_layout(config)), "passed": Out(write_layout(config)),
            "busy": Out(1), "starved": Out(1), "blocked": Out(1),
            **({"residual": In(stream.Signature(stage.out_channels * 8))} if stage.residual else {}),
        })

    def parts(self) -> dict[str, Callable[[], wiring.Component]]:
        """What is placed by name: how to make it."""
        return {**self.array.parts(), **self.results.parts()}

    def submodules(self) -> dict[str, wiring.Component]:
        """Components that are placed by name and must be converted to Verilog beside this one."""
        return {name: make() for name, make in self.parts().items()}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, stage, lines = self.config, self.stage, self.lines
        m.submodules.array = array = self.array
        m.submodules.results = results = self.results
        m.d.sync += self.passed.eq(self.write)

        window = self._window(m)
        active, held = Signal(), Signal(len(window.payload))
        slice_, block = Signal(range(max(2, stage.slices))), Signal(range(max(2, stage.blocks)))
        pixel = Signal(range(max(2, stage.pixels_per_output)))
        word = Signal(range(max(2, stage.depth)))
        room, there, go, issue = Signal(), Signal(), Signal(), Signal()
        starting, ending = Signal(), Signal()
        first_pixel, last_pixel = pixel == 0, pixel == stage.pixels_per_output - 1
        last_slice, last_block = slice_ == stage.slices - 1, block == stage.blocks - 1
        m.d.comb += [
            starting.eq(first_pixel & (slice_ == 0) & (block == 0)),
            # a window of one block's channels ends with that block
            ending.eq(last_slice & (1 if stage.serial else last_block)),
            go.eq(~starting | (room & there)), issue.eq(active & go),
            window.ready.eq(~active | (issue & ending)),
            self.busy.eq(issue), self.starved.eq(~active), self.blocked.eq(active & ~go),
        ]
        with m.If(window.ready):
            m.d.sync += [active.eq(window.valid), held.eq(window.payload)]
        with m.If(issue):
            m.d.sync += [slice_.eq(Mux(last_slice, 0, slice_ + 1)), word.eq(Mux(word == stage.depth - 1, 0, word + 1))]
            with m.If(last_slice):
                m.d.sync += block.eq(Mux(last_block, 0, block + 1))
            with m.If(ending):
                m.d.sync += pixel.eq(Mux(last_pixel, 0, pixel + 1))

        # ---- values of the step, and its weights
        chosen = Signal(len(array.x))
        self._choose(m, held, chosen, slice_, block)
        m.d.comb += array.x.eq(delay(m, chosen, SELECT - 1, "values"))
        if lines.weight_words:
            m.submodules.weights = weights = LineStore(
                config=config, base=lines.base, words=lines.weight_words, chunks=lines.weight_chunks,
                pieces=weight_pieces(config, stage), borrow=array.packing is not DspPacking.NONE)
            m.d.comb += [weights.write.eq(self.write), weights.address.eq(delay(m, word, SELECT - 1, "word")),
                         array.weights.eq(weights.data)]

        # ---- results
        late = SELECT + array.latency
        m.d.comb += [
            results.valid.eq(delay(m, issue, late, "issue")),
            results.first.eq(delay(m, first_pixel & (slice_ == 0), late, "first")),
            results.last.eq(delay(m, last_pixel & last_slice, late, "last")),
            results.block.eq(delay(m, block, late, "block")), results.results.eq(array.results),
        ]
        if lines.record_words:
            m.submodules.records = records = LineStore(
                config=config, base=lines.record_base, words=lines.record_words, chunks=lines.record_chunks,
                pieces=record_pieces(config, stage))
            m.d.comb += [records.write.eq(self.write), records.address.eq(results.record),
                         results.records.eq(records.data)]

        # ---- the queue in front of the readers has room for everything that was started
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=pixel_bits(stage), depth=stage.queue)
        free = Signal(range(stage.queue + 1), init=stage.queue)
        started, left = Signal(), Signal()
        m.d.comb += [
            queue.w_data.eq(results.pixel), queue.w_en.eq(results.pixel_valid),
            self.o.payload.eq(queue.r_data), self.o.valid.eq(queue.r_rdy), queue.r_en.eq(self.o.ready),
            started.eq(issue & starting), left.eq(self.o.valid & self.o.ready), room.eq(free != 0),
        ]
        m.d.sync += free.eq(free + left - started)
        if not stage.residual:
            m.d.comb += there.eq(1)
            return m
        m.submodules.residuals = residuals = fifo.SyncFIFOBuffered(width=stage.out_channels * 8,
                                                                   depth=stage.residual_queue)
        ahead = Signal(range(stage.residual_queue + 1))
        arrived = Signal()
        m.d.comb += [
            residuals.w_data.eq(self.residual.payload), residuals.w_en.eq(self.residual.valid),
            self.residual.ready.eq(residuals.w_rdy), arrived.eq(self.residual.valid & self.residual.ready),
            results.residual.payload.eq(residuals.r_data), results.residual.valid.eq(residuals.r_rdy),
            residuals.r_en.eq(results.residual.ready), there.eq(ahead != 0),
        ]
        m.d.sync += ahead.eq(ahead + arrived - started)
        return m

    def _window(self, m: Module) -> stream.Interface:
        """The windows' stream (serial: their parts'); whole: the pixels'."""
        stage, source = self.stage, self.i
        if stage.whole:
            return source
        if stage.serial:
            m.submodules.parts = parts = PartSource(stage=stage)
            m.d.comb += [parts.i.payload.eq(source.payload), parts.i.valid.eq(source.valid),
                         source.ready.eq(parts.i.ready)]
            source = parts.o
        if stage.kernel[0] > 1 or stage.stride[0] > 1:
            m.submodules.columns = columns = ColumnSource(stage=stage)
            m.submodules.column_queue = queue = fifo.SyncFIFOBuffered(width=len(columns.o.payload),
                                                                      depth=stage.columns)
            m.d.comb += [
                columns.i.payload.eq(source.payload), columns.i.valid.eq(source.valid),
                source.ready.eq(columns.i.ready),
                queue.w_data.eq(columns.o.payload), queue.w_en.eq(columns.o.valid), columns.o.ready.eq(queue.w_rdy),
            ]
            source = stream.Signature(len(columns.o.payload)).create(path=("queued",))
            m.d.comb += [source.payload.eq(queue.r_data), source.valid.eq(queue.r_rdy), queue.r_en.eq(source.ready)]
        if stage.kernel[1] > 1 or stage.stride[1] > 1:
            m.submodules.windows = windows = WindowSource(stage=stage)
            m.d.comb += [windows.i.payload.eq(source.payload), windows.i.valid.eq(source.valid),
                         source.ready.eq(windows.i.ready)]
            source = windows.o
        return source

    def _choose(self, m: Module, window: Signal, chosen: Signal, slice_: Signal, block: Signal) -> None:
        """Values of a step out of the window, a cycle later; none (zero, the smallest) behind its end."""
        stage = self.stage
        outside = Const(0x80 if stage.kind is StageKind.MAXIMUM else 0, 8)

        def value(number: int, channel: int) -> object:
            place = stage.value_place(number, channel)
            return outside if place is None else window.word_select(place, 8)

        def values(at_slice: int, at_block: int) -> Cat:
            numbers = range(at_slice * stage.simd, (at_slice + 1) * stage.simd)
            if stage.kind.per_channel:
                return Cat(*(value(n, at_block * stage.pe + p) for p in range(stage.pe) for n in numbers))
            return Cat(*(value(n, 0) for n in numbers))

        with m.Switch(slice_):
            for at_slice in range(stage.slices):
                with m.Case(at_slice):
                    if stage.serial or not stage.kind.per_channel:
                        m.d.sync += chosen.eq(values(at_slice, 0))
                        continue
                    with m.Switch(block):
                        for at_block in range(stage.blocks):
                            with m.Case(at_block):
                                m.d.sync += chosen.eq(values(at_slice, at_block))
