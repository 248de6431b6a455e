"""How tensor-train layers execute: what the search chose, against every policy that treats all layers alike.

    python benchmarks/tt_policies.py [--only resnet18_tt,sweep] [--write]

Per network of the zoo with tensor trains, on zcu104's chosen configuration: the cycles of every layer in every
contraction order, and the whole network under every policy, by the search's model and by the compiled program's
timeline. Then a sweep over one layer, in which the fastest order changes with ranks, map and memory: by the model, by
compiled programs, and in simulation of a small engine. ``--write`` updates docs/results/tt_policies.json and
docs/benchmarks.md; parts that were not measured this time stay.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from docs_page import write_section
from one_layer import Point, analytic, compiled_layer, quantised_layer

from hwgen.compiler.compile import compile_network
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board, load_board
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.cycles import work_cost
from hwgen.cost.network import network_cost
from hwgen.cost.timeline import MemoryModel, predict
from hwgen.cost.work import NetworkWork, Variant, network_work
from hwgen.errors import HwgenError
from hwgen.image.sealing import sealer_for
from hwgen.image.writer import build_image
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.passes.plan import TTChoice, plan
from hwgen.pipeline.build import default_cache
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.steps.frontend import read_model
from hwgen.quantize import calibrate, quantise
from hwgen.seal import Key
from hwgen.search import search
from hwgen.search.orders import policies, variant_macs, with_orders
from hwgen.verify.expected import expected_tensors, integer_inputs
from hwgen.verify.proof import Job, prove
from hwgen_sim.simulate import MemoryTiming
from rtl_templates.verilog import generate

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "tt_policies.json"
NETWORKS = ("resnet18_tt", "vgg16_tt", "resnet18_224_tt")
BOARD = "zcu104"
SEARCHED = "searched"
#: sweep: channels, first rank as a share of them, map, memory; the second rank is 32, the stride 2
CHANNELS, SHARES, SIZES, MEMORIES, RANK, STRIDE = (64, 128), (0.25, 0.5, 1.0), (8, 32), (40.0, 2.0), 32, 2
ENGINE = AcceleratorConfig(act_words=16384)
#: orders of the sweep whose programs are compiled
ORDERS = ("I|HW|O", "I·HW|O", "I·HW·O", "I+HW|O", "I+HW+O")
SMALL = AcceleratorConfig(p_i=8, p_o=16, acc_depth=128, act_words=16384, weight_lines=1024, axi_ports=1,
                          program_words=1024)
LARGE = AcceleratorConfig(act_words=4096, program_words=1024)
#: points that are simulated, and on which engine: of the first two the chain is fastest with the smaller rank and
#: slowest with the larger one, in the third (slow memory, a small map) a kernel made on the chip is fastest
SIMULATED = (
    *((Point(channels_in=32, channels_out=32, ranks=ranks, size=32, kernel=4, stride=4, bytes_per_cycle=8), SMALL)
      for ranks in ((8, 16), (16, 16))),
    (Point(channels_in=64, channels_out=64, ranks=(32, 32), size=8, stride=2, bytes_per_cycle=2), LARGE),
)
SIMULATED_ORDERS = (("I|HW|O", "I·HW|O", "I+HW|O"),) * 2 + (("I|HW|O", "I·HW·O", "I+HW+O"),)


def variant_cycles(variant: Variant, table: ConfigTable, rate: float) -> dict[str, float]:
    """Cycles of the array, and of the weights' transfer at ``rate`` bytes a cycle, of one layer by itself."""
    costs = [work_cost(w, table) for w in variant.works]
    lines = sum(float(c.lines[0]) for c in costs)
    return {"compute": sum(float(c.cycles[0]) for c in costs), "transfer": lines * float(table.line_bytes[0]) / rate,
            "macs": float(variant_macs(variant))}


def measure_network(name: str, board: Board) -> dict[str, Any]:
    """Layers and policies of one network."""
    request = BuildRequest(model=name, board=BOARD, out=ROOT / "build" / f"{name}-{BOARD}")
    graph, _ = read_model(model_source(request), None)
    result = search(graph, board)
    config, work, memory = result.chosen.config, network_work(graph), MemoryModel.of(board)
    table = ConfigTable.of([config])
    rate = min(config.axi_ports * 16.0, memory.bytes_per_cycle)
    layers = []
    for layer, variants in work.variants.items():
        node = graph[layer]
        assert isinstance(node, ir.TTConv2d | ir.TTLinear)
        layers.append({
            "layer": layer, "chosen": result.choices[layer].order(node),
            "ranks": [core.shape[-1] for core in node.cores[:-1]], "map": list(node.shape),
            "orders": {v.choice.order(node): variant_cycles(v, table, rate) for v in variants}})
    chosen = {layer: next(k for k, v in enumerate(variants) if v.choice == result.choices[layer])
              for layer, variants in work.variants.items()}
    totals = {}
    for policy, numbers in {SEARCHED: chosen, **policies(work)}.items():
        print("   ", name, policy, flush=True)
        cost = network_cost(with_orders(work, numbers), table, memory, config.packing)
        totals[policy] = {
            "cold": round(float(cost.cold[0])), "steady": round(float(cost.steady[0])),
            "macs": sum(variant_macs(v[numbers[layer]]) for layer, v in work.variants.items()),
            "weight_bytes": round(float(cost.lines[0]) * config.line_bytes),
            **program_cycles(graph, work, numbers, config, memory)}
    return {"network": name, "board": BOARD, "config": config.to_dict(), "layers": layers, "policies": totals}


def program_cycles(graph: Graph, work: NetworkWork, numbers: dict[str, int], config: AcceleratorConfig,
                   memory: MemoryModel) -> dict[str, Any]:
    """Cycles by the timeline of the compiled program; what the compiler says where there is none."""
    choices = {layer: variants[numbers[layer]].choice for layer, variants in work.variants.items()}
    planned = plan(graph, choices)
    images = np.random.default_rng(0).normal(size=(1, *planned.input_node().shape)).astype(np.float32)
    try:
        prediction = predict(compile_network(quantise(calibrate(planned, images, "minmax")), config), memory)
    except HwgenError as error:
        return {"program_cold": None, "program_steady": None, "problem": error.what}
    return {"program_cold": prediction.cold.cycles, "program_steady": prediction.steady.cycles}


def measure_sweep() -> list[dict[str, Any]]:
    """Cold frames at every point of the sweep, every order."""
    rows = []
    ranks = dict.fromkeys((channels, max(RANK, int(share * channels))) for channels in CHANNELS for share in SHARES)
    for (channels, rank), size, rate in itertools.product(ranks, SIZES, MEMORIES):
        point = Point(channels_in=channels, channels_out=channels, ranks=(rank, RANK), size=size, stride=STRIDE,
                      bytes_per_cycle=rate)
        orders = analytic(point, ENGINE)
        rows.append({
            "channels": channels, "rank": point.ranks[0], "map": size, "bytes_per_cycle": rate,
            "model": {order: round(orders[order][1]) for order in ORDERS},
            "program": {order: predict(compiled_layer(point, orders[order][0], ENGINE), point.memory).cold.cycles
                        for order in ORDERS}})
        print("   ", rows[-1], flush=True)
    return rows


def simulate_point(point: Point, choice: TTChoice, config: AcceleratorConfig, folder: Path) -> tuple[int, bool]:
    """Cycles of a cold frame in simulation, and whether every output bit is right."""
    graph = quantised_layer(point, choice)
    network = compile_network(graph, config)
    pixels = np.random.default_rng(1).normal(size=(1, *graph.input_node().shape)).astype(np.float32)
    inputs = integer_inputs(graph, pixels)
    key = Key(bytes(range(16)))
    image = folder / "model.img"
    image.write_bytes(build_image(network, sealer_for(network, key)))
    job = Job(config=config, verilog=generate(config), image=image, key=key.reveal(), inputs=inputs, seed=1,
              memory=MemoryTiming(bytes_per_cycle=Fraction(point.bytes_per_cycle)), cache=default_cache())
    proof = prove(job, expected_tensors(graph, inputs, []), graph.output)
    return proof.counters[0]["cycles"], proof.comparison.mismatches == 0


def measure_simulated() -> list[dict[str, Any]]:
    """The points of ``SIMULATED``."""
    rows = []
    for (point, config), tried in zip(SIMULATED, SIMULATED_ORDERS, strict=True):
        orders = analytic(point, config)
        for order in tried:
            choice, cycles = orders[order]
            with tempfile.TemporaryDirectory() as folder:
                simulated, exact = simulate_point(point, choice, config, Path(folder))
            program = predict(compiled_layer(point, choice, config), point.memory).cold.cycles
            rows.append({
                "array": f"{config.p_i} x {config.p_o}", "channels": point.channels_in, "map": point.size,
                "kernel": point.kernel, "stride": point.stride, "ranks": list(point.ranks),
                "bytes_per_cycle": point.bytes_per_cycle, "order": order, "model": round(cycles), "program": program,
                "simulated": simulated, "bit_exact": exact})
            print("   ", rows[-1], flush=True)
    return rows


def rows_of(titles: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def cell(text: str) -> str:
    """An order inside a Markdown table."""
    return f"`{text}`".replace("|", "\\|")


def network_tables(found: dict[str, Any]) -> list[str]:
    """Layers, then policies."""
    orders = list(dict.fromkeys(order for layer in found["layers"] for order in layer["orders"]))

    def figure(entry: dict[str, float] | None) -> str:
        if entry is None:
            return "–"
        slow = entry["transfer"] > entry["compute"]
        return f"{entry['transfer']:,.0f} t" if slow else f"{entry['compute']:,.0f}"

    config = found["config"]
    layers = [[layer["layer"], "×".join(map(str, layer["map"])), ", ".join(map(str, layer["ranks"])),
               cell(layer["chosen"]), *(figure(layer["orders"].get(order)) for order in orders)]
              for layer in found["layers"]]
    kept = found["policies"]
    totals = [[name.replace("|", "\\|"), f"{row['macs'] / 1e6:,.1f} M", f"{row['weight_bytes'] / 1e6:.2f} MB",
               f"{row['cold']:,}", f"{row['steady']:,}", *("–" if row[k] is None else f"{row[k]:,}"
                                       for k in ("program_cold", "program_steady"))]
              for name, row in kept.items()]
    return [f"**{found['network']}** ({config['p_i']} x {config['p_o']} array):", "",
            *rows_of(("layer", "result", "ranks", "chosen", *map(cell, orders)), layers), "",
            *rows_of(("policy", "MACs of TT layers", "weight stream", "cold", "steady", "program, cold",
                      "program, steady"), totals), ""]


def best(cycles: dict[str, float]) -> str:
    """The fastest order; the first one of equals."""
    return min(cycles, key=lambda order: cycles[order])


def sweep_table(rows: list[dict[str, Any]]) -> list[str]:
    """Fastest programs at every point; how the model agrees."""
    by_key = {(r["channels"], r["rank"], r["map"], r["bytes_per_cycle"]): r for r in rows}
    pairs = list(itertools.product(SIZES, MEMORIES))
    table = []
    for channels, rank in dict.fromkeys((r["channels"], r["rank"]) for r in rows):
        line = [str(channels), f"{rank}, {RANK}"]
        for size, rate in pairs:
            cycles = by_key[channels, rank, size, rate]["program"]
            winner = best(cycles)
            line.append(f"{cell(winner)} {cycles['I|HW|O'] / cycles[winner]:.2f}×")
        table.append(line)
    lost = [r["program"][best(r["model"])] / r["program"][best(r["program"])] - 1 for r in rows]
    titles = ("channels", "ranks", *(f"{size}×{size}, {rate:g} B" for size, rate in pairs))
    return [*rows_of(titles, table), "",
            f"At {sum(share == 0 for share in lost)} of the {len(rows)} points the search's model names the fastest "
            f"program too; at the others its choice loses {max(lost):.1%} at most.", ""]


def simulated_table(rows: list[dict[str, Any]]) -> list[str]:
    """The simulated points."""
    titles = ("array", "channels", "map", "kernel, stride", "ranks", "bytes/cycle", "order", "model", "program",
              "simulated", "bit-exact")
    shown = [[r["array"], str(r["channels"]), f"{r['map']}×{r['map']}", f"{r['kernel']}, {r['stride']}",
              ", ".join(map(str, r["ranks"])), f"{r['bytes_per_cycle']:g}", cell(r["order"]), f"{r['model']:,}",
              f"{r['program']:,}", f"{r['simulated']:,}", "yes" if r["bit_exact"] else "NO"] for r in rows]
    return rows_of(titles, shown)


def text(found: dict[str, Any]) -> str:
    """Everything that has been measured."""
    lines: list[str] = []
    for name in NETWORKS:
        if name in found:
            lines += network_tables(found[name])
    if "sweep" in found:
        lines += sweep_table(found["sweep"])
    if "simulated" in found:
        lines += simulated_table(found["simulated"])
    return "\n".join(lines).rstrip()


def main() -> None:
    """Measure, print, and with ``--write`` update docs/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="networks, sweep, simulated; separated by commas")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else [*NETWORKS, "sweep", "simulated"]
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    board = load_board(BOARD)
    for part in wanted:
        print(part, flush=True)
        found[part] = (measure_sweep() if part == "sweep" else measure_simulated() if part == "simulated"
                       else measure_network(part, board))
        if arguments.write:
            RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(text(found))
    if arguments.write:
        write_section("tt", text(found))


if __name__ == "__main__":
    main()
