"""Watches memories of an accelerator in simulation: what was loaded must be gone when a failed frame is told."""

from __future__ import annotations

import re


def watched(verilog: str, secrets: str) -> str:
    """The accelerator, which ends the simulation if a memory of the modules whose names match ``secrets`` (a regular
    expression for the whole name) is not zero when a failed frame is told, or is zero at the end of a good one (then
    the check would be blind). AssertionError if there is no such memory."""
    found = re.findall(rf"^(module \\?(?:{secrets}) ?\(.*?^endmodule)", verilog, re.MULTILINE | re.DOTALL)
    assert found, secrets
    for text in found:
        memories = [f"{ram}.rows" for ram in re.findall(r"^  \) (\w+) \($", text, re.MULTILINE)]
        memories += re.findall(r"^  reg \[\d+:0\] (\w+) \[\d+:0\];", text, re.MULTILINE)
        assert memories, text[:80]
        checks = "".join(
            f"  always @(posedge clk) begin : check_{number}\n"
            f"    int used;\n"
            f"    used = 0;\n"
            f"    if (bench.accelerator.accelerator.frame.failed || bench.accelerator.accelerator.frame.done) begin\n"
            f"      for (int row = 0; row < $size({memory}); row++) if ({memory}[row] != 0) used++;\n"
            f"      if (bench.accelerator.accelerator.frame.failed ? used != 0 : used == 0)\n"
            f'        $fatal(1, "%m: %0d rows of {memory} are not zero", used);\n'
            f"    end\n"
            f"  end\n"
            for number, memory in enumerate(memories))
        verilog = verilog.replace(text, text.removesuffix("endmodule") + checks + "endmodule")
    return verilog
