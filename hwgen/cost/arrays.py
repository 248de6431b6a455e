"""Many configurations as columns of one table, so that cost is computed for all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from hwgen.config.accelerator import AcceleratorConfig, RamStyle, WindowUnit
from hwgen.config.system import SystemConfig

#: kinds of window units; a table holds their numbers
UNITS = tuple(WindowUnit)


@dataclass(frozen=True, kw_only=True)
class ConfigTable:
    """int64 [N] per field; names as in ``AcceleratorConfig``, ``act_ultra`` is 1 where activations lie in UltraRAM,
    ``window`` the unit's place in ``UNITS``, ``spill_aes_cycles`` 0 where feature maps are not protected.

    All fields but ``engines``, their number, are those of one engine.
    """

    p_i: np.ndarray
    p_o: np.ndarray
    acc_depth: np.ndarray
    acc_bits: np.ndarray
    act_words: np.ndarray
    line_columns: np.ndarray
    weight_lines: np.ndarray
    axi_ports: np.ndarray
    aes_cycles: np.ndarray
    spill_aes_cycles: np.ndarray
    program_words: np.ndarray
    act_ultra: np.ndarray
    window: np.ndarray
    window_kernel: np.ndarray
    window_width: np.ndarray
    engines: np.ndarray

    def __len__(self) -> int:
        return len(self.p_i)

    @property
    def line_bytes(self) -> np.ndarray:
        """Bytes of a weight-memory line."""
        return self.line_columns * self.p_i

    @property
    def lines_per_tile(self) -> np.ndarray:
        """Lines of a full tile."""
        return self.p_o // self.line_columns

    @property
    def param_lines(self) -> np.ndarray:
        """Lines of requantisation records for p_o channels."""
        return self.p_o * 16 // self.line_bytes

    @property
    def window_lines(self) -> np.ndarray:
        """Lines of a channel block of the window unit: records, then taps."""
        return -(-self.p_i // (self.line_bytes // 16)) + -(-self.window_kernel ** 2 // self.line_columns)

    @property
    def protected(self) -> np.ndarray:
        """1 where spilled feature maps are encrypted and authenticated."""
        return (self.spill_aes_cycles > 0).astype(np.float64)

    def has_unit(self, *units: WindowUnit) -> np.ndarray:
        """Whether the window unit is one of ``units``."""
        return np.isin(self.window, [UNITS.index(unit) for unit in units])

    def take(self, index: np.ndarray) -> ConfigTable:
        """The rows at ``index`` (integers or mask)."""
        return ConfigTable(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def unique(self, names: Iterable[str]) -> tuple[ConfigTable, np.ndarray]:
        """One row per distinct combination of the named fields, and for every row of this table its number."""
        keys = np.stack([getattr(self, n) for n in names])
        _, first, inverse = np.unique(keys, axis=1, return_index=True, return_inverse=True)
        return self.take(first), inverse.reshape(-1)

    def config(self, row: int, base: AcceleratorConfig) -> AcceleratorConfig:
        """The engine of a row; what the table lacks is taken from ``base``."""
        values = {f.name: int(getattr(self, f.name)[row]) for f in fields(self) if f.name != "engines"}
        ultra, unit = bool(values.pop("act_ultra")), UNITS[values.pop("window")]
        protected = values["spill_aes_cycles"] > 0
        if not protected:
            del values["spill_aes_cycles"]
        return base.replace(**values, protect_activations=protected, window=unit,
                            act_ram=RamStyle.ULTRA if ultra else RamStyle.BLOCK)

    def system(self, row: int, base: AcceleratorConfig) -> SystemConfig:
        """Row as a design."""
        return SystemConfig(engine=self.config(row, base), engines=int(self.engines[row]))

    @classmethod
    def of(cls, configs: Iterable[AcceleratorConfig | SystemConfig]) -> ConfigTable:
        """A table of given configurations."""
        rows = [c if isinstance(c, SystemConfig) else SystemConfig(engine=c) for c in configs]
        own = {f.name: np.array([getattr(c.engine, f.name) for c in rows], np.int64)
               for f in fields(cls) if f.name not in ("act_ultra", "window", "engines", "spill_aes_cycles")}
        spill = np.array([c.engine.spill_aes_cycles * c.engine.protect_activations for c in rows], np.int64)
        return cls(**own, spill_aes_cycles=spill,
                   act_ultra=np.array([c.engine.act_ram is RamStyle.ULTRA for c in rows], np.int64),
                   window=np.array([UNITS.index(c.engine.window) for c in rows], np.int64),
                   engines=np.array([c.engines for c in rows], np.int64))
