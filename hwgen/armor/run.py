"""A pruning run: prune, repair, fine-tune, judge, again; then search the configuration anew and go on.

Everything that happened is a list of events in ``events.json``; the state of a run is what they add up to, so a run
that was interrupted goes on where it was, in the middle of a fine-tuning too.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hwgen.armor.groups import groups, shrink
from hwgen.armor.hardware import Hardware
from hwgen.armor.model import Model, recipe_reference
from hwgen.armor.repair import shrink_and_repair
from hwgen.armor.saliency import ATTACKED, MEASURED, Damage, Scores, attacked, saliency
from hwgen.armor.settings import PruneSettings
from hwgen.armor.steps import Barred, prune_once
from hwgen.armor.styles import find_hardware, known_hardware, style_of
from hwgen.config.board import Board
from hwgen.data.dataset import Dataset
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph
from hwgen.passes.fold_batchnorm import fold_batchnorm
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.train.evaluate import evaluate
from hwgen.train.graph_module import GraphModule
from hwgen.train.log import JsonLog
from hwgen.train.loop import TrainJob, train_loop
from hwgen.train.renormalise import insert_batchnorm
from hwgen.train.robust import robust_accuracy
from hwgen.train.run import held_out_order
from hwgen.ttseal.folder import RunFolder
from hwgen.ttseal.measure import Silent, Watcher
from hwgen.zoo.preprocess import normalise
from hwgen.zoo.recipe import NetworkSpec, PhaseSpec, Recipe

EVENTS = "events.json"
#: changes whenever a run that was begun before would go on otherwise than it would have then
RULES = 2
#: of a fine-tuning: the network that it begins with, and the steps that led to it
_PRUNED, _STEPS = "pruned.safetensors", "steps.json"
#: images of a batch when saliency and Gram matrices are measured
_BATCH = 64
#: steps of a fine-tuning between two saved states: what a killed worker loses at most
_SAVE_EVERY = 20
#: why a run ended that can go on
ENOUGH = "as many points as were asked for"


@dataclass(frozen=True, kw_only=True)
class PruneJob:
    """Args:
        model: trained; its recipe has a [train] section.
        board: for which it is pruned.
        train: the data set's training split.
        settings: see there.
        out: folder of the run.
    """

    model: Model
    board: Board
    train: Dataset
    settings: PruneSettings
    out: Path


@dataclass
class _State:
    """What the events add up to.

    Args:
        point: number of the last accepted network.
        robust: judged accuracy of the first; stride: present one; failures: since the last accepted one.
        barred: the most damaging cut of each of these; from the same network the group is not cut so far again, because
            a smaller stride does not make a single cut smaller.
        searches: configurations so far; config: the present one.
    """

    point: int = -1
    robust: float = 0.0
    stride: float = 0.0
    failures: int = 0
    barred: tuple[Barred, ...] = ()
    searches: int = 0
    config: dict[str, Any] | None = None
    finished: bool = False


def run(job: PruneJob, watcher: Watcher | None = None) -> list[dict[str, Any]]:
    """Prune until robustness or gains are used up; the accepted points, JSON-ready, the unpruned network first.

    Raises:
        HwgenError: random weights, no [train] section, too few images, a folder of a run with other settings.
        KeyboardInterrupt: Ctrl-C; the same call continues.
    """
    return _Run(job, watcher or Silent()).go()


def points_of(folder: Path) -> list[dict[str, Any]]:
    """The points of a run, finished or not; HwgenError if the folder holds none."""
    path = folder / EVENTS
    if not path.is_file():
        raise HwgenError("holds no pruning run", where=str(folder), hint="hwgen prune makes one")
    try:
        return [event for event in json.loads(path.read_text(encoding="utf-8")) if event["event"] == "point"]
    except (ValueError, LookupError, TypeError) as error:
        raise HwgenError(f"is damaged: {error}", where=str(path), hint="prune into another folder") from error


class _Run:
    def __init__(self, job: PruneJob, watcher: Watcher) -> None:
        self.job, self.settings, self.watcher, model = job, job.settings, watcher, job.model
        if model.recipe.train is None:
            raise HwgenError("has no [train] section", where=str(model.recipe.path), hint="it says how to fine-tune")
        if model.weights.kind == "seeded":
            raise HwgenError("has random weights, and so no robustness to keep", where=model.name,
                             hint="hwgen train makes a checkpoint; give it with --weights")
        # the order in which training holds images out for early stopping: the network has not seen the first of them
        order = held_out_order(len(job.train), model.recipe.train.seed)
        held = self.settings.validation_images
        if len(order) - held < max(model.recipe.train.batch, self.settings.saliency_images):
            raise HwgenError(f"{len(order)} training images are too few for {held} (validation) + "
                             f"{self.settings.saliency_images} (saliency)", where=job.train.name,
                             hint="smaller --validation-images or --saliency-images")
        self.validation, self.learned = job.train.take(order[:held]), job.train.take(order[held:])
        self.folder = RunFolder(job.out, {"rules": RULES, "settings": self.settings.of_points(), "model": model.name,
                                          "checkpoint": model.checkpoint, "board": job.board.name,
                                          "dataset": job.train.name})
        self.events: list[dict[str, Any]] = self.folder.read(EVENTS) or []
        self.hardware: Hardware | None = None

    def go(self) -> list[dict[str, Any]]:
        with self.folder.lock():
            if not self.events:
                self._first()
            if self.events[-1].get("reason") == ENOUGH and self._state().point < self.settings.max_points:
                self.events.pop()  # it would have gone on
            while not (state := self._state()).finished:
                self._advance(state)
        return [event for event in self.events if event["event"] == "point"]

    # ------------------------------------------------------------- events
    def _add(self, event: str, **values: Any) -> None:
        self.events.append({"event": event, **values})
        self.folder.write(EVENTS, self.events)

    def _state(self) -> _State:
        state = _State(stride=self.settings.stride)
        for event in self.events:
            match event["event"]:
                case "search":
                    state.config, state.searches = event["config"], state.searches + 1
                    state.stride, state.failures = self.settings.stride, 0
                case "point":
                    state.point, state.failures, state.barred = state.point + 1, 0, ()
                    state.stride = min(2 * state.stride, self.settings.stride)
                    if state.point == 0:
                        state.robust = event["robust_accuracy"]
                case "rejected":
                    state.failures += 1
                    state.stride /= 2
                    worst = max(event["steps"], key=lambda step: step["saliency"])
                    state.barred += ((worst["group"], worst["after"]),)
                case "finished":
                    state.finished = True
        return state

    def _graph_file(self, point: int) -> Path:
        return self.job.out / "points" / f"{point:03}.safetensors"

    def _save(self, graph: Graph, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.part")
        save_graph(graph, temporary, recipe=recipe_reference(self.job.model.recipe),
                   weights={"kind": self.job.model.weights.kind, "text": text})
        temporary.replace(path)

    def _searched(self, graph: Graph) -> Hardware:
        self.hardware = find_hardware(graph, self.job.board, self.settings.style, self.settings.objective)
        return self.hardware

    def _hardware(self, config: dict[str, Any] | None) -> Hardware:
        assert config is not None
        if self.hardware is None or self.hardware.fixed != config:
            self.hardware = known_hardware(self.job.board, config, self.settings.objective)
        return self.hardware

    # -------------------------------------------------------------- steps
    def _first(self) -> None:
        graph = self.job.model.graph
        self.watcher.begin("searching the configuration")
        hardware = self._searched(graph)
        self._save(graph, self._graph_file(0), self.job.model.weights.text)
        # one write for both: a run that has begun has a configuration and a first point
        self.events.append({"event": "search", "config": hardware.fixed})
        self._add("point", **self._judged(graph, hardware), steps=[])

    def _advance(self, state: _State) -> None:
        """One event more."""
        settings = self.settings
        graph, hardware = load_graph(self._graph_file(state.point)), self._hardware(state.config)
        if state.point >= settings.max_points:
            self._add("finished", reason=ENOUGH)
            return
        if state.failures > settings.retries:
            self._search_again(graph, state, "robust accuracy does not allow more")
            return
        self.watcher.begin(f"{settings.method}: step {state.point + 1}")
        smaller, steps = self._chosen(graph, hardware, state)
        if not steps:
            self._search_again(graph, state, "no step gains anything on this configuration")
            return
        tuned = self._fine_tune(smaller, len(self.events))
        found = self._judged(tuned, hardware)
        kept = found["robust_accuracy"] >= state.robust - settings.tolerance - 1e-9
        if kept:
            self._save(tuned, self._graph_file(state.point + 1),
                       f"{self.job.model.name} pruned ({settings.method}) and adversarially fine-tuned")
        self._add("point" if kept else "rejected", **found, steps=steps)
        self._report(found, steps, kept=kept)

    def _chosen(self, graph: Graph, hardware: Hardware, state: _State) -> tuple[Graph, list[dict[str, Any]]]:
        """The next network, not fine-tuned yet, and the steps to it: as they were chosen before an interruption."""
        settings, folder = self.settings, self._work(len(self.events))
        known = self.folder.read(f"{folder.relative_to(self.job.out)}/{_STEPS}")
        if known is not None and (folder / _PRUNED).is_file():
            return load_graph(folder / _PRUNED), known
        smaller, steps = prune_once(
            graph, self._score, self._remove, hardware, guided=settings.method == "guided", gains=settings.gains,
            granule=settings.granule, start=self.job.model.graph, stride=state.stride, depth=settings.depth,
            barred=state.barred)
        found = [step.to_dict() for step in steps]
        if found:
            self.folder.write(f"{folder.relative_to(self.job.out)}/{_STEPS}", found)
            self._save(smaller, folder / _PRUNED, "")
        return smaller, found

    def _work(self, number: int) -> Path:
        """Folder of the fine-tuning that leads to event ``number``."""
        return self.job.out / "work" / f"{number:03}"

    def _search_again(self, graph: Graph, state: _State, reason: str) -> None:
        """The end of a round: another configuration if the search finds one for the smaller network."""
        if state.searches < self.settings.rounds and state.point > 0:
            self.watcher.begin("searching the configuration again")
            hardware = self._searched(graph)
            if hardware.fixed != state.config:
                last = next(e for e in reversed(self.events) if e["event"] == "point")
                self._save(graph, self._graph_file(state.point + 1), f"{self.job.model.name} pruned")
                self.events.append({"event": "search", "config": hardware.fixed, "reason": reason})
                kept = {name: last[name] for name in ("robust_accuracy", "clean_accuracy", "images")}
                self._add("point", **kept, **self._costs(graph, hardware), steps=[])
                return
        self._add("finished", reason=reason)

    def _report(self, found: dict[str, Any], steps: list[dict[str, Any]], *, kept: bool) -> None:
        cut = ", ".join(f"{s['group']} {s['before']}->{s['after']}" for s in steps)
        self.watcher.note(
            f"{self.settings.method}: {cut}: {'' if kept else 'REJECTED, '}robust "
            f"{100 * found['robust_accuracy']:.1f} %, clean {100 * found['clean_accuracy']:.1f} % (validation), "
            f"{found['parameters']:,} parameters, {found['cycles']:,} cycles predicted")

    def _score(self, graph: Graph) -> Scores:
        method, seed = self.settings.method, self.settings.seed
        batches = list(attacked(graph, self._images(), self.job.model.recipe.input, self.settings.robust, seed=seed)
                       ) if method in ATTACKED else []
        return Scores(groups=saliency(method, graph, batches, seed),
                      damage=Damage(graph, batches) if method in MEASURED else None)

    def _images(self) -> Dataset:
        return self.learned.take(slice(0, self.settings.saliency_images))

    def _remove(self, graph: Graph, removed: Mapping[str, Collection[int]]) -> Graph:
        if not self.settings.repair:
            return shrink(graph, removed)
        return shrink_and_repair(graph, removed, self._batches())

    def _batches(self) -> Iterator[Tensor]:
        """The images of the saliency, normalised."""
        data, spec = self._images().images, self.job.model.recipe.input
        return (normalise(torch.from_numpy(data[i:i + _BATCH].copy()), spec) for i in range(0, len(data), _BATCH))

    def _fine_tune(self, graph: Graph, number: int) -> Graph:
        folder = self._work(number)
        folder.mkdir(parents=True, exist_ok=True)
        if self.settings.batchnorm:
            graph = insert_batchnorm(graph, self._batches())
        module = GraphModule(graph)
        job = TrainJob(module=module, recipe=self._recipe(number), train=self.learned, probe=self.validation,
                       out_dir=folder, save_every=_SAVE_EVERY)
        self.watcher.begin(f"{self.settings.method}: fine-tuning, step {number}")
        train_loop(job, JsonLog(folder / "train.jsonl"),
                   on_step=lambda summary: self.watcher.step(summary["step"], summary["steps"]))
        return fold_batchnorm(module.to_graph())

    def _recipe(self, number: int) -> Recipe:
        """The model's recipe with the fine-tuning's schedule; its hash is that of this step."""
        recipe, settings = self.job.model.recipe, self.settings
        assert recipe.train is not None
        train = dataclasses.replace(
            recipe.train, phases=(PhaseSpec(epochs=settings.epochs),), teacher=None, stop=None, robust=settings.robust,
            precision=settings.precision, seed=settings.seed + number,  # type: ignore[arg-type]
            optimizer=dataclasses.replace(recipe.train.optimizer, peak=settings.peak))
        return dataclasses.replace(recipe, train=train,
                                   network=NetworkSpec(builder="graph", params={"run": str(number)}))

    def _judged(self, graph: Graph, hardware: Hardware) -> dict[str, Any]:
        module, settings, spec = GraphModule(graph), self.settings, self.job.model.recipe.input
        self.watcher.begin("judging")
        robust = robust_accuracy(module, self.validation, spec, settings.robust, steps=settings.judge_steps,
                                 seed=settings.seed, bfloat16=settings.precision == "bfloat16")
        return {"robust_accuracy": robust, "clean_accuracy": evaluate(module, self.validation, spec),
                "images": len(self.validation), **self._costs(graph, hardware)}

    def _costs(self, graph: Graph, hardware: Hardware) -> dict[str, Any]:
        cost, design, clock = hardware.cost(graph), hardware.design(graph), self.job.board.clock_mhz
        return {
            "parameters": cost.parameters, "macs": cost.macs, "style": style_of(hardware.fixed),
            "cycles": round(design.cold), "steady_cycles": round(design.steady),
            "interval_cycles": round(design.interval), "cycles_from": design.origin,
            "latency_us": round(design.cold / clock, 2), "steady_latency_us": round(design.steady / clock, 2),
            "energy_uj_estimated": round(design.energy_uj, 2), "memory_bytes": round(design.memory),
            "resources": design.resources, "config": design.system.to_dict(),
            "sizes": {group.name: group.size for group in groups(graph)}}
