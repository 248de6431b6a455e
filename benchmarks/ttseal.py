"""Chooses what to encrypt in the networks of the zoo, attacks every baseline, and fills docs/ttseal.md.

    python benchmarks/ttseal.py --data FOLDER [--size full|patient|medium|reduced] [--out FOLDER] [--only NAMES]
                                [--workers N] [--selection FILE] [--seeds N] [--write]

Each network is one run of ``hwgen seal`` in OUT/NETWORK-SIZE. Everything finished is kept there: after an interruption
the same command continues. By default, all models of the zoo that ship a checkpoint and have tensor trains; with
``--train``, those for CIFAR-10 that do not are trained first (their dense teachers before them, into OUT/train).
``--cycles BOARD`` builds the network with nothing, the chosen set and everything encrypted, simulates each with and
without its decryptors, and fills in what encryption adds; ``--area BOARD`` stops these builds behind the search and
shows only the decryptors' share of the design. ``--report SET=report.json`` takes the cycles of a build made elsewhere.
``--write`` updates docs/results/ttseal.json and the tables of docs/ttseal.md. Adversarial examples need the extra
``attack``; with ``--no-transfer`` they can be added by a later run. ``--selection FILE`` judges a selection of one
network instead of making one, by substitutes of ``--seeds``; ``--write`` then updates a table of its own.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from progress import Printer
from ttseal_hardware import Hardware, measure, table

from hwgen.train import run
from hwgen.ttseal import AttackSettings, SealSettings, TransferSettings, select
from hwgen.ttseal.plots import write_plots
from hwgen.ttseal.report import KEYS, SETS, facts, make_rows, markdown, transfer_markdown
from hwgen.ttseal.select import RESULT, SELECTION
from hwgen.ttseal.team import SealTask, make_job, team_of
from hwgen.zoo import list_recipes, load_recipe
from hwgen.zoo.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "docs" / "results" / "ttseal.json", ROOT / "docs" / "ttseal.md"
#: ``reduced`` is half an hour of one core for a network like resnet18_tt, ``medium`` one hour, ``patient`` (the queries
#: of ``medium``, five times its steps, no removals) three; ``full`` wants days of it, or a GPU
SIZES = {
    "full": SealSettings(),
    "reduced": SealSettings(
        attack=AttackSettings(seed_images=100, rounds=3, epochs=4, last_epochs=4, precision="bfloat16"),
        transfer=TransferSettings(images=48, epsilons=(4, 8, 16), steps=10), importance_images=64,
        validation_images=1000, test_images=1000, seeds=1, drops=8),
    "medium": SealSettings(
        attack=AttackSettings(seed_images=100, rounds=4, epochs=2, last_epochs=6, precision="bfloat16"),
        transfer=TransferSettings(images=100, epsilons=(4, 8, 16), steps=10, batch=50), importance_images=128,
        validation_images=1000, test_images=1000, seeds=3, drops=2),
    "patient": SealSettings(
        attack=AttackSettings(seed_images=100, rounds=4, epochs=10, last_epochs=30, precision="bfloat16"),
        transfer=TransferSettings(images=100, epsilons=(4, 8, 16), steps=10, batch=50), importance_images=128,
        validation_images=1000, test_images=1000, seeds=3, drops=0),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    parser.add_argument("--size", choices=sorted(SIZES), default="full")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "ttseal")
    parser.add_argument("--only", default="", help="names separated by commas")
    parser.add_argument("--cycles", default="", metavar="BOARD", help="build and simulate none, chosen, all")
    parser.add_argument("--area", default="", metavar="BOARD", help="only the decryptors' share, without simulation")
    parser.add_argument("--report", action="append", default=[], metavar="SET=FILE",
                        help="report.json of a build with this set encrypted; repeatable, with one network only")
    parser.add_argument("--train", action="store_true", help="train the networks that ship without a checkpoint")
    parser.add_argument("--workers", type=int, default=1, help="substitutes trained at a time")
    parser.add_argument("--threads", type=int, help="of each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--selection", type=Path, help="judge this one, of the only network")
    parser.add_argument("--seeds", type=int, help="substitutes per set, if not the size's")
    parser.add_argument("--no-transfer", action="store_true", help="measure substitutes only, no adversarial examples")
    parser.add_argument("--no-run", action="store_true", help="use finished runs only")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def ships(recipe: Recipe) -> bool:
    """Whether a checkpoint is beside the recipe."""
    return recipe.checkpoint is not None and recipe.checkpoint.is_file()


def networks(only: str, train: bool) -> list[str]:
    """Models to run."""
    if only:
        return only.split(",")
    recipes = [load_recipe(name) for name in list_recipes()]
    return [r.name for r in recipes if r.tt.layers and (
        ships(r) or (train and r.train is not None and r.input.dataset == "cifar10"))]


def trained(name: str, options: argparse.Namespace) -> Path | None:
    """The checkpoint of a network that ships without one, trained now unless it was before; None for the others."""
    recipe, folder = load_recipe(name), options.out / "train" / name
    checkpoint = folder / f"{name}.safetensors"
    if ships(recipe):
        return None
    if not options.train and not checkpoint.is_file():
        raise SystemExit(f"{name} ships without a checkpoint: --train makes one in {folder}")
    if not checkpoint.is_file():
        run(recipe, options.data, folder, threads=options.threads, display=False)
    if not checkpoint.is_file():
        raise SystemExit(f"the training of {name} was interrupted; the same command continues")
    return checkpoint


def cycles_added(reports: list[str]) -> dict[str, float]:
    """Set -> share of the cold cycles that the crypto unit adds, from reports of builds."""
    found: dict[str, float] = {}
    for text in reports:
        name, _, path = text.partition("=")
        if name not in SETS:
            raise SystemExit(f"--report {text}: {name!r} is none of {', '.join(SETS)}")
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        added, cold = report["encryption"]["cycles_added"], report["cycles"]["measured"]
        if added is None or cold is None:
            raise SystemExit(f"--report {text}: that build has not measured what encryption costs")
        found[name] = added / (cold - added)
    return found


def main() -> None:
    """Run or continue, print, and with ``--write`` update docs/."""
    options = arguments()
    settings, added = SIZES[options.size], cycles_added(options.report)
    if options.no_transfer:
        settings = replace(settings, transfer=None)
    if options.seeds:
        settings = replace(settings, seeds=options.seeds)
    results: list[dict[str, Any]] = []
    found: dict[str, dict[str, Hardware]] = {}
    for name in networks(options.only, options.train):
        out = options.out / f"{name}-{options.size}"
        print(f"{name}, {options.size}: {out}", flush=True)
        building = bool(options.cycles or options.area)
        weights = None if options.no_run and not building else trained(name, options)
        if options.no_run:
            result = json.loads((out / RESULT).read_text(encoding="utf-8"))
        else:
            task = SealTask(model=name, data=options.data, settings=settings, out=out, weights=weights,
                            device=options.device, threads=options.threads, given=options.selection)
            job = make_job(task)
            with team_of(task, job, options.workers) as team:
                result = select(job, Printer(), team)
        write_plots(result, out)
        results.append(result)
        if building:
            found[name] = measure(name, options.cycles or options.area, out / SELECTION, options.out,
                                  weights=weights, simulate=bool(options.cycles))
        print(section(result, all_added(added, found.get(name)), found.get(name), options.size), flush=True)
    if options.write:
        write(results, added, found, options.size)


def all_added(reported: dict[str, float], found: dict[str, Hardware] | None) -> dict[str, float]:
    """Set -> share of the cycles that decryption adds: what was simulated here, else what was reported."""
    simulated = {name: hardware.added_share for name, hardware in (found or {}).items()}
    return {**reported, **{name: share for name, share in simulated.items() if share is not None}}


def section(result: dict[str, Any], added: dict[str, float], found: dict[str, Hardware] | None, size: str) -> str:
    """Markdown about one network."""
    hardware = ["", table(found)] if found else []
    lines = [f"### {result['model']}{', its selection judged' * judged(result)}, {size} size", ""]
    lines += [f"- **{name}**: {text}" for name, text in facts(result)]
    rows = make_rows(result, added)
    transferred = transfer_markdown(rows)
    above = ["", "Success of the adversarial examples on the victim:", "", transferred] if transferred else []
    return "\n".join([*lines, "", markdown(rows), *above, *hardware])


def judged(result: dict[str, Any]) -> bool:
    """Whether the selection was given."""
    return result["threshold"] is None


def write(results: list[dict[str, Any]], added: dict[str, float], found: dict[str, dict[str, Hardware]],
          size: str) -> None:
    """Replace the rows of networks for which a selection was made in the JSON file, and the page's tables."""
    old = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []
    made = [r for r in results if not judged(r)]
    names = {r["model"] for r in made}
    rows = [dict.fromkeys(KEYS) | r for r in old if r["network"] not in names] + [  # None: not kept by then
        r for x in made for r in make_rows(x, all_added(added, found.get(x["model"])))]
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    for result in results:
        title = f"{result['model']}{', judged' * judged(result)}"
        begin, end = (f"<!-- {title}: {word} -->" for word in ("begin", "end"))
        here = found.get(result["model"])
        text = f"{begin}\n{section(result, all_added(added, here), here, size)}\n{end}"
        if begin in page:
            page = page.split(begin, 1)[0] + text + page.split(end, 1)[1]
        else:
            page = page.rstrip("\n") + f"\n\n{text}\n"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
