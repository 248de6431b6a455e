"""The integer train of a reconstructed kernel: close to the real kernel, one scale per output channel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hwgen.golden.conv import reconstruct
from hwgen.ir import nodes as ir
from hwgen.ir.tt_chain import dense_kernel
from hwgen.quantize.reconstruct import output_first, quantise_kernel


def train(grouping: str, seed: int, spread: float) -> ir.TTConv2d:
    """A random train whose output channels differ in size by up to ``spread``."""
    rng = np.random.default_rng(seed)
    shapes = {"I|HW|O": [(1, 24, 12), (12, 3, 5, 10), (10, 32, 1)], "IHW|O": [(1, 24, 3, 5, 10), (10, 32, 1)]}[grouping]
    cores = [rng.normal(size=s).astype(np.float32) for s in shapes]
    cores[-1] *= np.geomspace(1, spread, 32, dtype=np.float32)[None, :, None]
    return ir.TTConv2d(name="tt", inputs=("x",), shape=(32, 4, 4), cores=tuple(cores), bias=np.zeros(32, np.float32),
                       grouping=tuple(grouping.split("|")), padding=(1, 1, 2, 2))


@pytest.mark.parametrize("spread", [1.0, 1000.0])
@pytest.mark.parametrize("grouping", ["I|HW|O", "IHW|O"])
def test_error_of_every_output_channel(grouping, spread):
    node = train(grouping, 0, spread)
    real = dense_kernel(node)
    kernel, scale = quantise_kernel(node)
    integers = reconstruct(kernel)
    assert integers.shape == real.shape and scale.shape == (32,)
    noise = ((real - integers * scale[:, None, None, None]) ** 2).sum(axis=(1, 2, 3))
    sqnr = 10 * np.log10((real**2).sum(axis=(1, 2, 3)) / noise)
    assert sqnr.min() > 29 and np.mean(sqnr) > 33, sqnr


def test_every_step_uses_its_bits():
    kernel, _ = quantise_kernel(train("I|HW|O", 1, 30.0))
    assert np.abs(kernel.first).max() == 127
    for step in kernel.steps:
        columns = np.abs(step.core.astype(int)).reshape(step.core.shape[0], -1).max(axis=0)
        assert columns.min() >= 126 and (step.requantise.multiplier >= 32768).all()
        assert (step.requantise.lo, step.requantise.hi) == (-127, 127)
    assert np.abs(reconstruct(kernel).astype(int)).max(axis=(1, 2, 3)).min() > 60


def test_the_train_is_turned_round():
    node = train("I|HW|O", 2, 1.0)
    first, (middle, last) = output_first(node)
    product = np.einsum("or,rhws,si->oihw", first, middle, last)
    np.testing.assert_allclose(product, dense_kernel(node), rtol=1e-6)


def test_silent_output_channels_stay_silent():
    node = train("I|HW|O", 3, 1.0)
    cores = [c.copy() for c in node.cores]
    cores[-1][:, 5] = 0
    kernel, scale = quantise_kernel(dataclasses.replace(node, cores=tuple(cores)))
    assert not reconstruct(kernel)[5].any() and np.isfinite(scale).all() and (scale > 0).all()
