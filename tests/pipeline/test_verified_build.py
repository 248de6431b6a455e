"""A whole build, simulation and hand-off included: no key in anything that it leaves behind or prints."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hwgen.cli.app import app
from hwgen.handoff.secrets import find_key
from hwgen.image.reader import read_image
from hwgen.seal.keys import SALT_LABEL, Key, derive, derive_image_key
from tests.helpers.small_build import small_onnx

pytestmark = pytest.mark.slow


def test_no_key_is_left_anywhere(tmp_path: Path) -> None:
    key = hashlib.sha256(b"a key of a whole build").digest()[:16]
    key_file = tmp_path / "my.key"
    key_file.write_text(key.hex() + "\n")
    out, cache = tmp_path / "build", tmp_path / "cache"
    shown = []
    for command, options in (
            ("build", ["--model", str(small_onnx(tmp_path / "small.onnx")), "--board", "pynq-z2", "--out", str(out),
                       "--key-file", str(key_file), "--dump-layers"]),
            ("verify", [str(out), "--key-file", str(key_file)]), ("report", [str(out)])):
        if command != "report":
            options += ["--cache", str(cache)]
        result = CliRunner().invoke(app, [command, *options], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        shown.append(result.output)
    (tmp_path / "shown").write_text("\n".join(shown))
    report = json.loads((out / "report.json").read_text())
    assert report["verification"]["bit_exact"]
    assert report["encryption"]["bytes_encrypted"] == report["encryption"]["bytes_total"]
    files = [p for p in tmp_path.rglob("*") if p.is_file() and p != key_file]
    assert {"handoff.zip", "shown", "model.img"} <= {p.name for p in files}
    assert any(cache in p.parents for p in files)  # the compiled simulator
    salt = read_image(out / "seal" / "model.img").header.salt
    for secret in (key, derive_image_key(Key(key), salt).reveal(), derive(Key(key), SALT_LABEL, b"", 256)):
        assert find_key(secret, files) == []
    assert find_key(key, [key_file])
