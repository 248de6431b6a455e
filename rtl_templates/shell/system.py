"""Several equal accelerators in one design: each with its own registers, keys, memory ports and buffers."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.system import SystemConfig
from rtl_templates.shell.accelerator import Accelerator
from rtl_templates.shell.axi import read_members, write_members
from rtl_templates.shell.lite_decoder import LiteDecoder, decoded_members
from rtl_templates.shell.placed import place

ENGINE = "hwgen_engine"


class System(wiring.Component):
    """The accelerators share nothing but clock, reset, the register slave and the interrupt line.

    Args:
        config: at least two engines.

    Members:
        s_axil_*: AXI4-Lite slave; the registers (registers.rdl) of engine k begin at byte k * 4096.
        m_axi_*: AXI4 masters, those of engine k from k * axi_ports on; the first of each engine writes.
        irq: Out(1), level: an engine has an enabled interrupt set. Which one, its IRQ_STATUS says.
    """

    def __init__(self, *, config: SystemConfig) -> None:
        self.config = config
        self.engine = Accelerator(config=config.engine, engines=config.engines)
        members = {f"s_axil_{name}": member for name, member in decoded_members(config.engines).items()}
        for port in range(config.ports):
            signals = read_members() | (write_members() if port % config.engine.axi_ports == 0 else {})
            members |= {f"m_axi_{port}_{name}": member for name, member in signals.items()}
        super().__init__({**members, "irq": Out(1)})

    def submodules(self) -> dict[str, wiring.Component]:
        """Components that are placed by name and must be converted to Verilog beside this one."""
        return {ENGINE: self.engine, **self.engine.submodules()}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count, ports = self.config.engines, self.config.engine.axi_ports
        m.submodules.decoder = decoder = LiteDecoder(windows=count)
        for name, member in decoded_members(count).items():
            port, inner = getattr(self, f"s_axil_{name}"), getattr(decoder.bus, name)
            m.d.comb += inner.eq(port) if member.flow == In else port.eq(inner)
        waiting = Signal(count)
        for number in range(count):
            engine = place(m, ENGINE, f"engine_{number}", self.engine.signature)
            window = getattr(decoder, f"window_{number}")
            for name, member in self.engine.signature.members.items():
                inner = getattr(engine, name)
                if name == "irq":
                    m.d.comb += waiting[number].eq(inner)
                    continue
                if name.startswith("s_axil_"):
                    port = getattr(window, name.removeprefix("s_axil_"))
                else:
                    own, signal = name.removeprefix("m_axi_").split("_", 1)
                    port = getattr(self, f"m_axi_{number * ports + int(own)}_{signal}")
                m.d.comb += inner.eq(port) if member.flow == In else port.eq(inner)
        m.d.sync += self.irq.eq(waiting.any())
        return m
