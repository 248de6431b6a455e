"""Look for a key in files, in every form in which it is likely to have slipped through."""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Iterable
from pathlib import Path


def key_forms(key: bytes) -> dict[str, bytes]:
    """Byte strings that give the key away, by name: raw, hexadecimal, base64, and with bytes or words reversed."""
    words = b"".join(key[i:i + 4][::-1] for i in range(0, len(key), 4))
    forms: dict[str, bytes] = {}
    for order, value in (("", key), (" reversed", key[::-1]), (" with words reversed", words),
                         (" with words reversed, last first", words[::-1])):
        forms[f"raw{order}"] = value
        forms[f"hexadecimal{order}"] = value.hex().encode()
        forms[f"base64{order}"] = base64.b64encode(value).rstrip(b"=")
    for number in range(0, len(key), 4):
        word = key[number:number + 4]
        for order in ("little", "big"):
            forms.setdefault("decimal words", b"")
            forms[f"word {number // 4} in decimal, {order}"] = str(int.from_bytes(word, order)).encode()
    del forms["decimal words"]
    return forms


def find_key(key: bytes, paths: Iterable[Path]) -> list[str]:
    """Where the key occurs in files and in the members of ZIP archives: "file: form"; empty when it does not.

    Single 32-bit words are only looked for in text, where a number of ten digits is no coincidence; in binary files the
    whole key counts.
    """
    forms = key_forms(key)
    found = []
    for path in paths:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    found += [f"{path.name}/{member}: {f}" for f in _forms_in(archive.read(member), forms)]
        found += [f"{path}: {f}" for f in _forms_in(path.read_bytes(), forms)]
    return found


def _forms_in(data: bytes, forms: dict[str, bytes]) -> list[str]:
    text = b"\0" not in data
    lowered = data.lower()
    out = []
    for name, form in forms.items():
        if name.startswith("word "):
            if text and len(form) >= 9 and form in data:
                out.append(name)
        elif form in data or (name.startswith("hexadecimal") and form in lowered):
            out.append(name)
    return out
