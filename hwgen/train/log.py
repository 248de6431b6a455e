"""The training log: one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class JsonLog:
    """Appends records to a JSON-lines file; every line is flushed, so a killed run leaves whole lines."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, **values: Any) -> None:
        """Append one record with its kind first."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, **values}) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """All records."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line.strip()]
