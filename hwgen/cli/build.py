"""``hwgen build``: the main job, from a model and a board to a proven accelerator and its hand-off."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from hwgen import interrupt
from hwgen.cli.console import err, out, print_json
from hwgen.cli.guard import guarded

NAME = "build"
EXAMPLES = (
    "Examples:  hwgen build --model resnet18_tt --board zcu104   |   "
    "hwgen build --model my.toml --board mine.toml --data images/   |   "
    "hwgen build --model resnet20 --board kv260 --to search"
)


@guarded
def command(
    model: Annotated[str, typer.Option("--model", "-m", help="Model name, recipe (.toml) or ONNX file (.onnx).")],
    board: Annotated[str, typer.Option("--board", "-b", help="Board name or board file (.toml).")],
    out_dir: Annotated[Path | None, typer.Option("--out", "-o", help="Build directory \\[build/MODEL-BOARD].")] = None,
    data: Annotated[Path | None, typer.Option(help="Data set folder: evaluate afresh, verify on its images.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Checkpoint (.safetensors) instead of the recipe's.")] = None,
    config: Annotated[Path | None, typer.Option(help="Accelerator configuration (.json); skips the search.")] = None,
    compress: Annotated[float, typer.Option(help="Decompose dense convolutions by TT-SVD until the network has so many "
                                                 "times fewer MACs; 0: as the recipe says.")] = 0.0,
    objective: Annotated[str, typer.Option(help="What the search optimises: latency, throughput, area, energy.")]
    = "latency",
    style: Annotated[str, typer.Option(help="engine: one array, layer after layer; stream: an engine per layer, all at "
                                            "once; auto: whichever the objective favours.")] = "engine",
    fps: Annotated[float, typer.Option(help="Frames a second that a streaming pipeline must reach, with the fewest "
                                            "resources; 0: as many as the board allows.")] = 0.0,
    encrypt: Annotated[str, typer.Option(help="all (the program, too), none, a fraction such as 0.5, layer names a,b, "
                                              "@FILE (made by hwgen seal), or attack: chosen and verified by attacks "
                                              "first (hours; needs --data); default: as the recipe says.")] = "",
    protect_activations: Annotated[bool, typer.Option("--protect-maps", help="Encrypt and authenticate feature "
                                                      "maps that do not fit on the chip; default: as the recipe says.")]
    = False,
    key_file: Annotated[Path | None, typer.Option(help="Root key: 32 hexadecimal digits for AES-128, 64 for AES-256; "
                                                       "default: a development key (AES-128) is generated beside the "
                                                       "build directory.")] = None,
    frames: Annotated[int, typer.Option(help="Images of the proof, back to back.")] = 2,
    images: Annotated[int, typer.Option(help="Test images of the accuracy figures; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="Choice of images and initial state of the simulation.")] = 1,
    waves: Annotated[bool, typer.Option("--waves", help="Write a wave dump (FST) of the proof.")] = False,
    dump_layers: Annotated[bool, typer.Option("--dump-layers", help="Compare every layer (debug image).")] = False,
    crypto_cost: Annotated[bool, typer.Option(help="Simulate once more with the crypto unit bypassed, to measure what "
                                                   "it costs.")] = True,
    synth: Annotated[bool, typer.Option("--synth", help="Synthesise every module with Yosys for the report.")] = False,
    prove: Annotated[bool, typer.Option("--verify/--no-verify", help="The proof in simulation.")] = True,
    first: Annotated[str | None, typer.Option("--from", help="Run this step and all behind it again.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Stop behind this step.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Cache of compiled simulators and syntheses [~/.cache/hwgen].")]
    = None,
    json: Annotated[bool, typer.Option("--json", help="Print report.json on stdout.")] = False,
) -> None:
    """Build an accelerator: compress, search, quantise, compile, encrypt, prove in simulation, report, hand off.

    Steps whose inputs have not changed are reused. An interrupted build continues where it stopped.
    """
    from hwgen.cli.progress import StepPrinter
    from hwgen.cli.summary import print_summary
    from hwgen.pipeline.build import build, build_directory
    from hwgen.pipeline.request import BuildRequest

    if encrypt.startswith("@"):
        encrypt = f"@{Path(encrypt[1:]).resolve()}"  # 'verify' must find it from elsewhere
    request = BuildRequest(
        model=model, board=board, out=out_dir or build_directory(model, board), weights=weights, data=data,
        config=config, compress=compress, objective=objective, style=style, fps=fps, encrypt=encrypt,
        protect_activations=protect_activations, key_file=key_file, frames=frames, seed=seed, waves=waves,
        dump_layers=dump_layers, measure_crypto=crypto_cost, prove=prove, synthesise=synth, evaluate_images=images,
    )
    printer = StepPrinter(quiet=json)
    try:
        report: dict[str, Any] | None = build(request, printer, cache=cache, first=first, last=last)
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt) or interrupt.seen()
        with suppress(Exception):  # a display that the signal hit half-way
            printer.stop()
        if stopped:
            err.print(f"interrupted; completed steps are kept in {request.out}, the same command continues behind them")
            raise KeyboardInterrupt from error
        raise
    printer.stop()
    if report is None:
        out.print(f"stopped behind step {last}; results in {request.out}")
    elif json:
        print_json(report)
    else:
        print_summary(report, request.out)
