"""The search for a key: finds it in every form, in files and archives, and nothing where there is nothing."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path

import pytest

from hwgen.handoff.secrets import find_key

KEY = bytes.fromhex("0f1e2d3c4b5a69788796a5b4c3d2e1f1")
WORDS = [KEY[i:i + 4] for i in range(0, 16, 4)]


def c_array(key: bytes, digits: str = "0x{:02X}") -> bytes:
    return ("static const uint8_t key[] = {\n  " + ", ".join(digits.format(b) for b in key) + "\n};").encode()


FORMS = {
    "raw": b"\0\1" + KEY + b"\0",
    "raw reversed": b"\0" + KEY[::-1],
    "words reversed": b"".join(word[::-1] for word in WORDS),
    "words last first": b"".join(WORDS[::-1]),
    "hexadecimal": b'{"key": "' + KEY.hex().encode() + b'"}',
    "hexadecimal, upper case": KEY.hex().upper().encode(),
    "hexadecimal, mixed case": KEY.hex()[:16].upper().encode() + KEY.hex()[16:].encode(),
    "hexadecimal reversed": KEY[::-1].hex().encode(),
    "hexadecimal with colons": KEY.hex(":").encode(),
    "hexadecimal with blanks and line ends": KEY.hex(" ", 4).replace(" ", "\n  ").encode(),
    "base64": b"key=" + base64.b64encode(KEY),
    "base64 in the midst": base64.b64encode(b"k" + KEY + b"and more"),
    "base64 in the midst, later": base64.b64encode(b"ke" + KEY + b"and more"),
    "base64 for addresses": base64.urlsafe_b64encode(KEY),
    "base32": base64.b32encode(KEY),
    "one number": str(int.from_bytes(KEY, "big")).encode(),
    "one number, little-endian": str(int.from_bytes(KEY, "little")).encode(),
    "bits": f"{int.from_bytes(KEY, 'little'):0128b}".encode(),
    "list of decimal bytes": repr(list(KEY)).encode(),
    "one decimal byte a line": "\n".join(map(str, KEY)).encode(),
    "list of decimal bytes reversed": repr(list(KEY[::-1])).encode(),
    "C array": c_array(KEY),
    "C array, short and lower case": c_array(KEY, "0x{:x}"),
    "C array of words": b"{0x" + b"u, 0x".join(word.hex().encode() for word in WORDS) + b"u}",
    "Verilog": b"assign key = {" + b", ".join(b"32'h" + word[::-1].hex().encode() for word in WORDS) + b"};",
    "Verilog, one number": b"localparam KEY = 128'h" + KEY.hex("_", 4).encode() + b";",
    "register writes": json.dumps([int.from_bytes(word, "little") for word in WORDS]).encode(),
    "register writes, big-endian": json.dumps([int.from_bytes(word, "big") for word in WORDS]).encode(),
    "64-bit numbers": json.dumps([int.from_bytes(KEY[:8], "little"), int.from_bytes(KEY[8:], "little")]).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_found_in_a_file(tmp_path: Path, form: str) -> None:
    (tmp_path / "clean").write_bytes(b"nothing here" * 100)
    (tmp_path / "leak").write_bytes(FORMS[form])
    found = find_key(KEY, sorted(tmp_path.iterdir()))
    assert found
    assert all("leak" in f for f in found)
    other = bytes(b ^ (i == 7) for i, b in enumerate(KEY))
    assert find_key(other, [tmp_path / "leak"]) == []  # not one bit is taken for another


def test_found_in_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/inside.txt", KEY.hex())
    assert find_key(KEY, [tmp_path / "a.zip"])[0].startswith("a.zip/deep/inside.txt")


def test_nothing_where_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "random").write_bytes(bytes(i * 37 % 251 for i in range(100_000)))
    (tmp_path / "numbers").write_text(" ".join(str(i * 7919 % 256) for i in range(20_000)))
    assert find_key(KEY, sorted(tmp_path.iterdir())) == []
