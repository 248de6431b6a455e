"""Prove a finished build again: other frames, another seed, a wave dump, or another image file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from hwgen.config.accelerator import Crypto
from hwgen.errors import HwgenError, VerificationError
from hwgen.image.reader import read_image
from hwgen.pipeline.chain import check_chain
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.images import data_images_of, sample_images_of
from hwgen.pipeline.keys import finished_key
from hwgen.pipeline.request import check_frames
from hwgen.pipeline.saved import load_request
from hwgen.pipeline.steps.frontend import load_input
from hwgen.pipeline.steps.quantise import QUANTISED
from hwgen.pipeline.steps.rtl import VERILOG
from hwgen.pipeline.steps.seal import IMAGE
from hwgen.pipeline.steps.search import load_memory, load_system

#: what the proof is made from; all they were made from must belong to the same build
_STEPS = ("frontend", "search", "quantise", "seal", "rtl")


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

    def __post_init__(self) -> None:
        check_frames(self.frames, self.seed)
        if self.tamper is not None and self.tamper < 0:
            raise HwgenError(f"{self.tamper} is not possible", where="--tamper", allowed="number of a bit, from 0")
        if self.data is not None and not self.data.is_dir():
            raise HwgenError(f"folder {str(self.data)!r} does not exist", where="--data")
        if self.image is not None and not self.image.is_file():
            raise HwgenError(f"file {str(self.image)!r} does not exist", where="--image")
        if self.waves is not None and not self.waves.resolve().parent.is_dir():
            raise HwgenError(f"folder {str(self.waves.parent)!r} does not exist", where="--waves")


def reverify(folder: Path, again: Again) -> dict[str, Any]:
    """Run the proof on the artefacts of a finished build; nothing in the build directory changes.

    Raises:
        HwgenError: no finished build, steps of different builds, no key, an unreadable image, or the simulated hardware
            refused the image (exit code 5).
        VerificationError: an element differs (exit code 3).
    """
    from hwgen.verify.expected import expected_tensors, integer_inputs
    from hwgen.verify.mutate import tamper
    from hwgen.verify.proof import Job, prove
    from hwgen_sim.simulate import MemoryTiming

    saved = load_request(folder)
    check_chain(folder, _STEPS)
    system = load_system(folder / "search")
    config = system.engine
    key = finished_key(saved, again.key_file, config.aes_key_bits).reveal() if config.crypto is Crypto.GCM else b""
    per_cycle, latency = load_memory(folder / "search")
    graph = load_graph(folder / "quantise" / QUANTISED)
    image = again.image or folder / "seal" / IMAGE
    dumps = [d["name"] for d in read_image(image).metadata["dumps"]]
    spec = load_input(folder / "frontend")
    if again.data is not None:
        images = data_images_of(spec, again.data, "test", count=again.frames, seed=again.seed)
    else:
        images = sample_images_of(spec, again.frames, again.seed)
    inputs = integer_inputs(graph, images.pixels)
    expected = expected_tensors(graph, inputs, dumps)
    with tempfile.TemporaryDirectory() as scratch:
        if again.tamper is not None:
            changed = Path(scratch) / IMAGE
            changed.write_bytes(tamper(image.read_bytes(), again.tamper))
            image = changed
        job = Job(
            config=system, verilog=(folder / "rtl" / VERILOG).read_text(encoding="utf-8"), image=image, key=key,
            inputs=inputs, memory=MemoryTiming(bytes_per_cycle=Fraction(per_cycle).limit_denominator(1000),
                                               read_latency=latency),
            seed=again.seed, cache=again.cache, waves=again.waves)
        proof = prove(job, expected, graph.output)
    values = {**proof.to_dict(), "images": images.origin}
    if proof.comparison.mismatches:
        raise VerificationError(
            f"{proof.comparison.mismatches:,} of {proof.comparison.elements:,} elements differ", where="verify",
            hint=f"first: {proof.comparison.first}")
    return values
