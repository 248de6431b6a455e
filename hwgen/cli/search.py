"""``hwgen search``: the Pareto front for a model and a board, and why the chosen point won."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwgen.cli.console import err, out, print_json, table
from hwgen.cli.guard import guarded
from hwgen.errors import HwgenError

if TYPE_CHECKING:
    from rich.table import Table

    from hwgen.search import SearchResult
    from hwgen.stream.search import StreamCandidate

NAME = "search"
EXAMPLES = (
    "Examples:  hwgen search --model resnet18_tt --board zcu104   |   "
    "hwgen search --model net.onnx --board pynq-z2 --objective area --json   |   "
    "hwgen search --model resnet8 --board kv260 --style auto --objective throughput"
)


@guarded
def command(
    model: Annotated[str, typer.Option("--model", "-m", help="Model name, recipe (.toml) or ONNX file (.onnx).")],
    board: Annotated[str, typer.Option("--board", "-b", help="Board name or board file (.toml).")],
    objective: Annotated[str, typer.Option(help="latency, throughput, area or energy.")] = "latency",
    style: Annotated[str, typer.Option(help="engine: one array, layer after layer; stream: an engine per layer, all at "
                                            "once; auto: whichever the objective favours.")] = "engine",
    fps: Annotated[float, typer.Option(help="Frames a second that a streaming pipeline must reach, with the fewest "
                                            "resources; 0: as many as the board allows.")] = 0.0,
    weights: Annotated[Path | None, typer.Option(help="Checkpoint instead of the recipe's.")] = None,
    encrypt: Annotated[str, typer.Option(help="What is encrypted, as for build; default: as the recipe says.")] = "",
    protect_activations: Annotated[bool, typer.Option("--protect-maps", help="Encrypt and authenticate feature maps "
                                                      "that do not fit on the chip; default: as the recipe says.")]
    = False,
    points: Annotated[int, typer.Option(help="Points of the front to print.")] = 12,
    save: Annotated[Path | None, typer.Option(help="Write the chosen configuration for 'build --config'.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Search the accelerator configuration. All figures are predicted (cycles) or estimated (resources, energy)."""
    from hwgen.config.board import load_board
    from hwgen.cost.work import network_work
    from hwgen.pipeline.check import check_file_target
    from hwgen.pipeline.designs import default_key_bits, search_designs
    from hwgen.pipeline.encryption import expected_layers
    from hwgen.pipeline.request import BuildRequest
    from hwgen.pipeline.source import model_source
    from hwgen.pipeline.steps.frontend import read_model
    from hwgen.pipeline.store import write_json
    from hwgen.search.objectives import objective as objective_of

    if points < 1:
        raise HwgenError(f"{points} is not possible", where="--points", allowed="1 or more")
    if save is not None:
        check_file_target(save, "--save")
    target = load_board(board)
    objective_of(objective)
    request = BuildRequest(model=model, board=board, out=Path(), weights=weights, encrypt=encrypt, style=style, fps=fps,
                           objective=objective, protect_activations=protect_activations)
    source = model_source(request)
    with err.status("reading the model"):
        graph, _ = read_model(source, weights)
    found = search_designs(request, graph, target, expected_layers(request, source, network_work(graph)),
                           key_bits=default_key_bits(request))
    if save is not None:
        write_json(save, found.system.to_dict())
    if json:
        print_json(found.values)
        return
    if found.engine is not None:
        out.print(_front(found.engine, f"{source.name} on {target.name}", points))
        out.print()
    if found.stream is not None:
        out.print(_stages(found.stream, f"{source.name} on {target.name}"))
        out.print()
    out.print(found.values["explanation"], markup=False, soft_wrap=True)


def _front(result: SearchResult, title: str, points: int) -> Table:
    """The engines of the front, best first."""
    right = ("engines", "array", "tile", "weight KiB", "ports", "AES rounds", "cold", "steady", "per frame", "DSP",
             "BRAM36", "URAM", "LUT", "uJ")
    rows = []
    for c in result.front[:points]:
        r, f = c.resources, c.config
        rows.append(("*" if c.system == result.chosen.system else "", c.engines, f"{f.p_i}x{f.p_o}", f.acc_depth,
                     f.weight_lines * f.line_bytes // 1024, f.axi_ports, f.aes_rounds, f"{c.cold_cycles:,}",
                     f"{c.steady_cycles:,}", f"{c.interval_cycles:,}", f"{r.dsp:,.0f}", f"{r.bram36:,.1f}",
                     f"{r.uram:,.0f}", f"{r.lut:,.0f}", f"{c.energy_uj:,.0f}"))
    return table(f"{title}: {len(result.front)} points of the front, best first", ("", *right), rows, right=right)


def _stages(found: StreamCandidate, title: str) -> Table:
    """The stages of a pipeline."""
    from hwgen.stream.cost import stage_cycles, stage_resources

    config = found.config
    assert config.pipeline is not None
    right = ("PE x SIMD", "lanes", "cycles", "DSP", "BRAM36", "LUT", "FF")
    rows = []
    for stage in config.pipeline.stages:
        r = stage_resources(stage, config)
        rows.append((stage.name, stage.kind.value + (", serial" if stage.serial else ""), f"{stage.pe}x{stage.simd}",
                     stage.lanes, f"{stage_cycles(stage):,}", f"{r.dsp:,.0f}", f"{r.bram36:,.1f}", f"{r.lut:,.0f}",
                     f"{r.ff:,.0f}"))
    return table(f"{title}: a pipeline of {len(rows)} stages", ("stage", "kind", *right), rows, right=right)
