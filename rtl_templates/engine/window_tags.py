"""What the window unit must know of an output: where it goes, and which taps of its window count."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, COORD_BITS, Opcode
from rtl_templates.engine.delay import delay
from rtl_templates.engine.descriptor import window_layout
from rtl_templates.engine.timing import WINDOW_ROWS, WINDOW_WORD
from rtl_templates.engine.window_sequencer import position_layout


def output_layout(config: AcceleratorConfig) -> data.StructLayout:
    """An output at its position; ``inside`` in the order of the window, row by row."""
    return data.StructLayout({"emit": 1, "first": 1, "inside": config.window_taps})


def destination_layout() -> data.StructLayout:
    """Where a result goes."""
    return data.StructLayout({"addr": ACT_ADDR_BITS, "last": 1})


class WindowTags(wiring.Component):
    """Follows the positions in as many cycles as their words take to become columns.

    Members:
        held: In(window_layout); start: In(1), a descriptor begins.
        granted: In(1), a position; position: In(position_layout).
        used: In(K²), taps of the next block that count for a maximum.
        output: Out(output_layout), WINDOW_WORD + WINDOW_ROWS cycles after the position.
        destination: Out(destination_layout); destination_valid: Out(1), sooner.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "held": In(window_layout()), "start": In(1),
            "granted": In(1), "position": In(position_layout()),
            "used": In(config.window_taps),
            "output": Out(output_layout(config)),
            "destination": Out(destination_layout()), "destination_valid": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        held, kernel = self.held, self.config.window_kernel

        # ---- 1: flags; 2: jumps
        now = Signal(position_layout())
        emit_1, emit_2 = Signal(), Signal()
        m.d.sync += [now.eq(self.position), emit_1.eq(self.granted & self.position.emit), emit_2.eq(emit_1)]

        def select(x: Signal, y: Signal, o: Signal) -> Signal:
            width = len(x)
            jump = Signal(width, name="jump")
            m.d.sync += jump.eq(x.as_unsigned() & now.next_x.replicate(width)
                                | y.as_unsigned() & now.next_y.replicate(width)
                                | o.as_unsigned() & now.next_o.replicate(width))
            return jump

        dst_jump = select(held.dst_jump_x, held.dst_jump_y, held.dst_jump_o)
        iy_jump = select(held.iy_jump_l2, held.iy_jump_l3, held.iy_jump_l5)
        ix_jump = select(held.ix_jump_l2, held.ix_jump_l3, held.ix_jump_l5)

        # ---- 3: addresses and coordinates of the first tap
        dst, iy, ix = Signal(ACT_ADDR_BITS), Signal(COORD_BITS), Signal(COORD_BITS)
        iy_3, ix_3 = Signal(COORD_BITS), Signal(COORD_BITS)
        first_2, last_2 = delay(m, now.first, 1, "first_2"), delay(m, now.last, 1, "last_2")
        with m.If(self.start):
            m.d.sync += [dst.eq(held.dst_base), iy.eq(held.iy_base), ix.eq(held.ix_base)]
        with m.Elif(emit_2):
            m.d.sync += [dst.eq(dst + dst_jump), iy.eq(iy + iy_jump), ix.eq(ix + ix_jump)]
        m.d.sync += [
            iy_3.eq(iy), ix_3.eq(ix),
            self.destination_valid.eq(emit_2), self.destination.addr.eq(dst), self.destination.last.eq(last_2),
        ]

        # ---- 4: of all taps; 5: compared; 6: combined
        in_rows, in_columns = Signal(kernel), Signal(kernel)
        for k in range(kernel):
            row, column = Signal(COORD_BITS, name=f"row_{k}"), Signal(COORD_BITS, name=f"column_{k}")
            m.d.sync += [row.eq(iy_3 + k), column.eq(ix_3 + k),
                         in_rows[k].eq(row < held.height), in_columns[k].eq(column < held.width)]
        depth = WINDOW_WORD + WINDOW_ROWS
        used = Signal(self.config.window_taps)
        with m.If(delay(m, emit_2 & first_2, depth - 4, "first_4")):
            m.d.sync += used.eq(self.used)
        maximum = held.opcode == Opcode.WINDOW_MAX
        m.d.sync += self.output.inside.eq(Cat(
            in_rows[y] & in_columns[x] & Mux(maximum, used[y * kernel + x], 1)
            for y in range(kernel) for x in range(kernel)))
        m.d.comb += [self.output.emit.eq(delay(m, emit_2, depth - 2, "emit")),
                     self.output.first.eq(delay(m, first_2, depth - 2, "first"))]
        return m
