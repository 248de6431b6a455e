"""Selection files and what they mean in a build that executes the network in another way."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from hwgen.cost.work import network_work, with_encryption
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, QConv2d, TTExecution
from hwgen.passes.plan import TTChoice, plan
from hwgen.pipeline.fingerprint import hash_file
from hwgen.quantize import calibrate, quantise
from hwgen.seal import SelectedUnit, Selection, load_selection
from tests.helpers.networks import residual_network
from tests.helpers.small_build import build_small, small_onnx
from tests.helpers.toy_attack import toy_recipe

LAYER = "b1.conv2"


def network(choice: TTChoice | None = None) -> Graph:
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    choices = {LAYER: choice} if choice else None
    return quantise(calibrate(plan(residual_network((8, 16), 8, tt=True), choices), images))


def selection(*nodes: str, checkpoint: str = "") -> Selection:
    graph = network()
    units = []
    for name in nodes:
        node = graph[name]
        assert isinstance(node, QConv2d)
        mates = [n for n in graph.nodes if isinstance(n, QConv2d) and n.origin == node.origin]
        units.append(SelectedUnit(node=name, layer=node.origin, units=len(mates), shape=tuple(node.weight.shape)))
    return Selection(model="small", checkpoint=checkpoint, units=tuple(units), summary={})


def write(path: Path, value: Selection) -> Path:
    path.write_text(json.dumps(value.to_dict()), encoding="utf-8")
    return path


def test_round_trip(tmp_path: Path) -> None:
    value = selection("stem", f"{LAYER}.core1", checkpoint="abc")
    assert load_selection(write(tmp_path / "s.json", value)) == value


def test_the_same_plan_encrypts_the_cores_alone() -> None:
    assert selection("stem", f"{LAYER}.core1").nodes_in(network(), "") == ("stem", f"{LAYER}.core1")


@pytest.mark.parametrize("choice", [
    TTChoice(TTExecution.RECONSTRUCT), TTChoice(TTExecution.MERGED, ("IHW", "O")),
    TTChoice(TTExecution.MERGED, ("IHWO",)),
])
@pytest.mark.parametrize("core", [0, 1, 2])
def test_another_plan_encrypts_the_whole_layer(choice: TTChoice, core: int) -> None:
    graph = network(choice)
    wanted = {n.name for n in graph.nodes if isinstance(n, QConv2d) and n.origin == LAYER}
    assert set(selection(f"{LAYER}.core{core}").nodes_in(graph, "")) == wanted


def test_other_shapes_encrypt_the_whole_layer() -> None:
    value = selection(f"{LAYER}.core1")
    other = dataclasses.replace(value, units=(dataclasses.replace(value.units[0], shape=(1, 1, 3, 3)),))
    assert len(other.nodes_in(network(), "")) == 3


def test_a_layer_that_is_not_there() -> None:
    unit = SelectedUnit(node="x", layer="x", units=1, shape=(1, 1, 1, 1))
    with pytest.raises(HwgenError, match=r"file\.json: selects layer 'x', which small does not have"):
        Selection(model="m", checkpoint="", units=(unit,), summary={}).nodes_in(network(), "file.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "hwgen-selection-9"}',
                                  '{"format": "hwgen-selection-1", "model": "m", "checkpoint": "", "units": [{}]}'])
def test_files_that_are_something_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(HwgenError, match="is no selection of this version"):
        load_selection(tmp_path / "s.json")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="does not exist"):
        load_selection(tmp_path / "s.json")
    with pytest.raises(HwgenError, match="--encrypt: selection"):
        build_small(tmp_path, encrypt=f"@{tmp_path / 's.json'}", last="compile")


def test_builds_take_it(tmp_path: Path) -> None:
    model = small_onnx(tmp_path / "small.onnx")
    unit = SelectedUnit(node="fc", layer="fc", units=1, shape=(4, 8, 1, 1))
    value = Selection(model="small", checkpoint=hash_file(model), units=(unit,), summary={})
    path = write(tmp_path / "s.json", value)
    build_small(tmp_path, encrypt=f"@{path}", last="seal")
    program = json.loads((tmp_path / "build/compile/program.json").read_text())
    assert program["encrypted"] == ["fc"]
    events: list[tuple[str, str]] = []
    write(path, dataclasses.replace(value, units=(dataclasses.replace(unit, node="conv", layer="conv"),)))
    build_small(tmp_path, events, encrypt=f"@{path}", last="seal")
    assert ("compile", "done") in events  # another selection in the same file is another input
    program = json.loads((tmp_path / "build/compile/program.json").read_text())
    assert program["encrypted"] == ["conv"]
    write(path, dataclasses.replace(value, units=()))
    build_small(tmp_path, encrypt=f"@{path}", last="compile")
    assert json.loads((tmp_path / "build/compile/program.json").read_text())["encrypted"] == []


def test_a_selection_for_other_weights_is_refused(tmp_path: Path) -> None:
    small_onnx(tmp_path / "small.onnx")
    unit = SelectedUnit(node="fc", layer="fc", units=1, shape=(4, 8, 1, 1))
    path = write(tmp_path / "s.json", Selection(model="small", checkpoint="0" * 64, units=(unit,), summary={}))
    with pytest.raises(HwgenError, match="was made for other weights"):
        build_small(tmp_path, encrypt=f"@{path}", last="compile")


def test_a_recipe_names_a_selection_beside_it(tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    recipe.write_text(recipe.read_text() + '[encrypt]\nselect = "file"\nfile = "mine.json"\n')
    unit = SelectedUnit(node="linear", layer="linear", units=1, shape=(2, 8, 1, 1))
    write(tmp_path / "mine.json", Selection(model="tiny", checkpoint="", units=(unit,), summary={}))
    program = tmp_path / "build/compile/program.json"
    build_small(tmp_path, model=str(recipe), last="compile")
    assert json.loads(program.read_text())["encrypted"] == ["linear"]
    build_small(tmp_path, model=str(recipe), encrypt="none", last="compile")  # the command line has the last word
    assert json.loads(program.read_text())["encrypted"] == []
    (tmp_path / "mine.json").unlink()
    with pytest.raises(HwgenError, match=r"mine\.json' does not exist"):
        build_small(tmp_path, model=str(recipe), last="compile")


def test_a_layer_that_is_executed_differently_counts_as_a_whole() -> None:
    """By the cost model too, in every way to execute a train."""
    network = network_work(residual_network((32, 64), 16, tt=True))
    layer, variants = next(iter(network.variants.items()))
    chain = variants[0].works
    first = chain[0]
    shape = (first.channels_out, first.channels_in // first.groups, *first.kernel)
    unit = SelectedUnit(node=first.name, layer=layer, units=len(chain), shape=shape)
    marked = with_encryption(network, Selection(model="", checkpoint="", units=(unit,), summary={}))
    assert [w.name for w in marked.works if w.encrypted] == [first.name]
    assert len(marked.variants[layer]) > 1
    for variant in marked.variants[layer]:
        works = [w for w in variant.works if not w.pool]
        begun = works[0]  # the same first core, of as many: the others do not hold anything of it
        same = len(works) == len(chain) and begun.name == first.name and begun.channels_out == first.channels_out
        assert [w.encrypted for w in works] == ([True, *[False] * (len(chain) - 1)] if same else [True] * len(works))
    assert any(all(w.encrypted for w in v.works) for v in marked.variants[layer])
    other = dataclasses.replace(unit, shape=(1, 1, 1, 1))
    marked = with_encryption(network, Selection(model="", checkpoint="", units=(other,), summary={}))
    assert {w.name for w in marked.works if w.encrypted} == {w.name for w in chain}


@pytest.mark.parametrize("entry", ["Infinity", "1e999", "[]", "null", '"x"'])
def test_a_damaged_number_of_units(tmp_path: Path, entry: str) -> None:
    unit = SelectedUnit(node="fc", layer="fc", units=1, shape=(4, 8, 1, 1))
    path = write(tmp_path / "s.json", Selection(model="m", checkpoint="", units=(unit,), summary={}))
    path.write_text(path.read_text().replace('"units": 1', f'"units": {entry}'))
    with pytest.raises(HwgenError, match="no selection of this version"):
        load_selection(path)
