"""Rows of docs/results/armor*.json: which of an earlier call stay, and the tables of docs/armor.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hwgen.armor.saliency import DAMAGE, MEASURED

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "armor.json"
COMPARED = RESULTS.with_name("armor_comparison.json")
PAIRED = RESULTS.with_name("armor_paired.json")
#: fields of a row that a simulation decides
SIMULATED = ("cycles", "steady_cycles", "interval_cycles", "cycles_origin", "frames_simulated", "bit_exact",
             "latency_us", "steady_latency_us")


def saliency_of(method: str) -> str:
    """What a method of today measures cuts by."""
    return DAMAGE if method in MEASURED else method


def guidance(row: dict[str, Any]) -> str:
    """How a guided run's cuts differ from those of today's defaults; "" if they do not."""
    before = {"taylor": "by magnitudes", "fisher": "by squares"}.get(row["saliency"])
    return before or ("" if row["depth"] else "by channels only")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: accuracy and size, then what it takes on the board, one row a point."""
    lines = ["| network | method; style, budget | parameters (fewer) | MACs (fewer) | clean | robust | attack | images "
             "| flips |", "|" + "---|" * 9]
    for r in rows:
        lines.append(
            f"| {r['network']} | {method(r)}; {r['style']}, {r['size']} | {r['parameters']:,} "
            f"({r['parameters_ratio']:.1f}) | {r['macs']:,} ({r['macs_ratio']:.1f}) | "
            f"{100 * r['clean_accuracy']:.1f} % | {100 * r['robust_accuracy']:.1f} % | {r['attack']} | "
            f"{r['images']:,} | {100 * r['flips']:.1f} % |")
    lines += ["", "| network | method | board, style | cold cycles | following frame | interval | µs, following frame "
              "| torch on the CPU, µs | ratio | µJ (estimated) |", "|" + "---|" * 10]
    for r in {(r["network"], r["style"], method(r), r["seed"], r["point"]): r for r in rows}.values():
        cpu = r["cpu_latency_us"]
        lines.append(
            f"| {r['network']} | {method(r)} | {r['board']}, {r['style']} | {r['cycles']:,} ({r['cycles_origin']}) | "
            f"{r['steady_cycles']:,} | {r['interval_cycles']:,} | {r['steady_latency_us']:.1f} | "
            + (f"{cpu:,.0f} ({r['cpu']}) | {cpu / r['steady_latency_us']:.0f} | " if cpu else "not timed | | ")
            + f"{r['energy_uj_estimated']:.1f} |")
    return "\n".join(lines)


def method(row: dict[str, Any]) -> str:
    """How the row's network was pruned."""
    target = "" if row["pruned_for"] == row["style"] else f" for the {row['pruned_for']}"
    if row["method"] == "none":
        return "none"
    by = f" {guidance(row)}".rstrip() if row["method"] == "guided" else ""
    tuning = f"{'' if row['batchnorm'] else 'BatchNorm folded, '}stride {row['stride']:g}"
    return f"{row['method']}{by}{target}, {tuning}"


def comparison_table(rows: list[dict[str, Any]], *, paired: bool = False) -> str:
    """Markdown of what ``comparisons`` finds at equal robust accuracy, or (``paired``) point by point."""
    def cell(point: dict[str, Any] | None) -> str:
        return "none | | " if point is None else (
            f"{point['cycles']:,} / {point['steady_cycles']:,} | {100 * point['robust_accuracy']:.1f} % | "
            f"{point['parameters']:,}")

    first = "after so many points" if paired else "at least so robust"
    lines = [f"| network | board, style | against | {first} | guided: cycles, cold / following | robust | parameters "
             "| plain: cycles | robust | parameters | guided: fewer cycles (mean) |", "|" + "---|" * 11]
    for r in rows:
        fewer = "" if r["fewer"] is None else f"{100 * r['fewer']:.1f} %"
        by = guidance(r)
        at = r["guided"]["point"] if paired else f"{100 * r['level']:.1f} % ({r['attack']})"
        against = r["method"] + (f" (guided {by})" if by else "")
        target = "" if r["pruned_for"] == r["style"] else f", pruned for the {r['pruned_for']}"
        lines.append(f"| {r['network']} | {r['board']}, {r['style']}{target} | {against}, {r['size']}, stride "
                     f"{r['stride']:g}{'' if r['batchnorm'] else ', BatchNorm folded'}, seed {r['seed']} | "
                     f"{at} | {cell(r['guided'])} | {cell(r['plain'])} | {fewer} |")
    return "\n".join(lines)


def with_known(rows: list[dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    """``rows``; what was not measured now as the file has it: CPU times of the same point, and simulated cycles of the
    same point on the same hardware."""
    def point(row: dict[str, Any]) -> tuple[Any, ...]:
        return (*(row[name] for name in ("network", "method", "point", "size", "parameters", "macs")), *tuned(row))

    def hardware(row: dict[str, Any]) -> tuple[Any, ...]:
        return (*point(row), row["board"], row["style"], row["config_sha256"])

    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    times = {point(r): {"cpu_latency_us": r["cpu_latency_us"], "cpu": r["cpu"]} for r in old if r["cpu_latency_us"]}
    cycles = {hardware(r): {name: r.get(name) for name in SIMULATED} for r in old if r["cycles_origin"] == "simulated"}
    found = [r if r["cpu_latency_us"] else {**r, **times.get(point(r), {})} for r in rows]
    return [r if r["cycles_origin"] == "simulated" else {**r, **cycles.get(hardware(r), {})} for r in found]


def tuned(row: dict[str, Any]) -> tuple[Any, ...]:
    """What distinguishes fine-tunings of one method; the unpruned network has none."""
    return () if row["method"] == "none" else tuple(
        row[name] for name in ("seed", "saliency", "batchnorm", "stride", "depth"))


def kept(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The file's rows of other networks, boards, styles, methods, sizes, seeds and ways to fine-tune, and other attacks
    on the same network; then ``rows``; written."""
    def run(row: dict[str, Any]) -> tuple[Any, ...]:
        return (*(row.get(name) for name in ("network", "board", "style", "pruned_for", "method", "size")), *tuned(row))

    def point(row: dict[str, Any]) -> tuple[Any, ...]:
        return (*run(row), *(row.get(name) for name in ("point", "parameters", "macs")))

    def attack(row: dict[str, Any]) -> tuple[Any, ...]:
        return (*point(row), row.get("attack"), row.get("images"))

    old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    runs, points, attacks = ({kind(r) for r in rows} for kind in (run, point, attack))
    both = [*(r for r in old if run(r) not in runs or (point(r) in points and attack(r) not in attacks)), *rows]
    path.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")
    return both
