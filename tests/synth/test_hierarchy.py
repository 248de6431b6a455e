"""Cutting a design into parts, and counting a netlist; the synthesis itself is in the slow tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwgen.errors import HwgenError
from hwgen.synth.design import synthesise_apart, synthesise_design
from hwgen.synth.hierarchy import Design, ports_only, split_modules
from hwgen.synth.netlist import ModuleReport, analyse

LEAF = """module {name}(clk, a, q);
  input clk;
  input [7:0] a;
  output [7:0] q;
  reg [7:0] q;
  always @(posedge clk) q <= a + 8'd{value};
endmodule
"""
TOP = """module top(clk, a, q, r, s);
  input clk;
  input [7:0] a;
  output [7:0] q, r, s;
  \\leaf$1  one (.clk(clk), .a(a), .q(q));
  \\leaf$2  two (.clk(clk), .a(a), .q(r));
  other three (.clk(clk), .a(q), .q(s));
endmodule
"""
DESIGN = (TOP + LEAF.format(name="\\leaf$1 ", value=1) + LEAF.format(name="\\leaf$2 ", value=1)
          + LEAF.format(name="other", value=2))


def test_split() -> None:
    assert list(split_modules(DESIGN)) == ["top", "leaf$1", "leaf$2", "other"]


def test_equal_modules_become_one_part() -> None:
    parts = {p.top: p for p in Design(DESIGN, "top").parts()}
    assert set(parts) == {"top", "leaf$1"} or set(parts) == {"top", "leaf$2"}
    assert next(p for n, p in parts.items() if n != "top").count == 2
    assert len(parts["top"].empty) == 2


def test_names_that_the_verilog_writer_makes_up_do_not_tell_modules_apart() -> None:
    text = DESIGN
    for name, number in (("leaf$1", 12), ("leaf$2", 14)):
        text = text.replace(f"module \\{name} (clk, a, q);",
                            f"module \\{name} (clk, a, q);\n  reg \\$auto$writer.cc:1:dump${number}  = 0;")
    assert text.count("$auto$") == 2
    assert [p.count for p in Design(text, "top").parts() if p.top != "top"] == [2]
    different = text.replace("$auto$writer.cc:1:dump$14  = 0", "$auto$writer.cc:1:dump$14  = 1")
    assert [p.count for p in Design(different, "top").parts() if p.top != "top"] == []  # small, once each


def test_part_of_the_design_without_some_modules() -> None:
    design = Design(DESIGN, "top")
    (part,) = design.parts("top", without=("leaf$1", "leaf$2"))
    assert set(part.modules) == {"top", "other"}
    assert set(part.empty) == {"leaf$1", "leaf$2"}
    assert [p.top for p in design.parts("leaf$2")] == ["leaf$2"]
    content = design.content["leaf$1"]
    assert (design.placed("top")[content], design.placed("top", ["leaf$2"])[content]) == (2, 1)


def test_what_stays_empty_keeps_its_ports_only() -> None:
    text = ports_only(split_modules(DESIGN)["leaf$1"])
    assert text.startswith("(* blackbox *)\nmodule \\leaf$1 (clk, a, q);")
    assert text.count("input") == 2
    assert text.count("output") == 1
    assert "always" not in text


def test_a_part_depends_on_the_ports_of_what_is_empty_not_on_its_contents() -> None:
    def key(text: str) -> str:
        return Design(text, "top").parts("top", without=("leaf$1", "leaf$2"))[0].key

    assert key(DESIGN.replace("8'd1", "8'd5")) == key(DESIGN)
    assert key(DESIGN.replace("8'd2", "8'd5")) != key(DESIGN)
    assert key(DESIGN.replace("input [7:0] a", "input [6:0] a", 2)) != key(DESIGN)


def test_a_part_does_not_depend_on_numbers_in_names() -> None:
    def key(text: str) -> str:
        return Design(text, "top").parts("other")[0].key

    renamed = DESIGN.replace("input [7:0] a", "input [7:0] \\a$12$3 ").replace("(clk, a, q)", "(clk, \\a$12$3 , q)")
    renamed = renamed.replace("q <= a +", "q <= \\a$12$3  +")
    assert key(renamed) == key(renamed.replace("a$12$3", "a$7$1")) != key(DESIGN)


def test_unknown_top() -> None:
    with pytest.raises(HwgenError, match="'nothing' is not in the design"):
        Design(DESIGN, "nothing")


def _netlist(cells: dict[str, tuple[str, dict[str, list[int]], set[str]]]) -> dict:
    return {"modules": {"m": {"cells": {
        name: {"type": kind, "connections": connections,
               "port_directions": {p: "output" if p in outputs else "input" for p in connections}}
        for name, (kind, connections, outputs) in cells.items()}}}}


def test_levels_count_luts_and_carry_chains() -> None:
    report = analyse(_netlist({
        "r": ("FDRE", {"C": [1], "D": [2], "Q": [3]}, {"Q"}),
        "a": ("LUT2", {"I0": [3], "I1": [4], "O": [5]}, {"O"}),
        "b": ("CARRY4", {"S": [5], "CI": [6], "O": [7], "CO": [8]}, {"O", "CO"}),
        "c": ("CARRY4", {"S": [9], "CI": [8], "O": [10], "CO": [11]}, {"O", "CO"}),
        "d": ("LUT6", {"I0": [10], "O": [12]}, {"O"}),
        "s": ("FDRE", {"C": [1], "D": [12], "Q": [13]}, {"Q"}),
    }), "m")
    assert report.levels == 3
    assert [p.split()[1] for p in report.path] == ["a", "b", "c", "d"]
    assert (report.lut, report.ff, report.carry_cells) == (2, 2, 2)


def test_paths_end_where_distributed_memory_is_written() -> None:
    cells = {
        "a": ("LUT2", {"I0": [3], "O": [4]}, {"O"}),
        "b": ("LUT2", {"I0": [4], "O": [5]}, {"O"}),
        "ram": ("RAM32M16", {"DIA": [5], "WE": [5], "ADDRA": [6], "DOA": [7]}, {"DOA"}),
        "c": ("LUT2", {"I0": [7], "O": [8]}, {"O"}),
    }
    assert analyse(_netlist(cells), "m").levels == 2
    cells["ram"] = ("RAM32M16", {"DIA": [9], "ADDRA": [5], "DOA": [7]}, {"DOA"})
    assert analyse(_netlist(cells), "m").levels == 4


def test_levels_behind_a_memory_are_counted_apart() -> None:
    cells = {
        "r": ("FDRE", {"C": [1], "D": [2], "Q": [3]}, {"Q"}),
        "a": ("LUT2", {"I0": [3], "O": [4]}, {"O"}),
        "b": ("LUT2", {"I0": [4], "O": [5]}, {"O"}),
        "ram": ("RAMB36E2", {"ADDR": [5], "DOUT": [6]}, {"DOUT"}),
        "c": ("LUT2", {"I0": [6], "I1": [3], "O": [7]}, {"O"}),
        "s": ("FDRE", {"C": [1], "D": [7], "Q": [8]}, {"Q"}),
    }
    report = analyse(_netlist(cells), "m")
    assert (report.levels, report.memory_levels) == (2, 1)
    del cells["c"]
    assert analyse(_netlist(cells), "m").memory_levels == 0
    del cells["ram"]
    assert analyse(_netlist(cells), "m").memory_levels == -1


def test_cascade_of_multiply_adds_is_absorbable() -> None:
    cells = {}
    for k in range(2):
        cells[f"w{k}"] = ("FDRE", {"C": [1], "D": [100 + k], "Q": [110 + k]}, {"Q"})
        cells[f"m{k}"] = ("DSP48E2", {"A": [110 + k], "B": [120 + k], "P": [130 + k]}, {"P"})
        cells[f"p{k}"] = ("FDRE", {"C": [1], "D": [130 + k], "Q": [140 + k]}, {"Q"})
    cells["t0"] = ("FDRE", {"C": [1], "D": [140], "Q": [150]}, {"Q"})
    cells["x"] = ("LUT2", {"I0": [150], "I1": [141], "O": [151]}, {"O"})
    cells["add"] = ("CARRY4", {"S": [151], "DI": [150], "O": [152]}, {"O"})
    cells["t1"] = ("FDRE", {"C": [1], "D": [152], "Q": [153]}, {"Q"})
    cells["other"] = ("LUT2", {"I0": [153], "I1": [5], "O": [6]}, {"O"})
    report = analyse(_netlist(cells), "m")
    assert report.dsp == 2
    assert (report.absorbable_ff, report.absorbable_lut) == (6, 1)


def test_report_round_trip() -> None:
    report = analyse(_netlist({"r": ("RAMB18E2", {"DOUT": [2]}, {"DOUT"})}), "m")
    assert report.bram36 == 0.5
    assert ModuleReport.from_dict(report.to_dict()) == report


@pytest.mark.slow
def test_synthesis_of_a_small_design(tmp_path: Path) -> None:
    report = synthesise_design(DESIGN, "top", "xcup", cache=tmp_path)
    assert report.raw.ff == 24
    assert report.levels <= 2
    assert len(list((tmp_path / "synthesis").iterdir())) == 2
    apart = synthesise_apart(DESIGN, "top", ["top", "leaf$1"], "xcup", without=["leaf$1", "leaf$2"], cache=tmp_path)
    assert {name: r.raw.ff for name, r in apart.items()} == {"top": 8, "leaf$1": 8}
    again = synthesise_design(DESIGN, "top", "xcup", cache=tmp_path)
    assert again.raw == report.raw
