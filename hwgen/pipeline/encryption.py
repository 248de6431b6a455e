"""What a build encrypts: the request's selection of layers, else the recipe's; feature maps in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwgen.cost.work import NetworkWork
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, QConv2d
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source, weights_hash
from hwgen.seal import Selection, load_selection, select_encrypted
from hwgen.zoo.recipe import SealSpec

#: what a request or a recipe says that has its build make the selection; the step that does, and what it writes
BY_ATTACK = "attack"
SELECT_STEP, SELECTION = "select", "selection.json"


def chosen_nodes(request: BuildRequest, source: ModelSource, graph: Graph) -> str | float | list[str]:
    """What ``select_encrypted`` takes; names of float layers stand for all their nodes in the integer network."""
    choice = _choice(request, source)
    if isinstance(choice, Selection):
        return list(choice.nodes_in(graph, str(selection_path(request, source)))) or "none"
    if not isinstance(choice, list):
        return choice
    nodes: dict[str, list[str]] = {}
    for n in graph.nodes:
        if isinstance(n, QConv2d):
            nodes.setdefault(n.origin, []).append(n.name)
    return [node for name in choice for node in nodes.get(name, [name])]


def expected_layers(
    request: BuildRequest, source: ModelSource, network: NetworkWork
) -> frozenset[str] | Selection | None:
    """For the search, which comes before the integer network: names of float layers or nodes; None: everything."""
    choice = _choice(request, source)
    if isinstance(choice, Selection):
        return choice
    if isinstance(choice, list):
        return frozenset(choice)
    sizes: dict[str, int] = {}
    for work in network.works:
        if not work.pool:
            own = work.channels_in // work.groups * work.channels_out * work.kernel[0] * work.kernel[1]
            sizes[work.origin or work.name] = sizes.get(work.origin or work.name, 0) + own
    chosen = select_encrypted(choice, sizes)
    return None if len(chosen) == len(sizes) else frozenset(chosen)


def protects_activations(request: BuildRequest, source: ModelSource) -> bool:
    """Whether feature maps that do not fit on the chip are to be encrypted in memory."""
    return request.protect_activations or source.encrypt.activations


def _choice(request: BuildRequest, source: ModelSource) -> str | float | list[str] | Selection:
    """As it is written: "all", "none", a share, names, or the contents of a selection file.

    Raises:
        HwgenError: the selection was made for other weights, or is to be made by a build that has not made it.
    """
    file = selection_path(request, source)
    if file is not None:
        if attacker(request, source) is not None and not file.is_file():
            raise HwgenError("what is encrypted is chosen by attack, in a build", where="encrypt", allowed="all, none, "
                             "a share, names, @FILE", hint="hwgen build --to select makes one")
        selection = load_selection(file)
        selection.check_weights(weights_hash(request, source), str(file))
        return selection
    text, spec = request.encrypt.strip(), source.encrypt
    if not text:
        if spec.select == "fraction":
            return float(spec.fraction or 0.0)
        return list(spec.names) if spec.select == "names" else spec.select
    if text in ("all", "none") or text.rstrip("%").replace(".", "", 1).isdigit():
        return text
    return [name.strip() for name in text.split(",") if name.strip()]


def selection_path(request: BuildRequest, source: ModelSource) -> Path | None:
    """The selection file that the request (``@FILE``) or else the recipe names, or that the build makes; None where
    none of them is asked for."""
    text, spec = request.encrypt.strip(), source.encrypt
    if attacker(request, source) is not None:
        return request.out / SELECT_STEP / SELECTION
    if text.startswith("@"):
        return Path(text[1:])
    if not text and spec.select == "file" and source.recipe is not None:
        return source.recipe.path.parent / spec.file
    return None


def attacker(request: BuildRequest, source: ModelSource) -> SealSpec | None:
    """The attacker against whom the build selects what it encrypts; None where it does not."""
    asked = request.encrypt.strip() or source.encrypt.select
    return (source.encrypt.attack or SealSpec()) if asked == BY_ATTACK else None


def selection_summary(request: BuildRequest, source: ModelSource) -> dict[str, Any] | None:
    """What ``hwgen seal`` found about the selection of a build; None where there is none."""
    choice = _choice(request, source)
    return dict(choice.summary) if isinstance(choice, Selection) else None


def choice_inputs(request: BuildRequest) -> dict[str, Any]:
    """What a step depends on that reads the selection."""
    source = model_source(request)
    file = selection_path(request, source)
    return {"encrypt": request.encrypt or str(source.encrypt),
            "selection": hash_file(file) if file is not None and file.is_file() else ""}
