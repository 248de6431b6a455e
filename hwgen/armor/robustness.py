"""How robust a network is: clean accuracy and accuracy under attack, white box; the attacks are those of ART.

The Adversarial Robustness Toolbox is what ``hwgen attack`` uses too (why, is said in ``pyproject.toml``). Its
AutoAttack runs the ensemble of APGD on cross-entropy, APGD on the difference of logits ratio and the Square attack
(Croce and Hein, arXiv 2003.01690) one after the other on what is still classified correctly. The reference ensemble's
targeted APGD and FAB-T are not in it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwgen.data.dataset import Dataset
from hwgen.errors import HwgenError
from hwgen.train.random_state import MAX_SEED, seeded
from hwgen.ttseal.transfer import require_library
from hwgen.zoo.recipe import InputSpec

ATTACKS = ("fgsm", "pgd20", "pgd50", "autoattack")
#: Called with (attacks done, attacks in all, name of the next).
Progress = Callable[[int, int, str], None]


def _require(condition: bool, what: str, allowed: str) -> None:
    if not condition:
        raise HwgenError(what, where="evaluate", allowed=allowed)


@dataclass(frozen=True, kw_only=True)
class RobustnessSettings:
    """Args:
        epsilon: largest change of a pixel, in pixel values of 0..255.
        attacks: of ``ATTACKS``; FGSM has one step, PGD steps of 2.5 epsilon / steps.
        restarts: random starts of PGD and APGD; the worst one counts.
        apgd_steps, square_queries: of AutoAttack's members (the reference has 100 and 5,000).
        images: test images, drawn by ``seed``; 0: all.
        seed: also of the attacks' random starts.
        batch: images at a time.
    """

    epsilon: float
    attacks: tuple[str, ...] = ATTACKS
    restarts: int = 1
    apgd_steps: int = 100
    square_queries: int = 1000
    images: int = 0
    seed: int = 0
    batch: int = 128

    def __post_init__(self) -> None:
        _require(0 < self.epsilon <= 255, f"epsilon {self.epsilon:g}", "0 < epsilon <= 255 (pixel values)")
        for name in self.attacks:
            _require(name in ATTACKS, f"attack {name!r}", ", ".join(ATTACKS))
        _require(min(self.restarts, self.apgd_steps, self.square_queries, self.batch) >= 1,
                 "restarts, steps, queries or batch below 1", "1 or more")
        _require(self.images >= 0, "images below 0", "0 or more")
        _require(0 <= self.seed <= MAX_SEED, f"seed {self.seed}", f"0 .. {MAX_SEED}")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "attacks": list(self.attacks)}

    def describe(self, attack: str) -> str:
        """One attack with everything that decides it, for tables."""
        size = f"epsilon {self.epsilon:g}/255"
        if attack == "autoattack":
            return (f"AutoAttack of ART (APGD-CE, APGD-DLR, {self.apgd_steps} steps, {self.restarts} starts; Square, "
                    f"{self.square_queries} queries), {size}")
        if attack.startswith("pgd"):
            return f"PGD-{attack[3:]}, {self.restarts} starts, {size}"
        return "clean" if attack == "clean" else f"FGSM, {size}"


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """Accuracies (0..1).

    Args:
        images: test images.
        accuracy: "clean" and every attack -> share of the images that is labelled correctly; an image counts as lost
            if it was wrong without an attack.
        settings: of the attacks.
    """

    images: int
    accuracy: dict[str, float]
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class PixelModule(nn.Module):
    """A network behind its normalisation: pixels float32 [N, C, H, W] in 0..1 -> logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.module, self.factor = module, 255 / spec.scale
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        normal = (pixels * self.factor - self.mean) / self.std
        return self.module(normal.contiguous(memory_format=torch.channels_last))


def measure_robustness(
    module: nn.Module, test: Dataset, spec: InputSpec, settings: RobustnessSettings, progress: Progress | None = None,
) -> Robustness:
    """Attack ``module`` (left in evaluation mode) with its own gradients.

    Raises:
        ToolMissingError: ART is not installed.
    """
    if settings.attacks:
        require_library()
    chosen = test.sample(settings.images, settings.seed) if settings.images else test
    wrapped = PixelModule(module.eval(), spec)
    pixels = chosen.images.astype(np.float32) / 255
    found = {"clean": _correct(wrapped, pixels, chosen.labels, settings.batch)}
    frozen = [p for p in module.parameters() if p.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)  # the attacks only need gradients of the pixels
    try:
        with seeded(settings.seed):
            for number, name in enumerate(settings.attacks):
                if progress is not None:
                    progress(number, len(settings.attacks), name)
                found[name] = _attacked(name, wrapped, (pixels, chosen.labels), found["clean"], settings)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    return Robustness(images=len(chosen), accuracy={name: float(ok.mean()) for name, ok in found.items()},
                      settings=settings.to_dict())


@torch.inference_mode()
def _correct(module: nn.Module, pixels: np.ndarray, labels: np.ndarray, batch: int) -> np.ndarray:
    parts = [module(torch.from_numpy(pixels[i:i + batch])).argmax(1).numpy() for i in range(0, len(pixels), batch)]
    return np.concatenate(parts) == labels


def _attacked(name: str, module: PixelModule, data: tuple[np.ndarray, np.ndarray], clean: np.ndarray,
              settings: RobustnessSettings) -> np.ndarray:
    """Which images stay correct, bool [N]. Only those that are correct without an attack are attacked, and whatever the
    library returns is cut to the ball and to the pixels' range."""
    (pixels, labels), left = data, clean.copy()
    places = np.flatnonzero(clean)
    if not len(places):
        return left
    x, y, size = pixels[places], labels[places], settings.epsilon / 255
    for attack in _attacks(name, module, x.shape[1:], settings):
        made = np.clip(attack.generate(x=x, y=y), np.maximum(x - size, 0), np.minimum(x + size, 1)).astype(np.float32)
        left[places] &= _correct(module, made, y, settings.batch)
    return left


def _attacks(name: str, module: PixelModule, shape: tuple[int, ...], settings: RobustnessSettings) -> list[Any]:
    evasion = importlib.import_module("art.attacks.evasion")
    with torch.inference_mode():
        classes = module(torch.zeros(1, *shape)).shape[1]
    model = importlib.import_module("art.estimators.classification").PyTorchClassifier(
        model=module, loss=nn.CrossEntropyLoss(), input_shape=shape, nb_classes=classes, clip_values=(0.0, 1.0),
        device_type="cpu")
    size = settings.epsilon / 255
    common: dict[str, Any] = {"norm": np.inf, "eps": size, "batch_size": settings.batch}
    if name == "fgsm":
        return [evasion.FastGradientMethod(model, **common)]
    if name.startswith("pgd"):
        steps = int(name[3:])
        return [evasion.ProjectedGradientDescentPyTorch(
            model, **common, eps_step=2.5 * size / steps, max_iter=steps, num_random_init=settings.restarts,
            verbose=False)]
    losses = ("cross_entropy", "difference_logits_ratio") if classes > 2 else ("cross_entropy",)
    members = [evasion.AutoProjectedGradientDescent(
        model, **common, eps_step=2 * size, max_iter=settings.apgd_steps, nb_random_init=settings.restarts,
        loss_type=loss, verbose=False) for loss in losses]
    members.append(evasion.SquareAttack(model, norm=np.inf, eps=size, max_iter=settings.square_queries, p_init=0.8,
                                        nb_restarts=1, batch_size=settings.batch, verbose=False))
    return [evasion.AutoAttack(model, **common, eps_step=2 * size, attacks=members)]
