"""SystemVerilog around a flattened design: one copy of it, or two with different secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests.formal.sby import Design, escaped

_SIGNAL = re.compile(r"\{([ab]):([^}]+)\}")


def one(design: Design, text: str) -> str:
    """Module ``top`` with a copy ``a`` of the design, all inputs free, and ``text`` (``{a:NAME}`` is its port NAME)."""
    return _module(design, {name: "a" for name in design.inputs}, "a", text)


def pair(design: Design, *, secret: Iterable[str], hidden: Iterable[str], conditions: Mapping[str, str] | None = None,
         text: str = "") -> str:
    """Module ``top`` with two copies of the design that begin in the same state and whose inputs are equal but for
    those ``secret``. It asserts that all outputs (registers are outputs as well) are equal, in every cycle.

    Args:
        secret, hidden: regular expressions for whole names of inputs, and of outputs that may differ.
        conditions: output -> when it may differ.
        text: more items of the module, for instance what is assumed of the secrets.
    """
    conditions = dict(conditions or {})
    secrets, hides = _matching(secret, design.inputs), _matching(hidden, design.outputs)
    lines = ["  reg first = 1;", "  always @(posedge clk) first <= 0;", text, "  always @* begin"]
    for name in design.outputs:
        if name not in hides:
            condition = conditions.pop(name, "0")
            lines.append(f"    if (first) assume ({{a:{name}}} == {{b:{name}}} || ({condition}));\n"
                         f"    else assert ({{a:{name}}} == {{b:{name}}} || ({condition})); // {name}")
    if conditions:
        raise ValueError(f"no outputs {sorted(conditions)}")
    lines.append("  end")
    return _module(design, {name: "ab" if name in secrets else "a" for name in design.inputs}, "ab", "\n".join(lines))


def _matching(patterns: Iterable[str], names: Iterable[str]) -> set[str]:
    """Names that match one of the patterns; a pattern without a name is an error."""
    found = set[str]()
    for pattern in patterns:
        matching = {name for name in names if re.fullmatch(pattern, name)}
        if not matching:
            raise ValueError(f"nothing matches {pattern!r}")
        found |= matching
    return found


def _module(design: Design, inputs: Mapping[str, str], copies: str, text: str) -> str:
    """``inputs``: which copies have an input of their own; the others share that of ``a``."""
    names = {name: str(number) for number, name in enumerate((*design.inputs, *design.outputs))}
    lines = ["module top(input clk);"]
    for name, width in design.inputs.items():
        if name != "clk":
            lines += [f"  (* anyseq *) wire [{width - 1}:0] {copy}_{names[name]};" for copy in inputs[name]]
    for name, width in design.outputs.items():
        lines += [f"  wire [{width - 1}:0] {copy}_{names[name]};" for copy in copies]
    for copy in copies:
        ports = []
        for name in design.inputs:
            wire = f"{copy if copy in inputs[name] else 'a'}_{names[name]}"
            ports.append(f".{escaped(name)}({'clk' if name == 'clk' else wire})")
        ports += [f".{escaped(name)}({copy}_{names[name]})" for name in design.outputs]
        lines.append(f"  dut {copy} ({', '.join(ports)});")
    lines.append(_SIGNAL.sub(lambda found: f"{found[1]}_{names[found[2]]}", text))
    return "\n".join([*lines, "endmodule", ""])
