"""A build directory holds one build: what does not follow from a re-run step is removed, or found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hwgen.errors import HwgenError
from hwgen.pipeline.chain import check_chain, check_published
from hwgen.pipeline.store import PUBLISHED
from tests.helpers.small_build import build_small


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    build_small(folder)
    return folder


@pytest.fixture
def built(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


def steps(folder: Path) -> set[str]:
    return {p.parent.name for p in (folder / "build").glob("*/step.json")}


def test_a_finished_build_is_whole(built: Path) -> None:
    check_published(built / "build")


def test_other_encryption_removes_what_it_made_stale(built: Path) -> None:
    build_small(built, encrypt="none", last="seal")
    assert not steps(built) & {"report", "handoff"}
    # how much of AES is built follows from what is encrypted, and so does the hardware
    assert steps(built) == {"frontend", "compress", "search", "plan", "quantise", "evaluate", "compile", "seal"}
    assert not [name for name in PUBLISHED if (built / "build" / name).exists()]
    with pytest.raises(HwgenError, match=r"'handoff' is not complete.*\n.*hwgen build --model"):
        check_published(built / "build")
    assert json.loads((built / "build/request.json").read_text())["encrypt"] == "none"
    build_small(built, encrypt="none")
    check_published(built / "build")


def test_other_encryption_on_given_hardware(finished: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    values = json.loads((finished / "build/search/config.json").read_text())
    config.write_text(json.dumps(values | {"aes_cycles": 1}))
    build_small(tmp_path, config=config)
    build_small(tmp_path, config=config, encrypt="none", last="seal")
    assert not steps(tmp_path) & {"report", "handoff"}
    assert {"seal", "rtl", "vectors"} <= steps(tmp_path)  # these do not depend on what is encrypted


def test_another_board_stopped_early(built: Path) -> None:
    build_small(built, board="zcu104", last="search")
    assert steps(built) == {"frontend", "compress", "search"}


def test_changed_options_of_later_steps_count_too(built: Path) -> None:
    build_small(built, frames=3, last="frontend")
    assert not steps(built) & {"vectors", "report", "handoff"}
    assert not (built / "build/report.json").exists()


def test_an_equal_result_keeps_everything(built: Path) -> None:
    build_small(built, first="frontend", last="frontend")
    check_published(built / "build")


def test_removal_comes_before_the_new_result(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: object, step: str, scratch: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hwgen.pipeline.store.BuildStore.commit", stop)
    with pytest.raises(KeyboardInterrupt):
        build_small(built, encrypt="none")
    assert not (built / "build/report.json").exists()
    assert "seal" not in steps(built)


def test_a_step_of_another_build_is_named(built: Path) -> None:
    record = built / "build/compile/step.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "digest": "0"}))
    with pytest.raises(HwgenError, match="is stale: it was made from another result of step 'compile'"):
        check_chain(built / "build", ["seal"])


@pytest.mark.parametrize("name", ["report.json", "report.html", "handoff.zip"])
def test_a_published_file_of_another_build(built: Path, name: str) -> None:
    path = built / "build" / name
    path.write_bytes(b"{}")
    with pytest.raises(HwgenError, match=f"{name} is not the one"):
        check_published(built / "build")
    path.unlink()
    with pytest.raises(HwgenError, match=f"{name} is missing"):
        check_published(built / "build")
