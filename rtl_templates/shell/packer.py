"""Packs 16-byte beats into lines of weight memory, activation words and program words."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, LINE_BITS, LoadKind
from rtl_templates.shell.axi import DATA_BITS
from rtl_templates.shell.program_memory import write_layout
from rtl_templates.shell.segment import target_layout


def line_layout(config: AcceleratorConfig) -> data.StructLayout:
    """A line of weight memory."""
    return data.StructLayout({"line": LINE_BITS, "data": config.line_bytes * 8})


def word_layout(config: AcceleratorConfig) -> data.StructLayout:
    """An activation word."""
    return data.StructLayout({"addr": ACT_ADDR_BITS, "data": config.p_i * 8})


class Packer(wiring.Component):
    """Takes one beat per cycle; a full item waits in an output register while the next one is collected.

    A segment must hold whole items. With 8-byte words (p_i = 8) a beat makes two words, one per cycle.

    Members:
        to: In(stream of target_layout), one per segment, in order; the segment in progress is ``current``/``active``.
        data: In(stream of 128).
        ring_lines: In, where line addresses wrap.
        line, word, program: Out(streams).
        landed: Out(1), pulse: the last item of a segment was taken; landed_bypass: Out(1), that segment's ``bypass``.
        current: Out(target_layout) of the segment whose beats are taken; active: Out(1).
        clear: In(1), drops everything.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "to": In(stream.Signature(target_layout(config.protect_activations))),
            "data": In(stream.Signature(DATA_BITS)),
            "ring_lines": In(LINE_BITS),
            "line": Out(stream.Signature(line_layout(config))),
            "word": Out(stream.Signature(word_layout(config))),
            "program": Out(stream.Signature(write_layout())),
            "landed": Out(1), "landed_bypass": Out(1),
            "current": Out(target_layout(config.protect_activations)),
            "active": Out(1),
            "clear": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        line_beats = config.line_bytes // 16
        word_beats = max(1, config.p_i // 16)
        halves = config.p_i == 8
        most = max(line_beats, word_beats)

        current, active = self.current, self.active
        phase, last_phase = Signal(range(most + 1)), Signal(range(most + 1))
        final_beat = Signal()
        item = Signal(most * DATA_BITS)  # the newest beat is the highest
        taken, complete, ended = Signal(), Signal(), Signal()
        out_valid, out_kind, out_last, out_half = Signal(), Signal(2), Signal(), Signal()
        out_target, out_data = Signal.like(current.target), Signal(most * DATA_BITS)
        accepted, free = Signal(), Signal()

        # ---- the segment in progress
        last_line = Signal(LINE_BITS)
        m.d.sync += last_line.eq(self.ring_lines - 1)
        m.d.comb += [
            complete.eq(phase == last_phase),
            ended.eq(taken & final_beat),
            self.to.ready.eq(~active | ended),
            self.data.ready.eq(active & (~complete | free)),
            taken.eq(self.data.valid & self.data.ready),
        ]
        with m.If(taken):
            m.d.sync += [
                item.eq(Cat(item[DATA_BITS:], self.data.payload)),
                current.beats.eq(current.beats - 1),
                final_beat.eq(current.beats == 2),
                phase.eq(Mux(complete, 0, phase + 1)),
            ]
            with m.If(complete):
                following = current.target + (2 if halves else 1)
                m.d.sync += current.target.eq(following)
                with m.If(current.kind == LoadKind.WEIGHTS):
                    m.d.sync += current.target.eq(
                        Mux(current.target == last_line, 0, (current.target + 1)[:len(current.target)]))
                with m.If(current.kind == LoadKind.PROGRAM):
                    m.d.sync += current.target.eq(current.target + 1)
        with m.If(self.to.ready):
            m.d.sync += active.eq(self.to.valid)
            with m.If(self.to.valid):
                m.d.sync += [current.eq(self.to.payload), final_beat.eq(self.to.p.beats == 1), phase.eq(0)]
                with m.Switch(self.to.p.kind):
                    with m.Case(LoadKind.WEIGHTS):
                        m.d.sync += last_phase.eq(line_beats - 1)
                    with m.Case(LoadKind.PROGRAM):
                        m.d.sync += last_phase.eq(0)
                    with m.Default():
                        m.d.sync += last_phase.eq(word_beats - 1)

        # ---- the item on its way
        with_single = halves and config.protect_activations
        single = Signal() if with_single else Const(0)  # a beat's only word
        whole = out_half | single if with_single else out_half
        is_line, is_program = out_kind == LoadKind.WEIGHTS, out_kind == LoadKind.PROGRAM
        m.d.comb += [
            self.line.valid.eq(out_valid & is_line),
            self.program.valid.eq(out_valid & is_program),
            self.word.valid.eq(out_valid & ~is_line & ~is_program),
            self.line.p.line.eq(out_target), self.line.p.data.eq(out_data[-config.line_bytes * 8:]),
            self.program.p.addr.eq(out_target), self.program.p.data.eq(out_data[-DATA_BITS:]),
            accepted.eq(Mux(is_line, self.line.ready, Mux(is_program, self.program.ready,
                                                          self.word.ready & (whole | (not halves))))),
            free.eq(~out_valid | accepted),
            self.landed.eq(out_valid & accepted & out_last),
        ]
        if halves:
            m.d.comb += [
                self.word.p.addr.eq(out_target + out_half),
                self.word.p.data.eq(Mux(out_half, out_data[-64:], out_data[-128:-64])),
            ]
            with m.If(self.word.valid & self.word.ready):
                m.d.sync += out_half.eq(~whole)
        else:
            m.d.comb += [self.word.p.addr.eq(out_target), self.word.p.data.eq(out_data[-config.p_i * 8:])]
        with m.If(free):
            m.d.sync += [
                out_valid.eq(taken & complete),
                out_kind.eq(current.kind),
                out_last.eq(final_beat),
                *([single.eq(final_beat & current.odd)] if with_single else []),
                self.landed_bypass.eq(current.bypass),
                out_target.eq(current.target),
                out_data.eq(Cat(item[DATA_BITS:], self.data.payload)),
            ]
        with m.If(self.clear):
            m.d.sync += [active.eq(0), out_valid.eq(0), out_half.eq(0)]
        return m
