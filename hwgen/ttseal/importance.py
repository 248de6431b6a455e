"""How much the attacker loses when a core or kernel is hidden: I_acc of TT-SEAL (arXiv 2602.22238).

    I_acc(G) = (1 / mu_l) * sqrt( E_x[ |dL/dG|_F^2 + |dy/dG|_F^2 ] )

G is the kernel of one unit, L the cross-entropy of image x with its label, y the logits, mu_l the mean Frobenius norm
of the kernels of G's layer. The Jacobian term is estimated by Hutchinson's trick: for v with independent entries +1 or
-1, |dy/dG|_F^2 = E_v[ |d(v·y)/dG|_F^2 ].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.ttseal.network import RealNetwork
from hwgen.ttseal.units import Unit

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Of one unit.

    Args:
        node: of the unit.
        value: I_acc.
        loss: E_x |dL/dG|_F^2.
        jacobian: E_x |dy/dG|_F^2, estimated.
        layer_norm: mu_l.
        norm1: l1 norm of the kernel, for the baseline that ranks by it.
    """

    node: str
    value: float
    loss: float
    jacobian: float
    layer_norm: float
    norm1: float


def squared_gradients(output: Tensor, kernels: Sequence[Tensor], *, keep: bool = True) -> np.ndarray:
    """|d output / dG|_F^2 of a scalar for every kernel, float64 [n]."""
    found = torch.autograd.grad(output, kernels, retain_graph=keep, allow_unused=True)
    return np.array([0.0 if g is None else float(g.double().square().sum()) for g in found])


def hutchinson(outputs: Tensor, kernels: Sequence[Tensor], probes: int, rng: np.random.Generator) -> np.ndarray:
    """Estimate of |dy/dG|_F^2 for every kernel, float64 [n]: mean over ``probes`` Rademacher vectors v.

    Args:
        outputs: y [classes], of one image.
        kernels: the tensors G.
    """
    total = np.zeros(len(kernels))
    for _ in range(probes):
        signs = torch.from_numpy(rng.integers(0, 2, len(outputs)) * 2.0 - 1.0).to(outputs)
        total += squared_gradients((signs * outputs).sum(), kernels)
    return total / probes


def importances(
    network: RealNetwork, units: Sequence[Unit], images: np.ndarray, labels: np.ndarray, *, probes: int = 4,
    seed: int = 0, progress: Progress | None = None,
) -> tuple[Importance, ...]:
    """I_acc of every unit, in the order of ``units``.

    Args:
        network: the shipped network in real numbers, everything known.
        units: whose kernels.
        images: uint8 [N, C, H, W], labels: int64 [N]; from the training set, never from the test set.
        probes: Rademacher vectors an image.
        seed: of these vectors; those of image n depend on (seed, n) only.
        progress: called with (images done, images in all).

    Raises:
        HwgenError: no images, or no probes.
    """
    if len(images) == 0 or probes < 1:
        raise HwgenError(f"{len(images)} images and {probes} probes", where="importance", allowed="1 or more of each")
    network.eval()
    kernels = [network.convolution(u.node).weight for u in units]
    device = kernels[0].device
    loss, jacobian = np.zeros(len(units)), np.zeros(len(units))
    for index in range(len(images)):
        pixels = torch.from_numpy(images[index:index + 1].copy()).to(device).float() / 255.0
        outputs = network(pixels)
        target = torch.from_numpy(labels[index:index + 1].copy()).to(device)
        loss += squared_gradients(functional.cross_entropy(outputs, target), kernels)
        jacobian += hutchinson(outputs[0], kernels, probes, np.random.default_rng([seed, index]))
        if progress is not None:
            progress(index + 1, len(images))
    loss, jacobian = loss / len(images), jacobian / len(images)
    with torch.no_grad():
        frobenius = [float(k.double().square().sum().sqrt()) for k in kernels]
        norm1 = [float(k.double().abs().sum()) for k in kernels]
    layers: dict[str, list[float]] = {}
    for unit, norm in zip(units, frobenius, strict=True):
        layers.setdefault(unit.layer, []).append(norm)
    means = {layer: float(np.mean(norms)) for layer, norms in layers.items()}
    return tuple(
        Importance(node=u.node, value=float(np.sqrt(loss[i] + jacobian[i]) / means[u.layer]), loss=float(loss[i]),
                   jacobian=float(jacobian[i]), layer_norm=means[u.layer], norm1=norm1[i])
        for i, u in enumerate(units))


def ranking(found: Sequence[Importance]) -> tuple[str, ...]:
    """Nodes by importance, the most important first; ties by name."""
    return tuple(i.node for i in sorted(found, key=lambda i: (-i.value, i.node)))
