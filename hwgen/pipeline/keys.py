"""The key of a build: the user's key file, or a development key kept beside the build directory, never inside it."""

from __future__ import annotations

from pathlib import Path

from hwgen.errors import HwgenError
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.saved import SavedBuild
from hwgen.seal import Key, load_key, load_or_generate_key


def development_name(out: Path) -> str:
    """Name of the development key of a build made in ``out``."""
    return f"{out.name}.development.key"


def key_path(request: BuildRequest) -> Path:
    """Where the build's key is: the build directory is handed on, its neighbour is not."""
    out = request.out.resolve()
    return request.key_file or out.with_name(development_name(out))


def build_key(request: BuildRequest, bits: int) -> Key:
    """The key; generated once if the user gave none."""
    if request.key_file is not None:
        return load_key(request.key_file, bits=bits)
    return load_or_generate_key(key_path(request), bits=bits)[0]


def finished_key(saved: SavedBuild, given: Path | None, bits: int) -> Key:
    """The key of a finished build; never a new one, which could only be wrong.

    Args:
        given: key file that the user names now.

    Raises:
        HwgenError: there is none where it was recorded, nor beside the directory if that was moved.
    """
    if given is not None:
        return load_key(given, bits=bits)
    if saved.key_file is not None:
        places = [saved.key_file, saved.folder.with_name(saved.key_file.name)]
    else:
        name = development_name(saved.out)
        places = [saved.folder.with_name(name), saved.folder.with_name(development_name(saved.folder)),
                  saved.out.with_name(name)]
    for place in places:
        if place.is_file():
            return load_key(place, bits=bits)
    raise HwgenError(f"key not found: {' or '.join(dict.fromkeys(map(str, places)))}", where=str(saved.folder),
                     hint="name the key that the image was sealed with: --key-file FILE")
