"""The front of runs, its figures on test images, and its points as models that the pipeline takes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from hwgen.armor.export import export, prune_command
from hwgen.armor.front import comparable, front, load_points, plot, reductions, run_folders
from hwgen.armor.measure import measure_points
from hwgen.armor.model import Model, load_model
from hwgen.armor.settings import PruneSettings
from hwgen.cli.app import app
from hwgen.errors import HwgenError
from hwgen.ir.execute import run_float
from hwgen.pipeline.graphfile import load_graph, save_graph
from hwgen.pipeline.store import write_json
from hwgen.train.fine_tune import fine_tune
from hwgen.ttseal.measure import Silent
from hwgen.zoo import load_recipe
from hwgen.zoo.recipe import RobustSpec


def point(robust: float, latency: float, parameters: int, dsp: float = 100.0) -> dict[str, Any]:
    return {"event": "point", "robust_accuracy": robust, "clean_accuracy": robust + 0.1, "images": 10,
            "parameters": parameters, "macs": 10 * parameters, "cycles": round(300 * latency), "steady_cycles": 1,
            "latency_us": latency, "style": "engine", "energy_uj_estimated": latency, "memory_bytes": 1,
            "config": {}, "sizes": {},
            "resources": {"dsp": dsp, "lut": 1.0, "ff": 1.0, "bram36": 1.0, "uram": 0.0}, "steps": []}


@pytest.fixture
def runs(tmp_path: Path, model: Model) -> Path:
    """Two runs as they leave their folders."""
    for name, points in (("guided-0", [point(0.8, 10, 1000), point(0.8, 6, 500), point(0.75, 4, 250)]),
                         ("l1-0", [point(0.8, 10, 1000), point(0.7, 6, 400), point(0.74, 5, 300)])):
        folder = tmp_path / "runs" / name
        (folder / "points").mkdir(parents=True)
        write_json(folder / "events.json", [{"event": "search", "config": {}}, *points])
        settings = {**PruneSettings(robust=RobustSpec(epsilon=4)).to_dict(), "method": name.partition("-")[0],
                    "style": "stream", "epochs": 7, "batchnorm": False}
        write_json(folder / "settings.json", {"model": "tiny", "board": "zcu104", "dataset": "sar_simulated",
                                              "settings": settings})
        for number in range(len(points)):
            save_graph(model.graph, folder / f"points/{number:03}.safetensors", recipe=str(model.recipe.path),
                       weights={"kind": "trained", "text": "here"})
    return tmp_path / "runs"


def test_command_of_a_point_names_what_is_not_the_default(runs: Path, model: Model) -> None:
    point, recipe = load_points([runs / "l1-0"])[1], model.recipe
    assert recipe.train is not None
    usual = "hwgen prune --model tiny --board zcu104 --method l1 --seed 0 --style stream --epochs 7 --no-batchnorm"
    assert prune_command(point, recipe) == f"{usual} --attack-steps 7 --attack-step 2.0"
    same = replace(recipe, train=replace(recipe.train, robust=RobustSpec(epsilon=4)))
    assert prune_command(point, same) == usual
    trades = replace(recipe, train=replace(recipe.train, robust=RobustSpec(method="trades", epsilon=4, beta=3)))
    assert prune_command(point, trades) == f"{usual} --robust pgd --beta 6.0"


@pytest.mark.parametrize(("name", "value"), [("model", "other"), ("dataset", "mstar"), ("board", "kv260")])
def test_only_runs_of_one_network_make_a_front(runs: Path, name: str, value: str) -> None:
    """On several boards they may be."""
    path = runs / "l1-0" / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    points = load_points(run_folders([runs]))
    if name == "board":
        comparable(points)
        return
    with pytest.raises(HwgenError, match=f"make no front: .*{value}"):
        comparable(points)


def test_runs_of_the_same_name_are_told_apart(runs: Path) -> None:
    shutil.copytree(runs, runs.parent / "others")
    points = load_points(run_folders([runs, runs.parent / "others"]))
    names = {f"{place}/{run}" for place in ("runs", "others") for run in ("guided-0", "l1-0")}
    assert {p["run"] for p in points} == names


def test_damaged_events(runs: Path) -> None:
    (runs / "l1-0" / "events.json").write_text('[{"event": "poi')
    with pytest.raises(HwgenError, match="is damaged"):
        load_points(run_folders([runs]))


def test_front_has_what_nothing_beats(runs: Path) -> None:
    points = load_points(run_folders([runs]))
    assert len(points) == 6 and {p["method"] for p in points} == {"guided", "l1"}
    best = front(points)
    assert [(p["run"], p["point"]) for p in best] == [("guided-0", 2), ("guided-0", 1)]
    assert reductions(points, best[0]) == pytest.approx({"parameters": 4, "macs": 4, "cycles": 2.5})
    root = ElementTree.fromstring(plot(points, best))
    assert root.tag.endswith("svg")
    with pytest.raises(HwgenError, match="holds no pruning run"):
        run_folders([runs / "guided-0/points"])


def test_exported_point_is_a_model(runs: Path, tmp_path: Path, model: Model) -> None:
    points = load_points(run_folders([runs]))
    path = export(points[2], points, tmp_path / "models", "tiny_pruned")
    found = load_model(str(path))
    assert found.recipe.network.builder == "graph" and "4.0 times fewer parameters" in found.recipe.description
    assert found.weights.kind == "trained" and found.recipe.input == model.recipe.input
    assert found.recipe.train is not None and found.recipe.train.robust == model.recipe.train.robust  # type: ignore
    images = np.random.default_rng(0).normal(size=(2, 1, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(run_float(found.graph, images)[found.graph.output],
                                  run_float(model.graph, images)[model.graph.output])
    built = CliRunner().invoke(app, ["build", "-m", str(path), "-b", "zcu104", "--out", str(tmp_path / "build"), "--to",
                                     "frontend"])
    assert built.exit_code == 0, built.output
    stored = load_graph(tmp_path / "build/frontend/float.safetensors")
    assert len(stored.nodes) == len(model.graph.nodes)
    refused = CliRunner().invoke(app, ["build", "-m", str(path), "-b", "zcu104", "--weights",
                                       str(path.with_suffix(".safetensors")), "--out", str(tmp_path / "other")])
    assert refused.exit_code == 2 and "stored with its weights" in refused.output
    with pytest.raises(HwgenError, match="allowed: letters"):
        export(points[2], points, tmp_path, "a/b")


@pytest.mark.slow
def test_exported_model_is_built(runs: Path, tmp_path: Path) -> None:
    """Through search, quantisation (on images of its data set), evaluation and compilation."""
    points = load_points(run_folders([runs]))
    path = export(points[1], points, tmp_path / "models", "tiny_pruned")
    built = CliRunner().invoke(app, ["build", "-m", str(path), "-b", "ultra96v2", "--data", str(tmp_path), "--out",
                                     str(tmp_path / "build"), "--to", "compile"])
    assert built.exit_code == 0, built.output
    evaluated = json.loads((tmp_path / "build/evaluate/step.json").read_text())["summary"]
    assert "of sar_simulated" in evaluated["text"]


def test_exported_model_trains_on(runs: Path, tmp_path: Path) -> None:
    points = load_points(run_folders([runs]))
    path = export(points[1], points, tmp_path / "models", "tiny_pruned")
    recipe = load_recipe(path)
    assert recipe.checkpoint is not None
    result = fine_tune(recipe.checkpoint, tmp_path, tmp_path / "tuned", recipe=recipe, epochs=1, display=False)
    assert result.images == 72
    trained = CliRunner().invoke(app, ["train", "-m", str(path), "--data", str(tmp_path), "--out",
                                       str(tmp_path / "again"), "--epochs", "1", "--json"])
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["accuracy"] == result.accuracy


def test_measured_on_test_images_once(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = front(load_points(run_folders([runs])))[:1]
    measure_points(points, tmp_path, ("fgsm",), restarts=1, images=12, watcher=Silent())
    found = load_points(run_folders([runs]))[2]["test"]
    assert found["images"] == 12 and found["accuracy"]["fgsm"] <= found["accuracy"]["clean"]
    assert found["faithfulness"]["flips"] == 0, "the same network as the first point"
    monkeypatch.setattr("hwgen.armor.measure.measure_robustness", None)
    measure_points(points, tmp_path, ("fgsm",), restarts=1, images=12, watcher=Silent())


def test_command(runs: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["pareto", str(runs), "--export", "guided-0:1", "--to", str(tmp_path / "models"),
                                      "--name", "small", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert len(answer["front"]) == 2 and Path(answer["exported"]).is_file()
    assert json.loads((runs / "pareto.json").read_text())["front"] == answer["front"]
    shown = CliRunner().invoke(app, ["pareto", str(runs), "--all"])
    assert "guided-0:2" in shown.stdout and "l1-0:1" in shown.stdout and (runs / "pareto.svg").is_file()
    wrong = CliRunner().invoke(app, ["pareto", str(runs), "--export", "guided-0:9"])
    assert wrong.exit_code == 2 and "names 0 points" in wrong.output
