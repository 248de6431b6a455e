"""What a memory port's decryptor lets through when not all rounds of AES are built."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.cost.arrays import ConfigTable
from rtl_templates.crypto.timing import keystream_depth

PORT_BYTES = 16


def keystream_ahead(config: AcceleratorConfig, idle: float) -> float:
    """Beats of an encrypted segment that come at the port's rate, the others at that of the cipher.

    Args:
        idle: cycles before the first beat in which the channel had no other data; key stream is made in them, as far as
            the queue has room. While it is used up, the cipher goes on.
    """
    waiting = min(idle / config.aes_cycles, keystream_depth(config.aes_key_bits, config.aes_cycles))
    return waiting * config.aes_cycles / max(1, config.aes_cycles - 1) if config.aes_cycles > 1 else float("inf")


def encrypted_rate(table: ConfigTable, bytes_per_cycle: float) -> np.ndarray:
    """Encrypted bytes per cycle that all ports together take from a memory of so many bytes per cycle, [N]."""
    return np.minimum(table.axi_ports * PORT_BYTES / table.aes_cycles, bytes_per_cycle)
