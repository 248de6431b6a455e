"""GHASH (NIST SP 800-38D, section 6.4) at one block per cycle."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.gf128 import combine, multiply, reduce, to_block, to_poly
from rtl_templates.crypto.interfaces import H_POWERS

LANES = H_POWERS
"""Interleaved partial hashes; as many as a product takes cycles to return to its lane."""


class Ghash(wiring.Component):
    """Hashes messages of whole blocks, one block per cycle, messages back to back, without ever stalling.

    Block i of n belongs to lane i mod 4: lane = (lane ^ block) * H^4, where the product takes three cycles. The last
    four blocks are multiplied by H^4 .. H^1 instead, so that the sum of their products is the hash and nothing is left
    to multiply at the end. ``o`` follows the last block by ``latency`` cycles.

    Args:
        levels: Karatsuba levels of the multiplier.

    Members:
        h_powers: H^(i+1) in bits 128i..128i+127; static while a message is inside.
        i_valid, i: one block, byte k in bits 8k..8k+7.
        i_first: this is the first block of a message.
        i_left: blocks of this message after this one; 4 means "4 or more".
        clear: zeroises all state if held for 4 cycles.
        o_valid, o: hash of a message.
    """

    latency = 4

    def __init__(self, *, levels: int = 3) -> None:
        self.levels = levels
        self.lanes = Memory(shape=128, depth=LANES, init=[])
        super().__init__({
            "h_powers": In(128 * H_POWERS),
            "i_valid": In(1),
            "i": In(128),
            "i_first": In(1),
            "i_left": In(range(LANES + 1)),
            "clear": In(1),
            "o_valid": Out(1),
            "o": Out(128),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.lanes = lanes = self.lanes
        lane_read = lanes.read_port(domain="comb")
        lane_write = lanes.write_port()
        powers = [to_poly(self.h_powers[128 * i:128 * i + 128]) for i in range(H_POWERS)]

        # stage 1: add the block to its lane, choose the power of H
        started = Signal(range(LANES + 1))  # blocks of this message that have entered, at most 4
        fresh = Signal()  # the lane holds nothing of this message yet
        operand = Signal(128)
        power = Signal(128)
        choice = Signal(range(H_POWERS))
        m.d.comb += [
            fresh.eq(self.i_first | (started != LANES)),
            # 4 and 3 alike; without a comparison, as the number of blocks left comes late
            choice.eq(self.i_left[:-1] | self.i_left[-1].replicate(len(choice))),
        ]
        in_lane = Signal(range(LANES))
        m.d.comb += lane_read.addr.eq(in_lane)
        with m.If(self.i_valid):
            m.d.sync += in_lane.eq(in_lane + 1)
            with m.If(self.i_first):
                m.d.sync += started.eq(1)
            with m.Elif(started != LANES):
                m.d.sync += started.eq(started + 1)
        m.d.sync += operand.eq(to_poly(self.i) ^ (lane_read.data & ~fresh.replicate(128)))
        with m.Switch(choice):
            for i in range(H_POWERS):
                with m.Case(i):
                    m.d.sync += power.eq(powers[i])
        valid = Signal(3)
        tail = Signal(3)
        last = Signal(3)
        m.d.sync += [
            valid.eq(Cat(self.i_valid, valid)),
            tail.eq(Cat(self.i_left != LANES, tail)),
            last.eq(Cat(self.i_left == 0, last)),
        ]

        # stages 2 and 3: multiply
        def register(value: Value) -> Value:
            stored = Signal(len(value), name="leaf")
            m.d.sync += stored.eq(value)
            return stored

        product = Signal(128)
        m.d.sync += product.eq(reduce(m, combine(m, multiply(m, operand, power, levels=self.levels).map(register))))

        # stage 4: back to the lane, or to the sum of the last products
        out_lane = Signal(range(LANES))
        total = Signal(128)
        empty = Signal(init=1)
        walk = Signal(range(LANES), reset_less=True)
        m.d.sync += walk.eq(walk + 1)
        m.d.comb += [
            lane_write.addr.eq(Mux(self.clear, walk, out_lane)),
            lane_write.data.eq(Mux(self.clear, 0, product)),
            lane_write.en.eq(self.clear | valid[2]),
            self.o.eq(to_block(total)),
        ]
        m.d.sync += self.o_valid.eq(valid[2] & last[2])
        with m.If(valid[2]):
            m.d.sync += out_lane.eq(out_lane + 1)
            with m.If(tail[2]):
                m.d.sync += [
                    total.eq(product ^ (total & ~empty.replicate(128))),
                    empty.eq(last[2]),
                ]
        return ResetInserter(self.clear)(m)
