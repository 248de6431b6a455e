"""The file that says which cores and kernels a build encrypts, written by ``hwgen seal``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, QConv2d

_FORMAT = "hwgen-selection-1"


@dataclass(frozen=True, kw_only=True)
class SelectedUnit:
    """One encrypted core or kernel.

    Args:
        node: its node in the network for which the selection was made.
        layer: the float layer it belongs to.
        units: how many nodes that layer had there (the cores of its train).
        shape: of its kernel, (O, I / groups, Kh, Kw).
    """

    node: str
    layer: str
    units: int
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What is encrypted.

    Args:
        model: name of the model.
        checkpoint: SHA-256 of the file its weights came from; "" if unknown.
        units: what is encrypted.
        summary: figures for people: bytes, share, threshold, accuracies.
    """

    model: str
    checkpoint: str
    units: tuple[SelectedUnit, ...]
    summary: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"format": _FORMAT, "model": self.model, "checkpoint": self.checkpoint,
                "units": [asdict(u) | {"shape": list(u.shape)} for u in self.units], "summary": dict(self.summary)}

    def check_weights(self, checkpoint: str, where: str) -> None:
        """HwgenError if it was made for other weights than those of the file with this SHA-256; "": unknown."""
        if self.checkpoint and checkpoint and self.checkpoint != checkpoint:
            raise HwgenError("was made for other weights", where=where,
                             hint="make the selection again with hwgen seal: importance depends on the weights")

    def nodes_in(self, graph: Graph, where: str) -> tuple[str, ...]:
        """The nodes of a build's integer network that hold what was selected.

        A build may execute a tensor train differently from the network for which the selection was made (cores merged,
        or contracted on the chip). Where a layer's nodes are not the same, *all* of them are encrypted: nothing that
        was selected is ever stored in plain.

        Raises:
            HwgenError: a layer of the selection is not in the network.
        """
        layers: dict[str, list[QConv2d]] = {}
        for node in graph.nodes:
            if isinstance(node, QConv2d):
                layers.setdefault(node.origin or node.name, []).append(node)
        chosen: dict[str, None] = {}
        for layer in dict.fromkeys(unit.layer for unit in self.units):
            nodes = layers.get(layer)
            if nodes is None:
                raise HwgenError(f"selects layer {layer!r}, which {graph.name} does not have", where=where,
                                 allowed=", ".join(layers), hint="make the selection again with hwgen seal")
            picked = self.picked(layer, {node.name: tuple(node.weight.shape) for node in nodes})
            chosen.update(dict.fromkeys(node.name for node in nodes if node.name in picked))
        return tuple(chosen)

    def picked(self, layer: str, nodes: Mapping[str, tuple[int, ...]]) -> frozenset[str]:
        """What is encrypted of a layer that is executed as ``nodes`` (name -> kernel's shape (O, I / groups, Kh, Kw)).

        Nothing if nothing of it was selected; the selected nodes if they and their number are those for which the
        selection was made; else all.
        """
        units = [unit for unit in self.units if unit.layer == layer]
        same = {unit.node for unit in units
                if unit.units == len(nodes) and nodes.get(unit.node) == tuple(unit.shape)}
        return frozenset(same if len(same) == len(units) else nodes)


def load_selection(path: Path) -> Selection:
    """Read a file written by ``hwgen seal``; HwgenError when it is something else."""
    if not path.is_file():
        raise HwgenError(f"selection {str(path)!r} does not exist", where="encrypt", hint="hwgen seal writes one")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != _FORMAT:
            raise ValueError(f"format {values['format']!r}")
        units = tuple(SelectedUnit(node=str(u["node"]), layer=str(u["layer"]), units=int(u["units"]),
                                   shape=tuple(int(n) for n in u["shape"])) for u in values["units"])
        return Selection(model=str(values["model"]), checkpoint=str(values["checkpoint"]), units=units,
                         summary=dict(values["summary"]))
    except (ValueError, KeyError, TypeError, OSError, OverflowError) as error:
        raise HwgenError(f"is no selection of this version: {error}", where=str(path),
                         hint="hwgen seal writes one") from error
