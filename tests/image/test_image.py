"""Image files: written, read back, described; damaged ones are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwgen.compiler import CompileOptions, compile_network
from hwgen.emulator import Machine
from hwgen.errors import HwgenError
from hwgen.golden.execute import run
from hwgen.image.disassemble import describe_image, image_text, program_of, verify_segments
from hwgen.image.layout import FIXED_BYTES
from hwgen.image.reader import parse_image, read_image
from hwgen.image.sealer import Unsealed
from hwgen.image.writer import build_image, write_image
from tests.helpers.buffers import pack_input, unpack_output
from tests.helpers.emulate import config_for
from tests.helpers.random_graphs import random_image, small_resnet


class Masked(Unsealed):
    """Stands for encryption: inverts encrypted payloads, and tags every segment with its associated data."""

    image_id = b"identity"
    version = 7
    salt = bytes(range(16))

    def seal(self, index, dest, flags, payload):
        tag = (index << 64 | dest << 32 | flags << 16 | len(payload) // 16).to_bytes(16, "little")
        return (bytes(255 - b for b in payload) if flags & 1 else payload) + tag

    def open(self, index, dest, flags, stored):
        payload, tag = stored[:-16], stored[-16:]
        if tag != self.seal(index, dest, flags, payload)[-16:]:
            raise HwgenError(f"wrong tag in segment {index}")
        return bytes(255 - b for b in payload) if flags & 1 else payload


@pytest.fixture(scope="module")
def graph():
    return small_resnet(np.random.default_rng(1), (16, 32), 8)


@pytest.fixture(scope="module")
def network(graph):
    return compile_network(graph, config_for(16, 32), CompileOptions(encrypt=frozenset({"conv2"}), ramp=((256, 7),)))


def test_read_back(network, tmp_path):
    path = tmp_path / "folder" / "model.img"
    write_image(path, build_image(network, Masked()))
    assert [p.name for p in path.parent.iterdir()] == ["model.img"]
    image = read_image(path)
    assert image.input == network.input and image.output == network.output and image.config == network.config
    assert (image.header.image_id, image.header.version, image.header.salt) == (b"identity", 7, bytes(range(16)))
    assert image.header.header_bytes % 4096 == 0 and image.header.segments == network.segments
    opened = [segment.open(Masked()) for segment in image.segments()]
    assert opened == [chunk for r in network.runs for chunk in r.chunks()]
    assert verify_segments(image, Masked()) == network.segments


def test_frame_from_the_file(graph, network):
    image = parse_image(build_image(network, Masked()))
    sealer = Masked()
    program = program_of(image, sealer)
    assert program is not None
    machine = Machine(image.config, program, [s.open(sealer) for s in image.segments()], latency=1,
                      output_bytes=image.metadata["output_bytes"])
    pixels = random_image(np.random.default_rng(2), graph)
    output = unpack_output(image.output, machine.frame(pack_input(image.input, pixels[0])).output)
    assert np.array_equal(output, run(graph, pixels)[0])


def test_description(network):
    image = parse_image(build_image(network, Masked()))
    with_key, without = describe_image(image, Masked()), describe_image(image)
    json.dumps(with_key)
    assert without["program"] is None and "give the key" in image_text(without)
    assert len(with_key["program"]["compute"]) == len(network.descriptors)
    text = image_text(with_key)
    assert "TO_WEIGHTS" not in text and "CONV PAIR" in text and "WEIGHTS" in text
    plain = compile_network(small_resnet(np.random.default_rng(1), (8,), 6), config_for(8, 16),
                            CompileOptions(encrypt_program=False))
    assert describe_image(parse_image(build_image(plain, Masked())))["program"] is not None


def test_layer_names_stay_out_of_the_header(network):
    data = build_image(network, Masked())
    assert b"conv" not in data[:parse_image(data).header.header_bytes]


def test_debug_image_says_so(graph):
    network = compile_network(graph, config_for(16, 32), CompileOptions(debug_dump=True))
    image = parse_image(build_image(network, Unsealed()))
    assert image.header.debug and "DEBUG" in image_text(describe_image(image, Unsealed()))
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
    data = build_image(network, Masked())
    with pytest.raises(HwgenError, match=text):
        parse_image(damage(data))


def test_missing_file(tmp_path):
    with pytest.raises(HwgenError, match="cannot be read"):
        read_image(tmp_path / "absent.img")


def test_failed_write_leaves_nothing(network, tmp_path, monkeypatch):
    def fail(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_image(tmp_path / "model.img", build_image(network, Unsealed()))
    assert list(tmp_path.iterdir()) == []
