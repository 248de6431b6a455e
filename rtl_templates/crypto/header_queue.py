"""Segment headers on their way to two readers, one ahead of the other."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl_templates.crypto.interfaces import SegmentHeader


class HeaderQueue(wiring.Component):
    """First-in first-out queue whose entries are read twice: by the counter side, and later by the data side.

    Args:
        depth: entries, a power of two.

    Members:
        i: headers; an entry is free again when the data side has taken it.
        ahead: to the counter side, never later than ``behind``.
        behind: to the data side.
        empty: the data side has taken everything.
    """

    def __init__(self, *, depth: int = 8) -> None:
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two, not {depth!r}")
        self.depth = depth
        super().__init__({
            "i": In(stream.Signature(SegmentHeader)),
            "ahead": Out(stream.Signature(SegmentHeader)),
            "behind": Out(stream.Signature(SegmentHeader)),
            "empty": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.headers = headers = Memory(shape=SegmentHeader, depth=self.depth, init=[])
        write = headers.write_port()
        write_at = Signal(range(2 * self.depth))
        m.d.comb += [
            write.addr.eq(write_at[:-1]),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid & self.i.ready),
        ]
        with m.If(write.en):
            m.d.sync += write_at.eq(write_at + 1)
        for reader in (self.ahead, self.behind):
            read = headers.read_port(domain="comb")
            read_at = Signal(range(2 * self.depth))
            m.d.comb += [
                read.addr.eq(read_at[:-1]),
                reader.payload.eq(read.data),
                reader.valid.eq(read_at != write_at),
            ]
            with m.If(reader.valid & reader.ready):
                m.d.sync += read_at.eq(read_at + 1)
        # ``read_at`` is now that of ``behind``
        m.d.comb += [
            self.i.ready.eq((write_at ^ read_at) != self.depth),
            self.empty.eq(~self.behind.valid),
        ]
        return m
