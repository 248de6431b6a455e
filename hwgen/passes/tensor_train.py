"""Replaces dense layers by tensor-train layers (TT-SVD of ``hwgen.tt``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwgen.errors import HwgenError
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph, Node
from hwgen.ir.verify import Stage, verify
from hwgen.passes.rewrite import layer, rebuild
from hwgen.tt.decompose import tt_svd
from hwgen.tt.form import ConvShape, TtForm
from hwgen.tt.ranks import Budget, RankLayer, ranks_by_budget, ranks_by_tolerance

Dense = ir.Conv2d | ir.Linear
#: the only train of a fully connected layer (as a 1x1 kernel): [1, I, r], [r, O, 1]
_LINEAR_GROUPING = ("IHW", "O")


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One layer that became a train: its ranks, its relative Frobenius error and its numbers before and after."""

    name: str
    grouping: tuple[str, ...]
    ranks: tuple[int, ...]
    relative_error: float
    parameters_before: int
    parameters_after: int


@dataclass(frozen=True)
class TensorTrained:
    """The new graph and what was replaced."""

    graph: Graph
    replacements: tuple[Replacement, ...]


def tensor_train(graph: Graph, forms: Mapping[str, TtForm]) -> TensorTrained:
    """Decomposes the named layers by TT-SVD.

    Args:
        graph: float.
        forms: layer name -> grouping and ranks; of a Linear, one rank (grouping IHW|O).

    Raises:
        HwgenError: unknown layer, grouped convolution, or a grouping that the layer cannot have.
    """
    for name in forms:
        layer(graph, name, (ir.Conv2d, ir.Linear), "dense layer")
    nodes: list[Node] = []
    found: list[Replacement] = []
    for node in graph.nodes:
        if isinstance(node, Dense) and node.name in forms:
            train, replacement = _replace(node, forms[node.name])
            nodes.append(train)
            found.append(replacement)
        else:
            nodes.append(node)
    return TensorTrained(verify(rebuild(graph, nodes), Stage.FLOAT), tuple(found))


def _replace(node: Dense, form: TtForm) -> tuple[Node, Replacement]:
    if isinstance(node, ir.Conv2d) and node.groups != 1:
        raise HwgenError(f"a convolution of {node.groups} groups as a tensor train", where=node.name,
                         allowed="groups = 1")
    if isinstance(node, ir.Linear) and len(form.ranks) != 1:
        raise HwgenError(f"grouping {'|'.join(form.grouping)} for a linear layer", where=node.name,
                         allowed="two cores (IHW|O)")
    result = tt_svd(_kernel(node), form)
    cores = tuple(np.ascontiguousarray(c, dtype=np.float32) for c in result.cores)
    train: Node
    if isinstance(node, ir.Linear):
        pair = (cores[0].reshape(1, -1, cores[0].shape[-1]), cores[1].reshape(cores[1].shape[0], -1, 1))
        train = ir.TTLinear(name=node.name, inputs=node.inputs, shape=node.shape, cores=pair, bias=node.bias)
    else:
        train = ir.TTConv2d(
            name=node.name, inputs=node.inputs, shape=node.shape, cores=cores, grouping=form.grouping, bias=node.bias,
            stride=node.stride, padding=node.padding, dilation=node.dilation,
        )
    return train, Replacement(
        name=node.name, grouping=form.grouping, ranks=result.ranks, relative_error=result.relative_error,
        parameters_before=node.weight.size, parameters_after=sum(c.size for c in cores),
    )


def _kernel(node: Dense) -> np.ndarray:
    return node.weight if isinstance(node, ir.Conv2d) else node.weight[:, :, None, None]


def conv_shape(graph: Graph, node: Dense) -> ConvShape:
    """Dimensions of a dense layer as the rank search wants them; a Linear is a 1x1 convolution of a 1x1 map."""
    kernel = _kernel(node)
    size = graph[node.inputs[0]].shape[1:] or (1, 1)
    out = node.shape[1:] or (1, 1)
    return ConvShape(
        in_channels=kernel.shape[1], out_channels=kernel.shape[0], kernel=(kernel.shape[2], kernel.shape[3]),
        in_size=(size[0], size[1]), out_size=(out[0], out[1]),
    )


def eligible(graph: Graph, layers: Collection[str] | None = None) -> tuple[Dense, ...]:
    """The layers to decompose: the named ones, or all convolutions of more than one tap and input channel > 8.

    1x1 convolutions and classifiers hold little and lose most, so they are decomposed only by name.
    """
    if layers is not None:
        found = tuple(layer(graph, name, (ir.Conv2d, ir.Linear), "dense layer") for name in layers)
        return tuple(n for n in found if isinstance(n, Dense))
    convolutions = (n for n in graph.nodes if isinstance(n, ir.Conv2d) and n.groups == 1)
    return tuple(n for n in convolutions if n.weight.shape[2] * n.weight.shape[3] > 1 and n.weight.shape[1] > 8)


def _grouping(node: Dense, grouping: Sequence[str]) -> tuple[str, ...]:
    return tuple(grouping) if isinstance(node, ir.Conv2d) else _LINEAR_GROUPING


def forms_by_rank(
    graph: Graph, rank: int, grouping: Sequence[str] = ("I", "HW", "O"), layers: Collection[str] | None = None
) -> dict[str, TtForm]:
    """The same inner rank everywhere (TT-SVD cuts it to what a layer can have)."""
    forms = {}
    for node in eligible(graph, layers):
        groups = _grouping(node, grouping)
        forms[node.name] = TtForm(groups, (rank,) * (len(groups) - 1))
    return forms


def forms_by_tolerance(
    graph: Graph, tolerance: float, grouping: Sequence[str] = ("I", "HW", "O"), multiple: int = 1,
    *, layers: Collection[str] | None = None,
) -> dict[str, TtForm]:
    """Smallest ranks, multiples of ``multiple``, at which every kernel's relative Frobenius error is in tolerance.

    Layers that would not shrink are left out unless they are named.
    """
    forms = {}
    for node in eligible(graph, layers):
        form = ranks_by_tolerance(_kernel(node), _grouping(node, grouping), tolerance, multiple)
        conv = conv_shape(graph, node)
        if layers is not None or (form.parameters(conv) < conv.parameters and form.macs(conv) < conv.macs):
            forms[node.name] = form
    return forms


def forms_by_budget(
    graph: Graph, budget: Budget, grouping: Sequence[str] = ("I", "HW", "O"), multiple: int = 8,
    *, layers: Collection[str] | None = None,
) -> dict[str, TtForm]:
    """Ranks that keep the sum of the decomposed layers within ``budget`` at least squared error."""
    chosen = eligible(graph, layers)
    if any(isinstance(n, ir.Linear) for n in chosen):
        names = ", ".join(n.name for n in chosen if isinstance(n, ir.Linear))
        raise HwgenError(f"a budget over fully connected layers ({names})", allowed="convolutions",
                         hint="give fully connected layers a rank or a tolerance")
    search = {n.name: RankLayer(kernel=_kernel(n), conv=conv_shape(graph, n)) for n in chosen}
    return ranks_by_budget(search, grouping, budget, multiple)
