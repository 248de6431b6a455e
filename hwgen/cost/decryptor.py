"""What a memory port's decryptor lets through when not all rounds of AES are built."""

from __future__ import annotations

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, Crypto
from hwgen.cost.arrays import ConfigTable
from rtl_templates.crypto.timing import KEYSTREAM_LEAST, keystream_depth

PORT_BYTES = 16


class SegmentCipher:
    """Key stream of a port's decryptor: made segment by segment as the headers come, ahead of the data as far as the
    queue has room. A plain segment needs one block, for its tag."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self._cycles = config.aes_cycles
        self._depth = keystream_depth(config.aes_key_bits, config.aes_cycles)
        self._free = 0.0

    def ahead(self, offered: float, begin: float, blocks: int) -> float:
        """Beats of the next segment that come at the port's rate, the others at that of the cipher.

        Args:
            offered: when the cipher could begin; begin: when the first beat comes.
            blocks: of key stream that the segment needs.
        """
        cycles, start = self._cycles, max(self._free, offered)
        waiting = min(max(0.0, begin - start) / cycles, self._depth)
        # the queue lets it go on when the data are taken
        self._free = max(start + blocks * cycles, begin + (blocks - self._depth) * cycles)
        return waiting * cycles / (cycles - 1) if cycles > 1 else float("inf")


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


def keystream_cycles(table: ConfigTable) -> np.ndarray:
    """Cycles in which a port's cipher fills its queue of key stream, [N]; a whole cipher needs no queue."""
    return float(KEYSTREAM_LEAST) * table.aes_cycles
