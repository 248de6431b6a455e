"""Cut a Verilog design into the parts that are synthesised once each.

Amaranth writes one module per instance, so equal submodules appear under different names: modules are compared by their
text, not by their names. A part is a module together with everything below it that is not a part itself; modules become
parts of their own when they are placed more than once or are large.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from hwgen.errors import HwgenError
from hwgen_sim.cache import content_key

#: modules with at least so many lines (with what is below them) are synthesised apart
LARGE = 1200
_MODULE = re.compile(r"^module\s+(\\\S+|\w+)\s*(?:#\s*\(.*?\)\s*)?\(.*?^endmodule\b", re.M | re.S)
#: names that Yosys makes up when it writes Verilog, numbered through the whole design
_GENERATED = re.compile(r"\\\$auto\$[^\s]*")
_PORT = re.compile(r"^\s*(?:input|output|inout)\b[^;]*;", re.M)
#: names to which the Verilog writer or Amaranth adds numbers: \\port$12$3, \\start$34
_NUMBERED = re.compile(r"\\\w+(?:\$\d+)+(?=\s)")
_NAME = r"\\\S+|[A-Za-z_]\w*"


def split_modules(verilog: str) -> dict[str, str]:
    """Text of every module by its name, in order; made-up names numbered anew in each, so equal modules stay equal."""
    out = {}
    for m in _MODULE.finditer(verilog):
        numbers: dict[str, str] = {}
        out[m.group(1).lstrip("\\")] = _GENERATED.sub(
            lambda g, known=numbers: known.setdefault(g.group(0), f"\\$auto${len(known)}"), m.group(0))
    return out


def ports_only(module: str) -> str:
    """A module's text without its contents."""
    header = module[:module.index(";") + 1]
    return "\n".join(["(* blackbox *)", header, *_PORT.findall(module[len(header):]), "endmodule"])


@dataclass(frozen=True, kw_only=True)
class Part:
    """One distinct part of a design.

    Args:
        top: name of its top module (one of several equal ones).
        modules: text of what is synthesised by name, ``top`` first.
        empty: ports of the modules below it that are parts themselves, by name.
        count: how often it is placed in the whole design.
    """

    top: str
    modules: Mapping[str, str]
    empty: Mapping[str, str]
    count: int

    @property
    def key(self) -> str:
        """Hash of everything that the synthesis of this part depends on; the numbers in names do not count, they run
        through the whole design."""
        text = "\0".join([*self.modules.values(), "", *self.empty.values()])
        numbers: dict[str, str] = {}
        return content_key([_NUMBERED.sub(lambda m: numbers.setdefault(m.group(0), f"\\{len(numbers)}"), text)])


class Design:
    """A design as a tree of modules.

    Args:
        verilog: all modules.
        top: name of the top module.
    """

    def __init__(self, verilog: str, top: str) -> None:
        self.text = split_modules(verilog)
        if top not in self.text:
            raise HwgenError(f"module {top!r} is not in the design", exit_code=1)
        self.top = top
        instance = re.compile(rf"^\s*({_NAME})\s+(#\s*\(.*?\)\s*)?({_NAME})\s*\(", re.M | re.S)
        self.children: dict[str, list[str]] = {}
        self.parametrised: set[str] = set()  # placed with parameters: never a part, its content depends on them
        for name, text in self.text.items():
            found = [(m.group(1).lstrip("\\"), m.group(2)) for m in instance.finditer(text)]
            self.children[name] = [child for child, _ in found if child in self.text]
            self.parametrised |= {child for child, parameters in found if parameters}

    @cached_property
    def content(self) -> dict[str, str]:
        """Hash of every module's text with the names of itself and its children replaced by their hashes."""
        done: dict[str, str] = {}

        def visit(name: str) -> str:
            if name not in done:
                text = self.text[name]
                names = {name: "self", **{c: visit(c) for c in set(self.children[name])}}
                for old, new in names.items():
                    text = re.sub(rf"(?<![\w.$\\])\\?{re.escape(old)}(?=\s)", new, text)
                done[name] = hashlib.sha256(text.encode()).hexdigest()
            return done[name]

        visit(self.top)
        return done

    def placed(self, top: str, without: Collection[str] = ()) -> Counter[str]:
        """How often each content is placed in module ``top``, itself included, not below the modules ``without``."""
        counts: Counter[str] = Counter()

        def visit(name: str) -> None:
            counts[self.content[name]] += 1
            for child in self.children[name]:
                if child not in without:
                    visit(child)

        visit(top)
        return counts

    def _lines(self, name: str) -> int:
        return self.text[name].count("\n") + sum(self._lines(c) for c in self.children[name])

    def parts(self, top: str | None = None, without: Collection[str] = ()) -> list[Part]:
        """The distinct parts of module ``top`` (of the whole design without it), ``top`` first.

        Args:
            without: modules that stay empty and, with what is below them, are no part of the result.
        """
        start = self.top if top is None else top
        placed = self.placed(start, without)

        def apart(name: str) -> bool:
            if name in without:
                return True
            if name in self.parametrised:
                return False
            return placed[self.content[name]] > 1 or self._lines(name) >= LARGE

        found: dict[str, Part] = {}

        def visit(name: str) -> None:
            key = self.content[name]
            if key in found:
                return
            below: list[str] = []
            empty: list[str] = []
            queue = [name]
            while queue:
                current = queue.pop()
                below.append(current)
                for child in self.children[current]:
                    (empty if apart(child) else queue).append(child)
            found[key] = Part(
                top=name, modules={n: self.text[n] for n in below}, count=placed[key],
                empty={n: ports_only(self.text[n]) for n in sorted(set(empty))})
            for child in empty:
                if child not in without:
                    visit(child)

        visit(start)
        return list(found.values())
