"""Trains robust radar networks, prunes them by every method, attacks what is left, and fills docs/armor.md.

    python benchmarks/armor.py --data FOLDER [--size full|medium|reduced] [--style auto|engine|stream] [--out FOLDER]
                               [--only aconvnet_robust] [--methods guided,taylor] [--seeds 0,1] [--stride SHARE]
                               [--tolerance SHARE] [--epochs N] [--peak RATE] [--points N] [--no-batchnorm]
                               [--no-depth] [--front] [--autoattack IMAGES] [--pipeline] [--simulate] [--cpu] [--write]

Each network is trained by its recipe (unless the recipe ships a checkpoint), then pruned in one folder a run: method
and seed. The first point and the last one of every run are attacked on test images; with ``--front`` all are, which
compares the methods, and ``--autoattack`` attacks the first and the last with AutoAttack, too, on so many images (of
size ``full`` it is a part anyway). Everything finished is kept: after an interruption the same command continues.
``--pipeline`` builds what the runs end with (not what they begin with) as streaming pipelines, whatever they were
pruned for, and compares the runs as such. ``--simulate`` exports the last point of every guided run (with
``--pipeline``: the quickest one of all runs) as a model, builds it, and puts the simulated cycles of ``FRAMES``
bit-exact frames in place of the predicted ones.
``--cpu`` times the networks on this machine's CPU (it must be idle). Without them, times, and simulated cycles on the
same hardware, that docs/results/armor.json has from an earlier call stay. ``--write`` updates docs/results/armor.json,
docs/results/armor_comparison.json and armor_paired.json (guided against plain runs, at equal robust accuracy and point
by point) and the tables of docs/armor.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from armor_compare import comparisons, mean_cycles
from armor_runs import designed, folder_of, network_file, priced
from armor_tables import COMPARED, PAIRED, RESULTS, comparison_table, kept, saliency_of, table, with_known
from cpu_latency import cpu_latency
from docs_page import write_section
from progress import Printer, Steps

from hwgen.armor.export import export
from hwgen.armor.front import load_points, reductions
from hwgen.armor.measure import measure_points
from hwgen.armor.robustness import RobustnessSettings, measure_robustness
from hwgen.armor.settings import PruneSettings
from hwgen.armor.sweep import SweepTask, make_job, run_sweep, tasks
from hwgen.config.board import load_board
from hwgen.data.registry import load_dataset
from hwgen.pipeline.build import build
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.store import write_json
from hwgen.stream.choose import STYLES
from hwgen.train import run as train
from hwgen.train.graph_module import GraphModule
from hwgen.ttseal.device import use_torch
from hwgen.ttseal.folder import SETTINGS
from hwgen.zoo import load_recipe
from hwgen.zoo.recipe import PhaseSpec, Recipe

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = ("aconvnet_robust", "resnet_sar", "mobilenet_sar")
METHODS = ("guided", "taylor", "fisher", "l1", "random")
#: what AutoAttack found, in the folder of a run
AUTOATTACK = "autoattack.json"
#: of the proof of a network that was chosen
FRAMES = 4
#: ``medium`` is half an hour of one core a run; ``reduced`` is for a machine that is busy with other things, and its
#: figures say little about what pruning can do
SIZES: dict[str, dict[str, Any]] = {
    "full": {"settings": PruneSettings(epochs=10, peak=0.01, stride=0.1, retries=2, rounds=3), "seeds": (0, 1, 2),
             "restarts": 5, "attacks": ("fgsm", "pgd20", "pgd50", "autoattack"), "images": 0},
    "medium": {"settings": PruneSettings(epochs=10, peak=0.01, stride=0.4, retries=2, rounds=1, max_points=8,
                                         saliency_images=128),
               "seeds": (0,), "restarts": 1, "attacks": ("pgd20", "pgd50"), "images": 1000},
    "reduced": {"settings": PruneSettings(epochs=1, stride=0.25, retries=0, rounds=2, judge_steps=5, max_points=6,
                                          saliency_images=64, validation_images=200),
                "seeds": (0,), "restarts": 1, "attacks": ("pgd20",), "images": 200},
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--size", choices=sorted(SIZES), default="full")
    parser.add_argument("--board", default="zcu104")
    parser.add_argument("--style", choices=STYLES, default="auto", help="of the accelerator")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "armor")
    parser.add_argument("--only", default="", help="networks separated by commas")
    parser.add_argument("--methods", default="", help="methods separated by commas")
    parser.add_argument("--seeds", default="", help="separated by commas, if not the size's")
    parser.add_argument("--stride", type=float, help="between fine-tunings, if not the size's; in a folder of its own")
    parser.add_argument("--tolerance", type=float, help="of robust accuracy, if not the size's")
    parser.add_argument("--epochs", type=int, help="of the fine-tuning behind the steps, if not the size's")
    parser.add_argument("--peak", type=float, help="its highest learning rate, if not the size's")
    parser.add_argument("--points", type=int, help="of a run at most, if not the size's; with more, it continues")
    parser.add_argument("--no-batchnorm", action="store_true", help="fine-tune without BatchNorm")
    parser.add_argument("--no-depth", action="store_true", help="guided steps take channels only; own folder")
    parser.add_argument("--weights", type=Path, help="checkpoint of the network, with one network only")
    parser.add_argument("--workers", type=int, default=0, help="runs at a time on Dask; 0: one after the other")
    parser.add_argument("--scheduler", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--front", action="store_true", help="attack all points on test images, compare the methods")
    parser.add_argument("--autoattack", type=int, default=0, metavar="IMAGES",
                        help="attack the ends of the runs with AutoAttack, on so many test images")
    parser.add_argument("--pipeline", action="store_true", help="build what the runs end with as streaming pipelines")
    parser.add_argument("--simulate", action="store_true", help="export, build and simulate what guided runs end with")
    parser.add_argument("--cpu", action="store_true", help="time the networks on the CPU, too")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def seeds_of(options: argparse.Namespace) -> tuple[int, ...]:
    """Of the runs."""
    return tuple(int(seed) for seed in options.seeds.split(",")) if options.seeds else SIZES[options.size]["seeds"]


def trained(name: str, options: argparse.Namespace) -> Path | None:
    """The network's checkpoint; None: the one that its recipe ships."""
    recipe = load_recipe(name)
    if options.weights is not None:
        return options.weights
    if recipe.checkpoint is not None and recipe.checkpoint.is_file():
        return None
    if options.size == "reduced":
        recipe = reduced(recipe)
    folder = options.out / "trained" / f"{name}-{options.size}"
    done = folder / f"{name}.safetensors"
    return done if done.is_file() else train(recipe, options.data, folder, threads=options.threads).checkpoint


def reduced(recipe: Recipe) -> Recipe:
    """Four epochs with an attack of two steps, in bfloat16, without early stopping."""
    spec = recipe.train
    assert spec is not None and spec.robust is not None
    robust = replace(spec.robust, steps=2, step=0.625 * spec.robust.epsilon)
    return replace(recipe, train=replace(spec, phases=(PhaseSpec(epochs=4),), precision="bfloat16", stop=None,
                                         robust=robust))


def work_of(name: str, options: argparse.Namespace, methods: Sequence[str]) -> list[SweepTask]:
    """The runs of a network, for the seeds that the options ask for."""
    size = SIZES[options.size]
    recipe = load_recipe(name)
    assert recipe.train is not None and recipe.train.robust is not None
    settings: PruneSettings = replace(size["settings"], robust=recipe.train.robust, style=options.style,
                                      precision="bfloat16" if options.size == "reduced" else recipe.train.precision)
    settings = replace(settings, batchnorm=not options.no_batchnorm, epochs=options.epochs or settings.epochs,
                       peak=options.peak or settings.peak, max_points=options.points or settings.max_points,
                       stride=options.stride or settings.stride, depth=not options.no_depth,
                       tolerance=settings.tolerance if options.tolerance is None else options.tolerance)
    if options.size == "reduced":
        settings = replace(settings, robust=replace(settings.robust, steps=2, step=0.625 * settings.robust.epsilon))
    weights = trained(name, options)
    own = (f"-stride{options.stride:g}" if options.stride else "") + ("-nodepth" if options.no_depth else "")
    first = SweepTask(
        model=name, weights=str(weights.resolve()) if weights else "", data=str(options.data.resolve()),
        board=options.board, settings=settings, threads=options.threads,
        out=str((options.out / f"{name}-{options.board}-{options.style}-{options.size}{own}").resolve()))
    return tasks(first, methods, seeds_of(options))


def prune(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The first and the last point of every run, measured on test images; the first once."""
    size, watcher = SIZES[options.size], Printer()
    work = work_of(name, options, options.methods.split(",") if options.methods else METHODS)
    missing = [task for task in work if str(folder_of(task)) == task.out]
    if options.workers or options.scheduler:
        run_sweep(missing, watcher, workers=max(options.workers, 1), scheduler=options.scheduler)
    else:
        from hwgen.armor.run import run  # noqa: PLC0415

        for task in missing:
            run(make_job(task), watcher)
    folders = [folder_of(task) for task in work]
    points = load_points(folders)
    ends = [p for p in points if p["folder"] == str(folders[0])][:1] + [
        [p for p in points if p["folder"] == str(folder)][-1] for folder in folders]
    measure_points(points if options.front else ends, options.data, size["attacks"], restarts=size["restarts"],
                   images=size["images"], watcher=watcher)
    if options.autoattack:
        autoattack(ends, options, watcher)
    points, wanted = load_points(folders), [(p["folder"], p["point"]) for p in ends]
    measured = [p for key in wanted for p in points if (p["folder"], p["point"]) == key]
    return [{**p, "fewer": reductions(points, p)} for p in priced(measured, options.style, size["settings"].objective)]


def autoattack(points: list[dict[str, Any]], options: argparse.Namespace, watcher: Printer) -> None:
    """Measure points with AutoAttack, each kept as soon as it is done."""
    for point in points:
        path, number = Path(point["folder"]) / AUTOATTACK, str(point["point"])
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        settings = RobustnessSettings(epsilon=point["epsilon"], attacks=("autoattack",), images=options.autoattack)
        if known.get(number, {}).get("settings") == json.loads(json.dumps(settings.to_dict())):
            continue
        spec = load_recipe(point["model"]).input
        test = load_dataset(spec.dataset, options.data, "test", spec.shape, spec.classes or spec.class_count)
        watcher.begin(f"AutoAttack on {point['run']}:{number}")
        found = measure_robustness(GraphModule(load_graph(network_file(point))), test, spec, settings,
                                   lambda done, total, name: watcher.step(done, total))
        write_json(path, {**known, number: found.to_dict()})
        watcher.note(f"{point['run']}:{number}: AutoAttack {100 * found.accuracy['autoattack']:.1f} % of "
                     f"{found.images:,} images")


def measurements(point: dict[str, Any]) -> list[tuple[float, float, RobustnessSettings, str, int]]:
    """(clean accuracy, accuracy under attack, settings, attack, images) of a point, AutoAttack last."""
    path = Path(point["folder"]) / AUTOATTACK
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = []
    for test in (point["test"], known.get(str(point["point"]))):
        if test is not None:
            settings = RobustnessSettings(**{**test["settings"], "attacks": tuple(test["settings"]["attacks"])})
            found += [(test["accuracy"]["clean"], accuracy, settings, attack, test["images"])
                      for attack, accuracy in test["accuracy"].items() if attack != "clean"]
    return found


def rows_of(name: str, points: list[dict[str, Any]], options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a point and attack; energy is estimated, and cycles are predicted unless the row says otherwise."""
    rows = []
    styles = {number: {**p, "pruned_for": p["style"], "style": "stream" if options.pipeline else p["style"]}
              for number, p in enumerate(points) if number or not options.pipeline}
    costed = {number: {**p, **designed(p, SIZES[options.size]["settings"].objective)} for number, p in styles.items()}
    quickest = min((p for number, p in costed.items() if number), key=mean_cycles, default=None)
    for number, predicted in costed.items():
        chosen = predicted is quickest if options.pipeline else predicted["method"] == "guided"
        measure = options.simulate and number and chosen
        point = {**predicted, **simulated(name, predicted, options)} if measure else predicted
        origin, test = "simulated" if measure else f"predicted ({point['cycles_from']})", point["test"]
        cpu = cpu_latency(load_graph(network_file(point)), load_recipe(point["model"]).input, options.data
                          ) if options.cpu else None
        run = settings_of(point)
        for clean, robust, settings, attack, images in measurements(point):
            rows.append({
                "network": name, "dataset": point["dataset"], "method": point["method"] if number else "none",
                "seed": point["seed"], "point": point["point"], "parameters": point["parameters"],
                "macs": point["macs"], "clean_accuracy": clean, "robust_accuracy": robust,
                "attack": settings.describe(attack), "epsilon": settings.epsilon, "images": images,
                "board": point["board"], "style": point["style"], "pruned_for": point["pruned_for"],
                "cycles": point["cycles"],
                "steady_cycles": point["steady_cycles"], "interval_cycles": point["interval_cycles"],
                "cycles_origin": origin, "frames_simulated": point.get("frames"), "bit_exact": point.get("bit_exact"),
                "latency_us": point["latency_us"],
                "steady_latency_us": point["steady_latency_us"],
                "cpu_latency_us": cpu and cpu["us"], "cpu": cpu and f"{cpu['cpu']}, {cpu['how']}",
                "energy_uj_estimated": point["energy_uj_estimated"], "flips": test["faithfulness"]["flips"],
                "calibration_error": test["faithfulness"]["calibration_error_after"], "size": options.size,
                "saliency": saliency_of(point["method"] if number else "none"),
                "batchnorm": run["batchnorm"], "stride": run["stride"],
                "depth": run.get("depth", False) and number > 0,
                "parameters_ratio": round(point["fewer"]["parameters"], 3),
                "macs_ratio": round(point["fewer"]["macs"], 3), "config_sha256": fingerprint(point["config"])})
    return rows


def settings_of(point: dict[str, Any]) -> dict[str, Any]:
    """Of the point's run."""
    return json.loads((Path(point["folder"]) / SETTINGS).read_text(encoding="utf-8"))["settings"]


def fingerprint(config: dict[str, Any]) -> str:
    """By which the same hardware is known again; a pipeline's configuration is long."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def simulated(name: str, point: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Cycles and microseconds of a point that was exported, built and proven; SystemExit unless it is bit-exact."""
    run = Path(point["folder"])
    title = f"{name}_{point['method']}_{point['style']}_seed{point['seed']}"
    recipe = export(point, load_points([run]), options.out / "models", title)
    out = options.out / "built" / f"{title}-{options.board}"
    report = build(BuildRequest(model=str(recipe), board=options.board, out=out, style=point["style"], frames=FRAMES,
                                data=options.data, measure_crypto=False), Steps())
    assert report is not None
    if not report["verification"]["bit_exact"]:
        raise SystemExit(f"{out}: not bit-exact")
    cycles, clock = report["cycles"], report["config"]["clock_mhz"]
    steady = cycles["measured_steady"]
    return {"cycles": cycles["measured"], "steady_cycles": steady, "latency_us": round(cycles["measured"] / clock, 2),
            "interval_cycles": cycles["batch"]["interval"] if point["style"] == "stream" else steady,
            "steady_latency_us": round(steady / clock, 2), "frames": report["verification"]["frames"],
            "bit_exact": report["verification"]["bit_exact"]}


def compared(name: str, options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The network's guided runs against plain ones: at equal robust accuracy, and point by point."""
    size, folders = SIZES[options.size], dict[int, dict[str, Path]]()
    for task in work_of(name, options, METHODS):
        folders.setdefault(task.settings.seed, {})[task.settings.method] = folder_of(task)
    about = {"network": name, "board": options.board, "size": options.size, "saliency": saliency_of("guided"),
             "batchnorm": not options.no_batchnorm, "stride": options.stride or size["settings"].stride,
             "depth": not options.no_depth, "pruned_for": options.style}
    style = "stream" if options.pipeline else options.style
    return comparisons(folders, style=style, objective=size["settings"].objective, attack=size["attacks"][-1],
                       about=about)


def main() -> None:
    """Run or continue, print, and with ``--write`` update docs/."""
    options = arguments()
    use_torch("cpu", options.threads)
    load_board(options.board)
    names = options.only.split(",") if options.only else NETWORKS
    rows = [row for name in names for row in rows_of(name, prune(name, options), options)]
    found = [compared(name, options) for name in names]
    versus, paired = ([row for pair in found for row in pair[n]] for n in range(2))
    print(table(rows), comparison_table(versus), comparison_table(paired, paired=True), sep="\n\n", flush=True)
    if options.write:
        write_section("results", table(kept(RESULTS, with_known(rows, RESULTS))), "armor.md")
        if versus:
            write_section("comparison", comparison_table(kept(COMPARED, versus)), "armor.md")
            write_section("paired", comparison_table(kept(PAIRED, paired), paired=True), "armor.md")


if __name__ == "__main__":
    main()
