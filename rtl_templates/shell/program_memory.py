"""The program on the chip: one write port, one read port shared by the fetchers."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import RamStyle
from hwgen.isa.layout import WORD_BYTES
from rtl_templates.memory.ram import Ram

WORD_BITS = 8 * WORD_BYTES
#: width of a word's address, as in the program header
WORD_ADDR_BITS = 16
#: cycles from a read's transfer to its data
READ_LATENCY = 3


def write_layout() -> data.StructLayout:
    """Word address and word."""
    return data.StructLayout({"addr": WORD_ADDR_BITS, "data": WORD_BITS})


class ProgramMemory(wiring.Component):
    """16-byte words.

    Args:
        words: size, a power of two.
        readers: number of read requesters; a lower index goes first.

    Members:
        write: In(stream of write_layout), always ready; addresses behind the end are dropped.
        read: In(stream of a word address) × readers.
        read_valid: Out(readers), ``READ_LATENCY`` cycles after reader k's transfer, with ``read_data``: Out(128).
    """

    def __init__(self, *, words: int, readers: int) -> None:
        self.words, self.readers = words, readers
        super().__init__({
            "write": In(stream.Signature(write_layout())),
            "read": In(stream.Signature(WORD_ADDR_BITS)).array(readers),
            "read_valid": Out(readers),
            "read_data": Out(WORD_BITS),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = rows = Ram(width=WORD_BITS, depth=self.words, style=RamStyle.BLOCK)
        addr_bits = rows.addr_bits

        m.d.comb += self.write.ready.eq(1)
        m.d.sync += [
            rows.write_en.eq(self.write.valid & (self.write.p.addr >> addr_bits == 0)),
            rows.write_addr.eq(self.write.p.addr), rows.write_data.eq(self.write.p.data),
        ]

        chosen = Signal(self.readers)
        address = Signal(addr_bits)
        lower = 0
        picked = self.read[-1].payload
        for request in reversed(list(self.read)):
            picked = Mux(request.valid, request.payload, picked)
        for index, request in enumerate(self.read):
            m.d.comb += [request.ready.eq(~lower if index else 1), chosen[index].eq(request.valid & request.ready)]
            lower = request.valid | lower if index else request.valid
        in_memory = Signal(self.readers)
        m.d.sync += [address.eq(picked), in_memory.eq(chosen)]
        m.d.comb += rows.read_addr.eq(address)
        at_output = Signal(self.readers)
        m.d.sync += [at_output.eq(in_memory), self.read_valid.eq(at_output), self.read_data.eq(rows.read_data)]
        return m
