"""Adversarial training: the attack that makes the images, and the two losses (PGD, TRADES).

The attack is part of every training step, so it is written here; robustness is *measured* with a maintained library
(``hwgen.armor.robustness``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwgen.data.dataset import Dataset
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import InputSpec, RobustSpec

#: spread of TRADES' random start, as a share of epsilon's own unit (the authors' 0.001 for pixels in 0..1)
_TRADES_START = 0.001 * 255
#: steps of the attack that judges an epoch
JUDGE_STEPS = 10


@dataclass(frozen=True)
class _Ball:
    """float32 [1, C, 1, 1] in the network's units: radius, step, and the smallest and largest pixel; ``unit``: one
    pixel value."""

    radius: Tensor
    step: Tensor
    low: Tensor
    high: Tensor
    unit: Tensor


def _ball(spec: InputSpec, robust: RobustSpec) -> _Ball:
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
    unit = 1 / (spec.scale * std)
    return _Ball(robust.epsilon * unit, robust.step * unit, -mean / std, (255 / spec.scale - mean) / std, unit)


def perturb(
    module: nn.Module, x: Tensor, y: Tensor, *, spec: InputSpec, robust: RobustSpec, rng: np.random.Generator,
    bfloat16: bool = False,
) -> Tensor:
    """Adversarial images near ``x``, as ``robust`` says; float32 like ``x``, in pixels' range.

    PGD starts anywhere in the ball and ascends the cross-entropy; TRADES starts beside the image and ascends the
    divergence from the clean outputs. The module is in evaluation mode meanwhile, so that adversarial images do not
    enter BatchNorm's statistics twice; its mode is restored, its parameters get no gradients.

    Args:
        x: normalised images [N, C, H, W]; y: labels int64 [N].
        rng: of the random start.
    """
    ball, mode = _ball(spec, robust), module.training
    module.eval()
    trades = robust.method == "trades"
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        clean = functional.softmax(module(x).float(), dim=1) if trades else None
    drawn = rng.standard_normal(x.shape, np.float32) if trades else 2 * rng.random(x.shape, np.float32) - 1
    start = torch.from_numpy(drawn) * (_TRADES_START * ball.unit if trades else ball.radius)
    low, high = torch.maximum(x - ball.radius, ball.low), torch.minimum(x + ball.radius, ball.high)
    found = (x + start).clamp(low, high).contiguous(memory_format=torch.channels_last)
    for _ in range(robust.steps):
        found = found.detach().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            output = module(found)
        output = output.float()
        loss = functional.cross_entropy(output, y, reduction="sum") if clean is None else functional.kl_div(
            functional.log_softmax(output, dim=1), clean, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, found)
        found = (found.detach() + ball.step * gradient.sign()).clamp(low, high)
    module.train(mode)
    return found.detach()


def robust_loss(
    module: nn.Module, x: Tensor, y: Tensor, *, spec: InputSpec, robust: RobustSpec, rng: np.random.Generator,
    label_smoothing: float = 0.0, bfloat16: bool = False,
) -> tuple[Tensor, Tensor]:
    """Loss to descend, and the outputs [N, classes] by which the training's accuracy counts: those of the adversarial
    images (PGD), of the clean ones (TRADES)."""
    attacked = perturb(module, x, y, spec=spec, robust=robust, rng=rng, bfloat16=bfloat16)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = module(x if robust.method == "trades" else attacked)
        beside = module(attacked) if robust.method == "trades" else None
    output = output.float()
    loss = functional.cross_entropy(output, y, label_smoothing=label_smoothing)
    if beside is not None:
        loss = loss + robust.beta * functional.kl_div(
            functional.log_softmax(beside.float(), dim=1), functional.softmax(output, dim=1), reduction="batchmean")
    return loss, output


def robust_accuracy(
    module: nn.Module, dataset: Dataset, spec: InputSpec, robust: RobustSpec, *, steps: int = JUDGE_STEPS,
    seed: int = 0, batch: int = 128, bfloat16: bool = False,
) -> float:
    """Share (0..1) of ``dataset`` that is labelled correctly after a PGD attack of ``robust``'s size; one start.

    For decisions during training and pruning; reported figures come from ``hwgen.armor.robustness``.
    """
    attack = RobustSpec(method="pgd", epsilon=robust.epsilon, steps=steps, step=2.5 * robust.epsilon / steps)
    correct = 0
    for number, start in enumerate(range(0, len(dataset), batch)):
        x = normalise(torch.from_numpy(dataset.images[start:start + batch].copy()), spec)
        y = torch.from_numpy(dataset.labels[start:start + batch])
        found = perturb(module, x, y, spec=spec, robust=attack, rng=np.random.default_rng([seed, number]),
                        bfloat16=bfloat16)
        module.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            correct += int((module(found).argmax(1) == y).sum())
    return correct / len(dataset)
