"""Hand-made programs for the bare engine and naive references, independent of compiler and golden model."""

import json

import numpy as np
from amaranth.back import verilog

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import COMPUTE_FIELDS, ComputeFlag, Opcode, encode
from hwgen_sim.runner import SimulatorSource, build_simulator, run_cocotb
from rtl_templates.engine.tensor_engine import TensorEngine
from rtl_templates.memory.ram import ram_verilog

END = encode(COMPUTE_FIELDS, {"opcode": Opcode.END})


def build(config: AcceleratorConfig):
    engine = TensorEngine(config=config)
    text = verilog.convert(engine, name="tensor_engine", emit_src=False)
    text += "".join(verilog.convert(c, name=n, emit_src=False) for n, c in engine.submodules().items())
    files = {"engine.v": text, "hwgen_ram.v": ram_verilog()}
    return build_simulator(SimulatorSource(top="tensor_engine", files=files, public=True, optimise=False))


def run(simulator, work_dir, parts, ring_lines, seed=1):
    work_dir.mkdir(parents=True, exist_ok=True)
    job, result = work_dir / "job.json", work_dir / "result.json"
    job.write_text(json.dumps({"parts": parts, "ring_lines": ring_lines, "result": str(result), "seed": seed}))
    run_cocotb(simulator, "hwgen_sim.engine_bench", work_dir, settings={"HWGEN_ENGINE_JOB": str(job)}, seed=seed)
    return json.loads(result.read_text())


def odd(n: int) -> int:
    return n | 1


def pack_map(config, tensor, base, words):
    """Write int8 [C, H, W] as planes of odd stride."""
    c, h, w = tensor.shape
    p = config.p_i
    for cb in range(-(-c // p)):
        for y in range(h):
            for x in range(w):
                lanes = np.zeros(p, np.int8)
                part = tensor[cb * p:(cb + 1) * p, y, x]
                lanes[:len(part)] = part
                words[base + cb * odd(h * w) + y * w + x] = lanes.tobytes().hex()


def unpack_map(config, words, base, shape):
    c, h, w = shape
    p = config.p_i
    out = np.zeros(shape, np.int8)
    for ch in range(c):
        for y in range(h):
            for x in range(w):
                addr = base + ch // p * odd(h * w) + y * w + x
                out[ch, y, x] = np.frombuffer(bytes.fromhex(words[str(addr)]), np.int8)[ch % p]
    return out


def map_addresses(config, base, shape):
    c, h, w = shape
    return [base + cb * odd(h * w) + i for cb in range(-(-c // config.p_i)) for i in range(h * w)]


def records(config, parameters, first, count):
    """Parameter lines of channels [first, first+count); parameters = bias, M, R, S."""
    bias, mult, res_mult, shift = parameters
    data = bytearray()
    for ch in range(first, first + count):
        inside = ch < len(bias)
        b, mu, r, s = (int(bias[ch]), int(mult[ch]), int(res_mult[ch]), int(shift[ch])) if inside else (0, 0, 0, 1)
        data += b.to_bytes(4, "little", signed=True) + mu.to_bytes(2, "little") + r.to_bytes(2, "little")
        data += s.to_bytes(1, "little") + bytes(7)
    n = config.line_bytes
    return [bytes(data[i:i + n]) for i in range(0, len(data), n)]


def tile(config, weight, origin, columns):
    """Lines of the tile whose first weight is ``weight[origin]``, origin = (o, i, ky, kx)."""
    o0, i0, ky, kx = origin
    lines = []
    for l0 in range(0, columns, config.line_columns):
        line = np.zeros((config.line_columns, config.p_i), np.int8)
        for j in range(config.line_columns):
            o = o0 + l0 + j
            if o < weight.shape[0]:
                part = weight[o, i0:i0 + config.p_i, ky, kx]
                line[j, :len(part)] = part
        lines.append(line.tobytes())
    return lines


def conv_stream(config, weight, parameters, pair):
    """Lines of a layer in stream order; also tiles per output block and number of blocks."""
    o, i, kh, kw = weight.shape
    block = config.p_i if pair else config.p_o
    lines = []
    blocks, ibs = -(-o // block), -(-i // config.p_i)
    for ob in range(blocks):
        lines += records(config, parameters, ob * block, block)
        for ib in range(ibs):
            for ky in range(kh):
                for kx in range(kw):
                    lines += tile(config, weight, (ob * block, ib * config.p_i, ky, kx), block)
    return lines, ibs * kh * kw, blocks


def jumps(prefix, strides, counts):
    """Jump of loop k from plain strides per loop (inner loops restart)."""
    out = {}
    for k, stride in enumerate(strides):
        out[f"{prefix}_jump_l{k}"] = stride - sum(strides[j] * (counts[j] - 1) for j in range(k))
    return out


def conv_descriptor(config, shape_in, weight, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), src, dst, res=None,
                    pair=False, raw=False, line=0, seq=0, lo=-128, hi=127, drain=True):
    _, h, w = shape_in
    o, i, kh, kw = weight.shape
    oh = (h + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (w + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    ibs = -(-i // config.p_i)
    block = config.p_i if pair else config.p_o
    blocks = -(-o // block)
    words = config.p_o // config.p_i
    plane, out_plane = odd(h * w), odd(oh * ow)
    px = 2 if pair else 1
    assert ow % px == 0
    counts = [ow // px, oh, kw, kh, ibs, blocks]
    flags = (pair << ComputeFlag.PAIR | (res is not None) << ComputeFlag.RESIDUAL | raw << ComputeFlag.RAW
             | drain << ComputeFlag.DRAIN | 1 << ComputeFlag.RELEASE)
    per_block = 1 if pair else words
    if raw:
        per_block = 4 * words
    out_counts = (ow // px, oh, blocks)
    out_strides = (px, ow, per_block * out_plane)

    def out_jumps(prefix, strides):
        jx = strides[0]
        jy = strides[1] - strides[0] * (out_counts[0] - 1)
        jo = strides[2] - strides[1] * (out_counts[1] - 1) - strides[0] * (out_counts[0] - 1)
        return {f"{prefix}_jump_x": jx, f"{prefix}_jump_y": jy, f"{prefix}_jump_o": jo}

    out_words = -(-o // config.p_i)
    values = {
        "opcode": Opcode.CONV, "flags": flags,
        **{f"last_l{k}": n - 1 for k, n in enumerate(counts)},
        "src_base": (src - padding[0] * w - padding[1]) & 0xFFFFF,
        **jumps("src", [px * stride[1], stride[0] * w, dilation[1], dilation[0] * w, plane, 0], counts),
        "iy_base": -padding[0], **jumps("iy", [0, stride[0], 0, dilation[0], 0, 0], counts),
        "ix_base": -padding[1], **jumps("ix", [px * stride[1], 0, dilation[1], 0, 0, 0], counts),
        "height": h, "width": w,
        "dst_base": dst, **out_jumps("dst", out_strides), "dst_plane": out_plane,
        "res_base": res or 0, **out_jumps("res", out_strides), "res_plane": out_plane,
        "last_words": int(out_words % words == 0) if words == 2 else 0,
        "lo": lo, "hi": hi, "weight_line": line, "weight_seq": seq, "steps": ibs * kh * kw,
    }
    return encode(COMPUTE_FIELDS, values), (o, oh, ow)


def reference_conv(x, weight, bias, *, stride, padding, dilation):
    """Naive integer convolution, int64 [O, OH, OW]."""
    c, h, w = x.shape
    o, _, kh, kw = weight.shape
    padded = np.zeros((c, h + 2 * padding[0], w + 2 * padding[1]), np.int64)
    padded[:, padding[0]:padding[0] + h, padding[1]:padding[1] + w] = x
    oh = (padded.shape[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (padded.shape[2] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    out = np.zeros((o, oh, ow), np.int64) + np.asarray(bias)[:, None, None]
    for ky in range(kh):
        for kx in range(kw):
            patch = padded[:, ky * dilation[0]:ky * dilation[0] + stride[0] * (oh - 1) + 1:stride[0],
                           kx * dilation[1]:kx * dilation[1] + stride[1] * (ow - 1) + 1:stride[1]]
            out += np.einsum("oi,ihw->ohw", weight[:, :, ky, kx].astype(np.int64), patch)
    return out


def reference_requantise(acc, parameters, residual, bounds=(-128, 127)):
    """By Python integers, element by element."""
    _, mult, res_mult, shift = parameters
    lo, hi = bounds
    out = np.zeros(acc.shape, np.int64)
    for index, value in np.ndenumerate(acc):
        ch = index[0]
        total = int(value) * int(mult[ch]) + (int(residual[index]) * int(res_mult[ch]) if residual is not None else 0)
        total = (total + (1 << (int(shift[ch]) - 1))) >> int(shift[ch])
        out[index] = max(lo, min(hi, total))
    return out.astype(np.int8)
