"""What a memory port's decryptor lets through when not all rounds of AES are built."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.cost.arrays import ConfigTable
from rtl_templates.crypto.timing import keystream_depth

PORT_BYTES = 16


def keystream_ahead(config: AcceleratorConfig, idle: float) -> float:
    """Beats of an encrypted segment that come at the port's rate, the others at that of the cipher.

    Args:
        idle: cycles before the first beat in which the channel had no other data; key stream is made in them, as far as
            the queue has room. While it is used up, the cipher goes on.
    """
    cycles = config.aes_cycles
    waiting = min(idle / cycles, keystream_depth(config.aes_key_bits, cycles))
    return waiting * cycles / max(1, cycles - 1) if cycles > 1 else float("inf")


class RowCipher:
    """Key stream of a unit for protected rows, which are short: it is made from row to row, as far as the queue has
    room, while the data come or before."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self._cycles = config.spill_aes_cycles if config.crypto is Crypto.GCM else 0
        self._depth = keystream_depth(config.aes_key_bits, config.spill_aes_cycles)
        self._ready = 0.0

    def ready(self, offered: float, begin: float, beats: int) -> float:
        """When the last of ``beats`` (tags included) has its key stream, whose headers came at ``offered`` and whose
        data come from ``begin`` on."""
        self._ready = max(self._ready, offered, begin - self._depth * self._cycles) + beats * self._cycles
        return self._ready


def encrypted_rate(table: ConfigTable, bytes_per_cycle: float) -> np.ndarray:
    """Encrypted bytes per cycle that all ports together take from a memory of so many bytes per cycle, [N]."""
    return np.minimum(table.axi_ports * PORT_BYTES / table.aes_cycles, bytes_per_cycle)
