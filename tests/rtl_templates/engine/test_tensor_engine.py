"""The engine against naive integer arithmetic, with hand-made programs."""

import numpy as np
import pytest

from hwgen.config.accelerator import AcceleratorConfig
from tests.helpers.bare_engine import (
    END,
    build,
    conv_descriptor,
    conv_stream,
    map_addresses,
    pack_map,
    reference_conv,
    reference_requantise,
    run,
    unpack_map,
)

pytestmark = pytest.mark.slow

CONFIG = AcceleratorConfig(p_i=8, p_o=16, act_words=1024, weight_lines=2048, acc_depth=64)


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG)


CASES = [
    # c, o, h, w, k, stride, padding, dilation, pair, residual
    (8, 16, 4, 4, (1, 1), (1, 1), (0, 0), (1, 1), False, False),
    (8, 8, 4, 4, (1, 1), (1, 1), (0, 0), (1, 1), True, False),
    (8, 8, 4, 4, (3, 3), (1, 1), (1, 1), (1, 1), True, True),
    (20, 40, 5, 7, (3, 3), (1, 1), (1, 1), (1, 1), False, False),
    (20, 24, 5, 7, (3, 3), (2, 2), (1, 1), (1, 1), False, True),
    (16, 17, 6, 6, (3, 1), (2, 1), (1, 0), (1, 1), False, False),
    (16, 16, 6, 6, (1, 3), (1, 1), (0, 1), (1, 1), True, True),
    (12, 33, 1, 1, (1, 1), (1, 1), (0, 0), (1, 1), False, False),
    (12, 16, 1, 2, (1, 1), (1, 1), (0, 0), (1, 1), True, False),
    (9, 10, 8, 8, (3, 3), (1, 1), (2, 2), (2, 2), False, False),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_convolution(simulator, tmp_path, case):
    c, o, h, w, k, stride, padding, dilation, pair, with_residual = CASES[case]
    rng = np.random.default_rng(case)
    x = rng.integers(-128, 128, (c, h, w)).astype(np.int8)
    weight = rng.integers(-127, 128, (o, c, *k)).astype(np.int8)
    bias = rng.integers(-20000, 20000, o)
    mult = rng.integers(1 << 15, 1 << 16, o)
    res_mult = rng.integers(0, 1 << 16, o) if with_residual else np.zeros(o, int)
    shift = rng.integers(22, 27, o)
    parameters = bias, mult, res_mult, shift
    lines, _, _ = conv_stream(CONFIG, weight, parameters, pair)
    residual_base = 1024
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    descriptor, shape = conv_descriptor(CONFIG, x.shape, weight, **geometry, src=0, dst=512, pair=pair,
                                        res=residual_base if with_residual else None)
    acc = reference_conv(x, weight, bias, **geometry)
    residual = rng.integers(-128, 128, shape).astype(np.int8) if with_residual else None
    words: dict[int, str] = {}
    pack_map(CONFIG, x, 0, words)
    if residual is not None:
        pack_map(CONFIG, residual, residual_base, words)
    expected = reference_requantise(acc, parameters, residual)
    part = {"activations": words, "weights": {i: line.hex() for i, line in enumerate(lines)},
            "descriptors": [descriptor.hex(), END.hex()], "reads": map_addresses(CONFIG, 512, shape),
            "load_gap": 0.3 if case % 2 else 0.0}
    result = run(simulator, tmp_path, [part], ring_lines=2048)
    got = unpack_map(CONFIG, result["words"], 512, shape)
    wrong = np.argwhere(got != expected)
    assert not len(wrong), f"{len(wrong)} of {got.size} differ, first at {wrong[0].tolist()}"
