"""The build directory belongs to hwgen or is empty; nothing of the user's is ever removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.store import MARKER, BuildStore
from tests.helpers.small_build import build_small


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "build/frontend").mkdir(parents=True)
    precious = tmp_path / "build/frontend/precious.v"
    precious.write_text("x")
    with pytest.raises(HwgenError, match="not empty and not a build directory"):
        build_small(tmp_path, last="frontend")
    assert [p for p in (tmp_path / "build").rglob("*") if p.is_file()] == [precious]


def test_a_foreign_request_file_makes_no_build(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("{}")
    with pytest.raises(HwgenError, match="not a build directory"), BuildStore(tmp_path).lock():
        pass


def test_an_empty_folder_is_taken_and_kept_when_the_first_step_fails(tmp_path: Path) -> None:
    with BuildStore(tmp_path).lock():
        assert (tmp_path / MARKER).is_file()
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_build_can_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()  # what was left of a build killed before any step was complete
    (tmp_path / MARKER).write_text("")
    with BuildStore(tmp_path).lock():
        pass


def test_a_build_without_its_marker_is_one_still(tmp_path: Path) -> None:
    build_small(tmp_path, last="frontend")
    (tmp_path / "build" / MARKER).unlink()
    build_small(tmp_path, last="frontend")


def test_a_foreign_step_folder_in_a_build_stays(tmp_path: Path) -> None:
    build_small(tmp_path, last="frontend")
    (tmp_path / "build/verify").mkdir()
    (tmp_path / "build/verify/mine").write_text("x")
    with pytest.raises(HwgenError, match="is no result of hwgen"):
        build_small(tmp_path, last="compress")
    BuildStore(tmp_path / "build").discard("verify")
    assert (tmp_path / "build/verify/mine").read_text() == "x"


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/hwgen"), Path("/")):
        with pytest.raises(HwgenError) as error, BuildStore(path).lock():
            pass
        assert error.value.exit_code == 2
