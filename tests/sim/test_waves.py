"""A wave dump shows every signal of the accelerator, but never the key that the caller gave."""

from __future__ import annotations

import importlib
import mmap
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwgen_sim.simulate
from hwgen.compiler import CompileOptions, compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.golden.execute import run_all
from hwgen.image.sealing import ImageSealer, sealer_for
from hwgen.image.writer import build_image
from hwgen.seal import Key
from hwgen.seal.keys import derive_image_key
from hwgen_sim.simulate import run_job
from hwgen_sim.toolchain import ToolMissingError, require_wave_libraries
from tests.helpers.random_graphs import random_image, small_resnet

#: every byte has its highest bit set: no form of a word loses leading zeros in the dump
KEY, THROWAWAY = bytes(range(0x91, 0xA1)), bytes(range(0xC3, 0xD3))
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, acc_bits=32, act_words=2048, line_columns=4, weight_lines=4096,
                           program_words=1024, axi_ports=1)


class Job:
    """A small network, sealed under KEY, and a frame for it."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(11)
        graph = small_resnet(rng, (16,), 8)
        self.inputs = random_image(rng, graph, 1)
        self.expected = run_all(graph, self.inputs)[graph.output]
        network = compile_network(graph, CONFIG, CompileOptions(encrypt=frozenset(n.name for n in graph.nodes)))
        sealer = sealer_for(network, Key(KEY), 5)
        assert isinstance(sealer, ImageSealer)
        self.image_key = derive_image_key(Key(KEY), sealer.salt).reveal()
        self.image = folder / "model.img"
        self.image.write_bytes(build_image(network, sealer))


def test_a_traced_simulator_never_gets_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(tmp_path)
    seen: list[tuple[str, bytes]] = []

    def run_cocotb(*_arguments: Any, settings: dict[str, str], **_others: Any) -> Path:
        text = Path(settings["HWGEN_SIM_JOB"]).read_text()
        image = Path(text.split('"image": "')[1].split('"')[0])
        seen.append((settings["HWGEN_SIM_KEY"], image.read_bytes()))
        raise HwgenError("enough")

    monkeypatch.setattr(hwgen_sim.simulate, "build_simulator", lambda *_, **__: None)
    monkeypatch.setattr(hwgen_sim.simulate, "run_cocotb", run_cocotb)
    for waves in (None, tmp_path / "a.fst", tmp_path / "b.fst"):
        with pytest.raises(HwgenError, match="enough"):
            run_job(CONFIG, job.image, list(job.inputs), key=KEY, verilog="", waves=waves)
    (plain_key, plain_image), (first_key, first_image), (second_key, second_image) = seen
    assert (plain_key, plain_image) == (KEY.hex(), job.image.read_bytes())
    assert len({plain_key, first_key, second_key}) == 3
    assert len({plain_image, first_image, second_image}) == 3
    assert KEY.hex() not in first_key + second_key


def binary(value: bytes) -> bytes:
    """Its bits as a dump writes them, byte 0 being the lowest."""
    return f"{int.from_bytes(value, 'little'):0{8 * len(value)}b}".encode()


def forms(key: bytes) -> list[bytes]:
    """What a key looks like in a dump: single words as whole values, two words or more within anything wider."""
    found = []
    for value in (key, key[::-1]):
        found += [b"b" + binary(value[at:at + 4]) + b" " for at in range(0, len(key), 4)]
        found += [binary(value[at:at + 8]) for at in range(0, len(key) - 4, 4)]
    return found


@pytest.mark.slow
def test_the_key_is_not_in_the_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pylibfst = importlib.import_module("pylibfst")  # untyped
    try:
        require_wave_libraries()
    except ToolMissingError as error:
        pytest.skip(f"traces need libraries that come from Debian, not from PyPI: {error}")
    job = Job(tmp_path)
    monkeypatch.setattr(secrets, "token_bytes", lambda size: THROWAWAY[:size])
    waves = tmp_path / "waves.fst"
    result = run_job(CONFIG, job.image, list(job.inputs), key=KEY, waves=waves)
    output = result.frames[0].output
    assert output is not None
    assert np.array_equal(output.reshape(-1), job.expected[0].reshape(-1))
    text = tmp_path / "waves.vcd"
    reader = pylibfst.lib.fstReaderOpen(str(waves).encode())
    pylibfst.lib.fstReaderSetFacProcessMaskAll(reader)
    with text.open("w") as file:
        pylibfst.lib.fstReaderIterBlocks(reader, pylibfst.ffi.NULL, pylibfst.ffi.NULL, file)
    pylibfst.lib.fstReaderClose(reader)
    with text.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as dump:
        # the search finds the key that was in there ...
        assert all(dump.find(form) >= 0 for form in forms(THROWAWAY)[:4])
        # ... and neither the caller's nor what follows from it
        assert [form for form in forms(KEY) + forms(job.image_key) if dump.find(form) >= 0] == []
