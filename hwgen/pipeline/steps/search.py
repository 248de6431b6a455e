"""Step ``search``: the accelerator configuration and how every TT layer executes."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board, load_board
from hwgen.config.system import SystemConfig
from hwgen.cost.arrays import ConfigTable
from hwgen.cost.memory import MemoryModel
from hwgen.cost.network import network_cost
from hwgen.cost.resources import estimate
from hwgen.cost.work import network_work, with_encryption
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph, TTExecution
from hwgen.passes.plan import TTChoice
from hwgen.pipeline.designs import default_key_bits, search_designs, stream_values
from hwgen.pipeline.encryption import SELECT_STEP, choice_inputs, expected_layers, protects_activations
from hwgen.pipeline.fingerprint import hash_file
from hwgen.pipeline.graphfile import load_graph
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.pipeline.step import Step, StepContext
from hwgen.pipeline.steps.frontend import GRAPH
from hwgen.pipeline.store import write_json
from hwgen.seal import Selection
from hwgen.search.explain import amount
from hwgen.search.orders import choose_orders
from hwgen.stream.search import fixed_pipeline

CONFIG, RESULT, BOARD = "config.json", "search.json", "board.json"
_GIVEN = "The configuration was given by the user."


def run(context: StepContext) -> dict[str, Any]:
    """Write configuration, choices, front and explanation."""
    request = context.request
    graph, board = load_graph(context.results["compress"] / GRAPH), load_board(request.board)
    encrypted = expected_layers(request, model_source(request), network_work(graph))
    if request.config is None:
        system, values, text = _searched(request, graph, board, encrypted)
        (context.out / "explanation.txt").write_text(values["explanation"] + "\n", encoding="utf-8")
    else:
        system = read_config(request.config)
        protection = system.engine.protect_activations or system.engine.pipeline is not None
        if protects_activations(request, model_source(request)) and not protection:
            raise HwgenError("does not protect feature maps", where=request.config.name,
                             hint='"protect_activations": true in it, or let the search choose (leave --config out)')
        values = fixed(graph, board, system, encrypted)
        text = f"{_array(system)}, as given in {request.config.name}"
    write_json(context.out / CONFIG, system.to_dict())
    write_json(context.out / RESULT, values)
    write_json(context.out / BOARD, board.to_dict())
    return {"text": text, "config": system.to_dict()}


def _searched(
    request: BuildRequest, graph: Graph, board: Board, encrypted: Collection[str] | Selection | None
) -> tuple[SystemConfig, dict[str, Any], str]:
    """The better of the styles that were asked for: the design, all figures, a line of text."""
    found = search_designs(request, graph, board, encrypted, key_bits=key_bits(request))
    system, config = found.system, found.system.engine
    if found.style == "stream":
        assert found.stream is not None
        return system, found.values, \
            f"{_array(system)}, {config.aes_rounds} AES rounds; in {found.stream.seconds:.2f} s"
    assert found.engine is not None
    text = f"{_array(system)}, {system.ports} ports, {config.aes_rounds} AES rounds each, " \
           f"{config.weight_lines:,} weight lines; best of {found.engine.considered:,} in {found.engine.seconds:.2f} s"
    return system, found.values, text


def _array(system: SystemConfig) -> str:
    if system.engine.pipeline is not None:
        return f"pipeline of {len(system.engine.pipeline.stages)} stages, {system.macs_per_cycle:,} MACs a cycle"
    array = f"{system.engine.p_i} x {system.engine.p_o} array"
    return array if system.engines == 1 else f"{system.engines} engines, each with a {array}"


def read_config(path: Path) -> SystemConfig:
    """Configuration from a JSON file; HwgenError names file and field."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HwgenError(f"is no readable JSON file: {error}", where=str(path)) from error
    if not isinstance(values, dict):
        raise HwgenError("must hold one object", where=str(path))
    try:
        return SystemConfig.from_dict(values)
    except HwgenError as error:
        raise HwgenError(error.what, where=f"{path}: {error.where}", allowed=error.allowed, hint=error.hint) from error


def key_bits(request: BuildRequest) -> int:
    """Size of the AES key: a given configuration says it, else the key file's length, else the default."""
    if request.config is not None:
        return read_config(request.config).engine.aes_key_bits
    return default_key_bits(request)


def fixed(
    graph: Graph, board: Board, system: SystemConfig, encrypted: Collection[str] | Selection | None = None
) -> dict[str, Any]:
    """The result of a search with one candidate; HwgenError if the board is too small for it."""
    if system.engine.pipeline is not None:
        if system.engines > 1:
            raise HwgenError("several pipelines in one design are not possible", where="config.engines", allowed="1")
        return stream_values(fixed_pipeline(graph, board, system.engine), _GIVEN)
    table, config = ConfigTable.of([system]), system.engine
    resources = estimate(table, board, key_bits=config.aes_key_bits)
    short = resources.row(0).shortfall(board.resources)
    if short is not None:
        name, needed, available = short
        raise HwgenError(f"needs {amount(needed)} {name.upper()}, {board.name} has {amount(available)} (short by "
                         f"{amount(needed - available)})", where=f"board {board.name}",
                         hint="a smaller configuration, or let the search choose (leave --config out)")
    if system.engines > 1 and system.ports > board.max_ports:
        raise HwgenError(f"{system.engines} engines need {system.ports} memory ports, {board.name} has "
                         f"{board.max_ports}", where=f"board {board.name}", hint="fewer engines, or fewer ports each")
    network, memory = with_encryption(network_work(graph), encrypted), MemoryModel.of(board)
    orders = choose_orders(network, table, memory.share(system.engines), config.packing,
                           lambda cost: float(cost.cold[0] + cost.steady[0]) if cost.possible[0] else float("inf"))
    cost = orders.cost
    alone = cost if system.engines == 1 else network_cost(network, table, memory, config.packing)
    cold, steady = round(float(alone.cold[0])), round(float(alone.steady[0]))
    chosen = {"config": system.to_dict(), "cold_cycles": cold, "steady_cycles": steady, "model_cold_cycles": cold,
              "model_steady_cycles": steady, "compiled": False,
              "interval_cycles": round(float(cost.steady[0]) / system.engines),
              "resources": resources.row(0).to_dict(),
              "absorbable": resources.absorbable(0).to_dict(), "energy_uj": None}
    choices = {n: {"execution": c.execution.value, "grouping": list(c.grouping or ())}
               for n, c in orders.choices.items()}
    return {"chosen": chosen, "front": [chosen], "choices": choices, "considered": 1, "feasible": 1, "seconds": 0.0,
            "explanation": _GIVEN}


def load_system(folder: Path) -> SystemConfig:
    """The design that this step wrote."""
    return read_config(folder / CONFIG)


def load_config(folder: Path) -> AcceleratorConfig:
    """Its engine, for which programs are made."""
    return load_system(folder).engine


def load_memory(folder: Path) -> tuple[float, int]:
    """The board's memory as it was built for: bytes per cycle, read latency in cycles."""
    try:
        values = json.loads((folder / BOARD).read_text(encoding="utf-8"))
        return float(values["bytes_per_cycle"]), int(values["memory"]["latency_cycles"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HwgenError(f"cannot be read: {error}", where=str(folder / BOARD), hint="build again") from error


def load_choices(folder: Path) -> dict[str, TTChoice]:
    """How the TT layers execute."""
    values = json.loads((folder / RESULT).read_text(encoding="utf-8"))["choices"]
    return {n: TTChoice(TTExecution(c["execution"]), tuple(c["grouping"]) or None) for n, c in values.items()}


def inputs(request: BuildRequest) -> dict[str, Any]:
    """Everything that decides the result besides the graph."""
    board = load_board(request.board)
    return {"protect": protects_activations(request, model_source(request)),
            "board": board.to_dict(), "objective": request.objective, "style": request.style, "fps": request.fps,
            "config": hash_file(request.config) if request.config else "", "key_bits": key_bits(request),
            **choice_inputs(request)}


STEP = Step(
    name="search", title="searching the accelerator", needs=("compress", SELECT_STEP), inputs=inputs, run=run,
    code=("hwgen.search", "hwgen.stream", "rtl_templates.stream", "hwgen.cost", "hwgen.config", "hwgen.passes",
          "hwgen.quantize", "hwgen.compiler",
          "hwgen.seal.select", "hwgen.seal.selection", "rtl_templates.engine.timing", "rtl_templates.crypto.timing",
          "hwgen.pipeline.designs", "hwgen.pipeline.encryption", "hwgen.pipeline.steps.search"),
)
