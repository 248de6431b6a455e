"""Builds that protect feature maps: by option and by configuration, with and without any that leave the chip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwgen.config.accelerator import AcceleratorConfig, DspPacking, RamStyle
from hwgen.errors import HwgenError
from tests.helpers.small_build import build_small

#: the first map of ``spilling_onnx`` does not fit
TINY = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, acc_bits=27, act_words=48, line_columns=2, weight_lines=512,
                         program_words=1024, axi_ports=1, packing=DspPacking.DSP48E1, weight_ram=RamStyle.BLOCK,
                         clock_mhz=100.0, aes_cycles=5, spill_aes_cycles=5)


def spilling_onnx(path: Path) -> None:
    """Three convolutions 3 -> 8 -> 8 -> 8 on 3x8x8, the last two of stride 2, global pool, 8 -> 4."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), f"w{number}")
               for number, shape in enumerate(((8, 3, 3, 3), (8, 8, 3, 3), (8, 8, 3, 3), (4, 8)))]
    nodes, source = [], "x"
    for number in range(3):
        nodes.append(helper.make_node("Conv", [source, f"w{number}"], [f"c{number}"], name=f"conv{number}",
                                      pads=[1, 1, 1, 1], strides=[1 + (number > 0)] * 2))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [source := f"r{number}"], name=f"relu{number}"))
    nodes += [helper.make_node("GlobalAveragePool", [source], ["p"], name="pool"),
              helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
              helper.make_node("Gemm", ["f", "w3"], ["y"], name="fc", transB=1)]
    graph = helper.make_graph(
        nodes, "spilling", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def config_file(folder: Path, config: AcceleratorConfig) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({"engines": 1, **config.to_dict()}))
    return path


def test_nothing_to_protect(tmp_path: Path) -> None:
    steps = build_small(tmp_path, protect_activations=True, last="compile")
    config = json.loads((tmp_path / "build" / "search" / "config.json").read_text())
    assert config["protect_activations"] is True and config["spill_aes_cycles"] in (1, config["aes_cycles"])
    assert "no feature map leaves the chip, none is encrypted" in steps["compile"].summary["text"]


@pytest.mark.parametrize("protect", [True, False])
def test_report_and_hand_off_say_what_lies_in_memory(tmp_path: Path, protect: bool) -> None:
    path = config_file(tmp_path, TINY.replace(protect_activations=protect))
    spilling_onnx(tmp_path / "small.onnx")
    build_small(tmp_path, config=path, protect_activations=protect)
    build = tmp_path / "build"
    memory = json.loads((build / "report" / "report.json").read_text())["memory"]
    assert memory["spilled_bytes"] > 0 and memory["spilled_protected"] is protect
    html = (build / "report" / "report.html").read_text()
    assert ("encrypted and authenticated row by row" in html) is protect
    readme = (build / "handoff" / "files" / "README.md").read_text()
    assert ("BOOT_SALT" in readme) is protect and ("--protect-maps" in readme) is not protect


def test_a_configuration_without_protection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HwgenError, match="does not protect feature maps"):
        build_small(tmp_path, config=config_file(tmp_path, TINY), protect_activations=True, last="search")
