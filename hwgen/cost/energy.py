"""Energy per frame: an order-of-magnitude estimate from published figures, not calibrated to a board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class EnergyConstants:
    """Args:
        mac_pj: one int8 multiply-accumulate in a DSP block with its share of registers, memories and routing.
        dram_pj_per_byte: external memory; 1.3 to 2.6 nJ per 64 bit (Horowitz, ISSCC 2014) is 160 to 325 pJ a byte.
        static_mw_per_klut: leakage and clock tree of the logic in use.
    """

    mac_pj: float = 4.0
    dram_pj_per_byte: float = 200.0
    static_mw_per_klut: float = 5.0


ENERGY = EnergyConstants()


def energy_uj(
    *, macs: float, dram_bytes: np.ndarray, cycles: np.ndarray, clock_mhz: float, lut: np.ndarray,
    constants: EnergyConstants = ENERGY,
) -> np.ndarray:
    """Microjoule per frame."""
    seconds = cycles / (clock_mhz * 1e6)
    static = constants.static_mw_per_klut * 1e-3 * lut / 1e3 * seconds * 1e6
    return macs * constants.mac_pj * 1e-6 + dram_bytes * constants.dram_pj_per_byte * 1e-6 + static
