"""``hwgen seal`` and ``hwgen attack`` on a tiny network: results, continuing, and messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from hwgen.cli.app import app
from tests.helpers.small_build import small_onnx
from tests.helpers.toy_attack import toy_data, toy_recipe

SMALL = ("--seed-images", "8", "--rounds", "1", "--epochs", "1", "--last-epochs", "0", "--threads", "1")
SEAL = (*SMALL, "--seeds", "1", "--importance-images", "2", "--validation-images", "8", "--drops", "0")


def run(*arguments: str) -> tuple[int, str, str]:
    threads = torch.get_num_threads()
    try:
        result = CliRunner().invoke(app, list(arguments))
    finally:
        torch.set_num_threads(threads)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


@pytest.fixture
def toy(tmp_path: Path) -> tuple[str, ...]:
    return "--model", str(toy_recipe(tmp_path)), "--data", str(toy_data(tmp_path / "data"))


def test_seal_then_attack_what_it_chose(tmp_path: Path, toy: tuple[str, ...]) -> None:
    out = str(tmp_path / "seal")
    code, text, _ = run("seal", *toy, *SEAL, "--no-transfer", "--out", out)
    assert code == 0
    assert "A_BB" in text and "chosen" in text and "not measured" in text
    assert (tmp_path / "seal/accuracy.svg").read_text().lstrip().startswith("<?xml")
    again = json.loads(run("seal", *toy, *SEAL, "--no-transfer", "--out", out, "--json")[1])
    assert again == json.loads((tmp_path / "seal/result.json").read_text())
    code, text, _ = run("seal", *toy, *SEAL, "--no-transfer", "--out", out, "--selection", f"{out}/selection.json")
    assert code == 0
    assert "not searched" in text
    code, text, _ = run("attack", *toy, *SMALL, "--encrypt", f"@{out}/selection.json", "--no-transfer", "--out",
                        str(tmp_path / "attack"), "--json")
    assert code == 0
    found = json.loads(text)
    assert found["encrypted"] == sorted(again["verified"]["nodes"])
    assert found["queries"] == (16 if found["encrypted"] else 0)


def test_attack_with_adversarial_examples(tmp_path: Path, toy: tuple[str, ...]) -> None:
    code, text, _ = run("attack", *toy, *SMALL, "--encrypt", "none", "--epsilon", "8", "--attack-images", "4", "--out",
                        str(tmp_path / "attack"))
    assert code == 0
    assert "8/255" in text and "auto" in text


@pytest.mark.parametrize("command", ["seal", "attack"])
def test_the_missing_extra_is_said_before_anything_is_trained(
    tmp_path: Path, toy: tuple[str, ...], command: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "art", None)
    code, _, err = run(command, *toy, "--seed-images", "8", "--out", str(tmp_path / "out"))
    assert code == 4
    assert "hwgen[attack]" in err and "--no-transfer" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["seal", "attack"])
@pytest.mark.parametrize(("change", "message"), [
    (("--model", "resnet18_t"), "did you mean resnet18_tt"),
    (("--model", "resnet20"), "give that folder with --data"),
    (("--data", "nowhere"), "'nowhere' does not exist"),
    (("--known", "liquid"), "allowed: frozen, trained"),
    (("--precision", "int4"), "allowed: float32, bfloat16"),
    (("--device", "cuda:77"), "torch cannot use 'cuda:77'"),
    (("--threads", "0"), "1 or more"),
    (("--seed-images", "1000"), "training images are too few"),
    (("--build", "nowhere"), "holds no quantised network"),
])
def test_bad_input(tmp_path: Path, toy: tuple[str, ...], command: str, change: tuple[str, ...], message: str) -> None:
    code, _, err = run(command, *toy, "--no-transfer", *change, "--out", str(tmp_path / "out"))
    assert code == 2
    assert message in err
    assert not (tmp_path / "out").exists()


def test_onnx_files_do_not_say_how_their_images_are_prepared(tmp_path: Path) -> None:
    model = small_onnx(tmp_path / "small.onnx")
    code, _, err = run("seal", "--model", str(model), "--data", str(tmp_path), "--no-transfer")
    assert code == 2
    assert "does not say how its images are prepared" in err


def test_attack_on_unknown_layers(tmp_path: Path, toy: tuple[str, ...]) -> None:
    code, _, err = run("attack", *toy, *SMALL, "--encrypt", "layer1.0.conv9", "--no-transfer", "--out",
                       str(tmp_path / "out"))
    assert code == 2
    assert "nearest names" in err
