"""Importance against gradients worked out by hand and the exact Jacobian."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwgen.errors import HwgenError
from hwgen.ttseal.importance import hutchinson, importances, ranking, squared_gradients
from hwgen.ttseal.network import RealNetwork
from hwgen.ttseal.units import units_of
from tests.helpers.toy_attack import SPEC, toy_graph, toy_images


def linear_case() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """y = G x with G [3, 4]: dy_i/dG_ij = x_j, so |dy/dG|_F^2 = 3 |x|^2."""
    kernel = torch.tensor(np.random.default_rng(0).normal(size=(3, 4)), requires_grad=True)
    x = np.array([1.0, -2.0, 0.5, 3.0])
    return kernel, kernel @ torch.from_numpy(x), x


def test_hutchinson_is_exact_where_the_rows_of_the_jacobian_do_not_mix() -> None:
    kernel, outputs, x = linear_case()
    found = hutchinson(outputs, [kernel], 1, np.random.default_rng(0))
    assert found[0] == pytest.approx(3 * (x**2).sum(), rel=1e-12)


def test_hutchinson_approaches_the_exact_jacobian() -> None:
    graph = toy_graph()
    network = RealNetwork(graph, SPEC).eval().double()
    kernels = [network.convolution(u.node).weight for u in units_of(graph)]
    outputs = network(torch.from_numpy(toy_images(1)).double() / 255)[0]
    exact = sum(squared_gradients(y, kernels) for y in outputs)
    one, many = (hutchinson(outputs, kernels, n, np.random.default_rng(1)) for n in (1, 400))
    assert np.abs(many / exact - 1).max() < 0.2
    assert np.abs(many / exact - 1).mean() < np.abs(one / exact - 1).mean()


def test_loss_gradient_by_hand() -> None:
    """Cross-entropy of y = G x: dL/dG = (softmax(y) - onehot) x^T, so its square sums to |p - e|^2 |x|^2."""
    kernel, outputs, x = linear_case()
    found = squared_gradients(torch.nn.functional.cross_entropy(outputs[None], torch.tensor([1])), [kernel])
    p = np.exp(outputs.detach().numpy())
    p /= p.sum()
    assert found[0] == pytest.approx((((p - [0, 1, 0]) ** 2).sum()) * (x**2).sum(), rel=1e-9)


def test_importance_is_the_formula() -> None:
    graph, images = toy_graph(), toy_images(3)
    labels = np.array([1, 4, 7])
    network, units = RealNetwork(graph, SPEC).eval(), units_of(graph)
    found = importances(network, units, images, labels, probes=2, seed=5)
    kernels = [network.convolution(u.node).weight for u in units]
    total = np.zeros(len(units))
    for index in range(3):
        outputs = network(torch.from_numpy(images[index:index + 1]).float() / 255)
        loss = -torch.log_softmax(outputs, 1)[0, labels[index]]
        total += squared_gradients(loss, kernels)
        total += hutchinson(outputs[0], kernels, 2, np.random.default_rng([5, index]))
    norms = {u.node: float(k.detach().norm()) for u, k in zip(units, kernels, strict=True)}
    for unit, importance, square in zip(units, found, total / 3, strict=True):
        mates = [norms[u.node] for u in units if u.layer == unit.layer]
        assert importance.value == pytest.approx(np.sqrt(square) / np.mean(mates), rel=1e-4)
        assert importance.layer_norm == pytest.approx(np.mean(mates), rel=1e-5)


def test_a_kernel_that_nothing_depends_on_has_none() -> None:
    """A network whose classifier ignores its input: all layers but the classifier weigh nothing."""
    graph = toy_graph()
    network = RealNetwork(graph, SPEC)
    with torch.no_grad():
        network.convolution("fc").weight.zero_()
    found = {i.node: i.value for i in importances(network, units_of(graph)[:-1], toy_images(1), np.array([0]))}
    assert set(found.values()) == {0.0}


def test_ranking_breaks_ties_by_name() -> None:
    graph = toy_graph()
    found = importances(RealNetwork(graph, SPEC), units_of(graph), toy_images(1), np.array([0]), probes=1)
    order = ranking(found)
    values = {i.node: i.value for i in found}
    assert sorted(order) == sorted(values)
    assert [values[node] for node in order] == sorted(values.values(), reverse=True)


def test_no_images() -> None:
    graph = toy_graph()
    with pytest.raises(HwgenError, match="0 images"):
        importances(RealNetwork(graph, SPEC), units_of(graph), toy_images(1)[:0], np.array([], np.int64))
