"""Segment headers on their way to two readers, one ahead of the other."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
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
        behind_long: the segment on ``behind`` has three beats or more. Worked out on the way in.
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
            "behind_long": Out(1),
            "empty": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry = data.StructLayout({"header": SegmentHeader, "long": 1})
        m.submodules.headers = headers = Memory(shape=entry, depth=self.depth, init=[])
        write = headers.write_port()
        write_at = Signal(range(2 * self.depth))
        m.d.comb += [
            write.addr.eq(write_at[:-1]),
            write.data.header.eq(self.i.payload),
            write.data.long.eq(self.i.p.length[2:].any() | self.i.p.length[:2].all()),
            write.en.eq(self.i.valid & self.i.ready),
        ]
        with m.If(write.en):
            m.d.sync += write_at.eq(write_at + 1)
        for reader in (self.ahead, self.behind):
            read = headers.read_port(domain="comb")
            read_at = Signal(range(2 * self.depth))
            m.d.comb += [
                read.addr.eq(read_at[:-1]),
                reader.payload.eq(read.data.header),
                reader.valid.eq(read_at != write_at),
            ]
            with m.If(reader.valid & reader.ready):
                m.d.sync += read_at.eq(read_at + 1)
        # ``read`` and ``read_at`` are now those of ``behind``
        m.d.comb += [
            self.behind_long.eq(read.data.long),
            self.i.ready.eq((write_at ^ read_at) != self.depth),
            self.empty.eq(~self.behind.valid),
        ]
        return m
