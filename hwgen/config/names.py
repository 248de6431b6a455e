"""Offer the nearest valid names when a name is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from hwgen.errors import HwgenError


def unknown_name(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> HwgenError:
    """The error for an unknown ``kind`` ("board", "model" …): offers close names, lists all."""
    choices = sorted(known)
    lowered = {c.lower(): c for c in choices}
    close = [lowered[c] for c in difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.5)]
    offer = f"did you mean {' or '.join(close)}?" if close else ""
    return HwgenError(f"unknown {kind} {name!r}", allowed=", ".join(choices) or f"no {kind} is installed",
                      hint=" ".join(t for t in (offer, hint) if t))
