"""What decides the outcome of a selection and of an attack; stored with every result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hwgen.errors import HwgenError
from hwgen.train.random_state import MAX_SEED
from hwgen.zoo.recipe import SealSpec


def _require(condition: bool, what: str, allowed: str) -> None:
    if not condition:
        raise HwgenError(what, where="settings", allowed=allowed)


@dataclass(frozen=True, kw_only=True)
class AttackSettings:
    """Training of one substitute: Jacobian-based data set augmentation (Papernot et al., arXiv 1602.02697).

    Args:
        seed_images: images that the attacker begins with; their labels are the first queries.
        rounds: how often the set is doubled by x + lambda * sign(dO_label/dx); queries in all are
            seed_images * 2**rounds.
        step: lambda for pixels in 0..1; its sign alternates from round to round.
        epochs: passes over the set after the seed and after every doubling.
        last_epochs: further passes over the complete set.
        batch, rate, decay: of AdamW; the rate falls to zero along a cosine within every round.
        shift, flip: random shifts in pixels and mirroring of training images (labels are taken to stay).
        known: whether weights that were stored in plain stay as read (``frozen``) or are trained along. They are
            exactly the victim's, so every step would lead away from them.
        precision: of the training; substitutes are judged and attacked in float32.
    """

    seed_images: int = 500
    rounds: int = 4
    step: float = 0.1
    epochs: int = 10
    last_epochs: int = 10
    batch: int = 32
    rate: float = 2e-3
    decay: float = 5e-4
    shift: int = 2
    flip: bool = True
    known: Literal["frozen", "trained"] = "frozen"
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        _require(self.seed_images >= 2, f"{self.seed_images} seed images", "2 or more")
        _require(0 <= self.rounds <= 12, f"{self.rounds} rounds", "0 .. 12")
        _require(0 < self.step <= 1, f"step {self.step}", "0 < step <= 1 (pixels in 0..1)")
        _require(self.epochs >= 1 and self.last_epochs >= 0, f"{self.epochs} + {self.last_epochs} epochs", "1 or more")
        _require(self.batch >= 2, f"batch {self.batch}", "2 or more")
        _require(self.rate > 0 and self.decay >= 0, f"rate {self.rate}, decay {self.decay}", "rate > 0, decay >= 0")
        _require(self.shift >= 0, f"shift {self.shift}", "0 or more")
        _require(self.precision in ("float32", "bfloat16"), f"precision {self.precision!r}", "float32, bfloat16")
        _require(self.known in ("frozen", "trained"), f"known weights {self.known!r}", "frozen, trained")

    @property
    def queries(self) -> int:
        """Queries to the victim; the same for every set."""
        return self.seed_images * 2**self.rounds

    def steps_per_epoch(self, round_: int) -> int:
        """Optimiser steps of an epoch; a last incomplete batch is left out unless it is the only one."""
        return max(1, self.seed_images * 2**round_ // self.batch)

    def steps(self, round_: int) -> int:
        """Optimiser steps of a round, 0 .. ``rounds``."""
        epochs = self.epochs + (self.last_epochs if round_ == self.rounds else 0)
        return self.steps_per_epoch(round_) * epochs

    @property
    def total_steps(self) -> int:
        """Optimiser steps of a training."""
        return sum(self.steps(r) for r in range(self.rounds + 1))


@dataclass(frozen=True, kw_only=True)
class TransferSettings:
    """Adversarial examples made on the substitute and tried on the victim.

    Args:
        images: test images that are attacked, of those which the victim classifies correctly.
        epsilons: largest change of a pixel, in steps of 1/255.
        headline: the epsilon whose success is the one figure of a table.
        steps, restarts: of PGD and of the attacks in the AutoAttack-style ensemble.
        batch: images at a time.
    """

    images: int = 500
    epsilons: tuple[int, ...] = (2, 4, 8, 16)
    headline: int = 8
    steps: int = 20
    restarts: int = 1
    batch: int = 125

    def __post_init__(self) -> None:
        _require(self.images >= 1, f"{self.images} images", "1 or more")
        _require(bool(self.epsilons) and all(0 < e <= 255 for e in self.epsilons), f"epsilons {list(self.epsilons)}",
                 "at least one, each 1 .. 255")
        _require(self.headline in self.epsilons, f"headline epsilon {self.headline}", f"one of {list(self.epsilons)}")
        _require(min(self.steps, self.restarts, self.batch) >= 1, "steps, restarts or batch below 1", "1 or more")


@dataclass(frozen=True, kw_only=True)
class SealSettings:
    """A selection.

    Args:
        attack: how substitutes are trained.
        transfer: how adversarial examples are made; None: not measured.
        delta: how much better than blind (A_BB) the substitute may be, 0..1.
        importance_images: training images over which I_acc is averaged; probes: Rademacher vectors an image.
        validation_images: training images on which substitutes are judged during the selection.
        test_images: test images of the figures that are reported; 0: all.
        seed: of all choices of images, of the first substitute and of the random baseline.
        seeds: substitutes per reported set; the search for the threshold uses the first.
        reach: neighbours of the threshold that are measured.
        drops: removals that are tried on the verified set.
    """

    attack: AttackSettings = AttackSettings()
    transfer: TransferSettings | None = TransferSettings()
    delta: float = 0.03
    importance_images: int = 256
    probes: int = 4
    validation_images: int = 2000
    test_images: int = 0
    seed: int = 0
    seeds: int = 3
    reach: int = 1
    drops: int = 8

    def __post_init__(self) -> None:
        _require(0 <= self.delta <= 1, f"delta {self.delta}", "0 .. 1")
        _require(min(self.probes, self.seeds) >= 1, "probes or seeds below 1", "1 or more")
        _require(self.test_images >= 0, f"{self.test_images} test images", "0 (all) or more")
        _require(min(self.importance_images, self.validation_images) >= 0, "importance or validation images below 0",
                 "1 or more; 0 where nothing is selected")
        _require(min(self.reach, self.drops) >= 0, "reach or drops below 0", "0 or more")
        _require(0 <= self.seed <= MAX_SEED - self.seeds, f"seed {self.seed}", f"0 .. {MAX_SEED - self.seeds}")

    def of_substitutes(self) -> dict[str, Any]:
        """What decides a single substitute and its accuracies; the rest may change without training them again."""
        names = ("attack", "importance_images", "validation_images", "test_images", "seed")
        return {name: self.to_dict()[name] for name in names}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, epsilons as a list."""
        values = asdict(self)
        if self.transfer is not None:
            values["transfer"]["epsilons"] = list(self.transfer.epsilons)
        return values


def settings_of(spec: SealSpec) -> SealSettings:
    """The settings that the command line or a recipe asks for; HwgenError for values that are not possible."""
    shown = spec.headline or (8 if 8 in spec.epsilons or not spec.epsilons else spec.epsilons[-1])
    transfer = TransferSettings(images=spec.attack_images, epsilons=spec.epsilons, headline=shown)
    return SealSettings(
        attack=AttackSettings(seed_images=spec.seed_images, rounds=spec.rounds, epochs=spec.epochs,
                              last_epochs=spec.last_epochs, known=spec.known, precision=spec.precision),
        transfer=transfer if spec.transfer else None, delta=spec.delta, importance_images=spec.importance_images,
        validation_images=spec.validation_images, test_images=spec.images, seed=spec.seed, seeds=spec.seeds,
        drops=spec.drops)


def one_of(option: str, value: str, allowed: tuple[Any, ...]) -> Any:
    """``value`` if it is one of ``allowed``; HwgenError names the option otherwise."""
    if value not in allowed:
        raise HwgenError(f"{value!r} is not possible", where=option, allowed=", ".join(allowed))
    return value
