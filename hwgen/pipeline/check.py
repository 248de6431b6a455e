"""What can be refused before the first step: minutes of work must not end at a misspelt option."""

from __future__ import annotations

import os
from pathlib import Path

from hwgen.config.board import load_board
from hwgen.data.registry import require_dataset
from hwgen.errors import HwgenError
from hwgen.pipeline.encryption import BY_ATTACK, attacker, selection_path
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import ModelSource, model_source
from hwgen.pipeline.steps.search import key_bits
from hwgen.seal import check_choice, load_key, load_selection
from hwgen.search.objectives import objective
from hwgen.zoo.recipe import SealSpec


def check_request(request: BuildRequest) -> None:
    """Check every option as far as that is possible without reading the model; writes nothing.

    Raises:
        HwgenError: names the option or file.
    """
    source = model_source(request)
    load_board(request.board)
    objective(request.objective)
    text = request.encrypt.strip()
    selection, against = selection_path(request, source), attacker(request, source)
    if against is not None:
        _check_attacker(request, source, against)
    elif selection is not None:
        load_selection(selection)
    elif text:
        check_choice(text)
    bits = key_bits(request)
    if request.key_file is not None:
        load_key(request.key_file, bits=bits)
    if request.data is not None:
        _check_data(source, request.data)


def _check_attacker(request: BuildRequest, source: ModelSource, against: SealSpec) -> None:
    """A selection takes hours: what it needs is there before it begins."""
    from hwgen.ttseal.settings import settings_of
    from hwgen.ttseal.transfer import require_library

    if source.recipe is None:
        raise HwgenError("an ONNX file does not say how its images are prepared, so it cannot be attacked",
                         where=f"--encrypt {BY_ATTACK}", hint="write a recipe with [input] for it")
    if request.data is None:
        raise HwgenError("choosing what is encrypted by attacks needs images", where=f"encrypt: {BY_ATTACK}",
                         hint="--data FOLDER, or another --encrypt: all, none, @FILE made by hwgen seal")
    try:
        settings = settings_of(against)
    except HwgenError as error:
        raise HwgenError(error.what, where=f"{source.recipe.path}: encrypt.attack", allowed=error.allowed) from error
    if not (settings.importance_images and settings.validation_images):
        raise HwgenError("a selection needs images for the importances and for validation",
                         where=f"{source.recipe.path}: encrypt.attack", allowed="1 or more of each")
    if settings.transfer is not None:
        require_library()


def _check_data(source: ModelSource, data: Path) -> None:
    if source.recipe is None:
        raise HwgenError("an ONNX file does not say how its images are prepared", where="--data",
                         hint="write a recipe with [input] for it, or build without --data")
    for split in ("train", "test"):  # calibration and evaluation
        require_dataset(source.recipe.input.dataset, data, split)


def check_file_target(path: Path, option: str) -> None:
    """HwgenError unless a file can be written there."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise HwgenError(f"folder {str(folder)!r} does not exist", where=option)
    if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
        raise HwgenError(f"{str(path)!r} cannot be written", where=option)


def make_folder(path: Path, option: str) -> Path:
    """The folder, made if it is not there; HwgenError if it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HwgenError(f"folder {str(path)!r} cannot be made: {error.strerror}", where=option) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise HwgenError(f"folder {str(path)!r} cannot be written", where=option)
    return path
