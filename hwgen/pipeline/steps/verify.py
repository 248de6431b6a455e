"""Step ``verify``: the whole network in simulation, every element compared; once more without crypto for its cost."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwgen.config.accelerator import Crypto
from hwgen.config.board import load_board
from hwgen.errors import VerificationError
from hwgen.image.sealer import Unsealed
from hwgen.image.writer import build_image
from hwgen.pipeline.keys import build_key
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.compile import compiled
from hwgen.pipeline.steps.rtl import TOP, VERILOG
from hwgen.pipeline.steps.seal import IMAGE
from hwgen.pipeline.steps.search import load_system
from hwgen.pipeline.steps.vectors import load_vectors
from hwgen.pipeline.store import write_json

if TYPE_CHECKING:
    from hwgen.verify.proof import Proof

PROOF, WAVES = "proof.json", "waves.fst"
#: the first frame, and the one after it
STATES = ("cold", "steady")


def run(context: StepContext) -> dict[str, Any]:
    """Write the proof; VerificationError (exit code 3) if a single element differs."""
    from hwgen.verify.proof import Job, memory_timing, prove
    from hwgen.verify.rows import rows_of
    from rtl_templates.verilog import generate

    request = context.request
    network, _ = compiled(context.results, request)
    inputs, expected, described = load_vectors(context)
    config, system = network.config, load_system(context.results["search"])
    key = build_key(request, config.aes_key_bits) if config.crypto is Crypto.GCM else None
    job = Job(
        config=system, verilog=(context.results["rtl"] / VERILOG).read_text(encoding="utf-8"),
        image=context.results["seal"] / IMAGE, key=key.reveal() if key else b"", inputs=inputs,
        memory=memory_timing(load_board(request.board)), seed=request.seed, cache=context.cache,
        waves=context.out / WAVES if request.waves else None)
    context.progress(f"{len(inputs)} frames on the simulated accelerator (the simulator is compiled once)")
    proof = _equal(prove(job, expected, described["output"]), "verify")
    values = proof.to_dict()
    bypass = None
    if request.measure_crypto and config.crypto is Crypto.GCM:
        context.progress("the same engine and schedule without the crypto unit, to measure what it costs")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / IMAGE
            plain = replace(network, config=config.replace(crypto=Crypto.BYPASS))
            image.write_bytes(build_image(plain, Unsealed()))
            verilog = generate(plain.config, TOP)
            other = replace(job, config=plain.config, verilog=verilog, image=image, key=b"", waves=None)
            without = _equal(prove(other, expected, described["output"]), "verify, without the crypto unit")
            bypass = [c["cycles"] for c in without.counters]
    cycles = [c["cycles"] for c in proof.counters]
    together = proof.together
    at_once = ""
    if together is not None:
        at_once = f", {together.cycles / together.frames:,.0f} per frame with all {together.engines} engines at work"
    values |= {"cycles": cycles, "bypass_cycles": bypass, "cycles_added": cycles[0] - bypass[0] if bypass else None,
               "images": described["origin"],
               "rows": {state: rows_of(rows, network) for state, rows in zip(STATES, proof.rows, strict=False)}}
    write_json(context.out / PROOF, values)
    if proof.batch is not None:
        at_once = f", {proof.batch.interval:,} from frame to frame"
    added = f", crypto adds {cycles[0] - bypass[0]:+,}" if bypass else ""
    summary = {k: v for k, v in values.items() if k not in ("counters", "rows")}
    return {"text": f"{proof.comparison.elements:,} values of {proof.frames} frames equal; {cycles[0]:,} cycles cold, "
                    f"{cycles[-1]:,} steady{at_once}{added}", **summary}


def _equal(proof: Proof, where: str) -> Proof:
    """``proof``; VerificationError if an element differs."""
    if proof.comparison.mismatches:
        raise VerificationError(
            f"{proof.comparison.mismatches:,} of {proof.comparison.elements:,} elements differ", where=where,
            hint=f"first: {proof.comparison.first}")
    return proof


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Everything that decides the simulation besides image, hardware and vectors."""
    board = load_board(request.board)
    return {"seed": request.seed, "waves": request.waves, "crypto": request.measure_crypto,
            "memory": [board.bytes_per_cycle, board.latency_cycles]}


STEP = Step(
    name="verify", title="proving in simulation", needs=("quantise", "search", "seal", "rtl", "vectors"),
    inputs=inputs, run=run, wanted=lambda request: request.prove,
    code=("hwgen_sim", "hwgen.driver", "hwgen.image", "hwgen.verify", "hwgen.compiler", "rtl_templates",
          "hwgen.pipeline.steps.verify"),
)
