"""What a network costs on a board, by the cost model: what both accelerator styles have to answer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from hwgen.config.system import SystemConfig
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Predicted cost of a network; everything encrypted.

    Args:
        cold, steady: cycles of a cold and of a following frame.
        dsp: multipliers of the design.
        memory: bytes on the chip that the network needs: its weight lines and its activations.
        energy_uj: of a following frame; an estimate from published figures (``hwgen.cost.energy``).
        macs, parameters: logical, as ``hwgen.ir.count`` defines them.
    """

    cold: float
    steady: float
    dsp: float
    memory: float
    energy_uj: float
    macs: int
    parameters: int

    @property
    def cycles(self) -> float:
        """What the latency objective minimises: the mean of a cold and a following frame."""
        return (self.cold + self.steady) / 2

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Gains:
    """How much a relative saving of each counts, against the network before any pruning on the same configuration.

    The array's multipliers belong to the configuration; they are saved when it is searched again between two rounds of
    pruning, and count there. Energy makes steps worth something that save no cycle because a word of the array holds
    the removed channels anyway.
    """

    cycles: float = 1.0
    dsp: float = 0.25
    memory: float = 0.25
    energy: float = 0.1

    def __post_init__(self) -> None:
        weights = asdict(self).values()
        if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
            raise HwgenError(f"weights {asdict(self)}", where="--gain", allowed="finite, not negative, one above 0")

    def of(self, before: Cost, after: Cost, scale: Cost) -> float:
        """Weighted relative savings of ``after`` over ``before``, in shares of ``scale``."""
        return sum(weight * (getattr(before, name) - getattr(after, name)) / max(getattr(scale, name), 1e-12)
                   for name, weight in (("cycles", self.cycles), ("dsp", self.dsp), ("memory", self.memory),
                                        ("energy_uj", self.energy)))


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a network would be built as.

    Args:
        cold, steady, interval: cycles of a cold frame, of a following one, and from frame to frame at full load.
        origin: ``"program"``: predicted from the compiled program; ``"model"``: from the analytic model.
        memory, energy_uj: as of ``Cost``.
        system: configuration; resources: estimated, of all of it.
    """

    cold: float
    steady: float
    interval: float
    origin: str
    memory: float
    energy_uj: float
    system: SystemConfig
    resources: dict[str, float]


class Hardware(Protocol):
    """An accelerator on a board, of one style, while networks change under it."""

    #: JSON-ready: what does not change from network to network; ``known_hardware`` finds the same hardware by it
    fixed: dict[str, Any]

    @property
    def granules(self) -> tuple[int, ...]:
        """Numbers of channels that it digests whole."""
        ...

    def cost(self, graph: Graph) -> Cost:
        """Predicted cost of a float graph; HwgenError if it cannot be built."""
        ...

    def design(self, graph: Graph) -> Design:
        """What the graph would be built as, predicted as well as can be; slower than ``cost``."""
        ...


def shapes_of(graph: Graph) -> tuple[Any, ...]:
    """What a cost depends on: structure and shapes, not the weights' values."""
    found = []
    for node in graph.nodes:
        cores = getattr(node, "cores", ())
        weight = getattr(node, "weight", None)
        found.append((node.name, node.op, node.shape, tuple(c.shape for c in cores),
                      () if weight is None else weight.shape))
    return tuple(found)
