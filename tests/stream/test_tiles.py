"""Windows over tiled maps: every tap is where the pixels say; networks that fall into tiles, and those that do not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.pipeline import PipelineConfig
from hwgen.driver.tensors import pack_input
from hwgen.errors import HwgenError
from hwgen.quantize.bounds import required_acc_bits
from hwgen.stream.compile import compile_pipeline, pipeline_config
from hwgen.stream.queues import with_queues
from hwgen.stream.shapes import stages_of
from hwgen.stream.tiles import TiledAxis, TiledWindow
from tests.helpers.random_graphs import GraphBuilder, random_image, small_resnet
from tests.helpers.stages import to_tiles


@pytest.mark.parametrize("tile, kernel, stride, padding", [
    c for c in itertools.product((1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3, 4), (0, 1, 2)) if c[3] < c[1]])
def test_taps_along_an_axis(tile, kernel, stride, padding):
    """Numbered pixels in tiles: result r of window w reads the pixels that it reads without tiles."""
    axis = TiledAxis(tile, kernel, stride, padding)
    assert axis.step * tile == stride * axis.out_tile and axis.front * tile >= padding
    for window, result, tap in itertools.product(range(3), range(axis.out_tile), range(kernel)):
        at, pixel = axis.place(result, tap)
        assert 0 <= at < axis.size and 0 <= pixel < tile
        number = (window * axis.out_tile + result) * stride - padding + tap
        assert (window * axis.step - axis.front + at) * tile + pixel == number


def test_values_of_a_window():
    """A window of tiles times the weights is what the window of pixels times the weights is."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-9, 9, (3, 2, 3, 3)).astype(np.int8)
    window = TiledWindow.of((2, 2), (3, 3), (1, 1), (1, 1, 1, 1))
    image = rng.integers(-9, 9, (2, 6, 6))
    tiles = to_tiles(image, (2, 2))  # [4 * 2, 3, 3]: around the middle one everything is there
    around = tiles.reshape(4, 2, 3, 3).transpose(3, 2, 0, 1).reshape(-1, 2)  # (column, row, pixel), channel
    found = window.dense_values(weight).astype(int) @ around[list(window.used())].reshape(-1)
    for number, (y, x) in enumerate(itertools.product((2, 3), (2, 3))):
        wanted = (weight * image[:, y - 1:y + 2, x - 1:x + 2]).sum(axis=(1, 2, 3))
        assert np.array_equal(found.reshape(4, 3)[number], wanted)


def network(size=8):
    """Two convolutions before a pool, one behind it."""
    builder = GraphBuilder(np.random.default_rng(2), (1, size, size))
    x = builder.conv("input", 4)
    x = builder.conv(x, 4, residual=x)
    x = builder.max_pool(x)
    builder.conv(x, 3, (size // 2, size // 2), padding=(0, 0, 0, 0), raw=True)
    return builder.graph()


def test_tiles_end_at_the_pool():
    stages = stages_of(network(), (2, 2))
    assert [(s.tile, s.out_tile) for s in stages] == [((2, 2), (2, 2))] * 2 + [((2, 2), (1, 1)), ((1, 1), (1, 1))]
    assert [(s.channels, s.height, s.width, s.out_channels) for s in stages] == [
        (4, 4, 4, 16), (16, 4, 4, 16), (16, 4, 4, 4), (4, 4, 4, 3)]
    pipeline = PipelineConfig(stages=stages)
    assert PipelineConfig.from_dict(pipeline.to_dict()) == pipeline


def test_unused_pixels_of_a_window_cost_nothing():
    """A stem of stride 2: nine values of a window of 4 x 4 pixels."""
    builder = GraphBuilder(np.random.default_rng(2), (1, 8, 8))
    builder.conv(builder.conv("input", 4, stride=(2, 2)), 3, (4, 4), padding=(0, 0, 0, 0), raw=True)
    plain, tiled = (stages_of(builder.graph(), tile)[0] for tile in ((1, 1), (2, 2)))
    assert plain.window_values == tiled.window_values == 9 and plain.frame_steps == tiled.frame_steps
    assert (tiled.height, tiled.kernel, tiled.stride) == (4, (2, 2), (1, 1))


def odd(builder):
    """A map of 5 x 5 pixels behind the input's."""
    return builder.conv(builder.conv("input", 4, (2, 2), padding=(0, 0, 0, 0)), 4)


def averaged(builder):
    """Tiles reach the global pool."""
    return builder.avg_pool(builder.conv("input", 4))


@pytest.mark.parametrize("build, match", [
    (odd, "5 x 5 pixels does not fall into tiles of 2 x 2"), (averaged, "cannot take tiles of 2 x 2"),
])
def test_networks_that_fall_into_no_tiles(build, match):
    builder = GraphBuilder(np.random.default_rng(4), (2, 6, 6))
    builder.conv(build(builder), 3, (1, 1), raw=True)
    with pytest.raises(HwgenError, match=match):
        stages_of(builder.graph(), (2, 2))


def test_a_residual_in_other_tiles():
    """Two maps of 4 x 4 pixels: one by a stride, where tiles end, and one by leaving out borders."""
    builder = GraphBuilder(np.random.default_rng(4), (1, 8, 8))
    a = builder.conv("input", 4, (2, 2), (2, 2), padding=(0, 0, 0, 0))
    b = builder.conv("input", 4, (5, 5), padding=(0, 0, 0, 0))
    builder.conv(builder.add(a, b), 3, (1, 1), raw=True)
    with pytest.raises(HwgenError, match=r"adds a map in tiles of 2 x 2 to one in tiles of 1 x 1"):
        stages_of(builder.graph(), (2, 2))


def test_the_driver_packs_tiles():
    """An odd map is filled up with zeros; the layout that the image carries says it all."""
    builder = GraphBuilder(np.random.default_rng(3), (1, 7, 5))
    builder.conv(builder.conv("input", 4, stride=(2, 2)), 3, (4, 3), padding=(0, 0, 0, 0), raw=True)
    graph = builder.graph()
    config = with_queues(pipeline_config(stages_of(graph, (2, 2)), AcceleratorConfig(), required_acc_bits(graph)))
    layout = compile_pipeline(graph, config).input
    image = random_image(np.random.default_rng(1), graph)[0]
    words = np.frombuffer(pack_input(image, layout.to_dict()), np.int8).reshape(-1, config.p_i)
    tiles = to_tiles(image, (2, 2))
    assert np.array_equal(words[:12, :4], tiles.reshape(4, -1).T) and not words[:12, 4:].any()


def test_a_pipeline_for_other_tiles_is_refused():
    graph = network()
    config = with_queues(pipeline_config(stages_of(graph, (2, 2)), AcceleratorConfig(), required_acc_bits(graph)))
    assert compile_pipeline(graph, config).layers[0].macs == compile_pipeline(graph, with_queues(pipeline_config(
        stages_of(graph), AcceleratorConfig(), required_acc_bits(graph)))).layers[0].macs
    wrong = small_resnet(np.random.default_rng(1), widths=(4,), size=8)
    with pytest.raises(HwgenError, match="made for another network"):
        compile_pipeline(wrong, config)
