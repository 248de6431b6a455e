"""Counter blocks of AES-GCM, ahead of the data they decrypt."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class CounterRequest(data.Struct):
    """The counter blocks of one message."""

    iv: unsigned(96)  #: nonce, byte 0 in bits 7..0
    blocks: unsigned(16)  #: blocks of key stream; the block that masks the tag comes on top


class CounterFeeder(wiring.Component):
    """Issues, per request, counter blocks 2, 3, .. and last counter block 1, whose encryption masks the tag.

    As many as the cipher takes, requests back to back, as long as the key stream queue has room for what is under way.

    Args:
        depth: entries of the key stream queue.

    Members:
        request: one per message, taken with its last block.
        taken: strobe; a block left the key stream queue.
        o: counter block for the cipher.
    """

    def __init__(self, *, depth: int) -> None:
        self.depth = depth
        super().__init__({
            "request": In(stream.Signature(CounterRequest)),
            "taken": In(1),
            "o": Out(stream.Signature(128)),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        room = Signal(range(self.depth + 1), init=self.depth)
        issued = Signal(17)
        counter = Signal(17, init=2)  # of SP 800-38D's 32-bit counter, more bits cannot be set
        last = Signal()
        issue = Signal()
        low = Signal(17)
        m.d.comb += [
            last.eq(issued == self.request.p.blocks),
            low.eq(Mux(last, 1, counter)),
            # the counter is big-endian: its low byte is byte 15 of the block
            self.o.payload.eq(Cat(self.request.p.iv, Const(0, 8), low[16], Const(0, 7), low[8:16],
                                  low[:8])),
            self.o.valid.eq(self.request.valid & (room != 0)),
            issue.eq(self.o.valid & self.o.ready),
            self.request.ready.eq(last & (room != 0) & self.o.ready),
        ]
        with m.If(issue):
            m.d.sync += [counter.eq(counter + 1), issued.eq(issued + 1)]
            with m.If(last):
                m.d.sync += [counter.eq(2), issued.eq(0)]
        with m.If(issue & ~self.taken):
            m.d.sync += room.eq(room - 1)
        with m.Elif(~issue & self.taken):
            m.d.sync += room.eq(room + 1)
        return m
