"""What is wrong with a request is said before the first step, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.check import check_file_target, check_request, make_folder
from hwgen.pipeline.request import BuildRequest
from hwgen.resources import models_dir
from tests.helpers.small_build import small_onnx


def request(folder: Path, **options: Any) -> BuildRequest:
    values: dict[str, Any] = {"model": "resnet20", "board": "pynq-z2", "out": folder / "build", **options}
    return BuildRequest(**values)


@pytest.mark.parametrize("encrypt", ["", "all", "none", "0.5", "25%", "a,b", "layer1.0.conv1.core0"])
def test_choices_of_what_is_encrypted(tmp_path: Path, encrypt: str) -> None:
    check_request(request(tmp_path, encrypt=encrypt))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "latenzy"}, "did you mean latency"),
        ({"encrypt": "1.5"}, "a share of 1.5"),
        ({"encrypt": "-0.3"}, "a share of -0.3"),
        ({"encrypt": "150%"}, "a share of 1.5"),
        ({"encrypt": "nan"}, "a share of nan"),
        ({"encrypt": "a,,b"}, "cannot be understood"),
        ({"encrypt": "abc%"}, "cannot be understood"),
        ({"compress": -3.0}, "--compress: -3 is not possible"),
        ({"compress": float("nan")}, "--compress: nan is not possible"),
        ({"compress": 0.5}, "--compress: 0.5 is not possible"),
        ({"seed": -1}, "--seed: -1 is not possible"),
        ({"frames": 0}, "2 or more"),
    ],
)
def test_refused_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(HwgenError, match=message):
        check_request(request(tmp_path, **options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("key_file", "zz", "not a key file"),
        ("key_file", "00" * 5, "10 hexadecimal digits"),
        ("config", "{", "no readable JSON"),
        ("config", '{"p_j": 1}', "unknown field"),
    ],
)
def test_refused_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(HwgenError, match=message):
        check_request(request(tmp_path, **{name: tmp_path / "file"}))


def test_selection_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{}")
    with pytest.raises(HwgenError, match="is no selection of this version"):
        check_request(request(tmp_path, encrypt=f"@{tmp_path / 's.json'}"))


def test_selection_of_a_recipe_is_looked_at_first(tmp_path: Path) -> None:
    text = (models_dir() / "resnet20.toml").read_text()
    recipe = tmp_path / "mine.toml"
    recipe.write_text(text.replace('name = "resnet20"', 'name = "mine"').replace(
        "resnet20.", str(models_dir() / "resnet20.")) + '\n[encrypt]\nselect = "file"\nfile = "s.json"\n')
    with pytest.raises(HwgenError, match="does not exist"):
        check_request(request(tmp_path, model=str(recipe)))
    check_request(request(tmp_path, model=str(recipe), encrypt="none"))


def test_key_of_another_size_than_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("00" * 32)
    (tmp_path / "c.json").write_text('{"aes_key_bits": 128}')
    with pytest.raises(HwgenError, match="a key of 256 bits"):
        check_request(request(tmp_path, key_file=tmp_path / "key", config=tmp_path / "c.json"))
    check_request(request(tmp_path, key_file=tmp_path / "key"))


def test_data_without_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="no folder 'cifar-10-batches-py'"):
        check_request(request(tmp_path, data=tmp_path))
    with pytest.raises(HwgenError, match="does not say how its images are prepared"):
        check_request(request(tmp_path, data=tmp_path, model=str(small_onnx(tmp_path / "small.onnx"))))


def test_places_to_write(tmp_path: Path) -> None:
    check_file_target(tmp_path / "a.json", "--save")
    for path, message in ((tmp_path / "no/a.json", "does not exist"), (tmp_path, "cannot be written")):
        with pytest.raises(HwgenError, match=f"--save: .*{message}"):
            check_file_target(path, "--save")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/cache"):
        with pytest.raises(HwgenError, match=r"--cache: .* cannot be made"):
            make_folder(path, "--cache")
