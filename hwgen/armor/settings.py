"""What decides the outcome of a pruning run; stored with its results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from hwgen.armor.hardware import Gains
from hwgen.armor.saliency import METHODS, Method
from hwgen.errors import HwgenError
from hwgen.search.objectives import objective
from hwgen.stream.choose import STYLES
from hwgen.train.random_state import MAX_SEED
from hwgen.zoo.recipe import RobustSpec


def _require(condition: bool, option: str, value: object, allowed: str) -> None:
    if not condition:
        raise HwgenError(f"{value} is not possible", where=option, allowed=allowed)


@dataclass(frozen=True, kw_only=True)
class PruneSettings:
    """Args:
        method: ``"guided"``: saliency against what the hardware gains; the others know no hardware.
        objective: of the configuration search.
        style: of the accelerator: engine, stream, or auto (the better one by the objective, chosen anew each round).
        gains: what counts as a gain.
        granule: units that go at once at least.
        depth: whether guided steps may take the branch of a residual addition away, all of its layers.
        stride: gain of the steps (in shares of the network) between two fine-tunings, and share of the present
            parameters and MACs that goes at most; halved when they cost too much.
        tolerance: robust accuracy (0..1) that may be lost against the network before any pruning.
        epochs, peak: of the adversarial fine-tuning behind the steps, and its highest learning rate.
        batchnorm: whether BatchNorm is put back behind the convolutions while a network is fine-tuned.
        robust: adversarial training; its epsilon is also that of the saliency's and the judge's attacks.
        judge_steps: of the PGD attack by which a pruned network is judged.
        saliency_images: training images, attacked, over which saliency is averaged (and which repair reads).
        validation_images: taken out of the training set, in the order in which the recipe's [train.stop] does; they
            judge. Test images steer nothing.
        repair: GRAIL's reconstruction behind every step.
        rounds: of pruning; the configuration is searched again before each (prune, search, prune).
        retries: how often in a row the stride is halved; every point that is kept doubles it again, up to ``stride``.
        max_points: of the front that are looked for at most; a run that ended there continues with more.
        precision: of fine-tuning and judging: float32 or bfloat16.
        seed: of everything that is drawn.
    """

    method: Method = "guided"
    objective: str = "latency"
    style: str = "engine"
    gains: Gains = field(default_factory=Gains)
    granule: int = 8
    depth: bool = True
    stride: float = 0.1
    tolerance: float = 0.02
    epochs: int = 2
    peak: float = 0.005
    batchnorm: bool = True
    robust: RobustSpec = field(default_factory=RobustSpec)
    judge_steps: int = 10
    saliency_images: int = 256
    validation_images: int = 300
    repair: bool = False
    rounds: int = 2
    retries: int = 1
    max_points: int = 40
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        objective(self.objective)
        _require(self.style in STYLES, "--style", repr(self.style), ", ".join(STYLES))
        _require(self.method in METHODS, "--method", repr(self.method), ", ".join(METHODS))
        _require(self.granule >= 1, "--granule", self.granule, "1 or more")
        _require(0 < self.stride <= 1, "--stride", self.stride, "above 0, at most 1")
        _require(0 <= self.tolerance <= 1, "--tolerance", self.tolerance, "0 .. 1")
        _require(self.epochs >= 1 and self.peak > 0, "--epochs, --peak", f"{self.epochs}, {self.peak}", "positive")
        _require(min(self.judge_steps, self.saliency_images, self.validation_images, self.rounds) >= 1,
                 "steps, images or rounds", "below 1", "1 or more")
        _require(min(self.retries, self.max_points) >= 0, "--retries, --max-points",
                 f"{self.retries}, {self.max_points}", "0 or more")
        _require(0 <= self.seed <= MAX_SEED, "--seed", self.seed, f"0 .. {MAX_SEED}")
        _require(self.precision in ("float32", "bfloat16"), "--precision", repr(self.precision), "float32, bfloat16")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def of_points(self) -> dict[str, Any]:
        """What decides how a point follows the one before, JSON-ready: not how many there are, nor what only guided
        steps know in other methods' runs."""
        unread = {"max_points"} if self.method == "guided" else {"max_points", "depth"}
        return {name: value for name, value in asdict(self).items() if name not in unread}
