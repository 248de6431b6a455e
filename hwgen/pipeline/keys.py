"""The key of a build: the user's key file, or a development key kept beside the build directory, never inside it."""

from __future__ import annotations

from pathlib import Path

from hwgen.pipeline.request import BuildRequest
from hwgen.seal import Key, load_key, load_or_generate_key


def key_path(request: BuildRequest) -> Path:
    """Where the build's key is: the build directory is handed on, its neighbour is not."""
    return request.key_file or request.out.with_name(f"{request.out.name}.development.key")


def build_key(request: BuildRequest, bits: int) -> Key:
    """The key; generated once if the user gave none."""
    if request.key_file is not None:
        return load_key(request.key_file, bits=bits)
    return load_or_generate_key(key_path(request), bits=bits)[0]
