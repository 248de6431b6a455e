"""One design: equal engines side by side, each working on frames of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError

#: most engines of a design
MAX_ENGINES = 8


@dataclass(frozen=True, kw_only=True)
class SystemConfig:
    """What the hardware is generated from. Programs and images are made for ``engine`` alone and run on any number.

    Args:
        engine: every engine; its memory ports are its own.
        engines: how many; engine k has ports k*axi_ports to (k+1)*axi_ports - 1 of the design.
    """

    engine: AcceleratorConfig
    engines: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.engines <= MAX_ENGINES:
            raise HwgenError(f"{self.engines!r} is not possible", where="config.engines", allowed=f"1..{MAX_ENGINES}")

    @property
    def ports(self) -> int:
        """Memory ports of the whole design."""
        return self.engines * self.engine.axi_ports

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates per cycle of all arrays."""
        return self.engines * self.engine.macs_per_cycle

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the engine's fields and ``engines``."""
        return {**self.engine.to_dict(), "engines": self.engines}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SystemConfig:
        """Inverse of ``to_dict``; without ``engines`` there is one. HwgenError for unknown fields or values."""
        engine = {name: value for name, value in values.items() if name != "engines"}
        engines = values.get("engines", 1)
        if not isinstance(engines, int) or isinstance(engines, bool):
            raise HwgenError(f"{engines!r} is not possible", where="config.engines", allowed=f"1..{MAX_ENGINES}")
        return cls(engine=AcceleratorConfig.from_dict(engine), engines=engines)
