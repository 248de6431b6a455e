"""Large on-chip memories, placed as instances of one small Verilog module.

Amaranth's ``lib.memory`` writes initial contents for every row, which UltraRAM cannot have and which makes the
conversion of megabytes of buffers take minutes.
"""

from pathlib import Path

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import RamStyle

RAM_MODULE = "hwgen_ram"


def ram_verilog() -> str:
    """Text of the Verilog module that ``Ram`` instantiates."""
    return (Path(__file__).parent / f"{RAM_MODULE}.v").read_text()


class Ram(wiring.Component):
    """One read and one write port; reads give the old contents in the next cycle.

    Members:
        read_addr: In; read_data: Out(width), one cycle later.
        write_addr, write_data: In; write_en: In(granules), one bit per width/granules bits.

    Raises:
        ValueError: width is not a multiple of granules.
    """

    def __init__(self, *, width: int, depth: int, granules: int = 1, style: RamStyle = RamStyle.AUTO) -> None:
        if width % granules:
            raise ValueError(f"width must be a multiple of granules, not {width} / {granules}")
        self.width, self.depth, self.granules, self.style = width, depth, granules, style
        self.addr_bits = max(1, (depth - 1).bit_length())
        super().__init__({
            "read_addr": In(self.addr_bits), "read_data": Out(width),
            "write_addr": In(self.addr_bits), "write_en": In(granules), "write_data": In(width),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.width // self.granules
        # one memory per granule: write enables of a block cover 8 or 9 bits, so a block shared by two granules whose
        # width is no multiple of that cannot be built by every tool
        for granule in range(self.granules):
            m.submodules[f"granule_{granule}"] = Instance(
                RAM_MODULE,
                p_WIDTH=width, p_DEPTH=self.depth, p_ADDR=self.addr_bits, p_STYLE=self.style.value,
                i_clk=ClockSignal(),
                i_read_addr=self.read_addr, o_read_data=self.read_data.word_select(granule, width),
                i_write_addr=self.write_addr, i_write_en=self.write_en[granule],
                i_write_data=self.write_data.word_select(granule, width),
            )
        return m
