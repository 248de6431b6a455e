"""Results of the window unit on their way to activation memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS
from rtl_templates.engine.timing import window_results
from rtl_templates.engine.window_tags import destination_layout


class WindowResults(wiring.Component):
    """A queue of addresses, which are known early, and one of words; both leave together.

    Nothing is lost as long as no more than ``timing.window_results`` addresses have come without a ``taken``.

    Members:
        destination_valid: In(1), destination: In(destination_layout), in the order of the results.
        word_valid: In(1), word: In(p_i*8).
        write: stream Out {addr, data}.
        taken: Out(1), pulse: a result has been written; landed: Out(1), pulse: one with ``last`` has.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        word = config.p_i * 8
        super().__init__({
            "destination_valid": In(1), "destination": In(destination_layout()),
            "word_valid": In(1), "word": In(word),
            "write": Out(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS, "data": word}))),
            "taken": Out(1), "landed": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = window_results(self.config)
        read_at, destination_at, word_at = (Signal(range(depth), name=f"{name}_at")
                                            for name in ("read", "destination", "word"))
        level, some = Signal(range(depth + 1)), Signal()
        leaving = Signal()

        def queue(name: str, value: Signal, write: Signal, write_at: Signal) -> Signal:
            rows = memory.Memory(shape=len(value), depth=depth, init=[], attrs={"ram_style": "distributed"})
            m.submodules[name] = rows
            put, get = rows.write_port(), rows.read_port(domain="comb")
            m.d.comb += [put.addr.eq(write_at), put.data.eq(value), put.en.eq(write), get.addr.eq(read_at)]
            with m.If(write):
                m.d.sync += write_at.eq(write_at + 1)
            return get.data

        destination = destination_layout()(
            queue("destinations", self.destination.as_value(), self.destination_valid, destination_at))
        word = queue("words", self.word, self.word_valid, word_at)
        last = Signal()
        m.d.comb += leaving.eq(some & (~self.write.valid | self.write.ready))
        with m.If(self.word_valid & ~leaving):
            m.d.sync += [level.eq(level + 1), some.eq(1)]
        with m.Elif(leaving & ~self.word_valid):
            m.d.sync += [level.eq(level - 1), some.eq(level != 1)]
        with m.If(self.write.ready):
            m.d.sync += self.write.valid.eq(0)
        with m.If(leaving):
            m.d.sync += [
                self.write.valid.eq(1), self.write.p.addr.eq(destination.addr), self.write.p.data.eq(word),
                last.eq(destination.last), read_at.eq(read_at + 1),
            ]
        gone = self.write.valid & self.write.ready
        m.d.sync += [self.taken.eq(leaving), self.landed.eq(gone & last)]
        return m
