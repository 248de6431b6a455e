"""Runs window descriptors: one position of the word sequence per cycle, and which outputs are complete where."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, COUNT_BITS
from rtl_templates.engine.descriptor import window_layout
from rtl_templates.engine.timing import window_flush, window_lag, window_results


def position_layout() -> data.StructLayout:
    """One step of the unit's pipeline: perhaps a word, perhaps an output."""
    return data.StructLayout({
        "read": 1, "addr": ACT_ADDR_BITS,
        "emit": 1,  # the number of an output's last tap (its word comes ``timing.window_lag`` positions later)
        "first": 1,  # first output of a channel block
        "last": 1,  # last output of the descriptor
        "next_x": 1, "next_y": 1, "next_o": 1,  # which jump leads to the next output
    })


class Countdown:
    """Nested counters with their "at the last pass" flags kept in registers, innermost first."""

    def __init__(self, m: Module, names: tuple[str, ...], limits: list[Signal]) -> None:
        self.m, self.limits = m, limits
        self.rest = [Signal(len(limit), name=f"rest_{name}") for name, limit in zip(names, limits, strict=True)]
        self.at_last = [Signal(name=f"at_last_{name}") for name in names]
        self.single = [Signal(name=f"single_{name}") for name in names]

    def load(self) -> None:
        """Statements that start over; inside a condition."""
        for rest, at_last, single, limit in zip(self.rest, self.at_last, self.single, self.limits, strict=True):
            self.m.d.sync += [rest.eq(limit), at_last.eq(limit == 0), single.eq(limit == 0)]

    def step(self) -> None:
        """Statements that go one on; inside a condition."""
        m = self.m
        for k, (rest, at_last, single, limit) in enumerate(
                zip(self.rest, self.at_last, self.single, self.limits, strict=True)):
            with m.If(Cat(*self.at_last[:k]).all() if k else Const(1)):
                m.d.sync += [rest.eq(Mux(at_last, limit, rest - 1)), at_last.eq(Mux(at_last, single, rest == 1))]


class WindowSequencer(wiring.Component):
    """A descriptor starts when the one before it has retired, and retires when its last result is in memory.

    The words of all blocks are numbered from 0; so are the positions. An output whose last tap has number n is
    announced at position n, and word n is read at position n + ``timing.window_lag``. Behind the last output come
    ``timing.window_flush`` positions that push it out.

    Members:
        descriptors: stream In, window_layout.
        held: Out(window_layout), the descriptor that runs; rests until it has retired.
        start: Out(1), pulse: a descriptor begins, before its first position.
        act_loaded, stored, progress: In(16).
        parameters_ready: In(1), weights and records of the next block are there; block_started: Out(1), pulse.
        positions: stream Out, position_layout.
        result_taken: In(1), a result has left the queue; landed: In(1), pulse: the last one of the descriptor has.
        retired: Out(1), pulse.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "descriptors": In(stream.Signature(window_layout())),
            "held": Out(window_layout()),
            "start": Out(1),
            "act_loaded": In(COUNT_BITS), "stored": In(COUNT_BITS), "progress": In(COUNT_BITS),
            "parameters_ready": In(1), "block_started": Out(1),
            "positions": Out(stream.Signature(position_layout())),
            "result_taken": In(1), "landed": In(1),
            "retired": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, held = self.config, self.held
        flush, lag, results = window_flush(config), window_lag(config), window_results(config)
        # the weights of a block are in use from its first output on, when that has passed the last tap, and only then
        # can those of the next block be loaded; positions move with the words, so all of these belong to one block
        assert flush + 1 <= config.window_block_words
        moving, step, emit = Signal(), Signal(), Signal()

        # ---- results that are on their way or wait
        count, room = Signal(range(results + 1)), Signal(init=1)
        started = step & emit
        with m.If(started & ~self.result_taken):
            m.d.sync += [count.eq(count + 1), room.eq(count != results - 1)]
        with m.Elif(self.result_taken & ~started):
            m.d.sync += [count.eq(count - 1), room.eq(1)]

        # ---- words
        words = Countdown(m, ("word", "row", "block"), [held.last_l0, held.last_l1, held.last_l5])
        reading = Signal()
        waiting = Signal(range(lag + 1))
        addr = Signal(ACT_ADDR_BITS)
        block_end = words.at_last[0] & words.at_last[1]
        with m.If(step):
            with m.If(waiting != 0):
                m.d.sync += [waiting.eq(waiting - 1), reading.eq(waiting == 1)]
            with m.If(reading):
                words.step()
                m.d.sync += addr.eq(addr + Mux(block_end, held.src_jump_l5, 1))
                with m.If(Cat(*words.at_last).all()):
                    m.d.sync += reading.eq(0)

        # ---- outputs: ``gap`` positions to the next one, whose flags and jump to its successor are in registers;
        # ``outputs`` is one output ahead of them
        outputs = Countdown(m, ("x", "y", "o"), [held.last_l2, held.last_l3, held.last_l5])
        x_last, y_last, o_last = outputs.at_last
        ahead_first = Signal()
        first, last, next_x, next_y, next_o = Signal(), Signal(), Signal(), Signal(), Signal()
        gap, emitting = Signal(ACT_ADDR_BITS), Signal()
        jump, jump_is_one = Signal(ACT_ADDR_BITS), Signal()
        ones = Signal(3)
        ahead_x, ahead_y, ahead_o = ~x_last, x_last & ~y_last, x_last & y_last

        def advance() -> None:
            """Statements that take the flags of the output after this one."""
            outputs.step()
            m.d.sync += [
                next_x.eq(ahead_x), next_y.eq(ahead_y), next_o.eq(ahead_o), first.eq(ahead_first),
                last.eq(ahead_o & o_last), ahead_first.eq(ahead_o),
                jump.eq(Mux(x_last, Mux(y_last, held.res_jump_o, held.res_jump_y), held.res_jump_x)),
                jump_is_one.eq(Mux(x_last, Mux(y_last, ones[2], ones[1]), ones[0])),
            ]

        with m.If(step):
            m.d.sync += [gap.eq(Mux(emit, jump, gap) - 1),
                         emit.eq(Mux(emit, jump_is_one & ~last, (gap == 1) & emitting))]
            with m.If(emit):
                advance()

        position = self.positions.p
        m.d.comb += [
            self.positions.valid.eq(moving & room & (~(emit & first) | self.parameters_ready)),
            step.eq(self.positions.valid & self.positions.ready),
            self.block_started.eq(step & emit & first),
            position.read.eq(reading), position.addr.eq(addr), position.emit.eq(emit),
            position.first.eq(first), position.last.eq(last),
            position.next_x.eq(next_x), position.next_y.eq(next_y), position.next_o.eq(next_o),
        ]

        # ---- control; compared one cycle ahead: ``held`` rests since PREPARE
        act_there, stores_there, before_there = Signal(), Signal(), Signal()
        m.d.sync += [
            act_there.eq(self.act_loaded >= held.wait_act), stores_there.eq(self.stored >= held.wait_store),
            before_there.eq(self.progress >= held.wait_progress),
        ]
        flush_left = Signal(range(flush + 1))
        with m.FSM(name="control"):
            with m.State("FETCH"):
                m.d.comb += self.descriptors.ready.eq(1)
                with m.If(self.descriptors.valid):
                    m.d.sync += held.eq(self.descriptors.payload)
                    m.next = "PREPARE"
            with m.State("PREPARE"):
                words.load()
                outputs.load()
                m.d.comb += self.start.eq(1)
                m.d.sync += [
                    waiting.eq(lag), reading.eq(0), addr.eq(held.src_base), ahead_first.eq(1), emitting.eq(1),
                    gap.eq(held.res_base), emit.eq(held.res_base == 0), flush_left.eq(flush),
                    ones.eq(Cat(held.res_jump_x == 1, held.res_jump_y == 1, held.res_jump_o == 1)),
                ]
                m.next = "FIRST"
            with m.State("FIRST"):
                advance()
                m.next = "WAIT"
            with m.State("WAIT"), m.If(act_there & stores_there & before_there):
                m.d.sync += moving.eq(1)
                m.next = "OUTPUTS"
            with m.State("OUTPUTS"), m.If(step & emit & last):
                m.d.sync += emitting.eq(0)
                m.next = "FLUSH"
            with m.State("FLUSH"), m.If(step):
                m.d.sync += flush_left.eq(flush_left - 1)
                # no output needs the words behind: the positions that are left never wait for memory
                with m.If(flush_left == flush - lag + 1):
                    m.d.sync += [reading.eq(0), waiting.eq(0)]
                with m.If(flush_left == 1):
                    m.d.sync += moving.eq(0)
                    m.next = "LAND"
            with m.State("LAND"), m.If(self.landed):
                m.d.comb += self.retired.eq(1)
                m.next = "FETCH"
        return m
