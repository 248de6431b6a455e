"""The request of a build, kept in its directory: what was asked for, and where the key is."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwgen.errors import HwgenError
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.store import write_json

REQUEST = "request.json"
#: names ending so are files; everything else is a name of the zoo or of a board
_FILES = (".toml", ".onnx", ".safetensors")


@dataclass(frozen=True, kw_only=True)
class SavedBuild:
    """What later commands need of a request. Nothing is checked: its files may be gone, the directory moved.

    Args:
        folder: where the build is now; out: where it was made.
        model, board, key_file: as in ``BuildRequest``, paths absolute.
    """

    folder: Path
    out: Path
    model: str
    board: str
    key_file: Path | None

    @property
    def command(self) -> str:
        """The command that completes the build."""
        words = ["hwgen", "build", "--model", self.model, "--board", self.board, "--out", str(self.folder)]
        return f"{shlex.join(words)} (and the other options of that build)"


def save_request(request: BuildRequest) -> None:
    """Keep the request in the build directory; with absolute paths, so that it is the same from everywhere."""
    values: dict[str, Any] = {k: str(v.resolve()) if isinstance(v, Path) else v for k, v in asdict(request).items()}
    for name in ("model", "board"):
        if values[name].endswith(_FILES):
            values[name] = str(Path(values[name]).resolve())
    if request.encrypt.startswith("@"):
        values["encrypt"] = f"@{Path(request.encrypt[1:]).resolve()}"
    write_json(request.out / REQUEST, values)


def load_request(folder: Path) -> SavedBuild:
    """The request of a build; HwgenError if the folder holds none, or a damaged one."""
    path, again = folder / REQUEST, "run 'hwgen build' again"
    if not path.is_file():
        raise HwgenError(f"holds no build ({REQUEST} is missing)", where=str(folder), hint="run 'hwgen build' first")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        key = values["key_file"]
        return SavedBuild(folder=folder.resolve(), out=Path(values["out"]), model=str(values["model"]),
                          board=str(values["board"]), key_file=None if key is None else Path(key))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HwgenError(f"is damaged: {error!r}", where=str(path), hint=again) from error
