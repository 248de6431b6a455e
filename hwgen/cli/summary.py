"""The table at the end of a build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwgen.cli.console import out, table
from hwgen.report.selection import selection_text


def _accuracy(accuracy: dict[str, Any]) -> str:
    figures = [f"{name} {100 * accuracy[name]:.2f} %" for name in ("float", "compressed", "int8")
               if accuracy.get(name) is not None]
    if not figures:
        return "not measured"
    return f"{', '.join(figures)} ({accuracy['source']}, {accuracy['images']:,} images of {accuracy['dataset']})"


def _weights(network: dict[str, Any]) -> str:
    text = str(network.get("weights_origin", "not recorded"))
    return f"{text}; accuracies mean nothing" if network.get("weights") == "seeded" else text


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def summary_rows(report: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """The rows of the table, from the report."""
    network, cycles, encryption = report["network"], report["cycles"], report["encryption"]
    verification, config = report["verification"], report["config"]
    rows = [
        ("model", f"{report['model']} on {report['board']}: {network['parameters'] / 1e6:.2f} M parameters, "
                  f"{network['macs'] / 1e6:.1f} M MACs (dense: {network['dense_parameters'] / 1e6:.2f} M, "
                  f"{network['dense_macs'] / 1e6:.1f} M)"),
        ("weights", _weights(network)),
        ("accuracy", _accuracy(report["accuracy"])),
        ("engine", _engine(config)),
        ("cycles", _cycles(cycles)),
        ("latency", f"{report['latency_ms']:.3f} ms cold, {report['throughput_fps']:.0f} frames a second"
                    f"{' of all engines' * (config.get('engines', 1) > 1)} ({report['source']})"),
        ("efficiency", f"MAC {_percent(cycles['mac_efficiency_interval'])} from frame to frame"
         if "pipeline" in config else f"MAC {_percent(cycles['mac_efficiency'])} cold, "
                       f"{_percent(cycles['mac_efficiency_steady'])} steady; "
                       f"roofline {_percent(cycles['roofline_efficiency'])} cold"),
        ("resources", ", ".join(f"{report['resources']['estimated'][k]:,.0f}/{v:,.0f} {k}"
                                for k, v in report["resources"]["available"].items() if v) + " (estimated)"),
        ("encryption", f"{encryption['bytes_encrypted']:,} of {encryption['bytes_total']:,} bytes" + (
            "" if encryption["cycles_added"] is None else f", {encryption['cycles_added']:+,} cycles") + (
            "" if encryption.get("selection") is None else f"; {selection_text(encryption['selection'])}")),
        ("feature maps", _maps(report["memory"])),
        ("proof", _proof(verification)),
        ("results", f"{folder}/report.html, {folder}/handoff.zip"),
    ]
    return rows


def _maps(memory: dict[str, Any]) -> str:
    if not memory["spilled_bytes"]:
        return "all on the chip"
    return f"{memory['spilled_bytes']:,} bytes a frame in memory, " + (
        "encrypted and authenticated" if memory.get("spilled_protected") else "plain")


def _engine(config: dict[str, Any]) -> str:
    if "pipeline" in config:
        return (f"pipeline of {len(config['pipeline']['stages'])} stages at {config['clock_mhz']:g} MHz, "
                f"{config['axi_ports']} memory port")
    engines = config.get("engines", 1)  # absent from reports of older builds
    several = f"{engines} engines, each " if engines > 1 else ""
    return (f"{several}{config['p_i']} x {config['p_o']} = {config['p_i'] * config['p_o']:,} MACs a cycle at "
            f"{config['clock_mhz']:g} MHz, {config['axi_ports']} memory port{'s' * (config['axi_ports'] > 1)}")


def _cycles(cycles: dict[str, Any]) -> str:
    if cycles["measured"] is None:
        return f"{cycles['predicted']:,} predicted (not simulated)"
    return (f"{cycles['measured']:,} cold, {cycles['measured_steady']:,} steady (simulated); "
            f"{cycles['predicted']:,} predicted, {cycles['ideal']:,} ideal")


def _proof(verification: dict[str, Any]) -> str:
    if verification["bit_exact"] is None:
        return "not run (--no-verify)"
    exact = "every output bit equal" if verification["bit_exact"] else f"{verification['mismatches']:,} differ"
    return (f"{exact}: {verification['elements_compared']:,} values of {verification['frames']} frames, "
            f"{verification['simulator']}, {verification['seconds']:.0f} s")


def print_summary(report: dict[str, Any], folder: Path) -> None:
    """Print the table."""
    out.print(table("", ("", ""), summary_rows(report, folder)))
