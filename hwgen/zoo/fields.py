"""Reading TOML tables into frozen dataclasses: types checked, unknown keys refused, errors name file and field."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from hwgen.errors import HwgenError

T = TypeVar("T")


def read_table(kind: type[T], table: object, where: str) -> T:
    """Build dataclass ``kind`` from a TOML table.

    Fields may be bool, int, float, str, ``X | None``, ``Literal``, tuples of these, and dataclasses again. Integers are
    accepted where floats are expected. Ranges are the business of ``__post_init__``, which raises ``ValueError`` with a
    message that begins with the field's name.

    Raises:
        HwgenError: wrong type, missing or unknown key, value out of range; ``where`` says in which file and table.
    """
    if not isinstance(table, dict):
        raise HwgenError(f"must be a table, not {table!r}", where=where)
    known = {f.name: f for f in dataclasses.fields(kind) if f.init}  # pyright: ignore[reportArgumentType]
    for key in table:
        if key not in known:
            raise HwgenError(f"unknown key {key!r}", where=where, allowed=", ".join(known))
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for name, item in known.items():
        if name in table:
            values[name] = _convert(hints[name], table[name], f"{where}.{name}")
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise HwgenError(f"key {name!r} is missing", where=where)
    try:
        return kind(**values)
    except ValueError as error:
        raise HwgenError(str(error), where=where) from error


def _convert(hint: Any, value: object, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise HwgenError(f"{value!r} is not possible", where=where, allowed=", ".join(map(repr, arguments)))
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise HwgenError(f"must be a list, not {value!r}", where=where)
        if arguments[-1] is Ellipsis:
            return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
        if len(arguments) != len(value):
            raise HwgenError(f"must have {len(arguments)} entries, not {len(value)}", where=where)
        pairs = zip(arguments, value, strict=True)
        return tuple(_convert(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(pairs))
    if origin is dict:
        if not isinstance(value, dict):
            raise HwgenError(f"must be a table, not {value!r}", where=where)
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return read_table(typing.cast("type[Any]", hint), value, where)
    accepted = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise HwgenError(f"must be {hint.__name__}, not {value!r}", where=where)
    return float(value) if hint is float and isinstance(value, int | float) else value
