"""Fits the logic formulas of every module to Yosys and writes hwgen/cost/calibration.json.

    python benchmarks/calibrate.py [--family xcup] [--module NAME ...] [--write]

Every module of ``hwgen.cost.modules.MODULES`` is synthesised by itself in the small configurations below (equal ones
once, all from a cache) and its LUTs, FFs and what of them DSP and memory blocks absorb are fitted by non-negative least
squares of relative errors. Printed: each module's worst error over these configurations; ``benchmarks/cost_error.py``
measures whole designs that are not among them. ``--module``: fit only these and leave the others as they are. A module
that is not fitted for a family has the coefficients of UltraScale+.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from hwgen.config.accelerator import AcceleratorConfig, DspPacking, RamStyle, WindowUnit
from hwgen.cost import resources
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.modules import MODULES, TOP, LogicModule, Sizes
from hwgen.pipeline.build import default_cache
from hwgen.pipeline.store import write_json
from hwgen.synth.design import DesignReport, synthesise_apart
from hwgen.synth.hierarchy import split_modules
from hwgen.synth.yosys import yosys_version
from rtl_templates.verilog import generate

TARGET = Path(resources.__file__).with_name("calibration.json")
PACKING = {"xcup": DspPacking.DSP48E2, "xc7": DspPacking.DSP48E1, "ecp5": DspPacking.NONE}
ALL = [unit.module for unit in MODULES]
#: every size that a formula knows takes several values
DESIGNS = (
    AcceleratorConfig(p_i=8, p_o=16, line_columns=2, acc_bits=24, axi_ports=1, act_words=1024, acc_depth=128,
                      weight_lines=4096, program_words=1024),
    AcceleratorConfig(p_i=16, p_o=16, line_columns=4, acc_bits=32, axi_ports=2, act_words=4096, acc_depth=1024,
                      weight_lines=12288, act_ram=RamStyle.ULTRA, program_words=2048, window=WindowUnit.DEPTHWISE,
                      window_width=64),
    AcceleratorConfig(p_i=16, p_o=32, line_columns=2, acc_bits=20, axi_ports=3, act_words=8192, acc_depth=256,
                      weight_lines=20480, program_words=4096, window=WindowUnit.POOL, window_width=128),
    AcceleratorConfig(p_i=32, p_o=32, line_columns=2, acc_bits=27, axi_ports=1, act_words=1024, acc_depth=128,
                      weight_lines=6144, weight_ram=RamStyle.BLOCK, program_words=1024, window=WindowUnit.DEPTHWISE,
                      window_kernel=4, window_width=64),
)
_DECRYPTOR = (f"{TOP}.keys", "hwgen_load_channel.unit")
#: for a few modules only: number of the configuration, what of it is changed, modules
VARIANTS: tuple[tuple[int, dict[str, Any], tuple[str, ...]], ...] = (
    (0, {"aes_key_bits": 256}, _DECRYPTOR), (0, {"aes_cycles": 2}, _DECRYPTOR), (0, {"aes_cycles": 5}, _DECRYPTOR),
    (0, {"aes_cycles": 10}, _DECRYPTOR),
    # memory blocks below one another; two words of results without a window unit
    (0, {"p_i": 16, "p_o": 32, "act_words": 6144}, (f"{TOP}.engine.activations",)),
    (1, {"line_columns": 8}, (f"{TOP}.engine.window",)),
)


def designs(family: str) -> list[AcceleratorConfig]:
    """The configurations, with the family's multipliers and, where it has no UltraRAM, block RAM."""
    out = [config.replace(packing=PACKING[family]) for config in DESIGNS]
    if family != "xcup":
        out = [config.replace(weight_ram=RamStyle.BLOCK, act_ram=RamStyle.BLOCK) for config in out]
    return out


def measured(report: DesignReport) -> dict[str, float]:
    """The calibrated quantities of a module or design."""
    return {"lut": report.raw.lut, "ff": report.raw.ff, "absorbable_lut": report.absorbable.lut,
            "absorbable_ff": report.absorbable.ff}


def sizes_of(config: AcceleratorConfig) -> Sizes:
    """What the formulas see of one configuration."""
    return Sizes(table=ConfigTable.of([config]), packing=config.packing,
                 weights_ultra=config.weight_ram is RamStyle.ULTRA, key_bits=config.aes_key_bits)


def fit(unit: LogicModule, known: list[Sizes], values: np.ndarray) -> dict[str, float]:
    """Coefficients of one quantity of a module."""
    matrix = np.array([[float(size(s)[0]) for size in unit.terms.values()] for s in known])
    scale = 1 / np.maximum(values, 1)
    solution, _ = nnls(matrix * scale[:, None], values * scale)
    return {name: round(float(c), 4) for name, c in zip(unit.terms, solution, strict=True)}


def synthesise(config: AcceleratorConfig, names: list[str], family: str) -> dict[str, dict[str, float]]:
    """Each module of one configuration by itself."""
    print(f"{config.p_i} x {config.p_o}, {config.line_columns} columns, {config.axi_ports} ports, "
          f"window {config.window}, AES-{config.aes_key_bits} in {config.aes_cycles}", flush=True)
    verilog = generate(config, TOP)
    built = split_modules(verilog)
    names = [name for name in names if name in built]
    reports = synthesise_apart(verilog, TOP, names, family, without=ALL, cache=default_cache(),
                               progress=lambda text: print("    ", text, flush=True))
    return {name: measured(report) for name, report in reports.items()}


def main() -> None:
    """Synthesise, fit, print, and with ``--write`` store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="xcup", choices=list(PACKING))
    parser.add_argument("--module", nargs="+", choices=ALL, default=ALL, metavar="NAME")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    family = arguments.family
    names = list(arguments.module)
    configs = designs(family)
    found = [(config, synthesise(config, names, family)) for config in configs]
    for number, changes, modules in VARIANTS:
        config = configs[number].replace(**changes)
        if wanted := [name for name in modules if name in names]:
            found.append((config, synthesise(config, wanted, family)))
    known: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))
    fitted = known["families"].setdefault(family, {})
    for unit in MODULES:
        rows = [(sizes_of(config), values[unit.module]) for config, values in found if unit.module in values]
        if not rows:
            continue
        fitted[unit.module] = {kind: fit(unit, [s for s, _ in rows], np.array([v[kind] for _, v in rows]))
                               for kind in resources.LOGIC}
        worst = []
        for kind in ("lut", "ff"):
            errors = [float(resources.module_logic(unit, s, fitted[unit.module], kind)[0]) / v[kind] - 1
                      for s, v in rows if v[kind]]
            worst.append(f"{kind} {max(errors, key=abs, default=0.0):+.1%}")
        print(f"{unit.module}: {', '.join(worst)} over {len(rows)} configurations")
    known["source"][family] = f"fitted by benchmarks/calibrate.py to {yosys_version()}"
    if arguments.write:
        write_json(TARGET, known)


if __name__ == "__main__":
    main()
