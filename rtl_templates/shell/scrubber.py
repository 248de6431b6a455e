"""Overwrites everything that was loaded into the on-chip memories with zeros."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from rtl_templates.engine.window_unit import window_entries
from rtl_templates.shell.packer import line_layout, word_layout
from rtl_templates.shell.program_memory import write_layout
from rtl_templates.stream.timing import lines_latency


class Scrubber(wiring.Component):
    """Takes max(weight_lines, act_stride + act_words, program_words) cycles, as long as nothing else writes, and in a
    pipeline those that the last line takes to the last stage.

    Members:
        start: In(1), pulse; busy: Out(1).
        line, word, program: Out(streams).
        window: Out(1), for as many cycles as the window unit's memories have entries: it overwrites one in each.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "start": In(1), "busy": Out(1),
            "line": Out(stream.Signature(line_layout(config))),
            "word": Out(stream.Signature(word_layout(config))),
            "program": Out(stream.Signature(write_layout())),
            "window": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        running = []
        for target, address, entries in ((self.line, self.line.p.line, self.config.weight_lines),
                                         (self.word, self.word.p.addr, self.config.act_stride + self.config.act_words),
                                         (self.program, self.program.p.addr, self.config.program_words)):
            final = Signal(name=f"final_{entries}")
            with m.If(target.valid & target.ready):
                m.d.sync += [address.eq(address + 1), final.eq(address == entries - 2)]
                with m.If(final):
                    m.d.sync += target.valid.eq(0)
            with m.If(self.start):
                m.d.sync += [address.eq(0), target.valid.eq(1), final.eq(entries == 1)]
            running.append(target.valid)
        if self.config.window is not WindowUnit.NONE:
            left = Signal(range(window_entries(self.config)))
            with m.If(self.start):
                m.d.sync += [self.window.eq(1), left.eq(window_entries(self.config) - 1)]
            with m.Elif(self.window):
                m.d.sync += [left.eq(left - 1), self.window.eq(left != 0)]
        if self.config.pipeline is not None:
            latency = lines_latency(self.config.pipeline)
            under_way = Signal(range(latency + 1))  # lines pass from stage to stage
            with m.If(self.line.valid):
                m.d.sync += under_way.eq(latency)
            with m.Elif(under_way != 0):
                m.d.sync += under_way.eq(under_way - 1)
            running.append(under_way != 0)
        m.d.comb += self.busy.eq(Cat(*running, self.window).any())
        return m
