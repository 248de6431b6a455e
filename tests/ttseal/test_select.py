"""Whole selections of a tiny network: what is written, resuming, the selection in a build."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwgen.errors import HwgenError
from hwgen.seal import SelectedUnit, Selection, load_selection
from hwgen.ttseal import SealJob, SealSettings, TransferSettings, chosen_nodes, load_splits, load_target, select
from hwgen.ttseal.measure import Silent
from hwgen.ttseal.plots import write_plots
from hwgen.ttseal.report import KEYS, SETS, facts, make_rows, markdown, transfer_markdown
from hwgen.ttseal.select import ROWS, SELECTION
from hwgen.ttseal.units import units_of
from tests.helpers.toy_attack import SETTINGS, toy_data, toy_recipe


class Interrupter(Silent):
    """Stops the run when the n-th thing begins."""

    def __init__(self, stop: int) -> None:
        self.left = stop

    def begin(self, title: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def job(folder: Path, settings: SealSettings = SETTINGS, name: str = "run") -> SealJob:
    data = folder / "data"
    if not data.exists():
        toy_data(data)
    target = load_target(str(toy_recipe(folder)), data)
    return SealJob(target=target, splits=load_splits(target.recipe, data, settings), settings=settings,
                   out=folder / name)


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "seconds"}
    return [without_times(v) for v in value] if isinstance(value, list) else value


def test_a_selection_and_everything_it_writes(tmp_path: Path) -> None:
    made = job(tmp_path, dataclasses.replace(SETTINGS, seeds=2))
    result = select(made, Silent())
    units = {u.node: u for u in units_of(made.target.graph)}
    names = {p.name for p in made.out.iterdir()}
    assert names >= {"accuracy.json", "importance.json", "threshold.json", "choice.json", "verified.json", "sets.json",
                     "result.json", "rows.json", "selection.json", "network.safetensors"}
    assert result["verified"]["holds"]
    assert result["choice"]["bytes"] <= result["choice"]["prefix_bytes"]
    assert result["choice"]["seconds"] < 1
    queries = made.settings.attack.queries
    for name in SETS:
        assert [m["queries"] for m in result["sets"][name]] == [0 if name == "none" else queries] * 2
    chosen = set(result["verified"]["nodes"])
    size = sum(units[n].bytes for n in chosen)
    for name in ("random", "norm", "firstlast"):
        assert all(sum(units[n].bytes for n in m["encrypted"]) >= size for m in result["sets"][name])
    assert set(result["sets"]["all"][0]["encrypted"]) == set(units)
    rows = json.loads((made.out / ROWS).read_text())
    assert [tuple(r) for r in rows] == [KEYS] * 6
    assert [r["set"] for r in rows] == list(SETS)
    assert all(r["cycles_added_share"] is None and r["transfer_success"] is None for r in rows)
    by_set = {r["set"]: r for r in make_rows(result, {"all": 0.01})}
    assert by_set["all"]["cycles_added_share"] == 0.01
    assert by_set["none"]["encrypted_share"] == 0
    assert by_set["all"]["encrypted_share"] == 1
    accuracies = [m["accuracy_test"] for m in result["sets"]["chosen"]]
    assert by_set["chosen"]["substitute_accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert by_set["chosen"]["substitute_accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1))
    assert by_set["all"]["encrypted_share_parameters"] == 1
    share = sum(units[n].parameters for n in chosen) / sum(u.parameters for u in units.values())
    assert by_set["chosen"]["encrypted_share_parameters"] == pytest.approx(share)
    assert "not measured" in markdown(rows)
    assert transfer_markdown(rows) == ""
    assert any("A_BB" in text for _, text in facts(result))
    assert result["dense_parameters"] > sum(u["parameters"] for u in result["units"])
    assert dict(facts(result))["compression"].endswith(f"have {result['dense_parameters']:,} parameters")
    assert [p.name for p in write_plots(result, made.out)] == ["importance.svg", "accuracy.svg"]
    selection = load_selection(made.out / SELECTION)
    assert set(selection.nodes_in(made.target.graph, "here")) == chosen
    assert chosen_nodes(f"@{made.out / SELECTION}", made.target.graph, list(units.values())) == chosen


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 6, 9])
def test_an_interrupted_run_continues_to_the_same_result(tmp_path: Path, stop: int) -> None:
    expected = select(job(tmp_path, name="whole"), Silent())
    broken = job(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        select(broken, Interrupter(stop))
    assert not (broken.out / "result.json").exists()
    before = {p: p.read_bytes() for p in (broken.out / "substitutes").glob("*.json")}
    assert without_times(select(broken, Silent())) == without_times(expected)
    assert all(p.read_bytes() == content for p, content in before.items())  # nothing finished was made again


def test_a_finished_run_is_not_made_again(tmp_path: Path) -> None:
    made = job(tmp_path)
    result = select(made, Silent())
    assert select(made, Interrupter(1)) == result


def test_more_seeds_reuse_what_is_there(tmp_path: Path) -> None:
    select(job(tmp_path), Silent())
    before = {p.name for p in (tmp_path / "run/substitutes").iterdir()}
    more = select(job(tmp_path, dataclasses.replace(SETTINGS, seeds=2)), Silent())
    assert before < {p.name for p in (tmp_path / "run/substitutes").iterdir()}
    assert len(more["sets"]["chosen"]) == 2


def test_a_folder_of_other_settings_is_refused(tmp_path: Path) -> None:
    select(job(tmp_path), Silent())
    other = dataclasses.replace(SETTINGS, attack=dataclasses.replace(SETTINGS.attack, epochs=2))
    with pytest.raises(HwgenError, match=r"other settings: attack\.epochs was 1, is 2"):
        select(job(tmp_path, other), Silent())


def test_a_lost_network_is_trained_again(tmp_path: Path) -> None:
    made = job(tmp_path)
    select(made, Silent())
    from hwgen.ttseal.select import make_bench  # noqa: PLC0415

    bench = make_bench(made, Silent())
    nodes = [bench.units[0].node]
    bench.measure(nodes, 0, "x")
    kept = bench.network(nodes, 0, "x").convolution(nodes[0]).weight.detach().clone()
    for path in (made.out / "substitutes").glob("*.safetensors"):
        path.write_bytes(b"")
    again = bench.network(nodes, 0, "x").convolution(nodes[0]).weight.detach()
    assert np.array_equal(kept.numpy(), again.numpy())


def test_splits_are_disjoint_parts_of_the_training_set(tmp_path: Path) -> None:
    splits = job(tmp_path).splits
    parts = [splits.importance, splits.validation, splits.pool]
    assert [len(p) for p in parts] == [2, 8, 22]
    seen = {image.tobytes() for p in parts for image in p.images}
    assert len(seen) == 32
    assert not seen & {image.tobytes() for image in splits.test.images}


def test_too_few_training_images(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="32 training images are too few"):
        job(tmp_path, dataclasses.replace(SETTINGS, validation_images=30))


def test_no_data_set_says_where_to_put_it(tmp_path: Path) -> None:
    target = load_target("resnet20", tmp_path)
    with pytest.raises(HwgenError, match=r"cifar-10-python\.tar\.gz"):
        load_splits(target.recipe, tmp_path, SETTINGS)


def test_choices(tmp_path: Path) -> None:
    target = job(tmp_path).target
    units = units_of(target.graph)
    cores = {u.node for u in units if u.layer == "layer2.0.conv2"}
    assert len(cores) == 3
    assert chosen_nodes("layer2.0.conv2", target.graph, units) == cores
    assert chosen_nodes("layer2.0.conv2.core1", target.graph, units) == {"layer2.0.conv2.core1"}
    assert chosen_nodes("all", target.graph, units) == {u.node for u in units}
    assert chosen_nodes("none", target.graph, units) == frozenset()
    assert chosen_nodes("50%", target.graph, units)
    with pytest.raises(HwgenError, match="no layer is called 'layer9'"):
        chosen_nodes("layer9", target.graph, units)


def test_a_selection_for_other_weights_is_not_attacked(tmp_path: Path) -> None:
    target = job(tmp_path).target
    units = units_of(target.graph)
    unit = SelectedUnit(node=units[0].node, layer=units[0].layer, units=1, shape=tuple(units[0].shape))
    path = tmp_path / "s.json"
    path.write_text(json.dumps(Selection(model="toy", checkpoint="0" * 64, units=(unit,), summary={}).to_dict()))
    assert chosen_nodes(f"@{path}", target.graph, units) == {unit.node}
    with pytest.raises(HwgenError, match="was made for other weights"):
        chosen_nodes(f"@{path}", target.graph, units, "1" * 64)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_no_generator_takes(seed: int) -> None:
    with pytest.raises(HwgenError, match=f"seed {seed}"):
        dataclasses.replace(SETTINGS, seed=seed)


def test_transfer_is_measured_for_every_set_and_stored_per_epsilon(tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, transfer=TransferSettings(images=4, epsilons=(8, 16), steps=2))
    made = job(tmp_path, settings)
    result = select(made, Silent())
    assert set(result["transfer"]) == set(SETS)
    assert all(0 <= r["transfer_success"] <= 1 for r in make_rows(result))
    assert set(result["transfer"]["none"]["success"]["auto"]) == {"8", "16"}
    rows = make_rows(result)
    assert all(r["transfer"]["auto"]["8"] == r["transfer_success"] for r in rows)
    head, _, *body = transfer_markdown(rows).splitlines()
    assert "| FGSM, 8/255 | FGSM, 16/255 | PGD, 8/255 |" in head
    assert [line.split(" | ")[0] for line in body] == [f"| {name}" for name in SETS]
    shown = f"{100 * rows[-1]['transfer']['auto']['16']:.0f} %"
    assert body[-1].endswith(f"| {shown} |")
    different = {tuple(result["sets"][name][0]["encrypted"]) for name in SETS}
    assert len(list((made.out / "transfer").glob("*.json"))) == 2 * len(different)
    assert "transfer.svg" in [p.name for p in write_plots(result, made.out)]
    more = dataclasses.replace(settings, transfer=TransferSettings(images=4, epsilons=(4, 8, 16), steps=2))
    again = select(job(tmp_path, more), Silent())
    assert again["transfer"]["none"]["success"]["auto"]["16"] == result["transfer"]["none"]["success"]["auto"]["16"]
    assert len(list((made.out / "transfer").glob("*.json"))) == 3 * len(different)


def test_a_given_selection_is_judged_with_the_substitutes_that_are_there(tmp_path: Path) -> None:
    made = job(tmp_path)
    result = select(made, Silent())
    before = {p.name for p in (made.out / "substitutes").iterdir()}
    chosen = frozenset(result["verified"]["nodes"])
    again = select(dataclasses.replace(made, given=chosen), Silent())
    assert {p.name for p in (made.out / "substitutes").iterdir()} == before
    assert again["sets"] == result["sets"]
    assert again["limit"] == result["limit"]
    assert again["verified"]["holds"]
    assert again["threshold"] is again["choice"] is None
    assert dict(facts(again))["threshold"] == "not searched: the selection was given"
    assert set(load_selection(made.out / SELECTION).nodes_in(made.target.graph, "here")) == chosen
    assert [p.name for p in write_plots(again, made.out)] == ["importance.svg", "accuracy.svg"]


def test_a_given_selection_that_does_not_hold_is_not_mended(tmp_path: Path) -> None:
    made = job(tmp_path, dataclasses.replace(SETTINGS, delta=0.0))
    units = units_of(made.target.graph)
    smallest = frozenset({min(units, key=lambda u: u.bytes).node})
    result = select(dataclasses.replace(made, given=smallest), Silent())
    assert result["verified"]["nodes"] == sorted(smallest)
    known = result["sets"]["chosen"][0]["accuracy_validation"]
    assert result["verified"]["holds"] == (known <= result["black_box"]["all_seeds"])
    assert load_selection(made.out / SELECTION).summary["holds"] == result["verified"]["holds"]
