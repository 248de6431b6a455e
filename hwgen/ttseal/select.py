"""From importance to a verified selection: the steps of ``hwgen seal`` in order, each written as it is completed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hwgen.errors import HwgenError
from hwgen.golden.evaluate import Accuracy
from hwgen.ir.count import count
from hwgen.ir.execute import run_float
from hwgen.pipeline.fingerprint import hash_file, hash_json
from hwgen.pipeline.graphfile import save_graph
from hwgen.pipeline.images import normalised
from hwgen.seal import SelectedUnit, Selection
from hwgen.ttseal.baselines import first_last, largest_norm, random_set
from hwgen.ttseal.folder import RunFolder
from hwgen.ttseal.importance import Importance, importances, ranking
from hwgen.ttseal.knapsack import LEVELS, fewest_bytes, quantise_values
from hwgen.ttseal.measure import Bench, Team, Wanted, Watcher
from hwgen.ttseal.network import RealNetwork
from hwgen.ttseal.repair import repair
from hwgen.ttseal.report import SETS, at, make_rows
from hwgen.ttseal.settings import AttackSettings, SealSettings
from hwgen.ttseal.substitute import Attack
from hwgen.ttseal.target import Splits, Target
from hwgen.ttseal.threshold import smallest_prefix
from hwgen.ttseal.transfer import require_library, transfer
from hwgen.ttseal.units import Unit, bytes_of, share_of, units_of
from hwgen.ttseal.victim import CHECKED, Victim

SELECTION, RESULT, ROWS = "selection.json", "result.json", "rows.json"


@dataclass(frozen=True, kw_only=True)
class SealJob:
    """A selection to be made.

    Args:
        target, splits, settings: what, on which images, how.
        out: folder of the run.
        device: of torch.
        given: nodes of a selection that exists: it is judged, nothing is chosen; None: a selection is made.
    """

    target: Target
    splits: Splits
    settings: SealSettings
    out: Path
    device: str = "cpu"
    given: frozenset[str] | None = None


@dataclass(frozen=True)
class _Steps:
    """Accuracies of black-box substitutes: of the first seed, and the mean of all; stored results of the search and of
    the knapsack (None where the selection was given) and of the repair."""

    blind: float
    blind_all: float
    threshold: dict[str, Any] | None
    choice: dict[str, Any] | None
    verified: dict[str, Any]


def make_bench(job: SealJob, watcher: Watcher, team: Team | None = None) -> Bench:
    """The run's folder, the victim (compared with the golden model first), and what the attacker has.

    Args:
        team: measures substitutes that are wanted together.

    Raises:
        HwgenError: the folder belongs to another run.
    """
    target, splits, settings = job.target, job.splits, job.settings
    job.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".network.", dir=job.out) as scratch:  # a team's members open it, too
        graph = Path(scratch) / "network.safetensors"
        save_graph(target.graph, graph)
        owner = {"model": target.name, "checkpoint": target.checkpoint, "network": hash_file(graph),
                 **settings.of_substitutes(), "dataset": target.recipe.input.dataset}
        folder = RunFolder(job.out, owner)
        graph.replace(job.out / graph.name)
    victim = Victim(target.graph, target.recipe.input, job.device)
    victim.check(splits.pool.images[:CHECKED])
    attack = Attack(graph=target.graph, spec=target.recipe.input, victim=victim, pool=splits.pool.images,
                    settings=settings.attack, device=job.device)
    return Bench(attack, splits, units_of(target.graph), folder, watcher, team=team)


def select(job: SealJob, watcher: Watcher, team: Team | None = None) -> dict[str, Any]:
    """Choose what to encrypt and prove it: importance, threshold, knapsack, attack and repair, baselines, transfer. Of
    a given selection: the attack on it and on the baselines.

    Every result is a JSON file in ``job.out``; what is there is not made again, so an interrupted run continues.

    Args:
        team: measures the substitutes of several seeds or sets at a time; with equal threads, results are the same.

    Returns:
        What ``result.json`` holds.

    Raises:
        HwgenError: other settings than the folder's; ToolMissingError: ART is missing and the transfer is wanted.
        KeyboardInterrupt: Ctrl-C; everything finished is kept, a running training is saved.
    """
    settings = job.settings
    if not (settings.importance_images and settings.validation_images):
        raise HwgenError("a selection needs images for the importances and for validation", where="settings",
                         allowed="1 or more of each")
    if settings.transfer is not None:
        require_library()
    bench = make_bench(job, watcher, team)
    with bench.folder.lock():
        seeds = [settings.seed + n for n in range(settings.seeds)]
        units, folder = bench.units, bench.folder
        accuracy = folder.stored("accuracy.json", "", lambda: _accuracies(job, bench, watcher))
        found = _importance(job, units, folder, watcher)
        steps = _choose(job, bench, found, seeds)
        chosen = frozenset(steps.verified["nodes"])
        sets = _sets(units, found, chosen, seeds)
        bench.prepare(Wanted(s, seed, name) for name in SETS for seed, s in zip(seeds, sets[name], strict=True))
        measured = {name: [asdict(bench.measure(s, seed, name)) for seed, s in zip(seeds, sets[name], strict=True)]
                    for name in SETS}
        folder.write("sets.json", measured)
        shown = {name: transfer_of(job, bench, name, sets[name][0], seeds[0]) for name in SETS}
        result = {
            "model": job.target.name, "origin": job.target.origin, "dataset": job.splits.test.name,
            "test_images": len(job.splits.test), "settings": settings.to_dict(), "accuracy": accuracy,
            "dense_parameters": count(job.target.planned).dense_parameters,
            "units": [asdict(u) for u in units], "importance": [asdict(i) for i in found],
            "black_box": {"search": steps.blind, "all_seeds": steps.blind_all}, "limit": steps.verified["limit"],
            "threshold": steps.threshold, "choice": steps.choice, "verified": steps.verified, "sets": measured,
            "transfer": shown, "tried": _tried(bench, steps, ranking(found), seeds),
        }
        folder.write(RESULT, result)
        folder.write(ROWS, make_rows(result))
        folder.write(SELECTION, make_selection(job.target, units, chosen, result).to_dict())
        return result


def _choose(job: SealJob, bench: Bench, found: Sequence[Importance], seeds: Sequence[int]) -> _Steps:
    """Threshold, knapsack, attack and repair; of a given set the attack alone."""
    units, delta = bench.units, job.settings.delta
    everything = frozenset(u.node for u in units)
    if bench.team is not None:  # all seeds' at once, though the threshold needs the first one's only
        bench.prepare(Wanted(everything, seed, "black box") for seed in seeds)
    blind = bench.mean(everything, seeds[:1], "black box")
    if job.given is not None:
        blind_all = bench.mean(everything, seeds, "black box")
        accuracy = bench.mean(job.given, seeds, "given")
        return _Steps(blind, blind_all, None, None, {
            "nodes": sorted(job.given), "holds": accuracy <= blind_all + delta, "limit": blind_all + delta,
            "log": [("verify", "", accuracy)]})
    threshold = _threshold(job, bench, ranking(found), blind)
    choice = bench.folder.stored("choice.json", [ranking(found), threshold["count"], LEVELS],
                                 lambda: _pack(units, found, threshold["count"]))
    blind_all = bench.mean(everything, seeds, "black box")
    return _Steps(blind, blind_all, threshold, choice,
                  _verified(job, bench, found, choice["nodes"], blind_all + delta))


def _threshold(job: SealJob, bench: Bench, order: Sequence[str], blind: float) -> dict[str, Any]:
    """How many of the ranked units have to be hidden, by the first seed's substitutes."""
    settings = job.settings

    def accuracy(count: int) -> float:
        return bench.mean(order[:count], [settings.seed], f"threshold, {count} most important")

    key = [list(order), blind, settings.delta, settings.reach]
    return bench.folder.stored("threshold.json", key, lambda: asdict(
        smallest_prefix(accuracy, len(order), blind + settings.delta, reach=settings.reach)))


def _verified(
    job: SealJob, bench: Bench, found: Sequence[Importance], nodes: Sequence[str], limit: float,
) -> dict[str, Any]:
    """The knapsack's set after attack and repair, by the substitutes of all seeds."""
    seeds = [job.settings.seed + n for n in range(job.settings.seeds)]

    def make() -> dict[str, Any]:
        made = repair(nodes, {i.node: i.value for i in found}, {u.node: u.bytes for u in bench.units},
                      lambda hidden: bench.mean(hidden, seeds, "chosen"), limit, drops=job.settings.drops)
        return {**asdict(made), "limit": limit}

    return bench.folder.stored("verified.json", [list(nodes), seeds, limit, job.settings.drops], make)


def make_selection(target: Target, units: Sequence[Unit], chosen: frozenset[str], result: dict[str, Any]) -> Selection:
    """The file for ``hwgen build --encrypt @FILE``."""
    counts: dict[str, int] = {}
    for unit in units:
        counts[unit.layer] = counts.get(unit.layer, 0) + 1
    row = next(r for r in make_rows(result) if r["set"] == "chosen")
    picked = tuple(SelectedUnit(node=u.node, layer=u.layer, units=counts[u.layer], shape=u.shape)
                   for u in units if u.node in chosen)
    return Selection(model=target.name, checkpoint=target.checkpoint, units=picked, summary={
        "bytes": bytes_of(units, chosen), "share_of_bytes": share_of(units, chosen),
        "share_of_parameters": share_of(units, chosen, "parameters"), "holds": result["verified"]["holds"],
        "limit": result["limit"], "dataset": result["dataset"], "queries": row["queries"],
        "steps": AttackSettings(**result["settings"]["attack"]).total_steps, "seeds": row["seeds"]})


def _accuracies(job: SealJob, bench: Bench, watcher: Watcher) -> dict[str, Any]:
    """Float: recorded by the recipe; planned float network and integer network: measured on the test images."""
    test, recorded = job.splits.test, job.target.recipe.evaluation
    watcher.begin("accuracy of the network itself")
    pixels = normalised(test.images, job.target.recipe.input)
    right = 0
    for begin in range(0, len(pixels), 100):
        scores = run_float(job.target.planned, pixels[begin:begin + 100])[job.target.planned.output]
        right += int((scores.reshape(len(scores), -1).argmax(1) == test.labels[begin:begin + 100]).sum())
        watcher.step(begin + len(scores), len(pixels))
    answers = bench.answers()
    integer = Accuracy(int((answers == test.labels).sum()), len(test), answers).top1
    return {"float": recorded.float, "float_images": recorded.images, "tt": right / len(test), "int8": integer,
            "images": len(test)}


def _importance(job: SealJob, units: Sequence[Unit], folder: RunFolder, watcher: Watcher) -> tuple[Importance, ...]:
    def make() -> list[dict[str, Any]]:
        watcher.begin("importance of every core and kernel")
        network = RealNetwork(job.target.graph, job.target.recipe.input).to(job.device)
        images = job.splits.importance
        return [asdict(i) for i in importances(
            network, units, images.images, images.labels, probes=job.settings.probes, seed=job.settings.seed,
            progress=watcher.step)]

    key = [[u.node for u in units], job.settings.importance_images, job.settings.probes, job.settings.seed]
    return tuple(Importance(**i) for i in folder.stored("importance.json", key, make))


def _pack(units: Sequence[Unit], found: Sequence[Importance], count: int) -> dict[str, Any]:
    """Knapsack: no less quantised importance than the threshold's prefix, in the fewest bytes; timed."""
    start = time.perf_counter()
    values = quantise_values([i.value for i in found])
    at = {u.node: n for n, u in enumerate(units)}
    prefix = [at[node] for node in ranking(found)[:count]]
    packing = fewest_bytes(values, [u.bytes for u in units], int(sum(values[i] for i in prefix)))
    seconds = time.perf_counter() - start
    return {"nodes": [units[i].node for i in packing.chosen], "bytes": packing.bytes, "value": packing.value,
            "threshold": packing.threshold, "levels": LEVELS, "seconds": seconds,
            "prefix_bytes": sum(units[i].bytes for i in prefix)}


def _sets(units: Sequence[Unit], found: Sequence[Importance], chosen: frozenset[str], seeds: Sequence[int],
          ) -> dict[str, list[frozenset[str]]]:
    """Every reported set, one per seed; only the random one differs from seed to seed."""
    size, norms = bytes_of(units, chosen), {i.node: i.norm1 for i in found}
    fixed = {"none": frozenset[str](), "all": frozenset(u.node for u in units), "chosen": chosen,
             "firstlast": first_last(units, size), "norm": largest_norm(units, norms, size)}
    return {name: [random_set(units, size, seed) for seed in seeds] if name == "random" else [fixed[name]] * len(seeds)
            for name in SETS}


def transfer_of(job: SealJob, bench: Bench, title: str, nodes: frozenset[str], seed: int) -> dict[str, Any] | None:
    """Adversarial examples from the substitute of a set, tried on the victim; every epsilon is stored when it is done.

    None if the settings do not ask for it.
    """
    settings = job.settings.transfer
    if settings is None:
        return None

    def make(epsilon: int) -> dict[str, Any]:
        network, test = bench.network(nodes, seed, title), job.splits.test
        bench.watcher.begin(f"{title}: adversarial examples, {epsilon}/255")
        made = transfer(network, bench.attack.victim, test.images, test.labels,
                        replace(settings, epsilons=(epsilon,), headline=epsilon), seed=job.settings.seed,
                        progress=bench.watcher.step)
        bench.watcher.note(f"{title}: {100 * made.success['auto'][epsilon]:.1f} % of {made.images} images fool the "
                           f"victim at {epsilon}/255")
        return made.to_dict()

    merged: dict[str, Any] = {"images": 0, "success": {}, "substitute_success": {}}
    for epsilon in settings.epsilons:
        key = [sorted(nodes), seed, epsilon, settings.images, settings.steps, settings.restarts, settings.batch]
        part = bench.folder.stored(f"transfer/{hash_json(key)[:16]}.json", key, partial(make, epsilon))
        merged["images"] = part["images"]
        for kind in ("success", "substitute_success"):
            for attack, by_epsilon in part[kind].items():
                merged[kind].setdefault(attack, {})[str(epsilon)] = at(by_epsilon, epsilon)
    return merged


def _tried(bench: Bench, steps: _Steps, order: Sequence[str], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Every set that was measured on the way, for the plot: where it came from, share of the bytes, accuracies."""
    found = []

    def add(kind: str, nodes: Sequence[str] | frozenset[str], used: Sequence[int]) -> None:
        measured = [bench.measure(nodes, seed, kind) for seed in used]
        found.append({"kind": kind, "count": len(nodes), "share": share_of(bench.units, frozenset(nodes)),
                      "accuracy_validation": bench.mean(nodes, used, kind),
                      "accuracy_test": float(np.mean([m.accuracy_test for m in measured]))})

    for hidden, _ in steps.threshold["probes"] if steps.threshold else ():
        add("ranked", order[:hidden], seeds[:1])
    nodes = frozenset((steps.choice or steps.verified)["nodes"])
    for kind, name, value in steps.verified["log"]:
        if kind == "verify":
            add("chosen", nodes, seeds)
        elif kind == "add":
            nodes |= {name}
            add("chosen", nodes, seeds)
        else:
            add("chosen", nodes - {name}, seeds)
            nodes = nodes - {name} if value <= steps.verified["limit"] else nodes
    return found


