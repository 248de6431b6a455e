"""On-chip feature maps: two banks of two sub-banks, one read and one write port each."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.isa.layout import ACT_ADDR_BITS
from rtl_templates.engine.delay import delay
from rtl_templates.memory.ram import Ram

BANKS = 2


def request_layout() -> data.StructLayout:
    """A read of one or two words: valid bits and word addresses (of different parity if both are valid)."""
    return data.StructLayout({"valid": 2, "addr0": ACT_ADDR_BITS, "addr1": ACT_ADDR_BITS})


class ActivationMemory(wiring.Component):
    """Word address = bank·act_stride + offset; the lowest bit selects the sub-bank.

    Data follow a request after ``timing.MEMORY`` - 1 cycles (the last register, with the padding mask, is the
    engine's). The array's reads come first, then the post-processor's residual reads (never in the same sub-bank by the
    planner's rules), then the window unit's and then the store unit's, which wait for a free sub-bank. The array's
    results come first on the write side, then those of the window unit (as long as they find their sub-bank free), then
    loads.

    Members:
        source: In(request), word0/word1: Out: array reads.
        residual: In(request), residual0/residual1: Out.
        write_valid: In(2), write_addr0/1, write_data: results, word 0 and word 1 (different parity if both are valid).
        dma_write: stream In {addr, data}.
        dma_read: stream In {addr}; dma_data: Out {valid, data}, in order, 3 cycles after the transfer.
        window_read: stream In {addr}; window_data: Out, 3 cycles after the transfer (with a window unit).
        window_write: stream In {addr, data} (with a window unit).
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        word = config.p_i * 8
        super().__init__({
            "source": In(request_layout()),
            "word0": Out(word), "word1": Out(word),
            "residual": In(request_layout()),
            "residual0": Out(word), "residual1": Out(word),
            "write_valid": In(2),
            "write_addr0": In(ACT_ADDR_BITS), "write_addr1": In(ACT_ADDR_BITS),
            "write_data0": In(word), "write_data1": In(word),
            "dma_write": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS, "data": word}))),
            "dma_read": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS}))),
            "dma_data": Out(data.StructLayout({"valid": 1, "data": word})),
            **({} if config.window is WindowUnit.NONE else {
                "window_read": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS}))),
                "window_data": Out(word),
                "window_write": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS, "data": word}))),
            }),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = self.config.p_i * 8
        bank_bit = (self.config.act_stride - 1).bit_length()
        window = self.config.window is not WindowUnit.NONE

        def place(addr: Signal) -> Signal:
            """Index of the sub-bank of a word address: {bank, parity}."""
            return Cat(addr[0], addr[bank_bit])

        def hits(addr: Signal, index: int) -> Signal:
            return place(addr) == index

        outputs = []
        read_free, dma_free, write_free = [], [], []
        for index in range(2 * BANKS):
            rows = Ram(width=word, depth=self.config.act_words // 2, style=self.config.act_ram)
            m.submodules[f"bank{index // 2}_{'odd' if index % 2 else 'even'}"] = rows

            # writes: one register stage in front of the memory
            result0 = self.write_valid[0] & hits(self.write_addr0, index)
            result1 = self.write_valid[1] & hits(self.write_addr1, index)
            write_free.append(~(result0 | result1))
            load = self.dma_write.valid & self.dma_write.ready & hits(self.dma_write.payload.addr, index)
            sources = [(result0, self.write_addr0, self.write_data0), (result1, self.write_addr1, self.write_data1),
                       (load, self.dma_write.payload.addr, self.dma_write.payload.data)]
            if window:
                writes = self.window_write.valid & hits(self.window_write.payload.addr, index)
                sources.insert(2, (writes, self.window_write.payload.addr, self.window_write.payload.data))
            chosen = Signal(range(len(sources)), name=f"write_source_{index}")
            m.d.comb += chosen.eq(len(sources) - 1)
            for number in reversed(range(len(sources) - 1)):
                with m.If(sources[number][0]):
                    m.d.comb += chosen.eq(number)
            m.d.sync += [
                rows.write_en.eq(Cat(*(hit for hit, _, _ in sources)).any()),
                rows.write_addr.eq(Array([addr for _, addr, _ in sources])[chosen][1:bank_bit]),
                rows.write_data.eq(Array([value for _, _, value in sources])[chosen]),
            ]

            # reads: address register, memory, output register
            choices = [(self.source.valid[0] & hits(self.source.addr0, index), self.source.addr0),
                       (self.source.valid[1] & hits(self.source.addr1, index), self.source.addr1),
                       (self.residual.valid[0] & hits(self.residual.addr0, index), self.residual.addr0),
                       (self.residual.valid[1] & hits(self.residual.addr1, index), self.residual.addr1)]
            used = Signal(name=f"used_{index}")
            m.d.comb += used.eq(Cat(*(hit for hit, _ in choices)).any())
            read_free.append(~used)
            addr = self.dma_read.payload.addr
            if window:
                windowed = self.window_read.valid & hits(self.window_read.payload.addr, index)
                dma_free.append(~used & ~windowed)
                addr = Mux(windowed, self.window_read.payload.addr, addr)
            for hit, value in reversed(choices):
                addr = Mux(hit, value, addr)
            output = Signal(word, name=f"output_{index}")
            m.d.sync += [rows.read_addr.eq(addr[1:bank_bit]), output.eq(rows.read_data)]
            outputs.append(output)

        dma_write_ready = Array(write_free)[place(self.dma_write.payload.addr)]
        by_place = Array(outputs)
        if window:
            read, write = self.window_read, self.window_write
            dma_write_ready &= ~write.valid | (place(write.payload.addr) != place(self.dma_write.payload.addr))
            m.d.comb += [
                read.ready.eq(Array(read_free)[place(read.payload.addr)]),
                write.ready.eq(Array(write_free)[place(write.payload.addr)]),
                self.window_data.eq(by_place[delay(m, place(read.payload.addr), 3, "window_place")]),
            ]
        m.d.comb += [
            self.dma_write.ready.eq(dma_write_ready),
            self.dma_read.ready.eq(Array(dma_free if window else read_free)[place(self.dma_read.payload.addr)]),
        ]
        for target, addr in ((self.word0, self.source.addr0), (self.word1, self.source.addr1),
                             (self.residual0, self.residual.addr0), (self.residual1, self.residual.addr1)):
            m.d.comb += target.eq(by_place[delay(m, place(addr), 3, f"{target.name}_place")])
        m.d.comb += [
            self.dma_data.data.eq(by_place[delay(m, place(self.dma_read.payload.addr), 3, "dma_place")]),
            self.dma_data.valid.eq(delay(m, self.dma_read.valid & self.dma_read.ready, 3, "dma_valid")),
        ]
        return m
