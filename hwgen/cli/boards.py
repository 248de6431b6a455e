"""``hwgen boards``: list the boards, or print one with the sources of its figures."""

from __future__ import annotations

from typing import Annotated

import typer

from hwgen.cli.console import out, print_json, table
from hwgen.cli.guard import guarded
from hwgen.config.board import Board, board_names, load_board

NAME = "boards"
EXAMPLES = "Examples:  hwgen boards   |   hwgen boards zcu104   |   hwgen boards mine.toml --json"


@guarded
def command(
    board: Annotated[str, typer.Argument(help="Board name or path of a board file; without it, all are listed.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """List the boards, or show one of them and where its figures come from."""
    boards = [load_board(board)] if board else [load_board(name) for name in board_names()]
    if json:
        print_json([b.to_dict() for b in boards])
    elif board:
        _show(boards[0])
    else:
        rows = [(b.name, b.title, f"{b.resources.dsp:g}", f"{b.resources.bram36:g}", f"{b.resources.uram:g}",
                 f"{b.resources.lut:,.0f}", f"{b.clock_mhz:g}", f"{b.memory.effective_gbps:g}", b.flow) for b in boards]
        right = ("DSP", "BRAM36", "URAM", "LUT", "MHz", "GB/s")
        out.print(table("", ("board", "title", *right, "flow"), rows, right=right))


def _show(board: Board) -> None:
    memory, ps = board.memory, board.processing_system
    rows = [
        ("part", f"{board.part} ({board.family})"),
        ("resources", ", ".join(f"{v:,.0f} {k}" for k, v in board.resources.to_dict().items())),
        ("packing", board.packing.value),
        ("clock", f"{board.clock_mhz:g} MHz from {board.source_clock}"),
        ("timing", f"{board.timing.level_ns:g} ns a level of logic, {board.timing.register_ns:g} ns registers, "
                   f"{board.timing.memory_ns:g} ns output of a memory block"),
        ("memory", f"{memory.kind}, {memory.capacity_mib} MiB, "
                   f"{memory.effective_gbps:g} of {memory.peak_gbps:g} GB/s = "
                   f"{board.bytes_per_cycle:.2f} bytes a cycle, latency {memory.latency_cycles} cycles"),
        ("ports", f"{', '.join(memory.ports)}: {memory.port_bytes} bytes, {memory.protocol}"),
        ("processing_system", f"{ps.kind}, registers at {ps.control_address:#x} through {ps.control_port}"
                              + (f"; {ps.host_link}" if ps.host_link else "")),
        ("flow", board.flow),
    ]
    out.print(table(f"{board.name}: {board.title}", ("field", "value", "source"),
                    [(k, v, board.sources.get(k, "")) for k, v in rows]))
