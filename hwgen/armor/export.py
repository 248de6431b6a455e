"""A point of a front as a model: a recipe and its checkpoint, which ``hwgen build`` takes like any other."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hwgen.armor.front import read_json, reductions
from hwgen.armor.model import recipe_reference
from hwgen.armor.settings import PruneSettings
from hwgen.errors import HwgenError
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.graphfile import graph_recipe, graph_weights, load_graph, save_graph
from hwgen.pipeline.store import write_text
from hwgen.ttseal.folder import SETTINGS
from hwgen.zoo.recipe import Recipe, RobustSpec, load_recipe

#: of adversarial training: setting -> option
_ROBUST_OPTIONS = {"method": "robust", "epsilon": "epsilon", "steps": "attack-steps", "step": "attack-step",
                   "beta": "beta"}


def export(point: dict[str, Any], points: list[dict[str, Any]], folder: Path, name: str) -> Path:
    """Write ``NAME.toml`` and ``NAME.safetensors`` into ``folder``; returns the recipe.

    Args:
        point: of ``hwgen.armor.front.load_points``; points: all of its run.
        name: of the model; letters, digits, ``_`` and ``-``.

    Raises:
        HwgenError: a name that is none, or a file that is there already and is another model.
    """
    if not name.replace("_", "").replace("-", "").isalnum():
        raise HwgenError(f"{name!r}", where="--name", allowed="letters, digits, _ and -")
    source = Path(point["folder"]) / "points" / f"{point['point']:03}.safetensors"
    recipe = load_recipe(graph_recipe(source))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, path = folder / f"{name}.safetensors", folder / f"{name}.toml"
    if path.resolve() == recipe.path.resolve():
        raise HwgenError("is the recipe that the network was made from", where=str(path), hint="another --name")
    temporary = checkpoint.with_name(f"{checkpoint.name}.part")
    save_graph(load_graph(source), temporary, recipe=recipe_reference(recipe),
               weights={**graph_weights(source), "kind": "trained"})
    temporary.replace(checkpoint)
    write_text(path, recipe_text(recipe, point, points, name, checkpoint))
    load_recipe(path)  # what was written must be read
    return path


def recipe_text(recipe: Recipe, point: dict[str, Any], points: list[dict[str, Any]], name: str, checkpoint: Path,
                ) -> str:
    """The recipe's TOML; everything that is not about the network itself is that of the network it was made from."""
    fewer = reductions(points, point)
    description = (f"{recipe.description}; pruned for {point['board']} ({point['method']}, seed {point['seed']}): "
                   f"{fewer['parameters']:.1f} times fewer parameters, {fewer['macs']:.1f} times fewer MACs")
    origin = (f"{prune_command(point, recipe)}, point {point['point']}: robust accuracy "
              f"{100 * point['robust_accuracy']:.1f} % on {point['images']} validation images (PGD, epsilon "
              f"{point['epsilon']:g}/255)")
    tables: dict[str, Any] = {
        "input": asdict(recipe.input), "network": {"builder": "graph", "params": {}},
        "weights": {"file": checkpoint.name, "origin": origin, "licence": recipe.weights.licence,
                    "sha256": hash_file(checkpoint)},
        "quantize": asdict(recipe.quantize)}
    if recipe.train is not None:
        tables["train"] = {**asdict(recipe.train), "teacher": None}
    measured = point.get("test")
    if measured is not None:
        tables["evaluation"] = {"dataset": point["dataset"], "images": measured["images"],
                                "float": measured["accuracy"]["clean"], "compressed": measured["accuracy"]["clean"],
                                "command": "hwgen evaluate"}
    lines = [f"name = {_value(name)}", f"description = {_value(description)}"]
    for title, table in tables.items():
        lines += ["", f"[{title}]", *(f"{key} = {_value(value)}" for key, value in table.items() if value is not None
                                      and not (title == "input" and key == "class_count" and not value)
                                      and not (title == "input" and key == "classes" and not value))]
    return "\n".join(lines) + "\n"


def prune_command(point: dict[str, Any], recipe: Recipe) -> str:
    """The command that makes the point's run, with every setting that is not the default or the recipe's."""
    stored = (read_json(Path(point["folder"]) / SETTINGS) or {})["settings"]
    default = PruneSettings().to_dict()
    options = [f"--model {point['model']}", f"--board {point['board']}", f"--method {point['method']}",
               f"--seed {point['seed']}"]
    for name, value in stored.items():
        if name in ("method", "seed", "gains", "robust") or value == default.get(name):
            continue
        flag = f"--{name.replace('_', '-')}"
        options.append((flag if value else f"--no-{name}") if isinstance(value, bool) else f"{flag} {value:g}" if
                       isinstance(value, float) else f"{flag} {value}")
    if "gains" in stored and stored["gains"] != default["gains"]:
        options += [f"--gain {name}={weight:g}" for name, weight in stored["gains"].items()]
    usual = asdict((recipe.train and recipe.train.robust) or RobustSpec())
    changed = {name for name, value in stored["robust"].items() if value != usual[name]}
    if changed & {"epsilon", "steps"}:
        changed.add("step")  # which would follow them
    options += [f"--{option} {stored['robust'][name]}" for name, option in _ROBUST_OPTIONS.items() if name in changed]
    return " ".join(["hwgen prune", *options])


def _value(value: Any) -> str:
    """A TOML value; strings and numbers of JSON are also TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_value(v)}" for k, v in value.items() if v is not None) + " }" if value \
            else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)
