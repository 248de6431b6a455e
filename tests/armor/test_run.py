"""Whole pruning runs of a tiny network: smaller, within the tolerance, resumed to the same result."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hwgen.armor.engine_hardware import EngineHardware
from hwgen.armor.groups import groups, shrink
from hwgen.armor.hardware import Gains, Hardware
from hwgen.armor.model import Model
from hwgen.armor.run import PruneJob, points_of, run
from hwgen.armor.saliency import Saliency, Scores
from hwgen.armor.settings import PruneSettings
from hwgen.armor.steps import Step, best_step, prune_once, targets
from hwgen.armor.styles import find_hardware, known_hardware, style_of
from hwgen.armor.sweep import SweepTask, tasks
from hwgen.cli.app import app
from hwgen.config.board import Board, load_board
from hwgen.config.system import SystemConfig
from hwgen.data import load_dataset
from hwgen.errors import HwgenError
from hwgen.ir.count import count
from hwgen.ir.nodes import Graph
from hwgen.passes.prune_ranks import bonds
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.steps.frontend import Weights
from hwgen.ttseal.measure import Silent
from hwgen.zoo.recipe import RobustSpec
from tests.helpers.networks import residual_network

QUICK = PruneSettings(
    objective="area", granule=2, stride=0.1, tolerance=0.3, epochs=1, peak=0.02, judge_steps=3, saliency_images=48,
    validation_images=48, robust=RobustSpec(epsilon=4, step=4, steps=1), max_points=2, rounds=1, retries=0)


@pytest.fixture(scope="module")
def board() -> Board:
    return load_board("ultra96v2")


@pytest.fixture(scope="module")
def searched() -> dict[str, Any]:
    return {}


@pytest.fixture(autouse=True)
def one_search(monkeypatch: pytest.MonkeyPatch, searched: dict[str, Any]) -> None:
    """The search takes a second; once is enough here."""
    def search(graph: Graph, board: Board, style: str, objective: str) -> Hardware:
        return find_hardware(graph, board, style, objective) if style != "engine" else engine_of(
            graph, board, searched)

    monkeypatch.setattr("hwgen.armor.run.find_hardware", search)


def engine_of(graph: Graph, board: Board, searched: dict[str, Any]) -> EngineHardware:
    if not searched:
        found = find_hardware(graph, board, "engine", "area")
        assert isinstance(found, EngineHardware)
        searched["system"] = found.system
    return EngineHardware(board, searched["system"])


def job(model: Model, board: Board, out: Path, **changes: Any) -> PruneJob:
    spec = model.recipe.input
    train = load_dataset(spec.dataset, Path(), "train", spec.shape, spec.classes)
    return PruneJob(model=model, board=board, train=train, settings=dataclasses.replace(QUICK, **changes), out=out)


def test_run_prunes_within_the_tolerance(model: Model, board: Board, tmp_path: Path) -> None:
    assert len(run(job(model, board, tmp_path / "run", max_points=1))) == 2
    points = run(job(model, board, tmp_path / "run"))  # goes on
    assert len(points) == 3 and points == points_of(tmp_path / "run")
    first, last = points[0], points[-1]
    assert last["parameters"] < first["parameters"] and last["macs"] < first["macs"]
    assert last["cycles"] <= first["cycles"] and last["energy_uj_estimated"] < first["energy_uj_estimated"]
    assert all(p["robust_accuracy"] >= first["robust_accuracy"] - 0.3 for p in points)
    graph = load_graph(tmp_path / "run/points/002.safetensors")
    assert count(graph).parameters == last["parameters"]
    assert {name: last["sizes"][s["group"]] for name, s in ((s["group"], s) for s in last["steps"])} == {
        s["group"]: s["after"] for s in last["steps"]}


class Stopper(Silent):
    """Sends Ctrl-C when something is reported for the n-th time."""

    def __init__(self, count: int) -> None:
        self.count = count

    def step(self, done: int, total: int) -> None:
        self.count -= 1
        if self.count == 0:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_interrupted_run_ends_as_an_uninterrupted_one(model: Model, board: Board, tmp_path: Path) -> None:
    whole = run(job(model, board, tmp_path / "whole", repair=True))
    with pytest.raises(KeyboardInterrupt):
        run(job(model, board, tmp_path / "broken", repair=True), Stopper(2))
    assert len(points_of(tmp_path / "broken")) == 1
    run(job(model, board, tmp_path / "broken", repair=True, max_points=1))
    assert run(job(model, board, tmp_path / "broken", repair=True)) == whole
    for path in sorted((tmp_path / "whole/points").iterdir()):
        assert path.read_bytes() == (tmp_path / "broken/points" / path.name).read_bytes()
    with pytest.raises(HwgenError, match=r"belongs to a run with other settings: settings\.stride was 0\.1, is 0\.2"):
        run(job(model, board, tmp_path / "broken", repair=True, stride=0.2))


def test_a_run_by_other_rules_is_not_continued(model: Model, board: Board, tmp_path: Path) -> None:
    run(job(model, board, tmp_path / "run", max_points=0))
    path = tmp_path / "run/settings.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in settings.items() if name != "rules"}))
    with pytest.raises(HwgenError, match=f"rules was None, is {settings['rules']}"):
        run(job(model, board, tmp_path / "run", max_points=0))


@pytest.mark.slow
def test_what_costs_too_much_is_rejected(model: Model, board: Board, tmp_path: Path) -> None:
    points = run(job(model, board, tmp_path / "run", tolerance=0.0, stride=0.9, method="random", peak=1e-6, retries=1))
    events = json.loads((tmp_path / "run/events.json").read_text())
    rejected = [e for e in events if e["event"] == "rejected"]
    assert events[-1]["event"] == "finished" and rejected
    assert all(e["robust_accuracy"] < points[0]["robust_accuracy"] for e in rejected)
    assert all(p["robust_accuracy"] >= points[0]["robust_accuracy"] for p in points)


def test_the_stride_halves_where_a_step_is_rejected_and_grows_again(
    model: Model, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Retries are those of one point: the second one may be tried as often as the first."""
    strides = list[float]()
    judged = iter([0.9, 0.5, 0.9, 0.5, 0.5, 0.9, 0.9, 0.5, 0.5, 0.5])

    barred = list[list[str]]()

    def once(graph: Graph, *_: Any, stride: float, **more: Any) -> tuple[Graph, tuple[Any, ...]]:
        strides.append(stride)
        barred.append([name for name, *_ in more["barred"]])
        return graph, tuple(Step(group=f"{name}{len(strides)}", before=2, after=1, removed=(0,), saliency=saliency,
                                 gain=1.0, score=1.0) for name, saliency in (("a", 1.0), ("b", 2.0), ("c", 0.5)))

    monkeypatch.setattr("hwgen.armor.run.prune_once", once)
    monkeypatch.setattr("hwgen.armor.run._Run._fine_tune", lambda _, graph, number: graph)
    monkeypatch.setattr("hwgen.armor.run.robust_accuracy", lambda *_, **__: next(judged))
    points = run(job(model, board, tmp_path / "run", tolerance=0.1, stride=0.4, retries=2, max_points=9, method="l1"))
    assert len(points) == 4 and next(judged, None) is None
    assert strides == pytest.approx([0.4, 0.2, 0.4, 0.2, 0.1, 0.2, 0.4, 0.2, 0.1])
    assert barred == [[], ["b1"], [], ["b3"], ["b3", "b4"], [], [], ["b7"], ["b7", "b8"]]
    assert json.loads((tmp_path / "run/events.json").read_text())[-1]["event"] == "finished"


def test_a_rejected_branch_does_not_end_a_run(model: Model, board: Board, tmp_path: Path,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a branch is too much, the next try leaves it alone."""
    def damage(_: Any, smaller: Graph) -> float:
        return 1e-6 if len(smaller.nodes) < len(model.graph.nodes) else 1.0

    judged = iter([0.9, 0.2, 0.9])
    monkeypatch.setattr("hwgen.armor.run.Damage.__call__", damage)
    monkeypatch.setattr("hwgen.armor.run._Run._fine_tune", lambda _, graph, number: graph)
    monkeypatch.setattr("hwgen.armor.run.robust_accuracy", lambda *_, **__: next(judged))
    points = run(job(model, board, tmp_path / "run", tolerance=0.1, stride=0.01, retries=1, max_points=1))
    events = json.loads((tmp_path / "run/events.json").read_text())
    rejected = next(e for e in events if e["event"] == "rejected")
    assert [s["after"] for s in rejected["steps"]] == [0] and len(points) == 2
    assert rejected["steps"][0]["group"] not in [s["group"] for s in points[1]["steps"]]
    assert (tmp_path / "run/work/002/steps.json").is_file()


def test_configuration_is_searched_between_rounds(
    model: Model, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, searched: dict[str, Any],
) -> None:
    """Prune, search, prune: the second round runs on what the search finds for the smaller network."""
    first = engine_of(model.graph, board, searched).system
    other = dataclasses.replace(first, engine=first.engine.replace(acc_depth=2 * first.engine.acc_depth))
    sizes: list[int] = []

    def search(graph: Graph, board: Board, style: str, objective: str) -> Hardware:
        sizes.append(count(graph).parameters)
        return EngineHardware(board, first if len(sizes) == 1 else other)

    calls: list[int] = []

    def once(graph: Graph, *args: Any, **more: Any) -> tuple[Graph, tuple[Any, ...]]:
        calls.append(len(calls))
        return prune_once(graph, *args, **more) if len(calls) == 1 else (graph, ())

    monkeypatch.setattr("hwgen.armor.run.find_hardware", search)
    monkeypatch.setattr("hwgen.armor.run.prune_once", once)
    points = run(job(model, board, tmp_path / "run", rounds=2, max_points=9, method="l1"))
    events = json.loads((tmp_path / "run/events.json").read_text())
    assert [e["event"] for e in events] == ["search", "point", "point", "search", "point", "finished"]
    assert sizes == [points[0]["parameters"], points[1]["parameters"]] and sizes[1] < sizes[0]
    assert points[1]["config"] == first.to_dict() and points[2]["config"] == other.to_dict()
    assert points[2]["parameters"] == points[1]["parameters"]
    assert points[2]["robust_accuracy"] == points[1]["robust_accuracy"]
    assert len(calls) == 3


def test_guided_steps_gain_more_than_plain_ones(model: Model, board: Board, searched: dict[str, Any]) -> None:
    """The choice is by hardware: of equal saliency, the group whose removal saves most goes first."""
    hardware = engine_of(model.graph, board, searched)
    scores = {g.name: Saliency(units=np.ones(g.size)) for g in groups(model.graph)}
    common: dict[str, Any] = {"gains": Gains(), "granule": 2, "start": model.graph}
    guided = best_step(model.graph, Scores(groups=scores), hardware, guided=True, **common)
    assert guided is not None and guided.gain > 0
    for group in scores:
        alone = {name: (v if name == group else Saliency(units=v.units * 1e9)) for name, v in scores.items()}
        other = best_step(model.graph, Scores(groups=alone), hardware, guided=True, **common)
        if other is not None and other.group == group:
            assert guided.saliency / guided.gain <= other.saliency / other.gain + 1e-9
    plain = best_step(model.graph, Scores(groups=scores), hardware, guided=False, **common)
    assert plain is not None and plain.before - plain.after == 2


@pytest.mark.slow
def test_ranks_of_trains_are_decided_like_channels(model: Model, board: Board, searched: dict[str, Any]) -> None:
    """Where every channel is precious, the steps cut ranks, and the cost model says what that saves."""
    graph = residual_network((16, 24), 8, tt=True)
    hardware = engine_of(model.graph, board, searched)
    known = bonds(graph)

    def score(now: Graph) -> Scores:
        return Scores(groups={g.name: Saliency(units=np.full(g.size, 1.0 if g.ranks else 1e9)) for g in groups(now)})

    smaller, steps = prune_once(graph, score, shrink, hardware, guided=True, gains=Gains(), granule=4,
                                start=graph, stride=0.02, most=2)
    assert steps and all(step.group in known for step in steps)
    assert {name for name, rank in bonds(smaller).items() if rank < known[name]} == {step.group for step in steps}
    before, after = hardware.cost(graph), hardware.cost(smaller)
    assert after.macs < before.macs and after.parameters < before.parameters and after.cycles <= before.cycles


@pytest.mark.parametrize("method", ["guided", "l1"])
def test_pipelines_are_folded_anew_for_every_network(model: Model, board: Board, tmp_path: Path, method: str) -> None:
    points = run(job(model, board, tmp_path / "run", style="stream", method=method, objective="latency", rounds=2))
    events = json.loads((tmp_path / "run/events.json").read_text())
    assert [e["config"] for e in events if e["event"] == "search"] == [{"style": "stream"}] and len(points) > 1
    pipelines = [SystemConfig.from_dict(p["config"]).engine.pipeline for p in points]
    assert {p["style"] for p in points} == {"stream"}
    assert all(a and b and a != b for a, b in itertools.pairwise(pipelines))
    assert points[-1]["steady_cycles"] < points[0]["steady_cycles"] or method != "guided"
    assert points[-1]["interval_cycles"] <= points[-1]["steady_cycles"] <= points[-1]["cycles"]


def test_the_better_style_is_chosen(model: Model, board: Board) -> None:
    found = {style: find_hardware(model.graph, board, style, "latency") for style in ("engine", "stream", "auto")}
    kinds = {style: style_of(hardware.fixed) for style, hardware in found.items()}
    designs = {style: hardware.design(model.graph) for style, hardware in found.items()}
    values = {style: design.cold + design.steady for style, design in designs.items()}
    assert kinds["engine"] == "engine" and kinds["stream"] == "stream"
    assert kinds["auto"] == min(("engine", "stream"), key=values.__getitem__)
    assert known_hardware(board, found["auto"].fixed, "latency").cost(model.graph) == found["auto"].cost(model.graph)


def test_random_weights_are_refused(model: Model, board: Board, tmp_path: Path) -> None:
    seeded = dataclasses.replace(model, weights=Weights("seeded", "random"))
    with pytest.raises(HwgenError, match="has random weights"):
        run(job(seeded, board, tmp_path / "run"))
    with pytest.raises(HwgenError, match="too few for 140"):
        run(job(model, board, tmp_path / "run", validation_images=140))
    with pytest.raises(HwgenError, match="holds no pruning run"):
        points_of(tmp_path / "run")


def test_targets_are_whole_granules() -> None:
    assert targets(64, (8, 32, 64)) == [56, 32]
    assert targets(60, (8, 32)) == [56, 32]
    assert targets(8, (8, 32)) == [] and targets(9, (8,)) == [8]


def test_settings_are_checked() -> None:
    for changes, where in (({"method": "magic"}, "--method"), ({"stride": 0}, "--stride"), ({"epochs": 0}, "--epochs"),
                           ({"objective": "speed"}, "objective"), ({"tolerance": 2}, "--tolerance")):
        with pytest.raises(HwgenError, match=where):
            dataclasses.replace(QUICK, **changes)
    with pytest.raises(HwgenError, match="--gain"):
        Gains(cycles=-1)


def test_tasks_of_a_sweep() -> None:
    first = SweepTask(model="m", weights="", data="d", board="b", settings=QUICK, out="/out", threads=1)
    found = tasks(first, ["guided", "l1", "guided"], [0, 3])
    assert [t.name for t in found] == ["guided-0", "guided-3", "l1-0", "l1-3"]
    assert found[3].settings.method == "l1" and found[3].settings.seed == 3


def test_command(recipe_file: Path, tmp_path: Path) -> None:
    words = ["prune", "-m", str(recipe_file), "-b", "ultra96v2", "--data", str(tmp_path), "--out",
             str(tmp_path / "out"), "--objective", "area", "--granule", "2", "--tolerance", "0.3", "--epochs", "1",
             "--judge-steps", "2", "--saliency-images", "24", "--validation-images", "24", "--max-points", "1",
             "--rounds", "1", "--gain", "energy=0.2"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["guided-0"]) == 2
    assert (tmp_path / "out/guided-0/points/001.safetensors").is_file()
    shown = CliRunner().invoke(app, words)
    assert "hwgen pareto" in shown.stdout and "guided-0" in shown.stdout
    bad = CliRunner().invoke(app, [*words, "--gain", "speed=1"])
    assert bad.exit_code == 2 and "'speed=1'" in bad.output
