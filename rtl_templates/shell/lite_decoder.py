"""One AXI4-Lite slave in front of several: equal windows of addresses, one behind the other."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.registers import ADDR_BITS, lite_members


def decoded_bits(windows: int) -> int:
    """Address bits of so many windows."""
    return ADDR_BITS + (windows - 1).bit_length()


def decoded_members(windows: int) -> dict[str, wiring.Member]:
    """Signals of the AXI4-Lite slave in front of ``windows`` windows: those of one, with longer addresses."""
    longer = In(decoded_bits(windows))
    return {**lite_members(), "awaddr": longer, "araddr": longer}


class LiteDecoder(wiring.Component):
    """Takes one write and one read at a time, each through registers. Where there is no window it answers OKAY, and a
    read gives 0, as where there is no register.

    Args:
        windows: at least 2; window k begins at byte k << ADDR_BITS. Each takes address and data of a write together.

    Members:
        bus: Out, AXI4-Lite slave (``decoded_members``).
        window_0 ...: In, AXI4-Lite master of each window (``lite_members``).
    """

    def __init__(self, *, windows: int) -> None:
        self.windows = windows
        super().__init__({
            "bus": Out(wiring.Signature(decoded_members(windows))),
            **{f"window_{k}": In(wiring.Signature(lite_members())) for k in range(windows)},
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        targets = [getattr(self, f"window_{k}") for k in range(self.windows)]

        def answer(name: str, select: Signal) -> Value:
            """Signal ``name`` of the selected window; 0 if there is none."""
            signals = [getattr(target, name) for target in targets]
            return reduce(or_, (s & bit.replicate(len(s)) for s, bit in zip(signals, select, strict=True)))

        def one_hot(address: Value) -> Value:
            return Cat(address[ADDR_BITS:] == k for k in range(self.windows))

        # ---- writes: both channels are taken together, passed on together, answered
        write = Signal(self.windows, name="write_select")
        address, protection, word, strobe = Signal(ADDR_BITS), Signal(3), Signal(32), Signal(4)
        for target in targets:
            m.d.comb += [target.awaddr.eq(address), target.awprot.eq(protection), target.wdata.eq(word),
                         target.wstrb.eq(strobe)]
        with m.FSM(name="write"):
            with m.State("WAIT"), m.If(bus.awvalid & bus.wvalid):
                m.d.sync += [
                    bus.awready.eq(1), bus.wready.eq(1), write.eq(one_hot(bus.awaddr)), address.eq(bus.awaddr),
                    protection.eq(bus.awprot), word.eq(bus.wdata), strobe.eq(bus.wstrb),
                ]
                m.next = "TAKEN"
            with m.State("TAKEN"):
                m.d.sync += [bus.awready.eq(0), bus.wready.eq(0)]
                m.next = "PASS"
            with m.State("PASS"):
                for bit, target in zip(write, targets, strict=True):
                    m.d.comb += [target.awvalid.eq(bit), target.wvalid.eq(bit)]
                with m.If(answer("awready", write) | ~write.any()):
                    m.next = "RESPONSE"
            with m.State("RESPONSE"):
                for bit, target in zip(write, targets, strict=True):
                    m.d.comb += target.bready.eq(bit)
                with m.If(answer("bvalid", write) | ~write.any()):
                    m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(answer("bresp", write))]
                    m.next = "ANSWER"
            with m.State("ANSWER"), m.If(bus.bready):
                m.d.sync += bus.bvalid.eq(0)
                m.next = "WAIT"

        # ---- reads
        read = Signal(self.windows, name="read_select")
        read_address, read_protection = Signal(ADDR_BITS), Signal(3)
        for target in targets:
            m.d.comb += [target.araddr.eq(read_address), target.arprot.eq(read_protection)]
        with m.FSM(name="read"):
            with m.State("WAIT"), m.If(bus.arvalid):
                m.d.sync += [bus.arready.eq(1), read.eq(one_hot(bus.araddr)), read_address.eq(bus.araddr),
                             read_protection.eq(bus.arprot)]
                m.next = "TAKEN"
            with m.State("TAKEN"):
                m.d.sync += bus.arready.eq(0)
                m.next = "PASS"
            with m.State("PASS"):
                for bit, target in zip(read, targets, strict=True):
                    m.d.comb += target.arvalid.eq(bit)
                with m.If(answer("arready", read) | ~read.any()):
                    m.next = "RESPONSE"
            with m.State("RESPONSE"):
                for bit, target in zip(read, targets, strict=True):
                    m.d.comb += target.rready.eq(bit)
                with m.If(answer("rvalid", read) | ~read.any()):
                    m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(answer("rdata", read)),
                                 bus.rresp.eq(answer("rresp", read))]
                    m.next = "ANSWER"
            with m.State("ANSWER"), m.If(bus.rready):
                m.d.sync += bus.rvalid.eq(0)
                m.next = "WAIT"
        return m
