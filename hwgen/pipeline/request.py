"""What the user asked for, complete and checked: the one input of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from hwgen.config.names import unknown_name
from hwgen.errors import HwgenError
from hwgen.stream.choose import STYLES


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """A build.

    Args:
        model: name of the zoo, path of a recipe (.toml) or of an ONNX file (.onnx).
        board: name or path of a board file.
        out: build directory.
        weights: checkpoint used instead of the recipe's (.safetensors).
        data: folder with the data set in its public layout; without it, recorded evaluation and sample images.
        config: JSON file with an accelerator configuration; without it, the search chooses.
        compress: decompose dense convolutions by TT-SVD until the network has so many times fewer MACs; 0: as it is.
        objective: what the search optimises (see ``hwgen.search.objectives``).
        style: "engine" (one array, layer after layer), "stream" (an engine per layer, all at once), or "auto":
            whichever the objective favours.
        fps: frames a second that a streaming pipeline must reach, with the fewest resources; 0: as many as the board
            allows.
        encrypt: "all", "none", a fraction such as "0.5", layer names separated by commas, "@FILE": a selection made
            by ``hwgen seal``, or "attack": the build makes one; "": as the recipe says.
        protect_activations: feature maps that do not fit on the chip are encrypted and authenticated in memory;
            otherwise as the recipe says.
        key_file: root key, 16 or 32 bytes in hexadecimal; without it, a development key is generated beside ``out``.
        frames: images of the proof, at least 2.
        seed: of the choice of images and of the simulation's initial state.
        waves: write an FST wave dump.
        dump_layers: compare every layer's tensor, not only the outputs.
        measure_crypto: simulate once more with the crypto unit bypassed, to report ``cycles_added``.
        prove: run the simulation; without it the report says "not verified".
        synthesise: synthesise every module with Yosys for the resource table.
        evaluate_images: test images of the accuracy figures; 0 means all.
    """

    model: str
    board: str
    out: Path
    weights: Path | None = None
    data: Path | None = None
    config: Path | None = None
    compress: float = 0.0
    objective: str = "latency"
    style: str = "engine"
    fps: float = 0.0
    encrypt: str = ""
    protect_activations: bool = False
    key_file: Path | None = None
    frames: int = 2
    seed: int = 1
    waves: bool = False
    dump_layers: bool = False
    measure_crypto: bool = True
    prove: bool = True
    synthesise: bool = False
    evaluate_images: int = 0

    def __post_init__(self) -> None:
        check_frames(self.frames, self.seed)
        if self.compress and not (isfinite(self.compress) and self.compress > 1):
            raise HwgenError(f"{self.compress:g} is not possible", where="--compress",
                             allowed="a number above 1: so many times fewer MACs; 0: as the recipe says")
        if self.style not in STYLES:
            raise unknown_name("style", self.style, STYLES)
        if self.fps and not (isfinite(self.fps) and self.fps > 0 and self.style != "engine"):
            raise HwgenError(f"{self.fps:g} is not possible", where="--fps", allowed="a number above 0, of a streaming "
                             "pipeline (--style stream or auto)")
        for option, path in (("--weights", self.weights), ("--config", self.config), ("--key-file", self.key_file)):
            if path is not None and not path.is_file():
                raise HwgenError(f"file {str(path)!r} does not exist", where=option)
        if self.encrypt.startswith("@") and not Path(self.encrypt[1:]).is_file():
            raise HwgenError(f"selection {self.encrypt[1:]!r} does not exist", where="--encrypt",
                             hint="hwgen seal writes one")
        if self.data is not None and not self.data.is_dir():
            raise HwgenError(f"folder {str(self.data)!r} does not exist", where="--data")
        if self.evaluate_images < 0:
            raise HwgenError(f"{self.evaluate_images} is not possible", where="--images", allowed="0 (all) or more")


def check_frames(frames: int, seed: int) -> None:
    """Refuse too few images for a proof, and a seed that no generator takes."""
    if frames < 2:
        raise HwgenError(f"{frames} is too few", where="--frames", allowed="2 or more: an error that only "
                         "shows from the second frame on must be seen")
    if seed < 0:
        raise HwgenError(f"{seed} is not possible", where="--seed", allowed="0 or more")
