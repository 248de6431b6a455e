"""Store a graph in one safetensors file: the structure as JSON in its metadata, the arrays as tensors. No pickle."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hwgen.errors import HwgenError
from hwgen.ir import nodes
from hwgen.ir.nodes import Graph, Node

_FORMAT = "hwgen-graph-1"
_ENUMS: tuple[type[Enum], ...] = (nodes.TTExecution, nodes.Activation)
_CLASSES: dict[str, type] = {
    name: value for name, value in vars(nodes).items()
    if isinstance(value, type) and dataclasses.is_dataclass(value) and value not in (Graph, Node)
}


def save_graph(graph: Graph, path: Path, *, recipe: str = "", weights: Mapping[str, str] | None = None) -> None:
    """Write ``graph``; equal graphs give equal bytes.

    Args:
        recipe: name or path of the recipe that says how its images are prepared, where there is one.
        weights: kind and text: where its weights come from.
    """
    arrays: dict[str, np.ndarray] = {}
    structure = {
        "name": graph.name, "output": graph.output, "labels": list(graph.labels), "recipe": recipe,
        **({"weights": dict(weights)} if weights else {}),
        "nodes": [_encode(n, arrays) for n in graph.nodes],
    }
    path.write_bytes(save(arrays, metadata={_FORMAT: json.dumps(structure, sort_keys=True)}))


def load_graph(path: Path) -> Graph:
    """Read a graph written by ``save_graph``; HwgenError when the file is something else."""
    structure, arrays = _read(path)
    try:
        return Graph(
            name=structure["name"], output=structure["output"], labels=tuple(structure["labels"]),
            nodes=tuple(_decode(n, arrays) for n in structure["nodes"]),
        )
    except (KeyError, TypeError, StopIteration) as error:
        raise HwgenError(f"is damaged: {error!r}", where=str(path), hint="make it again") from error


def graph_recipe(path: Path) -> str:
    """The recipe stored with a graph; "" if there is none."""
    return _read(path)[0].get("recipe", "")


def graph_weights(path: Path) -> dict[str, str]:
    """Kind and text stored with a graph: where its weights come from; empty if that is not known."""
    return _read(path)[0].get("weights", {})


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(_FORMAT)
            if text is None:
                raise HwgenError("is not a graph file of this version", where=str(path), hint="build again")
            return json.loads(text), {name: file.get_tensor(name) for name in list(file.keys())}
    except (OSError, SafetensorError, ValueError) as error:
        raise HwgenError(f"cannot be read: {error}", where=str(path)) from error


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays):05d}"
        arrays[name] = np.ascontiguousarray(value)
        return {"$array": name}
    if isinstance(value, Enum):
        return {"$enum": type(value).__name__, "value": value.value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"$type": type(value).__name__,
                **{f.name: _encode(getattr(value, f.name), arrays) for f in dataclasses.fields(value) if f.init}}
    if isinstance(value, tuple | list):
        return [_encode(v, arrays) for v in value]
    if isinstance(value, np.integer | np.floating):
        return value.item()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a graph cannot hold a {type(value).__name__}")


def _decode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v, arrays) for v in value)
    if isinstance(value, dict):
        if "$array" in value:
            return arrays[value["$array"]]
        if "$enum" in value:
            return next(e for e in _ENUMS if e.__name__ == value["$enum"])(value["value"])
        fields = {k: _decode(v, arrays) for k, v in value.items() if k != "$type"}
        return _CLASSES[value["$type"]](**fields)
    return value
