"""Options of adversarial training, shared by ``hwgen train`` and ``hwgen prune``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from hwgen.errors import HwgenError

if TYPE_CHECKING:
    from hwgen.zoo.recipe import Recipe, RobustSpec

Robust = Annotated[str, typer.Option(help="Adversarial training: pgd, trades or none; default: as the recipe says.")]
Epsilon = Annotated[float | None, typer.Option(help="Largest change of a pixel, in pixel values of 0..255 "
                                                    "(1/255 of the range) \\[8].")]
AttackSteps = Annotated[int | None, typer.Option(help="Steps of the attack that trains \\[7].")]
AttackStep = Annotated[float | None, typer.Option(help="Size of such a step, in pixel values "
                                                       "\\[2.5 epsilon / steps].")]
Beta = Annotated[float | None, typer.Option(help="Weight of TRADES' divergence \\[6].")]


def robust_spec(
    given: RobustSpec | None, robust: str, epsilon: float | None, steps: int | None, step: float | None,
    beta: float | None,
) -> RobustSpec | None:
    """The recipe's adversarial training with the options that were given; None: ordinary training.

    Raises:
        HwgenError: an unknown method, a number that is not possible, or options without a method.
    """
    from hwgen.zoo.recipe import RobustSpec

    if robust not in ("", "none", "pgd", "trades"):
        raise HwgenError(f"{robust!r} is not possible", where="--robust", allowed="pgd, trades, none")
    changes = {name: value for name, value in (("epsilon", epsilon), ("steps", steps), ("step", step), ("beta", beta))
               if value is not None}
    if robust == "none" or (not robust and given is None):
        if changes:
            raise HwgenError("options of adversarial training without a method", where=f"--{next(iter(changes))}",
                             allowed="with --robust pgd or trades, or a recipe with [train.robust]")
        return None
    try:
        spec = given or RobustSpec()
        if step is None and changes:
            size, count = changes.get("epsilon", spec.epsilon), changes.get("steps", spec.steps)
            changes["step"] = 2.5 * size / count if count else 0.0
        return replace(spec, **{"method": robust or spec.method, **changes})  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        raise HwgenError(str(error), where="--robust") from error


def with_robust(recipe: Recipe, robust: RobustSpec | None, patience: int | None) -> Recipe:
    """The recipe with this adversarial training and, unless None, early stopping (0: none).

    Raises:
        HwgenError: no [train] section, or a teacher whose outputs are learned.
    """
    from hwgen.zoo.recipe import StopSpec

    if recipe.train is None:
        raise HwgenError("has no [train] section", where=str(recipe.path))
    try:
        stop = recipe.train.stop
        if patience is not None:
            stop = None if patience == 0 else replace(stop, patience=patience) if stop else StopSpec(patience=patience)
        return replace(recipe, train=replace(recipe.train, robust=robust, stop=stop))
    except ValueError as error:
        raise HwgenError(str(error), where=str(recipe.path)) from error
