"""The 2,048-MAC configuration's synthesis beside AMD's DPU B4096, for docs/benchmarks.md.

``benchmarks/synthesis.py`` prints and writes the table.
"""

from __future__ import annotations

from hwgen.config.board import Resources
from hwgen.config.system import SystemConfig
from hwgen.synth.design import DesignReport

#: AMD PG338, DPUCZDX8G: one B4096 core, 2,048 MACs a cycle; its multipliers are clocked at twice the core's rate
B4096 = Resources(dsp=642, bram36=249.5, uram=0, lut=40_900, ff=92_600)
B4096_MACS = 2048
#: bits of an UltraRAM block in 36 kbit blocks
_ULTRA_IN_BLOCKS = 8
_TITLES = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram36": "BRAM36", "uram": "URAM"}
_DECRYPTION = ("hwgen_load_channel.unit", "hwgen_accelerator.keys")
_ENGINE = ("hwgen_accelerator.engine", "hwgen_column_group", "hwgen_requantise")


def groups(report: DesignReport) -> dict[str, tuple[Resources, Resources]]:
    """Raw and absorbable resources of the parts of a design: decryption, tensor engine, the rest."""
    sums: dict[str, dict[str, float]] = {}
    for module, count in report.parts:
        name = ("decryption" if module.name.startswith(_DECRYPTION)
                else "tensor engine" if module.name.startswith(_ENGINE) else "loads, stores, control")
        own = sums.setdefault(name, dict.fromkeys([*_TITLES, "absorbable_lut", "absorbable_ff"], 0.0))
        for key in own:
            own[key] += count * getattr(module, key)
    return {name: (Resources(**{k: own[k] for k in _TITLES}),
                   Resources(dsp=0, bram36=0, uram=0, lut=own["absorbable_lut"], ff=own["absorbable_ff"]))
            for name, own in sums.items()}


def _row(title: str, values: dict[str, float], absorbable: Resources | None = None) -> str:
    cells = [f"{values[name]:,.1f}".removesuffix(".0") for name in _TITLES]
    if absorbable is not None:
        cells[:2] = [f"{values[n]:,.0f} ({getattr(absorbable, n):,.0f})" for n in ("lut", "ff")]
    return f"| {title} | {' | '.join(cells)} |"


def _per_mac(title: str, have: Resources, macs: int) -> str:
    return f"| {title} | {' | '.join(f'{getattr(have, n) / macs:.3f}' for n in _TITLES)} |"


def _less(raw: Resources, absorbable: Resources) -> Resources:
    return Resources(**{n: getattr(raw, n) - getattr(absorbable, n) for n in _TITLES})


def comparison(report: DesignReport, config: SystemConfig) -> str:
    """Markdown: parts, whole, without what DSP and memory blocks absorb, the same without decryption, and B4096."""
    lines = ["| | " + " | ".join(_TITLES.values()) + " |", "|" + "---|" * (len(_TITLES) + 1)]
    parts = groups(report)
    for name, (raw, absorbable) in sorted(parts.items(), key=lambda part: -part[1][0].lut):
        lines.append(_row(name, raw.to_dict(), absorbable))
    macs = config.macs_per_cycle
    net = _less(report.raw, report.absorbable)
    crypto_raw, crypto_absorbable = parts["decryption"]
    plain = _less(net, _less(crypto_raw, crypto_absorbable))
    lines += [
        _row(f"**whole**, {macs:,} MACs a cycle", report.raw.to_dict(), report.absorbable),
        _row("without absorbable", net.to_dict()),
        _row("without absorbable and decryption", plain.to_dict()),
        _row(f"**DPU B4096**, {B4096_MACS:,} MACs a cycle", B4096.to_dict()),
        _per_mac("per MAC: whole", report.raw, macs),
        _per_mac("per MAC: without absorbable", net, macs),
        _per_mac("per MAC: without absorbable and decryption", plain, macs),
        _per_mac("per MAC: B4096", B4096, B4096_MACS),
        "",
        f"Multipliers at the engine's clock: {report.raw.dsp:,.0f} here; B4096 has {B4096.dsp:,.0f} that run at twice "
        f"its core clock, which is the work of {2 * B4096.dsp:,.0f}. Memory in 36 kbit blocks: "
        f"{report.raw.bram36 + _ULTRA_IN_BLOCKS * report.raw.uram:,.0f} here (an UltraRAM block holds "
        f"{_ULTRA_IN_BLOCKS}), {B4096.bram36:,.0f} in B4096.",
    ]
    return "\n".join(lines)
