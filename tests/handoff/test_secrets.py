"""The search for a key: finds it in every form, in files and archives, and nothing where there is nothing."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import pytest

from hwgen.handoff.secrets import find_key

KEY = bytes(range(17, 33))

FORMS = {
    "raw": b"\0\1" + KEY + b"\0",
    "raw reversed": b"\0" + KEY[::-1],
    "hexadecimal": b'{"key": "' + KEY.hex().encode() + b'"}',
    "upper case": KEY.hex().upper().encode(),
    "hexadecimal reversed": KEY[::-1].hex().encode(),
    "base64": b"key=" + base64.b64encode(KEY),
    "little-endian words": b"".join(KEY[i:i + 4][::-1] for i in range(0, 16, 4)),
    "register writes": json.dumps([int.from_bytes(KEY[i:i + 4], "little") for i in range(0, 16, 4)]).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_found_in_a_file(tmp_path: Path, form: str) -> None:
    (tmp_path / "clean").write_bytes(b"nothing here" * 100)
    (tmp_path / "leak").write_bytes(FORMS[form])
    found = find_key(KEY, sorted(tmp_path.iterdir()))
    assert found
    assert all("leak" in f for f in found)


def test_found_in_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/inside.txt", KEY.hex())
    assert find_key(KEY, [tmp_path / "a.zip"])[0].startswith("a.zip/deep/inside.txt")


def test_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "random").write_bytes(bytes(i * 37 % 251 for i in range(100_000)))
    assert find_key(KEY, [tmp_path / "random"]) == []
