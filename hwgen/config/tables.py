"""Typed, checked access to a table read from a TOML or JSON file; every error names file and field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_NAME_RULE = "letters, digits and . _ : -, a letter or digit first"


def plain_name(text: str) -> bool:
    """Whether ``text`` means nothing but itself in Tcl, in a shell and as a file name."""
    return _NAME.fullmatch(text) is not None


def read_toml(path: Path) -> dict[str, Any]:
    """Parsed TOML file; HwgenError when it cannot be read or parsed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HwgenError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HwgenError(f"is not valid TOML: {error}", where=str(path)) from error


class Table:
    """One table of a file. ``close`` refuses fields that nobody asked for, so that a misspelt field never passes.

    Args:
        values: the parsed table.
        where: file and path of the table, for messages.
    """

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            raise HwgenError("must be a table", where=where)
        self._values: dict[str, Any] = values
        self._asked: set[str] = set()
        self.where = where

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        if key not in self._values:
            if default is None:
                raise HwgenError(f"field {key!r} is missing", where=self.where)
            return default
        return self._values[key]

    def _wrong(self, key: str, value: Any, allowed: str) -> HwgenError:
        return HwgenError(f"{value!r} is not possible", where=f"{self.where}.{key}", allowed=allowed)

    def table(self, key: str) -> Table:
        """A table below this one."""
        return Table(self._take(key, None), f"{self.where}.{key}")

    def text(self, key: str, *, choices: Iterable[str] = (), default: str | None = None) -> str:
        """A string, out of ``choices`` if given."""
        value, allowed = self._take(key, default), tuple(choices)
        if not isinstance(value, str) or (allowed and value not in allowed):
            raise self._wrong(key, value, ", ".join(allowed) or "text")
        return value

    def name(self, key: str, *, default: str | None = None) -> str:
        """A string that can stand in scripts and file names as it is: ``plain_name``, or the default."""
        value = self.text(key, default=default)
        if value != default and not plain_name(value):
            raise self._wrong(key, value, _NAME_RULE)
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """A list of at least one such string."""
        values = self.texts(key)
        for value in values:
            if not plain_name(value):
                raise self._wrong(key, value, _NAME_RULE)
        return values

    def integer(self, key: str, *, low: int = 0, high: int = 1 << 48) -> int:
        """An integer within [low, high]."""
        value = self._take(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"an integer, {low}..{high}")
        return value

    def number(self, key: str, *, low: float = 0.0, high: float = 1e9) -> float:
        """A number within [low, high]."""
        value = self._take(key, None)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, value, f"a number, {low:g}..{high:g}")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of at least one string."""
        value = self._take(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            raise self._wrong(key, value, "a list of names")
        return tuple(value)

    def strings(self) -> dict[str, str]:
        """The whole table as strings."""
        for key, value in self._values.items():
            if not isinstance(value, str) or not value.strip():
                raise self._wrong(key, value, "text")
        self._asked |= set(self._values)
        return dict(self._values)

    def close(self) -> None:
        """HwgenError if a field was never asked for."""
        for key in self._values:
            if key not in self._asked:
                raise HwgenError(f"unknown field {key!r}", where=self.where, allowed=", ".join(sorted(self._asked)))
