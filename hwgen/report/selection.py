"""How strong the attack was against which a selection of encrypted cores was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def selection_text(summary: Mapping[str, Any]) -> str:
    """One line; ``summary`` is that of the selection's file, which may hold anything."""
    queries, seeds, holds, steps = (summary.get(name) for name in ("queries", "seeds", "holds", "steps"))
    if not isinstance(queries, int) or not isinstance(seeds, int) or not isinstance(holds, bool):
        return "selected, but the file does not say against which attack"
    verdict = "held" if holds else "DID NOT HOLD"
    training = f" and {steps:,} steps" if isinstance(steps, int) else ""
    return f"selected; {verdict} against substitutes trained with {queries:,} queries{training} each ({seeds} seeds)"
