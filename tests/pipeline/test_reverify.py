"""A finished build can be proven again wherever it is, without the files it was made from, and never with a new key."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import hwgen.verify.proof
from hwgen.errors import HwgenError
from hwgen.pipeline.reverify import Again, reverify
from hwgen.pipeline.saved import load_request
from hwgen.resources import boards_dir
from tests.helpers.small_build import build_small, small_onnx


class Caught(Exception):
    """Raised with the job instead of a simulation."""

    def __init__(self, job: hwgen.verify.proof.Job) -> None:
        self.job = job


@pytest.fixture(autouse=True)
def caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def prove(job: hwgen.verify.proof.Job, *rest: Any) -> None:
        raise Caught(job)

    monkeypatch.setattr(hwgen.verify.proof, "prove", prove)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    build_small(source, last="rtl")
    return source


def job(folder: Path, **options: Any) -> hwgen.verify.proof.Job:
    with pytest.raises(Caught) as caught:
        reverify(folder, Again(cache=folder, **options))
    return caught.value.job


def test_the_current_directory(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built / "build")
    assert job(Path()).key == bytes.fromhex((built / "build.development.key").read_text())


def test_moved_with_its_key_under_the_old_or_the_new_name(built: Path, tmp_path: Path) -> None:
    key = bytes.fromhex((built / "build.development.key").read_text())
    (tmp_path / "new").mkdir()
    shutil.move(built / "build", tmp_path / "new/other")
    shutil.move(built / "build.development.key", tmp_path / "new")
    assert job(tmp_path / "new/other").key == key
    (tmp_path / "new/build.development.key").rename(tmp_path / "new/other.development.key")
    assert job(tmp_path / "new/other").key == key


def test_without_the_key_it_says_so_and_makes_none(built: Path) -> None:
    (built / "build.development.key").unlink()
    with pytest.raises(HwgenError, match=r"key not found(.|\n)*--key-file"):
        reverify(built / "build", Again(cache=built))
    assert not (built / "build.development.key").exists()


def test_nothing_but_the_build_directory_is_needed(tmp_path: Path) -> None:
    source = tmp_path / "gone"
    source.mkdir()
    shutil.copy(boards_dir() / "pynq-z2.toml", source / "board.toml")
    (source / "old.key").write_text("01" * 16)
    (tmp_path / "new.key").write_text("02" * 16)
    options = {"board": str(source / "board.toml"), "key_file": source / "old.key", "out": tmp_path / "build"}
    build_small(source, last="rtl", model=str(small_onnx(source / "small.onnx")), **options)
    expected = job(tmp_path / "build")
    shutil.rmtree(source)
    again = job(tmp_path / "build", key_file=tmp_path / "new.key")
    assert again.key == b"\2" * 16
    assert (again.memory, again.config) == (expected.memory, expected.config)
    assert (again.inputs == expected.inputs).all()


def test_paths_are_saved_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small_onnx(tmp_path / "small.onnx")
    Path("my.key").write_text("01" * 16)
    build_small(tmp_path, last="frontend", model="small.onnx", key_file=Path("my.key"), out=Path("build"))
    saved = load_request(Path("build"))
    assert saved.model == str(tmp_path / "small.onnx")
    assert saved.key_file == tmp_path / "my.key"
    assert saved.out == tmp_path / "build"


@pytest.mark.parametrize(
    "values", [{"frames": 0}, {"frames": -3}, {"frames": 1}, {"seed": -1}, {"tamper": -1}, {"data": Path("/no")},
               {"image": Path("/no")}, {"waves": Path("/no/x.fst")}])
def test_bad_options(values: dict[str, Any]) -> None:
    with pytest.raises(HwgenError) as error:
        Again(cache=Path(), **values)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"key_file": 3, "out": "x", "model": "", "board": ""}', "3"])
def test_damaged_request(tmp_path: Path, text: str) -> None:
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(HwgenError, match="is damaged"):
        load_request(tmp_path)
