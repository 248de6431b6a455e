"""The streaming pipeline in the place of the tensor engine: everything between program memory and frame buffers."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import fifo, stream, wiring

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import INPUT
from hwgen.isa.layout import Opcode
from hwgen.stream.layout import stage_lines
from rtl_templates.engine.counters import COUNTERS
from rtl_templates.engine.delay import delay
from rtl_templates.engine.descriptor import compute_layout
from rtl_templates.engine.interface import engine_members
from rtl_templates.stream.fork import Fork
from rtl_templates.stream.line_store import write_layout
from rtl_templates.stream.output_memory import OutputMemory
from rtl_templates.stream.stage import Stage
from rtl_templates.stream.timing import lines_latency

#: words of the input that wait in front of the first stage
INPUT_QUEUE = 64


class StreamEngine(wiring.Component):
    """See docs/architecture.md. Members as of ``TensorEngine``; of the compute program END alone means something.

    Members:
        act_write: words of the input in order (a pixel each, then what fills the last transfer); no addresses.
        act_read, act_data: words of the oldest frame that is complete.
        progress: frames complete since ``clear``.
        weight_loaded: no pixel enters before all lines have been loaded and verified.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        assert config.pipeline is not None
        self.config, self.pipeline = config, config.pipeline
        self.lines = stage_lines(config)
        self.stages = [Stage(config=config, stage=stage, lines=lines)
                       for stage, lines in zip(self.pipeline.stages, self.lines, strict=True)]
        super().__init__(engine_members(config))

    def submodules(self) -> dict[str, wiring.Component]:
        """Components that are placed by name and must be converted to Verilog beside this one."""
        makers = {name: make for stage in self.stages for name, make in stage.parts().items()}
        return {name: make() for name, make in makers.items()}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, stages = self.config, self.stages
        clear = Signal()
        m.d.sync += clear.eq(self.clear)

        # ---- the end of the program; the stores wait for the frames
        opcode = compute_layout()(self.descriptors.payload[:compute_layout().size]).opcode
        m.d.comb += self.descriptors.ready.eq(1)
        with m.If(self.descriptors.valid & (opcode == Opcode.END)):
            m.d.sync += self.finished.eq(1)
        with m.If(clear):
            m.d.sync += self.finished.eq(0)

        # ---- lines go from stage to stage
        write = Signal(write_layout(config))
        m.d.comb += self.weight_write.ready.eq(1)
        m.d.sync += [write.valid.eq(self.weight_write.valid), write.line.eq(self.weight_write.p.line),
                     write.data.eq(self.weight_write.p.data)]
        loaded = Signal()
        m.d.sync += loaded.eq((self.weight_loaded >= self.lines[-1].end) & ~self.clear & ~clear)
        open_ = delay(m, loaded, lines_latency(self.pipeline), "open") & loaded

        # ---- the input
        first = self.pipeline.first
        pixels = first.height * first.width
        words = -(-pixels * config.p_i // 16) * 16 // config.p_i
        arriving = fifo.SyncFIFOBuffered(width=first.channels * 8, depth=INPUT_QUEUE)
        m.submodules.arriving = ResetInserter(clear)(arriving)
        number, filler = Signal(range(max(2, words))), Signal()
        taken = self.act_write.valid & self.act_write.ready
        m.d.comb += [
            filler.eq(number >= pixels), arriving.w_data.eq(self.act_write.p.data[:first.channels * 8]),
            arriving.w_en.eq(self.act_write.valid & ~filler), self.act_write.ready.eq(arriving.w_rdy | filler),
        ]
        with m.If(taken):
            m.d.sync += number.eq(Mux(number == words - 1, 0, number + 1))
        with m.If(clear):
            m.d.sync += number.eq(0)
        source = stream.Signature(first.channels * 8).create(path=("input",))
        m.d.comb += [source.payload.eq(arriving.r_data), source.valid.eq(arriving.r_rdy & open_),
                     arriving.r_en.eq(source.ready & open_)]

        # ---- stages, and who reads whom
        for number_, (stage, config_) in enumerate(zip(stages, self.pipeline.stages, strict=True)):
            m.submodules[f"stage_{number_}_{_identifier(config_.name)}"] = ResetInserter(clear)(stage)
            m.d.comb += stage.write.eq(stages[number_ - 1].passed if number_ else write)
        self._share(m, clear, INPUT, source)
        for stage in stages[:-1]:
            self._share(m, clear, stage.stage.name, stage.o)
        m.submodules.output = ResetInserter(clear)(output := OutputMemory(config=config, stage=self.pipeline.last))
        _connect(m, stages[-1].o, output.i)
        m.d.comb += [
            output.read.payload.eq(self.act_read.payload), output.read.valid.eq(self.act_read.valid),
            self.act_read.ready.eq(output.read.ready), self.act_data.eq(output.data),
        ]
        self._count(m, clear, loaded, output.complete)
        return m

    def _share(self, m: Module, clear: Signal, name: str, source: stream.Interface) -> None:
        """Give a stream to its readers."""
        targets = [self.stages[number].residual if residual else self.stages[number].i
                   for number, residual in self.pipeline.readers(name)]
        if len(targets) > 1:
            fork = Fork(shape=len(source.payload), readers=len(targets))
            m.submodules[f"fork_{_identifier(name)}"] = ResetInserter(clear)(fork)
            _connect(m, source, fork.i)
            for target, branch in zip(targets, fork.o, strict=True):
                _connect(m, branch, target)
        else:
            for target in targets:
                _connect(m, source, target)

    def _count(self, m: Module, clear: Signal, loaded: Signal, complete: Signal) -> None:
        """Progress and counters; the slowest stage's cycles are classed."""
        slowest = self.stages[self.pipeline.stages.index(self.pipeline.slowest)]
        now, since = Signal(32), Signal(32)
        with m.If(complete):
            m.d.sync += [self.progress.eq(self.progress + 1), since.eq(now)]
        counted_now = {
            "busy": slowest.busy, "stall_weights": ~loaded, "stall_act": loaded & slowest.starved,
            "stall_drain": slowest.blocked,
        }
        counting = Signal()
        m.d.comb += counting.eq(~self.clear & ~clear)
        m.d.sync += now.eq(now + 1)
        for name in COUNTERS:
            value = self.counters[name]
            if name in counted_now:
                counted = Signal(name=f"counted_{name}")
                m.d.sync += counted.eq(counted_now[name] & counting)
                m.d.sync += value.eq(value + counted)
        with m.If(complete & (self.progress != 0)):
            m.d.sync += self.counters.interval.eq(now - since)
        with m.If(clear):
            m.d.sync += [self.progress.eq(0), self.counters.eq(0)]


def _connect(m: Module, source: stream.Interface, target: stream.Interface) -> None:
    m.d.comb += [target.payload.eq(source.payload), target.valid.eq(source.valid), source.ready.eq(target.ready)]


def _identifier(name: str) -> str:
    """For names inside the Verilog."""
    return "".join(c if c.isalnum() else "_" for c in name)


__all__ = ["StreamEngine"]
