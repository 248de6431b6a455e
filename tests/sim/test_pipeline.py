"""Streaming pipelines as whole accelerators in simulation: real images, memory with pauses, batches, planted faults."""

from __future__ import annotations

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig, DspPacking
from hwgen.golden.execute import run_all
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.quantize.bounds import required_acc_bits
from hwgen.seal import Key
from hwgen.stream.compile import compile_pipeline, pipeline_config
from hwgen.stream.play import interval
from hwgen.stream.queues import with_queues
from hwgen.stream.shapes import folded, stages_of
from hwgen.verify.mutate import flip_weight_bit, tamper
from hwgen_sim.simulate import MemoryTiming, run_job
from rtl_templates.shell.error_codes import ErrorCode
from rtl_templates.verilog import generate
from tests.helpers.random_graphs import GraphBuilder, random_image
from tests.helpers.zeroised import watched

pytestmark = pytest.mark.slow
KEY = Key(bytes(range(1, 17)))
#: pauses on every channel of the memory
MEMORY = MemoryTiming(bytes_per_cycle=12, stall=0.2, read_latency=40)
FRAMES = 5
#: modules that hold what was decrypted, in every stage
SECRETS = r"hwgen_accelerator\.engine\.stage_\d+_\w+\.(?:weights|records)\$\d+\.piece_\d+"


def network():
    """Every kind of stage: stem, residual blocks with and without a convolution in the short way, depthwise, pools, an
    addition of its own, a chain of thin kernels, a layer over the whole map."""
    b = GraphBuilder(np.random.default_rng(7), (3, 12, 10))
    x = b.conv("input", 6)
    y = b.conv(x, 6)
    x = b.conv(y, 6, residual=x)
    y = b.conv(x, 8, (3, 3), (2, 2), padding=(1, 1, 1, 1))
    short = b.conv(x, 8, (1, 1), (2, 2), padding=(0, 0, 0, 0))
    x = b.conv(b.conv(y, 8, groups=8), 8, (1, 1), residual=short)
    y = b.conv(x, 5, (1, 1))
    y = b.conv(y, 5, (3, 1), padding=(1, 1, 0, 0))
    y = b.conv(y, 8, (1, 3), padding=(0, 0, 1, 1))
    x = b.add(y, x)
    x = b.max_pool(x, (2, 2), (2, 2), (0, 0, 0, 1))
    x = b.conv(x, 7, (3, 3), padding=(0, 0, 0, 0), raw=False)
    b.conv(x, 9, (1, 1), raw=True)
    return b.graph("every_stage")


def configuration(graph, tile=(1, 1), **changes):
    """Foldings of all sorts: one multiplier, odd slices, several lanes; serial channels wherever that is possible."""
    stages = [folded(s, [2, 4, 1, 2][n % 4] if s.out_channels >= 4 else 1, min([5, 9, 6, 54][n % 4], s.window_values))
              for n, s in enumerate(stages_of(graph, tile))]
    stages = [s.replace(serial=s.can_be_serial) for s in stages]
    return with_queues(pipeline_config(stages, AcceleratorConfig(aes_cycles=5, **changes), required_acc_bits(graph)))


@pytest.fixture(scope="module")
def built():
    """Graph, configuration, Verilog, frames and what must come out."""
    graph = network()
    config = configuration(graph)
    frames = random_image(np.random.default_rng(3), graph, FRAMES)
    wanted = run_all(graph, frames, keep={graph.output})[graph.output]
    return graph, config, watched(generate(config), SECRETS), frames, wanted


def run(built, image, tmp_path, batches, **options):
    """The frames alone, then in batches."""
    _, config, verilog, frames, _ = built
    path = tmp_path / "model.img"
    path.write_bytes(image)
    return run_job(config, path, list(frames[:2]), batches=batches, verilog=verilog, key=KEY.reveal(), memory=MEMORY,
                   timeout_cycles=200_000, watchdog=100_000, **options)


def test_frames_alone_and_close_behind_one_another(built, tmp_path):
    graph, config, _, frames, wanted = built
    assert len({s.kind for s in config.pipeline.stages if s.serial}) == 3
    compiled = compile_pipeline(graph, config)
    image = build_image(compiled, sealer_for(compiled, KEY))
    result = run(built, image, tmp_path, [list(frames), list(frames[::-1])], seed=3)
    for number, frame in enumerate(result.frames):
        assert frame.error == 0 and np.array_equal(frame.output.reshape(-1), wanted[number].reshape(-1))
    assert [frame.warm for frame in result.frames] == [False, True]
    for batch, order in zip(result.batches, (range(FRAMES), reversed(range(FRAMES))), strict=True):
        for frame, number in zip(batch.frames, order, strict=True):
            assert np.array_equal(frame.output.reshape(-1), wanted[number].reshape(-1))
        measured = batch.frames[-1].counters["interval"]
        assert measured <= 1.02 * interval(config)
        assert batch.frames[-1].counters["busy"] == FRAMES * config.pipeline.slowest.frame_steps


def test_a_wrong_weight_is_seen(built, tmp_path):
    graph, config, *_, wanted = built
    compiled = flip_weight_bit(compile_pipeline(graph, config), bit=6)  # of the first weight of the first stage
    result = run(built, build_image(compiled, sealer_for(compiled, KEY)), tmp_path, [])
    assert not np.array_equal(result.frames[0].output.reshape(-1), wanted[0].reshape(-1))


def test_a_changed_image_is_refused_and_the_next_one_runs(built, tmp_path):
    """Refused with nothing left in the stages' memories (``watched``)."""
    graph, config, _, _, wanted = built
    compiled = compile_pipeline(graph, config)
    image = build_image(compiled, sealer_for(compiled, KEY))
    result = run(built, tamper(image, 8 * (16 * compiled.payload_beats - 40)), tmp_path, [])
    assert [frame.error for frame in result.frames] == [ErrorCode.TAG] * 2
    assert not any(frame.output_touched for frame in result.frames)
    assert np.array_equal(run(built, image, tmp_path, []).frames[0].output.reshape(-1), wanted[0].reshape(-1))


def batch_of(graph, config, tmp_path):
    """Four random frames close behind one another, and what must come out."""
    frames = random_image(np.random.default_rng(4), graph, 4)
    wanted = run_all(graph, frames, keep={graph.output})[graph.output]
    compiled = compile_pipeline(graph, config)
    path = tmp_path / "model.img"
    path.write_bytes(build_image(compiled, sealer_for(compiled, KEY)))
    result = run_job(config, path, [], batches=[list(frames)], key=KEY.reveal(), memory=MEMORY, timeout_cycles=100_000)
    return [f.output.reshape(-1) for f in result.batches[0].frames], [w.reshape(-1) for w in wanted]


@pytest.mark.parametrize("packing", [DspPacking.NONE])
def test_other_multipliers(packing, tmp_path):
    """One product per multiplier, a wider input word, plain weights."""
    b = GraphBuilder(np.random.default_rng(9), (9, 5, 4))
    x = b.conv("input", 4)
    b.conv(b.avg_pool(x), 3, (1, 1), raw=True)
    graph = b.graph("unpacked")
    assert np.array_equal(*batch_of(graph, configuration(graph, packing=packing), tmp_path))


@pytest.mark.parametrize("tile", [(2, 2)])
def test_tiles_of_pixels(tile, tmp_path):
    """Through convolutions, a residual, a depthwise layer and into a pool, where they end; the last row of the input is
    half a tile."""
    b = GraphBuilder(np.random.default_rng(11), (3, 7, 10))
    x = b.conv("input", 4, (4, 3), padding=(0, 0, 0, 0))
    x = b.conv(x, 4, residual=x)
    x = b.max_pool(b.conv(x, 4, groups=4))
    x = b.conv(x, 5, padding=(1, 1, 1, 1))
    b.conv(x, 6, (2, 4), padding=(0, 0, 0, 0), raw=True)
    graph = b.graph("tiles")
    assert np.array_equal(*batch_of(graph, configuration(graph, tile), tmp_path))
