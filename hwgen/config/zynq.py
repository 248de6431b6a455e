"""The ports of the Zynq processing systems: what Vivado's IP calls them, and what must be set to have them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pin:
    """Args:
        setting: parameter that enables it; width: parameter of its width in bits, "" if there is none.
        clock: pin of its clock.
    """

    setting: str
    clock: str = ""
    width: str = ""


@dataclass(frozen=True, kw_only=True)
class Zynq:
    """A processing system.

    Args:
        memory, control: AXI slaves and masters by name.
        interrupts: inputs by name.
        clocks: name -> parameters that enable it and set its frequency in MHz.
        reset: active-low reset for the fabric.
    """

    memory: dict[str, Pin]
    control: dict[str, Pin]
    interrupts: dict[str, Pin]
    clocks: dict[str, tuple[str, str]]
    reset: str


#: by ``ProcessingSystem.kind``, which is also the name of Vivado's IP
ZYNQ = {
    "zynq_ultra_ps_e": Zynq(  # AMD PG201
        memory={name: Pin(f"PSU__USE__S_AXI_GP{n}", f"{clock}_aclk", f"PSU__SAXIGP{n}__DATA_WIDTH")
                for n, (name, clock) in enumerate((
                    ("S_AXI_HPC0_FPD", "saxihpc0_fpd"), ("S_AXI_HPC1_FPD", "saxihpc1_fpd"),
                    ("S_AXI_HP0_FPD", "saxihp0_fpd"), ("S_AXI_HP1_FPD", "saxihp1_fpd"),
                    ("S_AXI_HP2_FPD", "saxihp2_fpd"), ("S_AXI_HP3_FPD", "saxihp3_fpd"), ("S_AXI_LPD", "saxi_lpd")))},
        control={name: Pin(f"PSU__USE__M_AXI_GP{n}", f"{clock}_aclk")
                 for n, (name, clock) in enumerate((
                     ("M_AXI_HPM0_FPD", "maxihpm0_fpd"), ("M_AXI_HPM1_FPD", "maxihpm1_fpd"),
                     ("M_AXI_HPM0_LPD", "maxihpm0_lpd")))},
        interrupts={f"pl_ps_irq{n}": Pin(f"PSU__USE__IRQ{n}") for n in range(2)},
        clocks={f"pl_clk{n}": (f"PSU__FPGA_PL{n}_ENABLE", f"PSU__CRL_APB__PL{n}_REF_CTRL__FREQMHZ") for n in range(4)},
        reset="pl_resetn0"),
    "processing_system7": Zynq(  # AMD PG082
        memory={f"S_AXI_HP{n}": Pin(f"PCW_USE_S_AXI_HP{n}", f"S_AXI_HP{n}_ACLK", f"PCW_S_AXI_HP{n}_DATA_WIDTH")
                for n in range(4)},
        control={f"M_AXI_GP{n}": Pin(f"PCW_USE_M_AXI_GP{n}", f"M_AXI_GP{n}_ACLK") for n in range(2)},
        interrupts={"IRQ_F2P": Pin("PCW_IRQ_F2P_INTR")},
        clocks={f"FCLK_CLK{n}": (f"PCW_EN_CLK{n}_PORT", f"PCW_FPGA{n}_PERIPHERAL_FREQMHZ") for n in range(4)},
        reset="FCLK_RESET0_N"),
}
