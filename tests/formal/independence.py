"""Two copies of a design with different secrets: do they differ in anything that may be seen?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests.formal.sby import Design


def _escaped(name: str) -> str:
    return "\\" + name.removeprefix("\\") + " "


def pair(design: Design, secret: Iterable[str], hidden: Iterable[str], conditions: Mapping[str, str] = {},
         text: str = "") -> str:
    """SystemVerilog of module ``top``: two copies ``a`` and ``b`` of ``dut``, whose inputs are equal except ``secret``.

    Asserts that all outputs (registers are outputs as well) are equal, except those whose whole name matches one of
    the regular expressions ``hidden``, and those in ``conditions`` (output -> expression under which it may differ).

    Args:
        text: more items of the module; signals of the copies are ``a_<number>``, see ``signal``.
    """
    lines = ["module top(input clk);", "  reg first = 1;", "  always @(posedge clk) first <= 0;"]
    names = {name: f"{n}" for n, name in enumerate((*design.inputs, *design.outputs))}
    secret = set(secret)
    assert secret <= set(design.inputs), secret - set(design.inputs)
    used_hidden = set()
    for name, width in design.inputs.items():
        if name == "clk":
            continue
        for copy in "ab" if name in secret else "a":
            lines.append(f"  (* anyseq *) wire [{width - 1}:0] {copy}_{names[name]};")
    lines += [f"  wire [{width - 1}:0] {copy}_{names[name]};" for name, width in design.outputs.items() for copy in "ab"]
    for copy in "ab":
        connections = [".clk(clk)"] if "clk" in design.inputs else []
        connections += [f".{_escaped(name)}({copy if name in secret else 'a'}_{names[name]})"
                        for name in design.inputs if name != "clk"]
        connections += [f".{_escaped(name)}({copy}_{names[name]})" for name in design.outputs]
        lines.append(f"  dut {copy} ({', '.join(connections)});")
    lines.append(_substitute(text, names))
    lines.append("  always @* begin")
    for name in design.outputs:
        matching = [pattern for pattern in hidden if re.fullmatch(pattern, name)]
        used_hidden.update(matching)
        if not matching:
            equal = f"a_{names[name]} == b_{names[name]}"
            may = f" || ({_substitute(conditions[name], names)})" if name in conditions else ""
            lines.append(f"    if (first) assume ({equal}{may}); // {name}")
            lines.append(f"    else assert ({equal}{may});")
    lines += ["  end", "endmodule", ""]
    unused = set(hidden) - used_hidden | set(conditions) - set(design.outputs)
    assert not unused, unused
    return "\n".join(lines)


def _substitute(text: str, names: Mapping[str, str]) -> str:
    """``{a:signal}`` -> the wire of that signal in copy ``a``."""
    return re.sub(r"\{([ab]):([^}]+)\}", lambda m: f"{m[1]}_{names[m[2]]}", text)
