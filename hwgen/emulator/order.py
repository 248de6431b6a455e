"""What is certain to have happened before a load, a compute descriptor or a store of a program begins.

Loads, descriptors of the array, descriptors of the window unit and stores run at the same time, each kind in program
order, and meet only through the counters they wait for; retired descriptors count in program order. Two accesses to a
word of which one writes must be ordered by these waits, directly or through others; then every interleaving gives the
same result. Otherwise there is one that does not, whether or not it is the one emulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwgen.emulator.decode import Program
from hwgen.emulator.violation import ContractViolation, require
from hwgen.isa.layout import LoadKind, Opcode


@dataclass(frozen=True)
class Known:
    """Activation loads landed, descriptors retired and stores complete, at least."""

    loads: int = 0
    computes: int = 0
    stores: int = 0

    def joined(self, other: Known) -> Known:
        """Both are certain."""
        return Known(max(self.loads, other.loads), max(self.computes, other.computes), max(self.stores, other.stores))


@dataclass(frozen=True)
class Order:
    """What is known when each event begins; activation loads and stores with words are numbered by themselves."""

    loads: tuple[Known, ...]
    computes: tuple[Known, ...]
    stores: tuple[Known, ...]


class _Builder:
    """Works the three sequences out as far as each waits for the others."""

    def __init__(self, program: Program) -> None:
        self.loads = [(load["kind"] in (LoadKind.INPUT, LoadKind.ACTIVATIONS), load["wait_progress"],
                       load["wait_store"]) for load in program.loads]
        self.computes = [(d["wait_act"], d["wait_progress"], d["wait_store"]) for d in program.computes]
        self.window = [d["opcode"] in (Opcode.WINDOW_CONV, Opcode.WINDOW_MAX) for d in program.computes]
        self._last = [Known(), Known()]  # of the latest descriptor of each unit
        self.stores = [store["wait_progress"] for store in program.stores if store["words"]]
        self.known: dict[str, list[Known]] = {"loads": [], "computes": [], "stores": []}
        self.retired: list[Known] = []  # what is certain when so many descriptors have retired
        self._started = Known()  # of the load unit
        self._position = 0

    def _after(self, loads: int, computes: int, stores: int) -> Known | None:
        """What so many landed loads, retired descriptors and complete stores imply; None: not worked out yet."""
        out = Known(loads, computes, stores)
        for own, count in ((self.known["loads"], loads), (self.retired, computes), (self.known["stores"], stores)):
            if count > len(own):
                return None
            if count:
                out = out.joined(own[count - 1])
        return out

    def run(self) -> Order:
        """All events; ContractViolation when some wait for one another."""
        while True:
            moved = self._load() or self._compute() or self._store()
            if not moved:
                break
        done = (self._position == len(self.loads) and len(self.known["computes"]) == len(self.computes)
                and len(self.known["stores"]) == len(self.stores))
        if not done:
            raise ContractViolation(
                f"load {self._position}, compute descriptor {len(self.known['computes'])} and store "
                f"{len(self.known['stores'])} wait for more than can happen before them")
        return Order(tuple(self.known["loads"]), tuple(self.known["computes"]), tuple(self.known["stores"]))

    def _load(self) -> bool:
        if self._position == len(self.loads):
            return False
        activations, computes, stores = self.loads[self._position]
        found = self._after(0, computes, stores)
        if found is None:
            return False
        self._position += 1
        self._started = self._started.joined(found)  # a load starts when those before it have started
        if activations:
            self.known["loads"].append(self._started)
        return True

    def _compute(self) -> bool:
        own = self.known["computes"]
        if len(own) == len(self.computes):
            return False
        loads, computes, stores = self.computes[len(own)]
        found = self._after(loads, computes, stores)
        if found is None:
            return False
        unit = self.window[len(own)]
        self._last[unit] = found.joined(self._last[unit])
        own.append(self._last[unit])
        # when so many descriptors count as retired, those before them of both units have run
        self.retired.append(self._last[0].joined(self._last[1]))
        return True

    def _store(self) -> bool:
        own = self.known["stores"]
        if len(own) == len(self.stores):
            return False
        found = self._after(0, self.stores[len(own)], 0)
        if found is None:
            return False
        own.append(found.joined(own[-1]) if own else found)
        return True


def order_of(program: Program) -> Order:
    """Order of a program.

    Raises:
        ContractViolation: it cannot finish.
    """
    limits: Sequence[tuple[str, int, int]] = [
        (f"compute descriptor {n}", d["wait_progress"], n) for n, d in enumerate(program.computes)]
    for where, waits, most in limits:
        require(waits <= most, f"waits for {waits} descriptors, itself among them", where)
    return _Builder(program).run()
