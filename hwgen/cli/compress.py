"""``hwgen compress``: tensor trains and structured pruning, applied to a trained network."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.console import err, out, print_json, table
from hwgen.cli.guard import guarded
from hwgen.errors import HwgenError

NAME = "compress"
EXAMPLES = (
    "Examples:  hwgen compress --model resnet20 --macs-ratio 2   |   "
    "hwgen compress --model net.onnx --rank 32 --out net_tt.safetensors   |   "
    "hwgen compress --model resnet20 --keep 0.75 --out small.safetensors"
)


@guarded
def command(
    model: Annotated[str, typer.Option("--model", "-m", help="Model name, recipe (.toml) or ONNX file (.onnx).")],
    macs_ratio: Annotated[float | None, typer.Option(help="TT ranks by budget: so many times fewer MACs.")] = None,
    rank: Annotated[int | None, typer.Option(help="The same TT rank everywhere.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="TT ranks by relative error of each kernel.")] = None,
    keep: Annotated[float | None, typer.Option(help="Structured pruning: share of the channels kept.")] = None,
    multiple: Annotated[int, typer.Option(help="Ranks and channels are multiples of this.")] = 8,
    weights: Annotated[Path | None, typer.Option(help="Checkpoint instead of the recipe's.")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", "-o", help="Write the network for 'build --model FILE'.")]
    = None,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Compress a trained network ('hwgen train --model FILE' then recovers accuracy)."""
    from hwgen.ir.count import count, count_layers
    from hwgen.passes.fold_batchnorm import fold_batchnorm
    from hwgen.passes.prune_channels import prune_channels
    from hwgen.passes.tensor_train import forms_by_rank, forms_by_tolerance, tensor_train
    from hwgen.pipeline.check import check_file_target
    from hwgen.pipeline.graphfile import save_graph
    from hwgen.pipeline.request import BuildRequest
    from hwgen.pipeline.source import model_source
    from hwgen.pipeline.steps.compress import by_macs, require_dense
    from hwgen.pipeline.steps.frontend import read_model

    ways = {"--macs-ratio": macs_ratio, "--rank": rank, "--tolerance": tolerance}
    chosen = [name for name, value in ways.items() if value is not None]
    if len(chosen) > 1 or (not chosen and keep is None):
        raise HwgenError(f"{' and '.join(chosen) or 'no method'} given", where="compress",
                         allowed="one of --macs-ratio, --rank, --tolerance, and/or --keep")
    _check(macs_ratio, rank, keep, multiple)
    if out_file is not None:
        if out_file.suffix != ".safetensors":
            raise HwgenError(f"{out_file.name!r}", where="--out", allowed="a name ending in .safetensors")
        check_file_target(out_file, "--out")
    source = model_source(BuildRequest(model=model, board="", out=Path(), weights=weights))
    with err.status("reading the model"):
        graph, origin = read_model(source, weights)
    before = count(graph)
    graph = fold_batchnorm(graph)
    if keep is not None:
        graph = prune_channels(graph, keep, multiple).graph
    if macs_ratio is not None:
        graph = by_macs(graph, macs_ratio, multiple=multiple)
    elif rank is not None:
        graph = tensor_train(graph, forms_by_rank(require_dense(graph), rank)).graph
    elif tolerance is not None:
        forms = forms_by_tolerance(require_dense(graph), tolerance, multiple=multiple)
        if not forms:
            raise HwgenError(f"nothing to compress: no layer gets smaller within {tolerance:g}", where="--tolerance",
                             hint="a larger tolerance")
        graph = tensor_train(graph, forms).graph
    after = count(graph)
    if out_file is not None:
        save_graph(graph, out_file, recipe=str(source.recipe.path.resolve()) if source.recipe else "",
                   weights=vars(origin))
    rows = [(c.name, c.op, f"{c.dense_parameters:,}", f"{c.parameters:,}", f"{c.dense_macs:,}", f"{c.macs:,}")
            for c in count_layers(graph)]
    if json:
        print_json({"weights": vars(origin), "before": vars(before), "after": vars(after),
                    "layers": [vars(c) for c in count_layers(graph)]})
        return
    out.print(f"weights: {origin.text}{'; accuracies mean nothing' if origin.kind == 'seeded' else ''}", markup=False)
    right = ("dense parameters", "parameters", "dense MACs", "MACs")
    out.print(table("", ("layer", "form", *right), rows, right=right))
    for kind in ("parameters", "macs"):
        old, new = getattr(before, kind), getattr(after, kind)
        out.print(f"{kind}: {old:,} -> {new:,} ({old / new:.2f} times fewer)")


def _check(macs_ratio: float | None, rank: int | None, keep: float | None, multiple: int) -> None:
    """Refuse numbers that mean nothing."""
    for option, value, good, allowed in (
        ("--macs-ratio", macs_ratio, macs_ratio is None or (isfinite(macs_ratio) and macs_ratio > 1), "above 1"),
        ("--rank", rank, rank is None or rank >= 1, "1 or more"),
        ("--keep", keep, keep is None or 0 < keep <= 1, "above 0, at most 1"),
        ("--multiple", multiple, multiple >= 1, "1 or more"),
    ):
        if not good:
            raise HwgenError(f"{value} is not possible", where=option, allowed=allowed)
