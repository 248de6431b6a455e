"""The queue between the cipher and the data: key stream in distributed memory that can be zeroised."""

from amaranth.hdl import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class KeystreamFifo(wiring.Component):
    """First-in first-out queue of 128-bit blocks; a block can be read in the cycle after it was written.

    Args:
        depth: entries, a power of two.

    Members:
        i_valid, i: writes a block; the writer counts the free entries.
        o: the oldest block.
        clear: empties the queue; held for ``depth`` cycles, it overwrites every entry with zeros.
    """

    def __init__(self, *, depth: int) -> None:
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two, not {depth!r}")
        self.depth = depth
        self.blocks = Memory(shape=128, depth=depth, init=[])
        super().__init__({
            "i_valid": In(1),
            "i": In(128),
            "o": Out(stream.Signature(128)),
            "clear": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.blocks = blocks = self.blocks
        read = blocks.read_port(domain="comb")
        write = blocks.write_port()
        read_at = Signal(range(2 * self.depth))
        write_at = Signal(range(2 * self.depth))
        walk = Signal(range(self.depth), reset_less=True)
        m.d.sync += walk.eq(walk + 1)
        m.d.comb += [
            read.addr.eq(read_at[:-1]),
            write.addr.eq(Mux(self.clear, walk, write_at[:-1])),
            write.data.eq(Mux(self.clear, 0, self.i)),
            write.en.eq(self.clear | self.i_valid),
            self.o.payload.eq(read.data),
            self.o.valid.eq(read_at != write_at),
        ]
        with m.If(self.i_valid):
            m.d.sync += write_at.eq(write_at + 1)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += read_at.eq(read_at + 1)
        return ResetInserter(self.clear)(m)
