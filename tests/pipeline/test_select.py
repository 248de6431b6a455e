"""A build that chooses what it encrypts by attack: by its recipe or on request, continued, shared, refused in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.build import finish
from hwgen.pipeline.check import check_request
from hwgen.pipeline.encryption import expected_layers
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.runner import Run, StepEvent, run_pipeline
from hwgen.pipeline.saved import save_request
from hwgen.pipeline.source import model_source
from hwgen.seal import load_selection
from tests.helpers.small_build import small_onnx, without_verilog
from tests.helpers.toy_attack import toy_data, toy_recipe

ATTACKER = """
[encrypt]
select = "attack"
[encrypt.attack]
seed_images = 8
rounds = 1
epochs = 1
last_epochs = 1
seeds = 1
importance_images = 2
validation_images = 8
drops = 0
transfer = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    toy_data(tmp_path / "data")
    recipe = toy_recipe(tmp_path)
    recipe.write_text(recipe.read_text() + ATTACKER)
    return tmp_path


def request(folder: Path, **options: Any) -> BuildRequest:
    values: dict[str, Any] = {"model": str(folder / "tiny.toml"), "board": "pynq-z2", "out": folder / "build",
                              "data": folder / "data", "prove": False, **options}
    return BuildRequest(**values)


def build(made: BuildRequest, cache: Path, last: str | None = None, progress: Any = lambda text: None,
          ) -> list[tuple[str, str]]:
    """What became of every step."""
    events: list[tuple[str, str]] = []

    def observe(event: StepEvent) -> None:
        events.append((event.step.name, event.state))

    check_request(made)
    run_pipeline(without_verilog(), made, Run(
        cache=cache, last=last, observer=observe, progress=progress, changing=lambda: save_request(made),
        finished=lambda records: finish(made, records)))
    return events


def test_a_recipe_has_its_build_choose_by_attack(folder: Path) -> None:
    said: list[str] = []
    events = build(request(folder), folder / "cache", progress=said.append)
    assert ("select", "done") in events
    assert any("black box: substitute for" in text for text in said)
    out = folder / "build"
    names = {p.name for p in (out / "select").iterdir()}
    assert names >= {"selection.json", "result.json", "rows.json", "importance.svg", "accuracy.svg"}
    selection = load_selection(out / "select" / "selection.json")
    program = json.loads((out / "compile" / "program.json").read_text())
    assert {unit.node for unit in selection.units} == set(program["encrypted"])
    report = json.loads((out / "report.json").read_text())
    assert report["encryption"]["selection"]["queries"] == 16
    assert {state for _, state in build(request(folder), folder / "cache")} == {"reused", "skipped"}


def test_the_search_prices_what_was_chosen(folder: Path) -> None:
    made = request(folder)
    build(made, folder / "cache", last="search")
    found = json.loads((folder / "build" / "search" / "step.json").read_text())
    assert set(found["needs"]) == {"compress", "select"}


def test_an_interrupted_choice_continues_and_another_board_finds_it_made(folder: Path) -> None:
    def interrupt(text: str) -> None:
        if text.startswith("threshold, "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(request(folder), folder / "cache", progress=interrupt)
    assert not (folder / "build" / "select").exists()
    run, = (folder / "cache" / "selections").iterdir()
    kept = {p: p.stat().st_mtime_ns for p in (run / "substitutes").glob("*.json")}
    assert kept
    build(request(folder), folder / "cache", last="select")
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    said: list[str] = []
    build(request(folder, board="zcu104", out=folder / "other"), folder / "cache", last="select", progress=said.append)
    assert not any("substitute for" in text for text in said)
    first, second = ((folder / out / "select" / "selection.json").read_bytes() for out in ("build", "other"))
    assert first == second


def test_on_request_for_a_recipe_that_does_not_say_so(folder: Path) -> None:
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe.read_text().replace('select = "attack"', 'select = "all"').replace(
        ATTACKER.split('select = "attack"')[1], ""))
    assert ("select", "skipped") in build(request(folder), folder / "cache", last="search")
    with pytest.raises(HwgenError, match="32 training images are too few"):  # the full attacker's
        build(request(folder, encrypt="attack"), folder / "cache", last="select")


def test_another_choice_on_request_leaves_the_attack_out(folder: Path) -> None:
    events = build(request(folder, encrypt="all", data=None), folder / "cache", last="search")
    assert ("select", "skipped") in events


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rounds = 1", "rounds = 13", r"tiny\.toml: encrypt\.attack: 13 rounds"),
        ("rounds = 1", "round = 1", "unknown key 'round'"),
        ("rounds = 1", 'rounds = 1\nknown = "thawed"', "allowed: 'frozen', 'trained'"),
        ("validation_images = 8", "validation_images = 0", r"encrypt\.attack: a selection needs images"),
    ],
)
def test_an_attacker_that_is_not_possible(folder: Path, old: str, new: str, message: str) -> None:
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe.read_text().replace(old, new))
    with pytest.raises(HwgenError, match=message):
        check_request(request(folder))
    assert not (folder / "build").exists()


def test_an_attacker_only_where_it_is_used(folder: Path) -> None:
    recipe = folder / "tiny.toml"
    recipe.write_text(recipe.read_text().replace('select = "attack"', 'select = "all"'))
    with pytest.raises(HwgenError, match='attack must be given only if select = "attack"'):
        check_request(request(folder))


def test_attacks_need_images(folder: Path) -> None:
    with pytest.raises(HwgenError, match=r"needs images(?s:.)*--data FOLDER"):
        check_request(request(folder, data=None))
    onnx = small_onnx(folder / "small.onnx")
    with pytest.raises(HwgenError, match="cannot be attacked"):
        check_request(request(folder, model=str(onnx), encrypt="attack", data=None))


def test_who_only_searches_is_told_who_chooses(folder: Path) -> None:
    made = request(folder)
    with pytest.raises(HwgenError, match="hwgen build --to select"):
        expected_layers(made, model_source(made), None)  # pyright: ignore[reportArgumentType]


def test_of_a_network_that_the_build_compresses(folder: Path) -> None:
    recipe = folder / "tiny.toml"
    text = recipe.read_text().replace("channels = [4, 8]", "channels = [16, 32]")
    recipe.write_text(text.replace('[tt]\nlayers = [{ name = "layer2.0.conv2", ranks = [4, 4] }]\n', ""))
    build(request(folder, compress=1.2), folder / "cache", last="compile")
    selection = load_selection(folder / "build" / "select" / "selection.json")
    program = json.loads((folder / "build" / "compile" / "program.json").read_text())
    # trains that are executed merged are encrypted whole
    assert {unit.layer for unit in selection.units} == {node.split(".core")[0] for node in program["encrypted"]}
    result = json.loads((folder / "build" / "select" / "result.json").read_text())
    assert "calibrated on" in result["origin"]
    assert any(unit["node"].endswith(".core0") for unit in result["units"])
