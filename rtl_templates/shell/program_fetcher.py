"""Reads descriptors of one program, one after the other."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.program_memory import WORD_ADDR_BITS, WORD_BITS


class ProgramFetcher(wiring.Component):
    """Fetches descriptors of ``words`` program words from ``base`` on, as far as the program has been verified.

    A descriptor is offered words + 5 cycles after the one before it was taken; none follows one taken with ``last``.

    To stop it, hold it in reset; ``start`` may follow ``READ_LATENCY`` cycles after.

    Members:
        start: In(1), pulse; base: In(16), first word, read at ``start``.
        limit: In(16), words verified; a word is read only below it.
        read: Out(stream of a word address); read_valid, read_data: In, from the program memory.
        descriptor: Out(stream of words*128); last: In(1), the descriptor offered ends the program.
        idle: Out(1), not started, or the last descriptor was taken.
    """

    def __init__(self, *, words: int) -> None:
        self.words = words
        super().__init__({
            "start": In(1), "base": In(WORD_ADDR_BITS), "limit": In(WORD_ADDR_BITS),
            "read": Out(stream.Signature(WORD_ADDR_BITS)), "read_valid": In(1), "read_data": In(WORD_BITS),
            "descriptor": Out(stream.Signature(words * WORD_BITS)), "last": In(1),
            "idle": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address, end = Signal(WORD_ADDR_BITS), Signal(WORD_ADDR_BITS)
        verified = Signal()
        to_request, to_receive = Signal(range(self.words + 1)), Signal(range(self.words + 1))
        m.d.sync += [end.eq(address + self.words), verified.eq(end <= self.limit)]
        m.d.comb += [self.read.payload.eq(address), self.descriptor.valid.eq(0)]

        with m.FSM() as fsm:
            with m.State("IDLE"):
                m.d.sync += address.eq(self.base)
                with m.If(self.start):
                    m.next = "ADDRESS"
            with m.State("ADDRESS"):
                m.next = "END"
            with m.State("END"):
                m.next = "VERIFIED"
            with m.State("VERIFIED"):
                m.d.sync += [to_request.eq(self.words), to_receive.eq(self.words)]
                with m.If(verified):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.read.valid.eq(to_request != 0)
                with m.If(self.read.valid & self.read.ready):
                    m.d.sync += [address.eq(address + 1), to_request.eq(to_request - 1)]
                with m.If(self.read_valid):
                    m.d.sync += [
                        self.descriptor.payload.eq(Cat(self.descriptor.payload, self.read_data)[WORD_BITS:]),
                        to_receive.eq(to_receive - 1),
                    ]
                    with m.If(to_receive == 1):
                        m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.descriptor.valid.eq(1)
                with m.If(self.descriptor.ready):
                    with m.If(self.last):
                        m.next = "IDLE"
                    with m.Else():  # the address has rested for READ_LATENCY cycles: ``verified`` is about it
                        m.next = "VERIFIED"
        m.d.comb += self.idle.eq(fsm.ongoing("IDLE"))
        return m
