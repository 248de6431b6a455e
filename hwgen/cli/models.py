"""``hwgen models``: list the model zoo, or print one recipe."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hwgen.cli.console import out, print_json, table
from hwgen.cli.guard import guarded

if TYPE_CHECKING:
    from hwgen.zoo.recipe import Recipe

NAME = "models"
EXAMPLES = "Examples:  hwgen models   |   hwgen models resnet18_tt --json"


@guarded
def command(
    model: Annotated[str, typer.Argument(help="Model name or path of a recipe; without it, all are listed.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """List the models of the zoo, or show one recipe."""
    from hwgen.zoo.recipe import list_recipes, load_recipe

    recipes = [load_recipe(model)] if model else [load_recipe(name) for name in list_recipes()]
    if json:
        print_json([asdict(r) for r in recipes])
    elif model:
        _show(recipes[0])
    else:
        rows = [(r.name, "x".join(map(str, r.input.shape)), r.input.dataset, _trained(r), _percent(r.evaluation.int8),
                 r.description) for r in recipes]
        out.print(table("", ("model", "input", "data set", "weights", "int8 top-1", "description"), rows,
                        right=("int8 top-1",)))


def _trained(recipe: Recipe) -> str:
    return "trained" if recipe.checkpoint and recipe.checkpoint.is_file() else "none shipped"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f} %"


def _show(recipe: Recipe) -> None:
    evaluation = recipe.evaluation
    recorded = ", ".join(f"{k} {_percent(getattr(evaluation, k))}" for k in ("float", "compressed", "int8")
                         if getattr(evaluation, k) is not None)
    rows = [
        ("description", recipe.description),
        ("recipe", str(recipe.path)),
        ("input", f"{'x'.join(map(str, recipe.input.shape))}, {recipe.input.dataset}, "
                  f"{recipe.input.outputs} classes"),
        ("network", f"{recipe.network.builder} {recipe.network.params}"),
        ("tensor trains", f"{len(recipe.tt.layers)} layers, {recipe.tt.grouping}" if recipe.tt.layers else "none"),
        ("weights", f"{_trained(recipe)} {recipe.weights.file} {recipe.weights.origin}".strip()),
        ("calibration", f"{recipe.quantize.calibration} on {recipe.quantize.images} images"),
        ("encryption", recipe.encrypt.select),
        ("recorded", f"{recorded} on {evaluation.images} images of {evaluation.dataset}" if recorded else "nothing"),
    ]
    out.print(table(recipe.name, ("field", "value"), rows))
