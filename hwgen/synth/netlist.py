"""Count resources of a synthesised module and find its longest logic path."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from hwgen.synth.cells import CHAIN_INPUTS, Kind, clocked_input, cost_of, kind_of

_RESOURCES = ("dsp", "bram36", "uram", "lut", "ff")


@dataclass(frozen=True, kw_only=True)
class ModuleReport:
    """One synthesised module without the modules that were left empty below it.

    Args:
        name: of the module.
        dsp, bram36, uram, lut, ff: raw, as Yosys maps them.
        carry_cells: number of carry cells (not counted in ``lut``).
        absorbable_lut, absorbable_ff: of ``lut`` and ``ff``, those of multiply-accumulate cascades and of input,
            product and memory output registers, which a vendor tool places inside DSP and memory blocks.
        levels: LUTs and carry chains on the longest path between registers (or ports).
        memory_levels: the same of the longest path that starts at the output of a memory block; -1 without one.
        path: cells of the longest path, source first.
    """

    name: str
    dsp: float
    bram36: float
    uram: float
    lut: float
    ff: float
    carry_cells: int
    absorbable_lut: float
    absorbable_ff: float
    levels: int
    memory_levels: int
    path: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModuleReport:
        """Inverse of ``to_dict``."""
        return cls(**{**values, "path": tuple(values["path"])})


def analyse(netlist: dict[str, Any], top: str) -> ModuleReport:
    """Report on module ``top`` of Yosys's JSON."""
    module = next(m for n, m in netlist["modules"].items() if n.lstrip("\\") == top.lstrip("\\"))
    cells: dict[str, Any] = module["cells"]
    totals: dict[str, float] = dict.fromkeys(_RESOURCES, 0.0)
    carry = 0
    for cell in cells.values():
        kind = kind_of(cell["type"])
        for resource, amount in cost_of(cell["type"]).items():
            totals[resource] += amount
        carry += kind is Kind.CARRY
    graph = _Graph(cells, netlist)
    levels, path = graph.longest_path()
    absorbed_lut, absorbed_ff = graph.absorbable()
    return ModuleReport(name=top, carry_cells=carry, absorbable_lut=absorbed_lut, absorbable_ff=absorbed_ff,
                        levels=levels, memory_levels=graph.levels_behind_memory(), path=path, **totals)


class _Graph:
    """The module's cells by the bits they drive and read."""

    def __init__(self, cells: dict[str, Any], netlist: dict[str, Any]) -> None:
        self.kind: list[Kind] = []
        self.label: list[str] = []
        self.inputs: list[list[tuple[str, int]]] = []
        self.outputs: list[list[tuple[str, int]]] = []
        self.driver: dict[int, int] = {}
        self.readers: dict[int, list[int]] = defaultdict(list)
        for name, cell in cells.items():
            index = len(self.kind)
            directions = cell.get("port_directions") or {
                p: v["direction"] for p, v in netlist["modules"].get(cell["type"], {}).get("ports", {}).items()}
            self.kind.append(kind_of(cell["type"]))
            self.label.append(f"{cell['type']} {name}")
            ins: list[tuple[str, int]] = []
            outs: list[tuple[str, int]] = []
            for port, bits in cell["connections"].items():
                side = outs if directions.get(port) == "output" else ins
                side.extend((port, b) for b in bits if isinstance(b, int))
            self.inputs.append(ins)
            self.outputs.append(outs)
            for _, bit in outs:
                self.driver[bit] = index
            for _, bit in ins:
                self.readers[bit].append(index)

    def _passes(self, index: int) -> bool:
        """Whether the cell's outputs follow its inputs without a clock."""
        return self.kind[index] in (Kind.LUT, Kind.CARRY, Kind.MUX, Kind.LUTRAM, Kind.DSP)

    def longest_path(self) -> tuple[int, tuple[str, ...]]:
        """Levels and cells of the longest path; a LUT, an unregistered multiplier and a whole carry chain count one."""
        level, before = self._levels(from_memory=False)
        if not level:
            return 0, ()
        worst = max(level, key=lambda i: level[i])
        path = [worst]
        while before[path[-1]] >= 0:
            path.append(before[path[-1]])
        return level[worst], tuple(self.label[i] for i in reversed(path))

    def levels_behind_memory(self) -> int:
        """Levels of the longest path from a memory block; 0 if only registers read it, -1 if there is none."""
        level, _ = self._levels(from_memory=True)
        return max([0, *level.values()]) if Kind.BLOCKRAM in self.kind else -1

    def _levels(self, *, from_memory: bool) -> tuple[dict[int, int], dict[int, int]]:
        """Levels of the longest path that ends at a cell, and the cell before it on that path (-1: none).

        Args:
            from_memory: only paths that start at a memory block; other cells have level 0.
        """
        level: dict[int, int] = {}
        before: dict[int, int] = {}
        for start in range(len(self.kind)):
            if not self._passes(start) or start in level:
                continue
            stack = [start]
            while stack:
                index = stack[-1]
                if index in level:
                    stack.pop()
                    continue
                sources = [(port, self.driver[bit]) for port, bit in self.inputs[index]
                           if bit in self.driver and not clocked_input(self.kind[index], port)]
                open_ones = [s for _, s in sources if self._passes(s) and s not in level]
                if open_ones:
                    if len(stack) > 100_000:
                        raise RuntimeError("combinational loop in the netlist")
                    stack.extend(open_ones[:1])
                    continue
                level[index], before[index] = self._level(index, sources, level, from_memory=from_memory)
                stack.pop()
        return level, before

    def _level(self, index: int, sources: list[tuple[str, int]], level: dict[int, int], *,
               from_memory: bool) -> tuple[int, int]:
        kind = self.kind[index]
        own = {Kind.LUT: 1, Kind.DSP: 1, Kind.CARRY: 1, Kind.MUX: 0, Kind.LUTRAM: 1}[kind]
        started = not from_memory or any(self.kind[s] is Kind.BLOCKRAM for _, s in sources)
        best, origin = own if started else 0, -1
        for port, source in sources:
            if not self._passes(source) or (from_memory and level[source] == 0):
                continue
            chained = kind is Kind.CARRY and port in CHAIN_INPUTS and self.kind[source] is Kind.CARRY
            value = level[source] + (0 if chained else own)
            if value > best:
                best, origin = value, source
        return best, origin

    def absorbable(self) -> tuple[float, float]:
        """LUTs and flip-flops that fit into DSP and memory blocks: input registers (two deep), product registers, the
        adders that sum products along a cascade with their registers, and memory output registers."""
        flipflops: set[int] = set()
        luts: set[int] = set()
        self._registers_before_dsp(flipflops)
        products = self._registers_behind(Kind.DSP, flipflops)
        self._registers_behind(Kind.BLOCKRAM, flipflops)
        self._adders(products, luts, flipflops)
        return float(len(luts)), float(len(flipflops))

    def _only_flipflop(self, bit: int) -> int | None:
        readers = self.readers.get(bit, [])
        if len(readers) == 1 and self.kind[readers[0]] is Kind.FLIPFLOP:
            index = readers[0]
            if ("D", bit) in self.inputs[index] or ("DI", bit) in self.inputs[index]:
                return index
        return None

    def _registers_behind(self, kind: Kind, flipflops: set[int]) -> set[int]:
        found = set()
        for index, own in enumerate(self.kind):
            if own is kind:
                for _, bit in self.outputs[index]:
                    register = self._only_flipflop(bit)
                    if register is not None:
                        found.add(register)
        flipflops |= found
        return found

    def _registers_before_dsp(self, flipflops: set[int]) -> None:
        found: set[int] = set()
        layer = {i for i, k in enumerate(self.kind) if k is Kind.DSP}
        for _ in range(2):
            registers = set()
            for index in layer:
                for port, bit in self.inputs[index]:
                    if index not in found and port not in ("A", "B"):
                        continue
                    if index in found and port not in ("D", "DI"):
                        continue
                    source = self.driver.get(bit)
                    if (source is not None and self.kind[source] is Kind.FLIPFLOP
                            and all(r in layer for r in self.readers[bit])):
                        registers.add(source)
            found |= registers
            layer = registers
        flipflops |= found

    def _adders(self, products: set[int], luts: set[int], flipflops: set[int]) -> None:
        """Sums along a cascade: register behind a product register, and LUT -> carry -> register adders of a product
        and the sum before it, in rounds."""
        operands = set(products)
        for register in products:
            for _, bit in self.outputs[register]:
                behind = self._only_flipflop(bit)
                if behind is not None:
                    operands.add(behind)
                    flipflops.add(behind)
        fresh = set(operands)
        while fresh:
            candidates = {r for register in fresh for _, bit in self.outputs[register] for r in self.readers[bit]
                          if self.kind[r] is Kind.LUT and r not in luts}
            fresh = set()
            for lut in candidates:
                sources = {self.driver.get(bit) for _, bit in self.inputs[lut]}
                readers = {r for _, bit in self.outputs[lut] for r in self.readers[bit]}
                if not sources <= operands or not sources & products or not readers:
                    continue
                if not all(self.kind[r] is Kind.CARRY for r in readers):
                    continue
                luts.add(lut)
                for carry in readers:
                    for _, bit in self.outputs[carry]:
                        register = next((r for r in self.readers[bit] if self.kind[r] is Kind.FLIPFLOP), None)
                        if register is not None and register not in operands:
                            operands.add(register)
                            flipflops.add(register)
                            fresh.add(register)
