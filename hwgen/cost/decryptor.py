"""What a memory port's decryptor lets through when not all rounds of AES are built."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.cost.arrays import ConfigTable
from rtl_templates.crypto.timing import keystream_depth

PORT_BYTES = 16


def keystream_cycles(config: AcceleratorConfig, beats: float, idle: float) -> float:
    """Cycles that the key stream of an encrypted segment takes, its tag's block included.

    Args:
        beats: 16-byte beats of the segment.
        idle: cycles before its first beat in which the channel had no other data; its key stream is made in them, as
            far as the queue has room.
    """
    if config.crypto is not Crypto.GCM:
        return 0.0
    ahead = min(idle / config.aes_cycles, keystream_depth(config.aes_key_bits, config.aes_cycles))
    return config.aes_cycles * max(0.0, beats + 1 - ahead)


def encrypted_rate(table: ConfigTable, bytes_per_cycle: float) -> np.ndarray:
    """Encrypted bytes per cycle that all ports together take from a memory of so many bytes per cycle, [N]."""
    return np.minimum(table.axi_ports * PORT_BYTES / table.aes_cycles, bytes_per_cycle)
