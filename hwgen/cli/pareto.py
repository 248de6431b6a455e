"""``hwgen pareto``: the front of pruning runs, measured on test images, and its points as models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.console import out, print_json, table
from hwgen.cli.guard import guarded
from hwgen.errors import HwgenError

NAME = "pareto"
EXAMPLES = (
    "Examples:  hwgen pareto prune/aconvnet_robust-zcu104   |   "
    "hwgen pareto prune/aconvnet_robust-zcu104 --measure ~/data --restarts 5   |   "
    "hwgen pareto prune/aconvnet_robust-zcu104 --export guided-0:7 --to models --name aconvnet_pruned"
)


@guarded
def command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders that hold some.")],
    every: Annotated[bool, typer.Option("--all", help="Show the points behind the front too.")] = False,
    measure: Annotated[Path | None, typer.Option(help="Data set: attack the front's points on test images.")] = None,
    attack: Annotated[list[str] | None, typer.Option(help="fgsm, pgd20, pgd50, autoattack; repeatable "
                                                          "\\[pgd20].")] = None,
    restarts: Annotated[int, typer.Option(help="Random starts of PGD and APGD.")] = 1,
    images: Annotated[int, typer.Option(help="Test images; 0: all.")] = 0,
    export: Annotated[str, typer.Option(help="RUN:POINT to write as a model.")] = "",
    to: Annotated[Path, typer.Option(help="Folder of the model.")] = Path(),
    name: Annotated[str, typer.Option(help="Its name \\[MODEL_pruned].")] = "",
    plot_file: Annotated[Path | None, typer.Option("--plot", help="SVG \\[pareto.svg in the first folder].")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of torch.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the front on stdout.")] = False,
) -> None:
    """Compare pruning runs: robust and clean accuracy, latency, resources, energy (an estimate).

    Writes pareto.json and pareto.svg into the first folder. An exported model is built by 'hwgen build --model
    NAME.toml'.
    """
    from hwgen.armor.export import export as write_model
    from hwgen.armor.front import comparable, front, load_points, plot, reductions, run_folders
    from hwgen.armor.measure import measure_points
    from hwgen.cli.watch import watching
    from hwgen.pipeline.check import check_file_target
    from hwgen.pipeline.store import write_json, write_text
    from hwgen.ttseal.device import use_torch

    folders = run_folders(runs)
    points = load_points(folders)
    comparable(points)
    if plot_file is not None:
        check_file_target(plot_file, "--plot")
    best = front(points)
    if measure is not None:
        use_torch("cpu", threads)
        with watching(quiet=json) as watcher:
            measure_points(best, measure, tuple(attack or ("pgd20",)), restarts=restarts, images=images,
                           watcher=watcher)
        points = load_points(folders)
        best = front(points)
    write_json(runs[0] / "pareto.json", {"front": best, "points": points})
    write_text(plot_file or runs[0] / "pareto.svg", plot(points, best))
    written = None
    if export:
        run, _, number = export.partition(":")
        chosen = [p for p in points if p["run"] == run and str(p["point"]) == number]
        if len(chosen) != 1:
            raise HwgenError(f"{export!r} names {len(chosen)} points", where="--export",
                             allowed=", ".join(f"{p['run']}:{p['point']}" for p in best))
        written = write_model(chosen[0], points, to, name or f"{chosen[0]['model']}_pruned")
    if json:
        print_json({"front": best, "exported": None if written is None else str(written)})
        return
    shown = points if every else best
    targets = sorted({f"{p['board']}, {p['style']}" for p in points})
    several = len(targets) > 1
    columns = (*["board, style"] * several, "robust", "clean", "cycles", "us", "parameters", "fewer", "MACs fewer",
               "DSP", "energy uJ", "test robust")
    rows = []
    for p in shown:
        fewer, test = reductions(points, p), p["test"]
        worst = "" if test is None else f"{100 * min(test['accuracy'].values()):.1f} %"
        rows.append((f"{p['run']}:{p['point']}", "*" if p in best else "",
                     *[f"{p['board']}, {p['style']}"] * several, f"{100 * p['robust_accuracy']:.1f} %",
                     f"{100 * p['clean_accuracy']:.1f} %", f"{p['cycles']:,}", f"{p['latency_us']:,.1f}",
                     f"{p['parameters']:,}", f"{fewer['parameters']:.1f}x", f"{fewer['macs']:.1f}x",
                     f"{p['resources']['dsp']:,.0f}", f"{p['energy_uj_estimated']:,.1f}", worst))
    first = points[0]
    where = "several boards or styles" if several else targets[0]
    out.print(table(f"{first['model']} on {where}, {first['dataset']}: accuracies on validation images "
                    f"(PGD, epsilon {first['epsilon']:g}/255), cycles predicted, energy estimated",
                    ("point", "front", *columns), rows, right=columns))
    out.print(f"{runs[0] / 'pareto.json'}, {plot_file or runs[0] / 'pareto.svg'}"
              + ("" if written is None else f"\nhwgen build --model {written} --board {first['board']}"))
