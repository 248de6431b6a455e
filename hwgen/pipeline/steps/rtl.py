"""Step ``rtl``: Verilog of the accelerator."""

from __future__ import annotations

from typing import Any

from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.search import load_system

TOP, VERILOG = "hwgen_accelerator", "hwgen_accelerator.v"


def run(context: StepContext) -> dict[str, Any]:
    """Write the Verilog."""
    from rtl_templates.verilog import generate

    text = generate(load_system(context.results["search"]), TOP)
    (context.out / VERILOG).write_text(text, encoding="utf-8")
    modules = text.count("\nendmodule")
    return {"text": f"{modules} modules, {text.count(chr(10)):,} lines of Verilog", "modules": modules}


STEP = Step(
    name="rtl", title="generating Verilog", needs=("search",), inputs=lambda request: {}, run=run,
    code=("rtl_templates", "hwgen.isa", "hwgen.config.accelerator", "hwgen.config.pipeline", "hwgen.config.system",
          "hwgen.stream.layout",
          "hwgen.pipeline.steps.rtl"),
)
