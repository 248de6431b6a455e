"""Adversarial examples made on a substitute and tried on the victim; the attacks are those of ART.

The Adversarial Robustness Toolbox (PyPI ``adversarial-robustness-toolbox``) is an optional dependency: it is imported
when a transfer is measured.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import nn

from hwgen.errors import HwgenError, ToolMissingError
from hwgen.train.random_state import seeded
from hwgen.ttseal.settings import TransferSettings
from hwgen.ttseal.victim import Victim

#: Called with (attacks done, attacks in all).
Progress = Callable[[int, int], None]
#: the attacks of a transfer; ``auto`` is the worst case of the ensemble
ATTACKS = ("noise", "fgsm", "pgd", "auto")


def _ensemble(classes: int) -> tuple[str, ...]:
    """What ``auto`` consists of; the difference of logits ratio needs a third class."""
    return ("pgd", "apgd-ce", "apgd-dlr") if classes > 2 else ("pgd", "apgd-ce")


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Success on the victim.

    Args:
        images: attacked test images, all classified correctly by the victim.
        success: attack -> epsilon (in 1/255) -> share (0..1) of the images that the victim then misclassifies.
            ``noise`` is random signs, what the substitute has to beat; ``auto`` counts an image if any of PGD,
            APGD on cross-entropy and (from three classes on) APGD on the difference of logits ratio succeeds: the
            criterion of AutoAttack, arXiv 2003.01690. PGD is among them because APGD leaves images alone that the
            substitute gets wrong anyway.
        substitute_success: the same, on the substitute itself.
    """

    images: int
    success: dict[str, dict[int, float]]
    substitute_success: dict[str, dict[int, float]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def require_library() -> None:
    """Raises ToolMissingError, saying what to install, if ART is missing."""
    try:
        importlib.import_module("art")
    except ImportError:
        raise ToolMissingError(
            "the attack library is not installed (adversarial-robustness-toolbox)", where="attack",
            hint='pip install -c constraints.txt "hwgen[attack]" (in a checkout: pip install -c constraints.txt -e '
                 '".[attack]"), or leave the transfer out with --no-transfer') from None


def transfer(
    substitute: nn.Module, victim: Victim, images: np.ndarray, labels: np.ndarray, settings: TransferSettings, *,
    seed: int = 0, progress: Progress | None = None,
) -> Transfer:
    """Attack ``settings.images`` of the images that the victim classifies correctly.

    Args:
        substitute: pixels in 0..1 -> logits; the attacks see its gradients.
        victim: only its classes are used, to score the examples.
        images: uint8 [N, C, H, W]; labels: int64 [N].
        seed: of random starts.

    Raises:
        ToolMissingError: ART is not installed.
        HwgenError: the victim classifies no image correctly.
    """
    require_library()
    correct = np.flatnonzero(victim.classes(images) == labels)[:settings.images]
    if len(correct) == 0:
        raise HwgenError("the victim classifies no image correctly", where="transfer")
    images, labels = images[correct], labels[correct]
    pixels = images.astype(np.float32) / 255.0
    success: dict[str, dict[int, float]] = {name: {} for name in ATTACKS}
    own: dict[str, dict[int, float]] = {name: {} for name in ATTACKS}
    classes = int(victim.graph[victim.graph.output].shape[0])
    ensemble = _ensemble(classes)
    done, total = 0, len(settings.epsilons) * (len(ensemble) + 2)
    with seeded(seed):
        model = _classifier(substitute, pixels.shape[1:], classes)
        for epsilon in settings.epsilons:
            fooled: dict[str, np.ndarray] = {}
            fooled_self: dict[str, np.ndarray] = {}
            for name in ("noise", "fgsm", *ensemble):
                made = _examples(name, model, (pixels, labels), epsilon, settings)
                adversarial = _as_images(made, images, epsilon)
                fooled[name] = victim.classes(adversarial) != labels
                predicted = model.predict(adversarial.astype(np.float32) / 255.0, batch_size=settings.batch)
                fooled_self[name] = predicted.argmax(axis=1) != labels
                done += 1
                if progress is not None:
                    progress(done, total)
            for found, target in ((fooled, success), (fooled_self, own)):
                found["auto"] = np.any([found[name] for name in ensemble], axis=0)
                for name in ATTACKS:
                    target[name][epsilon] = float(found[name].mean())
    return Transfer(images=len(images), success=success, substitute_success=own)


def _as_images(made: np.ndarray, images: np.ndarray, epsilon: int) -> np.ndarray:
    """Examples as 8-bit images uint8 [N, C, H, W] within ``epsilon`` of the originals, whatever the attack returned."""
    rounded = np.rint(made * 255.0)
    low, high = images.astype(np.float32) - epsilon, images.astype(np.float32) + epsilon
    return np.clip(np.clip(rounded, low, high), 0, 255).astype(np.uint8)


def _classifier(network: nn.Module, shape: tuple[int, ...], classes: int) -> Any:
    device = next(network.parameters()).device.type
    return importlib.import_module("art.estimators.classification").PyTorchClassifier(
        model=network.eval(), loss=nn.CrossEntropyLoss(), input_shape=tuple(shape), nb_classes=classes,
        clip_values=(0.0, 1.0), device_type="cpu" if device == "cpu" else "gpu")


def _examples(
    name: str, model: Any, data: tuple[np.ndarray, np.ndarray], epsilon: int, settings: TransferSettings,
) -> np.ndarray:
    """float32 [N, C, H, W] for (pixels, labels); the attacks lead away from the labels, which the victim answered."""
    evasion = importlib.import_module("art.attacks.evasion")
    (pixels, labels), size = data, epsilon / 255.0
    if name == "noise":
        return pixels + size * np.random.choice([-1.0, 1.0], pixels.shape)
    common: dict[str, Any] = {"norm": np.inf, "eps": size, "batch_size": settings.batch}
    if name == "fgsm":
        attack: Any = evasion.FastGradientMethod(model, **common)
    elif name == "pgd":
        attack = evasion.ProjectedGradientDescentPyTorch(
            model, **common, eps_step=2.5 * size / settings.steps, max_iter=settings.steps,
            num_random_init=settings.restarts, verbose=False)
    else:
        loss = "cross_entropy" if name == "apgd-ce" else "difference_logits_ratio"
        attack = evasion.AutoProjectedGradientDescent(
            model, **common, eps_step=2 * size, max_iter=settings.steps, nb_random_init=settings.restarts,
            loss_type=loss, verbose=False)
    return attack.generate(x=pixels, y=labels)
