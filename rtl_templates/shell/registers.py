"""The register file: an AXI4-Lite slave built from ``registers.rdl``."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.register_model import RegisterField, register_map

REGISTER_VERSION = 3
IDENTIFICATION = 0x48574745
#: byte address bits of the slave
ADDR_BITS = 12
#: registers that share the first stage of the read multiplexer
GROUP = 8


def lite_members() -> dict[str, wiring.Member]:
    """Signals of an AXI4-Lite slave."""
    return {
        "awaddr": In(ADDR_BITS), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
        "wdata": In(32), "wstrb": In(4), "wvalid": In(1), "wready": Out(1),
        "bresp": Out(2), "bvalid": Out(1), "bready": In(1),
        "araddr": In(ADDR_BITS), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
        "rdata": Out(32), "rresp": Out(2), "rvalid": Out(1), "rready": In(1),
    }


def values_layout(protection: bool = False) -> data.StructLayout:
    """Every field that software writes, named ``<register>_<field>``."""
    return data.StructLayout({register.signal(field): field.width for register in register_map(protection)
                              if not register.external for field in register.fields if field.writable})


def inputs_layout(protection: bool = False) -> data.StructLayout:
    """Every field whose value, or whose setting, comes from the hardware."""
    return data.StructLayout({register.signal(field): field.width for register in register_map(protection)
                              for field in register.fields if field.clear_by_one or not field.writable})


def external_layout() -> data.StructLayout:
    """A write to an external register."""
    return data.StructLayout({"valid": 1, "address": ADDR_BITS, "data": 32})


class RegisterFile(wiring.Component):
    """Reads take five cycles and writes four; every access answers OKAY, reads of nothing give 0.

    Args:
        protection: with the registers of protected feature maps.

    Members:
        bus: In, AXI4-Lite.
        values: Out(values_layout); pulses are high for one cycle.
        inputs: In(inputs_layout); levels, or pulses that set a write-1-to-clear field.
        external: Out(external_layout), whole words only.
        locked: In(1), lockable fields keep their value; touched: Out(1), pulse: one was written.
    """

    def __init__(self, *, protection: bool = False) -> None:
        self.protection = protection
        super().__init__({
            "bus": Out(wiring.Signature(lite_members())),
            "values": Out(values_layout(protection), init={
                register.signal(field): field.reset for register in register_map(protection) if not register.external
                for field in register.fields if field.writable}),
            "inputs": In(inputs_layout(protection)),
            "external": Out(external_layout()),
            "locked": In(1),
            "touched": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, registers = self.bus, register_map(self.protection)
        selected = {register.name: Signal(name=f"write_{register.name.lower()}") for register in registers}
        address, word, mask = Signal(ADDR_BITS, name="address"), Signal(32, name="word"), Signal(32, name="mask")

        # ---- writes: both channels are taken together, decoded, carried out, answered
        with m.FSM(name="write"):
            with m.State("WAIT"), m.If(bus.awvalid & bus.wvalid):
                m.d.sync += [
                    bus.awready.eq(1), bus.wready.eq(1), address.eq(bus.awaddr), word.eq(bus.wdata),
                    mask.eq(Cat(bit.replicate(8) for bit in bus.wstrb)),
                ]
                m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += [bus.awready.eq(0), bus.wready.eq(0)]
                for register in registers:
                    m.d.sync += selected[register.name].eq(address[2:] == register.address >> 2)
                m.next = "STORE"
            with m.State("STORE"):
                m.d.sync += [Cat(*selected.values()).eq(0), bus.bvalid.eq(1)]
                m.next = "ANSWER"
            with m.State("ANSWER"), m.If(bus.bready):
                m.d.sync += bus.bvalid.eq(0)
                m.next = "WAIT"

        lockable, external = [], []
        for register in registers:
            chosen = selected[register.name]
            if register.external:
                external.append(chosen)
                continue
            if any(field.lockable for field in register.fields):
                lockable.append(chosen)
            for field in register.fields:
                if not field.writable:
                    continue
                value = self.values[register.signal(field)]
                window = slice(field.low, field.low + field.width)
                enable = chosen & ~self.locked if field.lockable else chosen
                written = word[window] & mask[window]
                if field.pulse:
                    m.d.sync += value.eq(Mux(enable, written, 0))
                elif field.clear_by_one:
                    m.d.sync += value.eq(value & ~Mux(enable, written, 0) | self.inputs[register.signal(field)])
                elif field.rises:
                    offered, offer = Signal(field.width, name="offered"), Signal(name="offer")
                    m.d.sync += [offered.eq(value & ~mask[window] | written), offer.eq(enable)]
                    with m.If(offer & (offered > value)):
                        m.d.sync += value.eq(offered)
                else:
                    with m.If(enable):
                        m.d.sync += value.eq(value & ~mask[window] | written)
        m.d.sync += [
            self.touched.eq(Cat(*lockable).any() & ~self.locked),
            self.external.valid.eq(Cat(*external).any() & mask.all()),
            self.external.address.eq(address), self.external.data.eq(word),
        ]

        # ---- reads: a register in each group of GROUP registers, then the group
        by_word: dict[int, ValueLike] = {}
        for register in registers:
            content = Const(0, 0)
            for field in register.fields:
                content = Cat(content, Const(0, field.low - len(content)), self._read(register.signal(field), field))
            by_word[register.address >> 2] = content if not register.external else Const(0, 32)
        groups = max(by_word) // GROUP + 1
        read_address = Signal(ADDR_BITS)
        first_stage = [Signal(32, name=f"read_group_{k}") for k in range(groups)]
        for k, value in enumerate(first_stage):
            m.d.sync += value.eq(Array([by_word.get(k * GROUP + j, Const(0, 32)) for j in range(GROUP)])
                                 [read_address[2:2 + (GROUP - 1).bit_length()]])
        with m.FSM(name="read"):
            with m.State("WAIT"), m.If(bus.arvalid):
                m.d.sync += [bus.arready.eq(1), read_address.eq(bus.araddr)]
                m.next = "TAKEN"
            with m.State("TAKEN"):
                m.d.sync += bus.arready.eq(0)
                m.next = "GROUP"
            with m.State("GROUP"):
                group = read_address[2 + (GROUP - 1).bit_length():]
                m.d.sync += [bus.rdata.eq(0), bus.rvalid.eq(1)]
                with m.Switch(group):
                    for k, value in enumerate(first_stage):
                        with m.Case(k):
                            m.d.sync += bus.rdata.eq(value)
                m.next = "ANSWER"
            with m.State("ANSWER"), m.If(bus.rready):
                m.d.sync += bus.rvalid.eq(0)
                m.next = "WAIT"
        return m

    def _read(self, name: str, field: RegisterField) -> ValueLike:
        """What software reads of a field."""
        if not field.readable:
            return Const(0, field.width)
        return self.values[name] if field.writable else self.inputs[name]
