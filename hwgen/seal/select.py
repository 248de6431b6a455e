"""Which layers are encrypted: everything, nothing, a share of the bytes, or layers by name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence

from hwgen.errors import HwgenError

ALLOWED = 'all, none, a share of the bytes ("25%" or 0.25), or names of layers'


def select_encrypted(choice: str | float | Sequence[str], layers: Mapping[str, int]) -> tuple[str, ...]:
    """The layers to encrypt, in layer order.

    Args:
        choice: "all"; "none"; a share of the bytes, as a number from 0 to 1 or a text such as "0.25" or "25%"; names of
            layers, as a sequence or separated by commas. A layer called "all" or "none" can be chosen by a sequence.
        layers: bytes per layer, in the order in which the layers run.

    A share is filled in layer order: a layer is chosen as long as those before it hold less than the share, so 0
    chooses nothing, 1 everything that has bytes, and a larger share never drops a layer.

    Raises:
        HwgenError: unknown names (with the nearest ones), or a share outside 0 .. 1.
    """
    if isinstance(choice, str):
        text = choice.strip()
        if text == "all":
            return tuple(layers)
        if text == "none":
            return ()
        share = _share(text)
        if share is None:
            return _named([name.strip() for name in text.split(",") if name.strip()], layers)
        return _filled(share, layers)
    if isinstance(choice, (int, float)):
        return _filled(float(choice), layers)
    return _named(choice, layers)


def check_choice(text: str) -> None:
    """HwgenError for a choice that no network can have: a share outside 0 .. 1, an empty or malformed name."""
    text = text.strip()
    if text in ("all", "none"):
        return
    share = _share(text)
    if share is not None:
        _filled(share, {})
        return
    for name in text.split(","):
        if not name.strip() or name.strip().startswith("@") or name.strip().endswith("%"):
            raise HwgenError(f"{text!r} cannot be understood", where="encrypt", allowed=ALLOWED)


def _share(text: str) -> float | None:
    """A share written as a number or percentage; None for anything else."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def _filled(share: float, layers: Mapping[str, int]) -> tuple[str, ...]:
    if not (math.isfinite(share) and 0 <= share <= 1):
        raise HwgenError(f"a share of {share}", where="encrypt", allowed=ALLOWED)
    goal = share * sum(layers.values())
    chosen: list[str] = []
    taken = 0
    for name, size in layers.items():
        if taken >= goal:
            break
        if size:
            chosen.append(name)
            taken += size
    return tuple(chosen)


def _named(names: Sequence[str], layers: Mapping[str, int]) -> tuple[str, ...]:
    for name in names:
        if name not in layers:
            near = difflib.get_close_matches(name, layers, n=3, cutoff=0.4) or list(layers)[:3]
            raise HwgenError(f"no layer is called {name!r}", where="encrypt", allowed=ALLOWED,
                             hint=f"nearest names: {', '.join(near)}")
    if not names:
        raise HwgenError("nothing is named", where="encrypt", allowed=ALLOWED)
    return tuple(name for name in layers if name in set(names))
