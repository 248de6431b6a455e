"""Image files: written, read back, described; damaged ones are refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from hwgen.compiler import CompileOptions, compile_network
from hwgen.config.accelerator import Crypto
from hwgen.driver import image as driver_image
from hwgen.driver import tensors as driver_tensors
from hwgen.emulator import Machine
from hwgen.errors import HwgenError
from hwgen.golden.execute import run
from hwgen.image.disassemble import (
    describe_image,
    describe_program,
    image_text,
    program_of,
    program_text,
    verify_segments,
)
from hwgen.image.layout import FIXED_BYTES
from hwgen.image.reader import parse_image, read_image
from hwgen.image.sealer import Unsealed
from hwgen.image.sealing import ImageSealer, sealer_for
from hwgen.image.writer import build_image, write_image
from hwgen.seal import Key
from tests.helpers.buffers import pack_input, unpack_output
from tests.helpers.emulate import config_for
from tests.helpers.random_graphs import random_image, small_resnet

KEY = Key(bytes(range(16)))


def seal(network) -> bytes:
    """Image file of a network under the test key."""
    return build_image(network, sealer_for(network, KEY, 7))


@pytest.fixture(scope="module")
def graph():
    return small_resnet(np.random.default_rng(1), (16, 32), 8)


@pytest.fixture(scope="module")
def network(graph):
    return compile_network(graph, config_for(16, 32), CompileOptions(encrypt=frozenset({"conv2"}), ramp=((256, 7),)))


def test_read_back(network, tmp_path):
    path = tmp_path / "folder" / "model.img"
    write_image(path, seal(network))
    assert [p.name for p in path.parent.iterdir()] == ["model.img"]
    image = read_image(path)
    assert image.input == network.input and image.output == network.output and image.config == network.config
    sealed = ImageSealer.for_network(network, KEY, 7)
    assert (image.header.image_id, image.header.version, image.header.salt) == (sealed.image_id, 7, sealed.salt)
    assert image.header.header_bytes % 4096 == 0 and image.header.segments == network.segments
    sealer = ImageSealer.for_header(image.header, KEY)
    opened = [segment.open(sealer) for segment in image.segments()]
    assert opened == [chunk for r in network.runs for chunk in r.chunks()]
    assert verify_segments(image, sealer) == network.segments


def test_frame_from_the_file(graph, network):
    image = parse_image(seal(network))
    sealer = ImageSealer.for_header(image.header, KEY)
    program = program_of(image, sealer)
    assert program is not None
    machine = Machine(image.config, program, [s.open(sealer) for s in image.segments()], latency=1,
                      output_bytes=image.metadata["output_bytes"], scratch_bytes=image.metadata["scratch_bytes"])
    pixels = random_image(np.random.default_rng(2), graph)
    output = unpack_output(image.output, machine.frame(pack_input(image.input, pixels[0])).output)
    assert np.array_equal(output, run(graph, pixels)[0])


def test_description(network):
    image = parse_image(seal(network))
    with_key, without = describe_image(image, ImageSealer.for_header(image.header, KEY)), describe_image(image)
    json.dumps(with_key)
    assert without["program"] is None and "give the key" in image_text(without)
    assert len(with_key["program"]["compute"]) == len(network.descriptors)
    text = image_text(with_key)
    assert "TO_WEIGHTS" not in text and "CONV PAIR" in text and "WEIGHTS" in text
    plain = compile_network(small_resnet(np.random.default_rng(1), (8,), 6), config_for(8, 16),
                            CompileOptions(encrypt_program=False))
    assert describe_image(parse_image(seal(plain)))["program"] is not None


def test_layer_names_stay_out_of_the_header(network):
    data = seal(network)
    assert b"conv" not in data[:parse_image(data).header.header_bytes]


def test_debug_image_says_so(graph):
    network = compile_network(graph, config_for(16, 32), CompileOptions(debug_dump=True))
    image = parse_image(seal(network))
    assert image.header.debug and "DEBUG" in image_text(describe_image(image))
    assert image.dumps == network.dumps


@pytest.mark.parametrize(("damage", "text"), [
    (lambda d: d[:50], "wrong magic"),
    (lambda d: b"X" + d[1:], "wrong magic"),
    (lambda d: d[:8] + b"\x09" + d[9:], "format version 9"),
    (lambda d: d[:2000], "truncated"),
    (lambda d: d[:-16], "truncated"),
    (lambda d: d[:40] + bytes([d[40] ^ 1]) + d[41:], "damaged header"),
    (lambda d: d[:FIXED_BYTES + 5] + b"!" + d[FIXED_BYTES + 6:], "damaged header"),
    (lambda d: d[:-40] + bytes([d[-40] ^ 1]) + d[-39:], "damaged payload"),
])
def test_damaged_files(network, damage, text):
    data = seal(network)
    with pytest.raises(HwgenError, match=text):
        parse_image(damage(data))


def test_wrong_key_names_the_segment(network):
    image = parse_image(seal(network))
    with pytest.raises(HwgenError, match="segment 0: authentication failed"):
        verify_segments(image, ImageSealer.for_header(image.header, Key(bytes(16))))


def test_moved_segment_is_found(graph):
    """Two encrypted segments of equal length change places."""
    image = parse_image(seal(compile_network(graph, config_for(16, 32), CompileOptions(segment_log2=7, ramp=()))))
    run = next(r for r in image.runs if r.segments > 2)
    size = 16 * (1 << run.segment_log2) + 16
    at = 16 * run.offset
    payload = bytearray(image.payload)
    payload[at:at + size], payload[at + size:at + 2 * size] = payload[at + size:at + 2 * size], payload[at:at + size]
    swapped = dataclasses.replace(image, payload=bytes(payload))
    with pytest.raises(HwgenError, match=f"segment {run.index}: authentication failed"):
        verify_segments(swapped, ImageSealer.for_header(image.header, KEY))


def test_key_of_another_size(network):
    with pytest.raises(HwgenError, match="256 bits"):
        sealer_for(network, Key(bytes(32)))
    with pytest.raises(HwgenError, match="no key"):
        sealer_for(network, None)


def test_bypass_needs_no_key(graph):
    network = compile_network(graph, config_for(16, 32, crypto=Crypto.BYPASS))
    image = parse_image(build_image(network, sealer_for(network, None)))
    assert program_of(image, Unsealed()) == network.program


def test_plain_layers_are_readable_and_encrypted_ones_are_not(network):
    payload = parse_image(seal(network)).payload
    for part in network.runs:
        stored = payload[16 * part.offset:16 * part.offset + 64]
        assert (stored == part.payload[:64]) == (not part.flags & 1)


def test_the_shipped_driver_reads_it(network):
    data = seal(network)
    ours, theirs = parse_image(data), driver_image.Image.parse(data)
    assert theirs.payload == ours.payload and theirs.salt == ours.header.salt
    assert theirs.image_id.to_bytes(8, "little") == ours.header.image_id
    pixels = random_image(np.random.default_rng(3), small_resnet(np.random.default_rng(1), (16, 32), 8))[0]
    assert driver_tensors.pack_input(pixels, theirs.metadata["input"]) == pack_input(ours.input, pixels)


def test_missing_file(tmp_path):
    with pytest.raises(HwgenError, match="cannot be read"):
        read_image(tmp_path / "absent.img")


def test_failed_write_leaves_nothing(network, tmp_path, monkeypatch):
    def fail(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "model.img", seal(network))
    assert list(tmp_path.iterdir()) == []


def test_listing_of_a_program_with_strips():
    graph = small_resnet(np.random.default_rng(1), (8, 16, 16), 22)
    network = compile_network(graph, config_for(8, 16, act_words=256))
    program = describe_program(network.program)
    assert network.strips and len(program["compute"]) == len(network.descriptors)
    assert sum(16 * (d.get("last_plane", 0) + 1) * d["beats"] for d in program["load"] if "SCRATCH" in d["flags"]) > 0
    text = program_text(program)
    assert "planes=" in text and "wait=store" in text and "SCRATCH" in text
