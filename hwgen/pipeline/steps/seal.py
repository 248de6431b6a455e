"""Step ``seal``: the model image, every segment authenticated, the chosen ones encrypted."""

from __future__ import annotations

from typing import Any

from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.isa.layout import LoadFlag
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.keys import build_key, key_path
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.compile import compiled
from hwgen.pipeline.steps.search import key_bits

IMAGE = "model.img"
#: version of images that this release makes, for the hardware's minimum-version register
IMAGE_VERSION = 1


def run(context: StepContext) -> dict[str, Any]:
    """Write the image."""
    network, encrypted = compiled(context.results, context.request)
    key = build_key(context.request, network.config.aes_key_bits)
    (context.out / IMAGE).write_bytes(build_image(network, sealer_for(network, key, IMAGE_VERSION)))
    total = sum(len(r.payload) for r in network.runs)
    hidden = sum(len(r.payload) for r in network.runs if r.flags >> LoadFlag.ENCRYPTED & 1)
    origin = "the key file" if context.request.key_file else f"a development key ({key_path(context.request).name})"
    text = f"{hidden:,} of {total:,} bytes encrypted, {network.segments} segments, AES-{key.bits}-GCM, {origin}"
    return {"text": text,
            "bytes_encrypted": hidden, "bytes_total": total, "segments": network.segments,
            "layers_encrypted": len(encrypted), "layers": len(network.layers)}


def prepare(request: BuildRequest) -> None:
    """Make a development key if there is none."""
    build_key(request, key_bits(request))


def inputs(request: BuildRequest) -> dict[str, Any]:
    """The key's identity, without showing the key."""
    path = key_path(request)
    return {"key": hash_file(path) if path.is_file() else "", "given": request.key_file is not None}


STEP = Step(
    name="seal", title="sealing", needs=("compile", "quantise", "search"), inputs=inputs, run=run,
    prepare=prepare,
    code=("hwgen.seal", "hwgen.image", "hwgen.compiler", "hwgen.pipeline.steps.seal"),
)
