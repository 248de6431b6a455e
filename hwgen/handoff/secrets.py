"""Look for a key in files, in every form in which it is likely to have slipped through."""

from __future__ import annotations

import base64
import re
import zipfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

#: numbers as programs, lists and Verilog write them; groups: hexadecimal, decimal
_NUMBER = re.compile(rb"(?:0[xX]|[0-9]*'[sS]?[hH])([0-9a-fA-F_]+)|(?<![0-9a-zA-Z_.])([0-9]+)(?![0-9a-zA-Z_.])")
_SEPARATED = re.compile(rb"(?<=[0-9a-fA-F]{2})[\s:,;\-_.]+(?=[0-9a-fA-F]{2})")


def _orders(key: bytes) -> dict[str, bytes]:
    """The key's bytes in the orders in which memories, registers and buses have them."""
    orders = {"": key, " reversed": key[::-1]}
    for size in (4, 8):
        swapped = b"".join(key[i:i + size][::-1] for i in range(0, len(key), size))
        orders |= {f" with {8 * size}-bit words reversed": swapped,
                   f" with {8 * size}-bit words last first": swapped[::-1]}
    return orders


def _base64(value: bytes) -> dict[str, bytes]:
    """What base64 makes of the value, alone and in the midst of other bytes."""
    forms = {}
    for before in range(3):
        first, last = -(-8 * before // 6), 8 * (before + len(value)) // 6
        text = base64.b64encode(bytes(before) + value)[first:last]
        forms[f"base64, {before} bytes into a group"] = text
        forms[f"base64 for addresses, {before} bytes into a group"] = text.replace(b"+", b"-").replace(b"/", b"_")
    return forms


def key_forms(key: bytes) -> dict[str, bytes]:
    """Byte strings that give the key away, by name: raw, hexadecimal, base64, base32, as one number and as bits, in
    every order of bytes and words."""
    forms: dict[str, bytes] = {}
    for order, value in _orders(key).items():
        forms[f"raw{order}"] = value
        forms[f"hexadecimal{order}"] = value.hex().encode()
        forms |= {f"{name}{order}": text for name, text in _base64(value).items()}
        forms[f"base32{order}"] = base64.b32encode(value).rstrip(b"=")[:8 * len(value) // 5]
        forms[f"one decimal number{order}"] = str(int.from_bytes(value, "big")).encode()
        forms[f"bits{order}"] = f"{int.from_bytes(value, 'big'):0{8 * len(value)}b}".encode()
    return forms


def _lists(key: bytes) -> dict[str, tuple[int, ...]]:
    """The key as a list of bytes or words: C arrays, register writes, Python lists. Not of bytes if it just counts
    (0, 1, 2, ...) as keys of examples do: such lists are everywhere."""
    counts = len({after - before for before, after in pairwise(key)}) == 1
    return {f"a list of {8 * size}-bit numbers{order}":
            tuple(int.from_bytes(value[i:i + size], "big") for i in range(0, len(key), size))
            for order, value in _orders(key).items() for size in ((4, 8) if counts else (1, 4, 8))}


def find_key(key: bytes, paths: Iterable[Path]) -> list[str]:
    """Where the key occurs in files and in the members of ZIP archives: "file: form"; empty when it does not.

    Lists of numbers are only looked for in text; in binary files the whole key counts.
    """
    forms, lists = key_forms(key), _lists(key)
    found = []
    for path in paths:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    found += [f"{path.name}/{member}: {f}" for f in _forms_in(archive.read(member), forms, lists)]
        found += [f"{path}: {f}" for f in _forms_in(path.read_bytes(), forms, lists)]
    return found


def _forms_in(data: bytes, forms: dict[str, bytes], lists: dict[str, tuple[int, ...]]) -> list[str]:
    out = [name for name, form in forms.items() if form in data]
    if b"\0" in data:
        return out
    hexadecimal = {name: form for name, form in forms.items() if name.startswith("hexadecimal")}
    lowered = data.lower()
    joined = _SEPARATED.sub(b"", lowered)  # 00:11:22 or 00 11 22
    out += [name for name, form in hexadecimal.items()
            if name not in out and (form in lowered or form in joined)]
    numbers = [int(digits.replace(b"_", b"") or b"0", 16) if digits else int(decimal) if len(decimal) <= 20 else -1
               for digits, decimal in _NUMBER.findall(data)]
    places: dict[int, list[int]] = {}
    wanted = {values[0] for values in lists.values()}
    for place, number in enumerate(numbers):
        if number in wanted:
            places.setdefault(number, []).append(place)
    out += [name for name, values in lists.items()
            if any(tuple(numbers[at:at + len(values)]) == values for at in places.get(values[0], ()))]
    return out
