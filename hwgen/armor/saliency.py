"""What the units of every group are worth: Taylor, gradient, L1 and random saliency, on adversarial images.

First-order Taylor: with a factor 1 on a unit's channels, the derivative of an image's loss by the factor is
``sum a * dL/da`` over the unit's maps: a unit's *effect*, to first order the change of the loss when it is removed.
``taylor`` takes the mean of its magnitude (Molchanov et al., arXiv 1611.06440), which orders units. ``guided`` divides
by gains of the hardware, so proportions count: it orders units by the mean square of their effects (squared: Molchanov
et al., arXiv 1906.10771), an estimate of the Kullback-Leibler divergence between the outputs with and without them
(half of it to the second order, where Fisher information is taken of the labels: Theis et al., arXiv 1801.05787), and
this divergence is measured for the cuts that it looks at. In early layers the estimate is far too small
(``benchmarks/saliency.py``). ``fisher`` is the same without the hardware. Depthwise convolutions share their unit with
the layer before them and get no factor of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.armor.groups import Group, groups
from hwgen.armor.trace import trace
from hwgen.data.dataset import Dataset
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_channels import Layer, l1_score, unit_members
from hwgen.train.graph_module import GraphModule
from hwgen.train.robust import perturb
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import InputSpec, RobustSpec

Method = Literal["guided", "taylor", "fisher", "gradient", "l1", "random"]
METHODS: tuple[Method, ...] = ("guided", "taylor", "fisher", "gradient", "l1", "random")
#: those that look at adversarial images
ATTACKED: tuple[Method, ...] = ("guided", "taylor", "fisher", "gradient")
#: those whose cuts are measured
MEASURED: tuple[Method, ...] = ("guided", "fisher")
#: how they are
DAMAGE = "divergence"
#: (normalised adversarial images [N, C, H, W], labels [N])
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Saliency:
    """Of one group.

    Args:
        units: float64 [size], not negative: the units with the least go first.
        effects: float64 [images, size], of every unit on the loss of every image; None: saliencies of units add up.
    """

    units: np.ndarray
    effects: np.ndarray | None = None

    def of(self, removed: Sequence[int]) -> float:
        """What the units are worth together."""
        chosen = list(removed)
        if self.effects is None:
            return float(self.units[chosen].sum())
        return float((self.effects[:, chosen].sum(axis=1) ** 2).mean())


class Damage:
    """How far the outputs of smaller networks are from a network's, on the same adversarial images.

    Args:
        graph: before the cut, float; batches: adversarial images.
    """

    def __init__(self, graph: Graph, batches: Sequence[Batch]) -> None:
        self._batches = batches
        self._before = self._outputs(graph)

    def __call__(self, smaller: Graph) -> float:
        """Mean Kullback-Leibler divergence of the smaller network's class probabilities from the network's, in nats."""
        divergence = functional.kl_div(self._outputs(smaller), self._before, log_target=True, reduction="batchmean")
        return max(float(divergence), 0.0)  # rounding

    def _outputs(self, graph: Graph) -> Tensor:
        """Logarithms of the class probabilities, float64 [images, classes]."""
        module = GraphModule(graph).eval()
        with torch.inference_mode():
            return torch.cat([functional.log_softmax(module(x).double(), dim=1) for x, _ in self._batches])


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Of a network.

    Args:
        groups: group -> saliency of its units.
        damage: of a smaller network, measured; None: the saliencies are all that is known.
    """

    groups: Mapping[str, Saliency]
    damage: Callable[[Graph], float] | None = None


def attacked(graph: Graph, data: Dataset, spec: InputSpec, robust: RobustSpec, *, seed: int = 0, batch: int = 64,
             ) -> Iterator[Batch]:
    """The images of ``data``, attacked as in adversarial training, on the way (nothing is attacked before it is asked
    for).

    Args:
        graph: that is attacked; seed: of the attack's random starts.
    """
    module = GraphModule(graph).eval()
    for start in range(0, len(data), batch):
        x = normalise(torch.from_numpy(data.images[start:start + batch].copy()), spec)
        y = torch.from_numpy(data.labels[start:start + batch])
        rng = np.random.default_rng([seed, 4, start])
        yield perturb(module, x, y, spec=spec, robust=robust, rng=rng), y


def saliency(method: Method, graph: Graph, batches: Iterable[Batch], seed: int = 0) -> dict[str, Saliency]:
    """Group -> saliency of its units.

    Args:
        method: ``"guided"`` is that of ``"fisher"`` (what guides is the hardware's gain, ``hwgen.armor.steps``).
        graph: float, BatchNorm folded.
        batches: adversarial images; not read by ``"l1"`` and ``"random"``.
        seed: of ``"random"``.
    """
    found = groups(graph)
    if method in ("guided", "fisher", "taylor"):
        effects = _effects(graph, found, batches)
        if method != "taylor":
            return {name: Saliency(units=(e ** 2).mean(axis=0), effects=e) for name, e in effects.items()}
        units = {name: np.abs(e).mean(axis=0) for name, e in effects.items()}
    elif method == "random":
        rng = np.random.default_rng(seed)
        units = {group.name: rng.random(group.size) for group in found}
    else:
        units = _l1(graph, found) if method == "l1" else _gradient(graph, found, batches)
    return {name: Saliency(units=values) for name, values in units.items()}


def _gated(graph: Graph) -> list[tuple[str, int]]:
    """Layers and bonds that get factors, with their channels."""
    named = [(node.name, node.shape[0]) for node in graph.nodes
             if isinstance(node, Layer) and not (isinstance(node, ir.Conv2d) and node.groups > 1)]
    return named + [(group.name, group.size) for group in groups(graph) if group.ranks]


def _effects(graph: Graph, found: tuple[Group, ...], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    """Group -> derivatives of every image's loss by its units' factors, [images, size]."""
    module, members = GraphModule(graph).requires_grad_(False), unit_members(graph)
    parts: dict[str, list[np.ndarray]] = {group.name: [] for group in found}
    for x, y in batches:
        gates = {name: torch.ones(len(x), channels, requires_grad=True) for name, channels in _gated(graph)}
        loss = functional.cross_entropy(trace(module, x, gates), y, reduction="sum")
        derivatives = torch.autograd.grad(loss, list(gates.values()), allow_unused=True)
        by_name = {name: np.zeros((len(x), gate.shape[1])) if d is None else d.double().numpy()
                   for (name, gate), d in zip(gates.items(), derivatives, strict=True)}
        for group in found:
            if group.ranks:
                parts[group.name].append(by_name[group.name])
                continue
            effects = np.zeros((len(x), group.size))
            for layer, units in members[group.name].items():
                if layer in by_name:
                    own = units >= 0
                    np.add.at(effects.T, units[own], by_name[layer][:, own].T)
            parts[group.name].append(effects)
    return {name: np.concatenate(p) for name, p in parts.items()}


def _gradient(graph: Graph, found: tuple[Group, ...], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    """Sum of magnitudes of the loss's derivatives by a unit's weights."""
    module, images = GraphModule(graph), 0
    for x, y in batches:
        functional.cross_entropy(trace(module, x), y, reduction="sum").backward()
        images += len(x)

    def magnitude(array: np.ndarray) -> np.ndarray:
        gradient = module.tensor_gradient(array)
        return np.abs(gradient) / max(images, 1)

    return _by_weights(graph, found, magnitude)


def _l1(graph: Graph, found: tuple[Group, ...]) -> dict[str, np.ndarray]:
    """Sum of magnitudes of a unit's weights, relative to its layer's mean."""
    members, totals = unit_members(graph), {group.name: np.zeros(group.size) for group in found}
    for group in found:
        if group.ranks:
            continue
        for layer, units in members[group.name].items():
            node = graph[layer]
            assert isinstance(node, Layer)
            own = units >= 0
            np.add.at(totals[group.name], units[own], l1_score(node)[own])
    ranks = _by_weights(graph, tuple(g for g in found if g.ranks), np.abs)
    return totals | {name: values / max(float(values.mean()), 1e-30) for name, values in ranks.items()}


def _by_weights(graph: Graph, found: tuple[Group, ...], magnitude) -> dict[str, np.ndarray]:
    """Sums of ``magnitude(array)`` over the weights of every unit: rows of its layers, slices of both its cores."""
    members, totals = unit_members(graph), {}
    for group in found:
        total = np.zeros(group.size)
        if group.ranks:
            layer, _, bond = group.name.rpartition(":")
            node = graph[layer]
            assert isinstance(node, ir.TTConv2d | ir.TTLinear)
            left, right = magnitude(node.cores[int(bond)]), magnitude(node.cores[int(bond) + 1])
            total = left.reshape(-1, group.size).sum(axis=0) + right.reshape(group.size, -1).sum(axis=1)
        else:
            for layer, units in members[group.name].items():
                node, own = graph[layer], units >= 0
                if isinstance(node, ir.TTConv2d | ir.TTLinear):
                    last = magnitude(node.cores[-1])  # [r, ..., O, 1]
                    rows = last.reshape(-1, last.shape[-2]).sum(axis=0)
                else:
                    assert isinstance(node, ir.Conv2d | ir.Linear)
                    rows = magnitude(node.weight).reshape(len(node.weight), -1).sum(axis=1)
                np.add.at(total, units[own], rows[own])
        totals[group.name] = total
    return totals
