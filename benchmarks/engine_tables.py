"""Tables of the engine's figures, from the records that benchmarks/engine.py measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]

_FIGURES = (
    "network", "input", "board", "array", "MACs", "predicted", "cold", "steady", "MAC eff. cold", "MAC eff. steady",
    "roofline eff. cold", "roofline eff. steady", "error cold", "latency", "frames/s", "crypto adds", "weights",
    "bit-exact")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What a network has to reach.

    Args:
        network, board: the run.
        measure: "mac_efficiency" or "roofline_efficiency"; state: "cold" or "steady".
        must, aim: shares of 1.
        published: what the best DPU reaches, for people; "" where nothing is published.
    """

    network: str
    measure: str
    state: str
    must: float
    aim: float
    published: str = ""
    board: str = "zcu104"


BARS = (
    Bar(network="resnet18_224", measure="mac_efficiency", state="cold", must=0.85, aim=0.92,
        published="65 % (71 % on KV260)"),
    Bar(network="resnet50", measure="mac_efficiency", state="cold", must=0.80, aim=0.90, published="54 % (60 %)"),
    Bar(network="vgg16_224", measure="mac_efficiency", state="cold", must=0.62, aim=0.69, published="48 % (56 %)"),
    Bar(network="mobilenetv2", measure="mac_efficiency", state="cold", must=0.50, aim=0.70, published="15 %"),
    Bar(network="resnet18", measure="roofline_efficiency", state="cold", must=0.72, aim=0.80),
    Bar(network="resnet18_tt", measure="roofline_efficiency", state="steady", must=0.80, aim=0.88),
    Bar(network="resnet18_tt", measure="roofline_efficiency", state="cold", must=0.75, aim=0.85),
)
#: least speed-up of a compressed network over its dense twin, as a share of the ratio of their MACs
RATIO_MUST = 0.9
_SOURCE = (
    "Published: AMD DPUCZDX8G B4096 (2,048 MACs a cycle at 300 MHz) on ZCU104, frames a second of one thread in the "
    "Vitis AI model zoo × MACs ÷ peak of one core; in brackets the best case on KV260. Those were measured on boards, "
    "ours are cycles of a simulation.")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles),
                      *("| " + " | ".join(row) + " |" for row in rows)])


def figures(records: Sequence[Record]) -> str:
    """Markdown, one line per run."""
    rows = []
    for r in records:
        added, hertz = r["crypto_cycles_added"], r["config"]["clock_mhz"] * 1e6
        rows.append((
            r["network"], r["input"], r["board"], f"{r['config']['p_i']}x{r['config']['p_o']}",
            f"{r['macs'] / 1e6:,.1f} M", f"{r['predicted_cycles']:,.0f}", f"{r['cycles_cold']:,}",
            f"{r['cycles_steady']:,}",
            *(f"{r[f'{name}_efficiency_{state}']:.1%}" for name in ("mac", "roofline") for state in ("cold", "steady")),
            f"{r['prediction_error_cold']:+.2%}", f"{r['cycles_cold'] / hertz * 1e3:.3f} ms",
            f"{hertz / r['cycles_steady']:,.1f}",
            "–" if added is None else f"{added:+,} ({added / (r['cycles_cold'] - added):+.2%})", r["weights"],
            f"{r['frames']} of {r['frames']}" if r["bit_exact"] else "NO"))
    return _table(_FIGURES, rows)


def bars(records: Sequence[Record]) -> str:
    """Markdown: every bar, what is measured, and whether it is met."""
    by_run = {(r["network"], r["board"]): r for r in records}
    rows = []
    for bar in BARS:
        found = by_run.get((bar.network, bar.board))
        value = found[f"{bar.measure}_{bar.state}"] if found is not None and found["bit_exact"] else None
        rows.append((
            f"{bar.network}, {bar.state}", bar.measure.replace("_", " ").replace("mac", "MAC"), f"≥ {bar.must:.0%}",
            f"{bar.aim:.0%}", bar.published or "–", "not measured" if value is None else f"{value:.1%}",
            "–" if value is None else verdict(value, bar)))
    return _table(("network, frame", "efficiency", "must", "aim", "best published DPU", "measured", "met"), rows) \
        + "\n\n" + _SOURCE


def verdict(value: float, bar: Bar) -> str:
    """Whether a bar is met."""
    return "aim" if value >= bar.aim else "must" if value >= bar.must else "NO"


def _own_bars(record: Record) -> str:
    """Whether a network meets all its bars; "–" if it has none."""
    own = [verdict(record[f"{b.measure}_{b.state}"], b) for b in BARS
           if (b.network, b.board) == (record["network"], record["board"])]
    return "–" if not own else "NO" if "NO" in own else "met"


def speed_ups(records: Sequence[Record], twins: Mapping[str, str]) -> str:
    """Markdown: every compressed network against its dense twin on the same board.

    Args:
        twins: compressed network -> dense network.
    """
    by_run = {(r["network"], r["board"]): r for r in records}
    rows = []
    for (network, board), compressed in by_run.items():
        dense = by_run.get((twins.get(network, ""), board))
        if dense is None:
            continue
        ratio = dense["macs"] / compressed["macs"]
        for state in ("cold", "steady"):
            gain = dense[f"cycles_{state}"] / compressed[f"cycles_{state}"]
            rows.append((network, dense["network"], board, state, f"{ratio:.2f}×", f"{gain:.2f}×",
                         f"{gain / ratio:.2f}", "yes" if gain / ratio >= RATIO_MUST else "NO", _own_bars(dense)))
    absent = sorted(set(twins) - {row[0] for row in rows})
    text = _table(("network", "dense twin", "board", "frame", "MAC ratio", "speed-up", "speed-up ÷ MAC ratio",
                   f"≥ {RATIO_MUST}", "bar of the twin"), rows)
    return text + (f"\n\nNot measured: {', '.join(absent)}." if absent else "")
