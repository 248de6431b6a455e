"""The state that a simulation leaves behind, read from its waveform."""

from pathlib import Path

from amaranth.lib import wiring
from amaranth.sim import Simulator


def final_values(dut: wiring.Component, testbench, path: Path) -> dict[str, str]:
    """Value of every signal at the end, by hierarchical name. Memories are not in the waveform."""
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    with simulator.write_vcd(str(path)):
        simulator.run()
    names: dict[str, str] = {}
    values: dict[str, str] = {}
    scope: list[str] = []
    for line in path.read_text().splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "$scope":
            scope.append(words[2])
        elif words[0] == "$upscope":
            scope.pop()
        elif words[0] == "$var":
            names[words[3]] = ".".join([*scope, *words[4:-1]])
        elif words[0][0] in "bs":
            values[words[1]] = words[0][1:]
        elif words[0][0] in "01":
            values[words[0][1:]] = words[0][0]
    return {name: values[code] for code, name in names.items() if code in values}
