"""The whole build on a very small network: every step's result, reuse, keys, nothing half-written."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hwgen.cli.app import app
from hwgen.errors import HwgenError
from hwgen.handoff.secrets import find_key
from hwgen.image.reader import read_image
from hwgen.pipeline.build import STEPS
from hwgen.seal.keys import SALT_LABEL, Key, derive, derive_image_key
from tests.helpers.small_build import build_small, small_onnx


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    build_small(folder)
    return folder


def test_all_steps_leave_a_result(built: Path) -> None:
    for step in STEPS:
        record = built / "build" / step.name / "step.json"
        assert record.is_file() == (step.name not in ("select", "verify", "synth")), step.name
    assert not (built / "build" / ".work").exists()


def test_top_of_the_build_directory(built: Path) -> None:
    names = {p.name for p in (built / "build").iterdir() if p.is_file()}
    assert {"README.md", "report.html", "report.json", "handoff.zip"} <= names


def test_report_has_the_promised_keys(built: Path) -> None:
    report = json.loads((built / "build" / "report.json").read_text())
    for group, keys in {
        "network": "parameters macs dense_parameters dense_macs",
        "accuracy": "dataset images float compressed int8",
        "cycles": "measured measured_steady predicted ideal roofline mac_efficiency mac_efficiency_steady "
                  "roofline_efficiency",
        "resources": "estimated synthesised available",
        "encryption": "bytes_encrypted bytes_total cycles_added",
        "verification": "bit_exact frames mismatches elements_compared simulator seconds",
    }.items():
        assert set(keys.split()) <= set(report[group]), group
    assert {"model", "board", "config", "latency_ms", "throughput_fps", "steps"} <= set(report)
    assert report["source"] == "predicted"
    assert report["cycles"]["measured"] is None
    assert report["verification"]["bit_exact"] is None


def test_html_is_self_contained(built: Path) -> None:
    text = (built / "build" / "report.html").read_text()
    assert "<svg" in text
    assert "src=" not in text
    assert "http" not in text.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", "").replace("https://matplotlib.org", "")


def test_key_lies_beside_the_build_and_nowhere_in_it(built: Path) -> None:
    path = built / "build.development.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = bytes.fromhex(path.read_text())
    files = [p for p in (built / "build").rglob("*") if p.is_file()]
    assert len(files) > 30
    assert find_key(key, files) == []
    # neither is the key that the image is encrypted with, nor the key of its salt
    image = read_image(built / "build" / "seal" / "model.img")
    for derived in (derive_image_key(Key(key), image.header.salt), Key(derive(Key(key), SALT_LABEL, b"", 256))):
        assert find_key(derived.reveal(), files) == []


@pytest.mark.parametrize("digits", [32, 64])
def test_nothing_that_is_printed_shows_the_key(tmp_path: Path, digits: int) -> None:
    key = hashlib.sha256(b"a key").digest()[:digits // 2]
    key_file = tmp_path / "my.key"
    key_file.write_text(key.hex() + "\n")
    shown = [repr(Key(key)), str(Key(key))]
    for arguments in (("build", "--to", "seal"), ("build", "--to", "seal", "--json", "--from", "seal"),
                      ("build", "--to", "seal", "--encrypt", "nothing-like-this"), ("verify",), ("report",)):
        command, *options = arguments
        target = ["--model", str(small_onnx(tmp_path / "small.onnx")), "--board", "pynq-z2", "--out",
                  str(tmp_path / "build")] if command == "build" else [str(tmp_path / "build")]
        secret = [] if command == "report" else ["--key-file", str(key_file)]
        result = CliRunner().invoke(app, [command, *target, *options, *secret])
        shown.append(result.output + repr(result.exception))
    output = tmp_path / "output"
    output.write_text("\n".join(shown))
    assert "seal" in output.read_text()
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p != key_file]
    assert find_key(key, files) == []
    assert find_key(key, [key_file])


def test_second_build_reuses_everything(built: Path) -> None:
    events: list[tuple[str, str]] = []
    build_small(built, events)
    assert {state for name, state in events} == {"reused", "skipped"}


def test_image_is_encrypted_and_reproducible(built: Path, tmp_path: Path) -> None:
    image = read_image(built / "build" / "seal" / "model.img")
    assert all(run.flags & 1 for run in image.runs)
    key = built / "build.development.key"
    build_small(tmp_path, last="seal", model=str(built / "small.onnx"), key_file=key)
    assert (tmp_path / "build/seal/model.img").read_bytes() == (built / "build/seal/model.img").read_bytes()


def test_vectors_agree_with_the_golden_model(built: Path) -> None:
    inputs = np.load(built / "build/vectors/inputs.npy")
    assert inputs.shape == (2, 3, 8, 8)
    assert inputs.dtype == np.int8
    assert not np.array_equal(inputs[0], inputs[1])


@pytest.mark.parametrize(("encrypt", "share"), [("none", 0.0), ("conv", 0.5), ("all", 1.0)])
def test_selection_of_encrypted_layers(tmp_path: Path, encrypt: str, share: float) -> None:
    summary = build_small(tmp_path, last="seal", encrypt=encrypt)["seal"].summary
    measured = summary["bytes_encrypted"] / summary["bytes_total"]
    assert measured == share if share in (0.0, 1.0) else 0 < measured < 1


def test_unknown_layer_to_encrypt(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="no layer is called 'convv'"):
        build_small(tmp_path, last="seal", encrypt="convv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nan": True}, "NaN"),
        ({"op": "Softplus"}, "Softplus"),
        ({"batch": "N"}, None),
    ],
)
def test_bad_onnx_leaves_nothing(tmp_path: Path, options: dict[str, object], message: str | None) -> None:
    small_onnx(tmp_path / "small.onnx", **options)  # pyright: ignore[reportArgumentType]
    if message is None:  # a free batch size is no dynamic shape of the network
        build_small(tmp_path, last="frontend")
        return
    with pytest.raises(HwgenError, match=message):
        build_small(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.onnx"]


def test_truncated_onnx_leaves_nothing(tmp_path: Path) -> None:
    path = small_onnx(tmp_path / "small.onnx")
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(HwgenError) as error:
        build_small(tmp_path)
    assert error.value.exit_code == 2
    assert "small.onnx" in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.onnx"]


def test_the_key_file_decides_the_key_size(tmp_path: Path) -> None:
    (tmp_path / "my.key").write_text("ab" * 32)
    records = build_small(tmp_path, last="seal", key_file=tmp_path / "my.key")
    assert records["search"].summary["config"]["aes_key_bits"] == 256
    assert "AES-256-GCM" in records["seal"].summary["text"]
    (tmp_path / "my.key").write_text("ab" * 16)
    records = build_small(tmp_path, last="seal", key_file=tmp_path / "my.key")
    assert records["search"].summary["config"]["aes_key_bits"] == 128


def test_a_sweep_makes_no_development_key(tmp_path: Path) -> None:
    build_small(tmp_path, last="frontend")
    assert not (tmp_path / "build.development.key").exists()
