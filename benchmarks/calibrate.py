"""Fits the resource formulas to Yosys and writes hwgen/cost/calibration.json.

    python benchmarks/calibrate.py [--family xcup] [--write]

Logic (LUT, FF and what of them DSP and memory blocks absorb) is a non-negative combination of the sizes in
``hwgen.cost.resources.features``, fitted to designs without the crypto unit; what the crypto unit adds is taken from
designs with it. DSP, BRAM and URAM follow from construction. The configurations here are the calibration set;
``benchmarks/cost_error.py`` measures the error on others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

from hwgen.config.accelerator import AcceleratorConfig, Crypto, RamStyle
from hwgen.cost import resources
from hwgen.cost.arrays import ConfigTable
from hwgen.pipeline.build import default_cache
from hwgen.synth.design import DesignReport, synthesise_design
from rtl_templates.verilog import generate

TARGET = Path(resources.__file__).with_name("calibration.json")
TOP = "hwgen_accelerator"
KINDS = ("lut", "ff", "absorbable_lut", "absorbable_ff")
SMALL = AcceleratorConfig(p_i=8, p_o=8, act_words=1024, acc_depth=128, weight_lines=1024, axi_ports=1,
                          program_words=1024, crypto=Crypto.BYPASS, weight_ram=RamStyle.AUTO)
#: spread over every size that the formulas know
DESIGNS = (
    SMALL,
    SMALL.replace(p_o=16),
    SMALL.replace(p_o=16, line_columns=2, axi_ports=2),
    SMALL.replace(p_i=16, p_o=16, axi_ports=2),
    SMALL.replace(p_i=16, p_o=32, line_columns=8),
    SMALL.replace(p_i=16, p_o=32, line_columns=2, axi_ports=3),
    SMALL.replace(p_i=32, p_o=32, line_columns=2, axi_ports=1),
    SMALL.replace(p_i=32, p_o=64, line_columns=4, axi_ports=2),
    SMALL.replace(p_i=64, p_o=64, line_columns=2, axi_ports=1),
)


def synthesise(config: AcceleratorConfig, family: str) -> DesignReport:
    """Synthesis of a whole accelerator, from the cache if it is there."""
    return synthesise_design(generate(config, TOP), TOP, family, cache=default_cache(), uram=family == "xcup",
                             progress=lambda text: print("    ", text, flush=True))


def measured(report: DesignReport) -> dict[str, float]:
    """The calibrated quantities of a design."""
    return {"lut": report.raw.lut, "ff": report.raw.ff, "absorbable_lut": report.absorbable.lut,
            "absorbable_ff": report.absorbable.ff}


def fit(configs: list[AcceleratorConfig], values: np.ndarray) -> dict[str, float]:
    """Non-negative least squares of relative errors."""
    columns = resources.features(ConfigTable.of(configs), configs[0].packing)
    matrix = np.stack(list(columns.values()), axis=1)
    scale = 1 / np.maximum(values, 1)
    solution, _ = nnls(matrix * scale[:, None], values * scale)
    return {name: round(float(c), 4) for name, c in zip(columns, solution, strict=True)}


def main() -> None:
    """Synthesise, fit, print, and with ``--write`` store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="xcup", choices=["xcup", "xc7", "ecp5"])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    family = arguments.family
    rows = []
    for config in DESIGNS:
        print(f"{config.p_i} x {config.p_o}, {config.line_columns} columns, {config.axi_ports} ports", flush=True)
        rows.append(measured(synthesise(config, family)))
    known: dict[str, Any] = json.loads(TARGET.read_text(encoding="utf-8"))
    for kind in KINDS:
        known["logic"][f"{family}.{kind}"] = fit(list(DESIGNS), np.array([r[kind] for r in rows]))
    print("crypto unit", flush=True)
    plain = [measured(synthesise(SMALL.replace(axi_ports=n), family)) for n in (1, 2)]
    secret = [measured(synthesise(SMALL.replace(axi_ports=n, crypto=Crypto.GCM), family)) for n in (1, 2)]
    added = [{k: s[k] - p[k] for k in ("lut", "ff")} for s, p in zip(secret, plain, strict=True)]
    per_port = {k: added[1][k] - added[0][k] for k in ("lut", "ff")}
    known["crypto"]["128"] = {**per_port, **{f"{k}_once": max(0.0, added[0][k] - per_port[k]) for k in per_port}}
    known["source"] = "fitted by benchmarks/calibrate.py to Yosys"
    print(json.dumps(known, indent=1))
    if arguments.write:
        TARGET.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
