"""Whole quantised graphs: pools, adds, concatenation, reconstruction and the host's input rounding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from hwgen.golden import expand_kernels, pool, quantise_input, run, run_all
from hwgen.golden.conv import reconstruct
from hwgen.golden.evaluate import evaluate, logits
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import ContractionStep, Graph, ReconstructedKernel, Requantise
from hwgen.ir.verify import Stage, verify

RNG = np.random.default_rng(3)


def int8(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 128, shape, dtype=np.int8)


def formula(acc: int, m: int, s: int, *, res: int = 0, r: int = 0, lo: int = -128, hi: int = 127) -> int:
    return max(lo, min(hi, (acc * m + res * r + (1 << (s - 1))) >> s))


def parameters(channels: int, residual: bool = False, **bounds: int) -> Requantise:
    factors = RNG.integers(0, 60000, channels) if residual else np.zeros(channels, np.int64)
    return Requantise(multiplier=RNG.integers(20000, 60000, channels), shift=RNG.integers(18, 26, channels),
                      residual_multiplier=factors, **bounds)


def test_pools_against_torch():
    x = RNG.integers(-128, 128, (2, 5, 11, 9), dtype=np.int8)
    last = np.moveaxis(x, 1, -1)
    t = torch.from_numpy(x).float()
    for kernel, stride, padding in itertools.product(((2, 2), (3, 2)), ((1, 1), (2, 3)), ((0, 0, 0, 0), (1, 0, 0, 1))):
        top, bottom, left, right = padding
        padded = functional.pad(t, (left, right, top, bottom), value=-128.0)
        expected = functional.max_pool2d(padded, kernel, stride).numpy()
        assert (np.moveaxis(pool.max_pool(last, kernel, stride, padding), -1, 1) == expected).all()
        zeros = functional.pad(t, (left, right, top, bottom))
        sums = functional.avg_pool2d(zeros, kernel, stride, divisor_override=1).numpy()
        assert (np.moveaxis(pool.window_sum(last, kernel, stride, padding), -1, 1) == sums).all()


def network() -> Graph:
    """A tensor with three readers, a residual convolution, QAdd, both pools, a concatenation and a raw output."""
    nodes = [ir.QInput(name="x", inputs=(), shape=(3, 9, 7), scale=0.05)]

    def conv(name, inputs, shape, weight, requantise, **geometry) -> None:
        raw = {"raw_scale": np.linspace(0.5, 1.5, shape[0])} if requantise is None else {}
        nodes.append(ir.QConv2d(name=name, inputs=inputs, shape=shape, weight=weight, scale=0.1, requantise=requantise,
                                bias=RNG.integers(-500, 500, shape[0]).astype(np.int32), **raw, **geometry))

    conv("a", ("x",), (6, 9, 7), int8(6, 3, 3, 3), parameters(6, lo=0), padding=(1, 1, 1, 1))
    conv("b", ("a", "a"), (6, 9, 7), int8(6, 1, 3, 3), parameters(6, True), padding=(1, 1, 1, 1), groups=6)
    add = ir.QAdd(name="add", inputs=("a", "b"), shape=(6, 9, 7), scale=0.1,
                  requantise=parameters(6, True, lo=0, hi=100))
    top = ir.QMaxPool(name="max", inputs=("add",), shape=(6, 5, 4), kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1),
                      scale=0.1)
    avg = ir.QAvgPool(name="avg", inputs=("a",), shape=(6, 5, 4), kernel=(3, 2), stride=(2, 2), padding=(1, 1, 0, 1),
                      requantise=parameters(6), scale=0.1)
    nodes += [add, top, avg, ir.QConcat(name="cat", inputs=("max", "avg", "max"), shape=(18, 5, 4), scale=0.1)]
    conv("out", ("cat",), (4, 1, 1), int8(4, 18, 5, 4), None)
    return verify(Graph(name="n", nodes=tuple(nodes), output="out"), Stage.QUANTISED)


def test_every_node_against_its_definition():
    graph = network()
    x = RNG.integers(-128, 128, (2, 3, 9, 7), dtype=np.int8)
    t = run_all(graph, x)
    assert set(t) == {n.name for n in graph.nodes}
    assert all(t[n.name].shape == (2, *n.shape) for n in graph.nodes)
    for name, kind in (("add", ir.QAdd), ("b", ir.QConv2d)):
        node = graph[name]
        assert isinstance(node, kind)
        q = node.requantise
        acc = t["a"].astype(int)
        if name == "b":
            padded = functional.pad(torch.from_numpy(np.ascontiguousarray(acc)), (1, 1, 1, 1))
            weight = torch.from_numpy(np.array(node.weight, np.int64))  # type: ignore[attr-defined]
            acc = functional.conv2d(padded, weight, groups=6).numpy() + node.bias[:, None, None]  # type: ignore[attr-defined]
        res = t["b"] if name == "add" else t["a"]
        for index in np.ndindex(*acc.shape):
            c = index[1]
            expected = formula(int(acc[index]), int(q.multiplier[c]), int(q.shift[c]), res=int(res[index]),
                               r=int(q.residual_multiplier[c]), lo=q.lo, hi=q.hi)
            assert t[name][index] == expected
    assert (t["cat"] == np.concatenate([t["max"], t["avg"], t["max"]], axis=1)).all()
    out = graph["out"]
    assert isinstance(out, ir.QConv2d) and isinstance(out.weight, np.ndarray)
    expected = np.einsum("nchw,ochw->no", t["cat"].astype(np.int64), out.weight.astype(np.int64)) + out.bias
    assert t["out"].dtype == np.int32 and (t["out"][:, :, 0, 0] == expected).all()
    assert (run(graph, x) == t["out"]).all()
    assert set(run_all(graph, x, keep=("a", "cat"))) == {"a", "cat"}
    np.testing.assert_allclose(logits(graph, x)[:, :, 0, 0], t["out"][:, :, 0, 0] * out.raw_scale)


def test_images_must_fit():
    with pytest.raises(ValueError, match=r"int8 \[N, 3, 9, 7\], not float32 \(1, 3, 9, 7\)"):
        run(network(), np.zeros((1, 3, 9, 7), np.float32))
    with pytest.raises(ValueError, match=r"not int8 \(1, 3, 7, 9\)"):
        run(network(), np.zeros((1, 3, 7, 9), np.int8))


def test_batches_do_not_change_results():
    graph = network()
    x = RNG.integers(-128, 128, (7, 3, 9, 7), dtype=np.int8)
    assert (run(graph, x) == np.concatenate([run(graph, x[i:i + 1]) for i in range(7)])).all()


def test_input_rounding():
    assert quantise_input(np.array([-0.75, -0.25, 0.0, 0.25, 0.75, 1.25]), 0.5).tolist() == [-1, 0, 0, 1, 2, 3]
    assert quantise_input(np.array([-1e9, -64.1, 63.4, 63.9, 1e9]), 0.5).tolist() == [-128, -128, 127, 127, 127]


@pytest.mark.parametrize("split", [True, False])
def test_reconstruction_step_by_step(split):
    out, channels, kh, kw, r2, r1 = 5, 6, 3, 2, 4, 3
    first = int8(out, r2)
    if split:
        steps = (ContractionStep(core=int8(r2, kh, kw, r1), requantise=parameters(kh * kw * r1, lo=-127)),
                 ContractionStep(core=int8(r1, channels), requantise=parameters(channels, lo=-127)))
    else:
        steps = (ContractionStep(core=int8(r2, kh, kw, channels), requantise=parameters(kh * kw * channels, lo=-127)),)
    kernel = reconstruct(ReconstructedKernel(first=first, steps=steps, shape=(out, channels, kh, kw)))
    assert kernel.shape == (out, channels, kh, kw) and kernel.dtype == np.int8 and kernel.min() >= -127

    def step(vector, core, q, column) -> int:
        acc = sum(int(a) * int(b) for a, b in zip(vector, core, strict=True))
        return formula(acc, int(q.multiplier[column]), int(q.shift[column]), lo=-127)

    for o, ky, kx, i in np.ndindex(out, kh, kw, channels):
        q = steps[0].requantise
        if split:
            inner = [step(first[o], steps[0].core[:, ky, kx, j], q, (ky * kw + kx) * r1 + j) for j in range(r1)]
            expected = step(inner, steps[1].core[:, i], steps[1].requantise, i)
        else:
            expected = step(first[o], steps[0].core[:, ky, kx, i], q, (ky * kw + kx) * channels + i)
        assert kernel[o, i, ky, kx] == expected


def test_expanding_kernels_changes_nothing():
    kernel = ReconstructedKernel(first=int8(4, 3), shape=(4, 3, 9, 7), steps=(
        ContractionStep(core=int8(3, 9, 7, 3), requantise=parameters(189, lo=-127)),))
    nodes = (ir.QInput(name="x", inputs=(), shape=(3, 9, 7), scale=0.05),
             ir.QConv2d(name="y", inputs=("x",), shape=(4, 1, 1), weight=kernel, bias=np.zeros(4, np.int32),
                        requantise=None, scale=1.0, raw_scale=np.ones(4)))
    graph = verify(Graph(name="n", nodes=nodes, output="y"), Stage.QUANTISED)
    expanded = expand_kernels(graph)
    assert isinstance(expanded["y"].weight, np.ndarray)  # type: ignore[attr-defined]
    x = RNG.integers(-128, 128, (2, 3, 9, 7), dtype=np.int8)
    assert (run(graph, x) == run(verify(expanded, Stage.QUANTISED), x)).all()


def test_evaluation_counts_and_reports_progress():
    graph = network()
    images = RNG.normal(size=(10, 3, 9, 7)).astype(np.float32)
    seen = []
    first = evaluate(graph, images, np.zeros(10, int), batch=4, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(4, 10), (8, 10), (10, 10)]
    again = evaluate(graph, images, first.predictions)
    assert again.top1 == 1.0 and again.correct == again.images == 10
