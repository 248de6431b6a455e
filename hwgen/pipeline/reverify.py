"""Prove a finished build again: other frames, another seed, a wave dump, or another image file."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hwgen.config.accelerator import Crypto
from hwgen.config.board import load_board
from hwgen.errors import HwgenError, VerificationError
from hwgen.image.reader import read_image
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.images import data_images, sample_images
from hwgen.pipeline.keys import build_key
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.steps.quantise import QUANTISED
from hwgen.pipeline.steps.rtl import VERILOG
from hwgen.pipeline.steps.seal import IMAGE
from hwgen.pipeline.steps.search import load_config
from hwgen.pipeline.store import BuildStore, write_json

REQUEST = "request.json"
_PATHS = ("out", "weights", "data", "config", "key_file")


def save_request(request: BuildRequest) -> None:
    """Keep the request of a build in its directory, for later proofs."""
    values = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(request).items()}
    write_json(request.out / REQUEST, values)


def load_request(folder: Path) -> BuildRequest:
    """The request of a finished build; HwgenError if the folder holds none."""
    path = folder / REQUEST
    if not path.is_file():
        raise HwgenError(f"holds no build ({REQUEST} is missing)", where=str(folder), hint="run 'hwgen build' first")
    values = json.loads(path.read_text(encoding="utf-8"))
    for name in _PATHS:
        if values[name] is not None:
            values[name] = Path(values[name])
    return BuildRequest(**{**values, "out": folder})


@dataclass(frozen=True, kw_only=True)
class Again:
    """What is different from the build's own proof.

    Args:
        frames, seed, data, key_file: as in ``BuildRequest``.
        image: image file instead of the build's.
        tamper: number of a stored payload bit to change, with the file's checksums made right again.
        waves: FST file to write.
        cache: folder of compiled simulators.
    """

    cache: Path
    frames: int = 2
    seed: int = 1
    data: Path | None = None
    key_file: Path | None = None
    image: Path | None = None
    waves: Path | None = None
    tamper: int | None = None


def reverify(folder: Path, again: Again) -> dict[str, Any]:
    """Run the proof on the artefacts of a finished build; nothing in the build directory changes.

    Raises:
        HwgenError: no finished build, an unreadable image, or the simulated hardware refused the image (exit code 5).
        VerificationError: an element differs (exit code 3).
    """
    from hwgen.verify.expected import expected_tensors, integer_inputs
    from hwgen.verify.mutate import tamper
    from hwgen.verify.proof import Job, memory_timing, prove

    request = load_request(folder)
    store = BuildStore(folder)
    for step in ("search", "quantise", "seal", "rtl"):
        if store.record(step) is None:
            raise HwgenError(f"step {step!r} is not complete", where=str(folder), hint="finish 'hwgen build' first")
    if again.key_file is not None:
        request = replace(request, key_file=again.key_file)
    config = load_config(folder / "search")
    graph = load_graph(folder / "quantise" / QUANTISED)
    image = again.image or folder / "seal" / IMAGE
    dumps = [d["name"] for d in read_image(image).metadata["dumps"]]
    source = model_source(request)
    if again.data is not None:
        images = data_images(source, again.data, "test", count=again.frames, seed=again.seed)
    else:
        images = sample_images(source, graph.input_node().shape, again.frames, again.seed)
    inputs = integer_inputs(graph, images.pixels)
    expected = expected_tensors(graph, inputs, dumps)
    with tempfile.TemporaryDirectory() as scratch:
        if again.tamper is not None:
            changed = Path(scratch) / IMAGE
            changed.write_bytes(tamper(image.read_bytes(), again.tamper))
            image = changed
        job = Job(
            config=config, verilog=(folder / "rtl" / VERILOG).read_text(encoding="utf-8"), image=image,
            key=build_key(request, config.aes_key_bits).reveal() if config.crypto is Crypto.GCM else b"",
            inputs=inputs, memory=memory_timing(load_board(request.board)), seed=again.seed, cache=again.cache,
            waves=again.waves)
        proof = prove(job, expected, graph.output)
    values = {**proof.to_dict(), "images": images.origin}
    if proof.comparison.mismatches:
        raise VerificationError(
            f"{proof.comparison.mismatches:,} of {proof.comparison.elements:,} elements differ", where="verify",
            hint=f"first: {proof.comparison.first}")
    return values
