"""Copies activation words to memory, as the store program says."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, COUNT_BITS
from rtl_templates.shell.axi import BEAT_ADDR_BITS, DATA_BITS
from rtl_templates.shell.axi_write_master import REQUEST_BEATS_BITS
from rtl_templates.shell.burst_splitter import request_layout
from rtl_templates.shell.row_headers import rows_layout
from rtl_templates.shell.segment import row_beats, store_layout, store_step_layout

#: words asked for and not yet sent; more than the activation memory's read latency, so that reads follow one another
WORDS_AHEAD = 8


class StoreUnit(wiring.Component):
    """One word per max(1, p_i/16) cycles while the activation memory has a free read cycle.

    A step descriptor makes the store behind it one of several planes, each a request of its own. Stores of protected
    feature maps (``config.protect_activations``, scratch) are rows, each of which begins with a beat of its own; their
    requests have room for the tags, which ``StoreSealer`` puts behind them.

    Held in reset before a frame starts, and on abort.

    Members:
        descriptor: In(stream of store_layout); last: Out(1), the descriptor taken ends the store program.
        output, scratch: In, beat addresses.
        progress: In(16), retired compute descriptors.
        act_read: Out(stream of {addr}); act_data: In {valid, data}, in order.
        request, beats: Out(streams), to the write master; ends: Out(1), the request is the store's last.
        rows: Out(stream of rows_layout), before the beats of such a store; sealed: Out(1), the beats are of one.
        last_frame: In(12), of a start of a streaming pipeline: the results of one frame after the other are stored.
        finished: Out(1), the last descriptor's beats were all handed to the write master.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        word = config.p_i * 8
        super().__init__({
            "descriptor": In(stream.Signature(store_layout())),
            "last": Out(1),
            "output": In(BEAT_ADDR_BITS), "scratch": In(BEAT_ADDR_BITS),
            "progress": In(COUNT_BITS),
            "act_read": Out(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS}))),
            "act_data": In(data.StructLayout({"valid": 1, "data": word})),
            "request": Out(stream.Signature(request_layout(REQUEST_BEATS_BITS))), "ends": Out(1),
            "beats": Out(stream.Signature(DATA_BITS)),
            "finished": Out(1),
            **({} if config.pipeline is None else {"last_frame": In(12)}),
            **({"rows": Out(stream.Signature(rows_layout())), "sealed": Out(1)} if config.protect_activations else {}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        p_i, protection = self.config.p_i, self.config.protect_activations
        store = Signal(store_layout())
        step = store_step_layout(protection)
        coming, steps = Signal(step), Signal(step)  # of the next store; of this one
        address, source = Signal(BEAT_ADDR_BITS), Signal(ACT_ADDR_BITS)  # of the plane; of the next word
        last_plane = Signal(12)
        arrived, final = Signal(), Signal()
        to_read, to_send = Signal(ACT_ADDR_BITS), Signal(REQUEST_BEATS_BITS)
        beats_of_words, beats = Signal(REQUEST_BEATS_BITS), Signal(REQUEST_BEATS_BITS)
        beat_sent, sent_all = Signal(), Signal()
        m.d.comb += [
            self.last.eq(self.descriptor.p.last),
            beats_of_words.eq((store.words + 1) >> 1 if p_i == 8 else store.words << ((p_i // 16).bit_length() - 1)),
            beat_sent.eq(self.beats.valid & self.beats.ready),
        ]
        m.d.sync += arrived.eq(self.progress >= store.wait_progress)
        m.d.comb += [
            self.act_read.p.addr.eq(source),
            self.request.p.address.eq(address), self.request.p.beats.eq(beats), self.ends.eq(last_plane == 0),
        ]

        # ---- words on their way: asked for, or waiting in the queue
        words = fifo.SyncFIFOBuffered(width=p_i * 8, depth=WORDS_AHEAD)
        m.submodules.words = words
        ahead, ahead_room = Signal(range(WORDS_AHEAD + 1)), Signal(init=1)
        asked, sent = Signal(), Signal()
        m.d.comb += [
            words.w_data.eq(self.act_data.data), words.w_en.eq(self.act_data.valid),
            asked.eq(self.act_read.valid & self.act_read.ready),
            sent.eq(words.r_rdy & words.r_en),
        ]
        with m.If(asked & ~sent):
            m.d.sync += [ahead.eq(ahead + 1), ahead_room.eq(ahead != WORDS_AHEAD - 1)]
        with m.Elif(sent & ~asked):
            m.d.sync += [ahead.eq(ahead - 1), ahead_room.eq(1)]

        starting = Signal() if protection else Const(0)
        with m.FSM():
            with m.State("DESCRIPTOR"):
                m.d.comb += self.descriptor.ready.eq(~self.finished)
                m.d.sync += store.eq(self.descriptor.payload)
                with m.If(self.descriptor.valid & ~self.finished):
                    m.d.sync += [final.eq(self.last), steps.eq(coming), coming.eq(0)]
                    with m.If(self.descriptor.p.steps):
                        m.d.sync += coming.eq(self.descriptor.payload.as_value())
                    with m.Else():
                        m.next = "BASE"
            with m.State("BASE"):
                m.d.sync += [address.eq(Mux(store.scratch, self.scratch, self.output)), beats.eq(beats_of_words),
                             last_plane.eq(steps.last_plane)]
                if self.config.pipeline is not None:
                    m.d.sync += [last_plane.eq(self.last_frame), steps.offset_step.eq(beats_of_words)]
                m.next = "ADDRESS"
                if protection:
                    with m.If(store.scratch):
                        m.d.sync += beats.eq(steps.stored_beats)
                        m.next = "ROWS"
            if protection:
                with m.State("ROWS"):
                    m.d.comb += self.rows.valid.eq(1)
                    with m.If(self.rows.ready):
                        m.next = "ADDRESS"
            with m.State("ADDRESS"):
                m.d.sync += address.eq(address + store.offset)
                m.next = "PROGRESS"
            with m.State("PROGRESS"):
                m.d.sync += [to_read.eq(store.words), to_send.eq(beats), source.eq(store.src)]
                if protection:
                    m.d.comb += starting.eq(1)
                with m.If(beats == 0):
                    m.next = "DONE"
                with m.Elif(arrived):
                    m.next = "REQUEST"
            with m.State("PLANE"):
                m.d.sync += [address.eq(address + steps.offset_step), store.src.eq(store.src + steps.src_step),
                             last_plane.eq(last_plane - 1)]
                m.next = "PROGRESS"
            with m.State("REQUEST"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.next = "COPY"
            with m.State("COPY"):
                m.d.comb += self.act_read.valid.eq((to_read != 0) & ahead_room)
                with m.If(asked):
                    m.d.sync += [source.eq(source + 1), to_read.eq(to_read - 1)]
                with m.If(sent_all & self.ends):
                    m.next = "DONE"
                with m.Elif(sent_all):
                    if self.config.pipeline is not None:
                        m.d.sync += store.wait_progress.eq(store.wait_progress + 1)  # the next frame
                    m.next = "PLANE"
            with m.State("DONE"):
                m.d.sync += self.finished.eq(final)
                m.next = "DESCRIPTOR"

        # ---- words to beats
        if protection:  # a row's last word may be alone in a beat: what is left is counted in words
            unsent, row_left = Signal(ACT_ADDR_BITS), Signal(12)
            ends_row, ends_store = store.scratch & (row_left == 1), unsent == 1
            with m.If(sent):
                m.d.sync += [unsent.eq(unsent - 1), row_left.eq(Mux(ends_row, steps.row_words, row_left - 1))]
            with m.Elif(starting):
                m.d.sync += [unsent.eq(store.words), row_left.eq(steps.row_words)]
            m.d.comb += [
                self.sealed.eq(store.scratch),
                self.rows.p.offset.eq(store.offset), self.rows.p.step.eq(steps.offset_step),
                self.rows.p.last_plane.eq(steps.last_plane), self.rows.p.stored.eq(steps.stored_beats),
                self.rows.p.beats.eq(row_beats(steps.row_words, p_i)),
            ]
        m.d.comb += self.beats.valid.eq(words.r_rdy)
        if p_i == 8:
            half, low = Signal(), Signal(64)
            odd_end = Signal()  # the last word has no partner
            m.d.comb += [
                odd_end.eq(~half & (ends_row | ends_store) if protection else (to_send == 1) & store.words[0]),
                self.beats.valid.eq(words.r_rdy & (half | odd_end)),
                self.beats.payload.eq(Mux(half, Cat(low, words.r_data), words.r_data)),
                words.r_en.eq(words.r_rdy & (self.beats.ready | ~(half | odd_end))),
            ]
            with m.If(sent):
                m.d.sync += [low.eq(words.r_data), half.eq(~half & ~odd_end)]
        else:
            parts = p_i // 16
            part = Signal(range(max(2, parts)))
            m.d.comb += [
                self.beats.payload.eq(words.r_data.word_select(part, DATA_BITS)),
                words.r_en.eq(self.beats.ready & (part == parts - 1)),
            ]
            with m.If(beat_sent):
                m.d.sync += part.eq(Mux(part == parts - 1, 0, part + 1))
        with m.If(beat_sent):
            m.d.sync += to_send.eq(to_send - 1)
        if protection:
            m.d.sync += sent_all.eq((unsent == 0) | ends_store & sent)
        else:
            m.d.sync += sent_all.eq((to_send == 0) | (to_send == 1) & beat_sent)
        return m
