"""Jacobian-based data set augmentation: queries where the substitute is most unsure about its answer."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def jacobian_step(
    network: nn.Module, images: np.ndarray, labels: np.ndarray, step: float, batch: int = 125,
) -> np.ndarray:
    """``x + step * sign(dO_label(x)/dx)`` as 8-bit images: uint8 [N, C, H, W].

    O_label is the substitute's output for the class that the victim answered (Papernot et al., arXiv 1602.02697,
    section 4.4). Results are clipped to 0..255.

    Args:
        network: the substitute; pixels in 0..1 -> logits [N, classes]. Left in evaluation mode.
        images: uint8 [N, C, H, W]; labels: the victim's answers int64 [N].
        step: lambda, for pixels in 0..1; may be negative.
    """
    network.eval()
    device = next(network.parameters()).device
    change = np.rint(step * 255.0)
    parts = []
    for begin in range(0, len(images), batch):
        part = images[begin:begin + batch]
        pixels = (torch.from_numpy(part.copy()).to(device).float() / 255.0).requires_grad_()
        outputs = network(pixels)
        picked = outputs.gather(1, torch.from_numpy(labels[begin:begin + batch].copy()).to(device)[:, None]).sum()
        gradient, = torch.autograd.grad(picked, pixels)
        moved = part.astype(np.float32) + change * gradient.sign().cpu().numpy()
        parts.append(np.clip(moved, 0, 255).astype(np.uint8))
    return np.concatenate(parts)
