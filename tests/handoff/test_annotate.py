"""Comments above the Verilog's modules: the right template, its parameters, and nothing else changed."""

from __future__ import annotations

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from hwgen.handoff.annotate import annotate
from rtl_templates.verilog import generate

NAME = "some_accelerator"
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, act_words=1024, weight_lines=1024, axi_ports=1,
                           program_words=512)


def without(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("// template:"))


def test_templates_and_parameters() -> None:
    text = "\n".join((
        f'// {NAME}: text\n(* top =  1  *)\n(* generator = "Amaranth" *)\nmodule {NAME}(clk);', "endmodule",
        f'(* generator = "Amaranth" *)\nmodule \\{NAME}.engine.accumulator.rows (clk);', "endmodule",
        "module \\hwgen_load_channel.unit.core.aes.round_10 (clk);", "endmodule",
        "module hwgen_requantise(bias, clk);", "endmodule", "module hwgen_ram #(", "endmodule", ""))
    found = annotate(text, CONFIG, NAME)
    assert without(found) == text
    described: dict[str, str] = {}
    comment = ""
    for line in found.splitlines():
        if line.startswith("// template:"):
            comment = line
        elif line.startswith("module ") and comment:
            described[line], comment = comment, ""
    assert list(described.values()) == [
        "// template: rtl_templates.shell.accelerator.Accelerator (the configuration above, engines=1)",
        "// template: rtl_templates.memory.ram.Ram (width=432, depth=64, granules=1, style=block)",
        "// template: rtl_templates.crypto.aes_round.AesRound (inner=False, last=True)",
        "// template: rtl_templates.engine.requantise.Requantise (the configuration above, whole=True)"]
    assert [name.split()[1].strip("\\").split("(")[0] for name in described] == [
        NAME, f"{NAME}.engine.accumulator.rows", "hwgen_load_channel.unit.core.aes.round_10", "hwgen_requantise"]


def test_several_engines() -> None:
    system = SystemConfig(engine=CONFIG, engines=2)
    text = "\n".join((f"module {NAME}(clk);", "endmodule", f"module \\{NAME}.decoder (clk);", "endmodule",
                      "module hwgen_engine(clk);", "endmodule", "module \\hwgen_engine.frame (clk);", "endmodule", ""))
    found = annotate(text, system, NAME)
    assert without(found) == text
    assert [line for line in found.splitlines() if line.startswith("// template:")] == [
        "// template: rtl_templates.shell.system.System (the configuration above)",
        "// template: rtl_templates.shell.lite_decoder.LiteDecoder (windows=2)",
        "// template: rtl_templates.shell.accelerator.Accelerator (the configuration above, engines=2)",
        "// template: rtl_templates.shell.frame_control.FrameControl (the configuration above)"]


def test_nothing_to_explain() -> None:
    text = f"module {NAME};\nendmodule\n"
    assert annotate(text, CONFIG, NAME) == text


@pytest.mark.slow
def test_every_module_is_explained() -> None:
    text = generate(CONFIG, NAME)
    found = annotate(text, CONFIG, NAME)
    assert without(found) == text
    modules = sum(line.startswith("module ") for line in text.splitlines())
    assert found.count("// template:") == modules - 1  # hwgen_ram is written by hand, with a comment of its own
