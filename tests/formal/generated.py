"""The Verilog that is proved about, generated once, and the states of its state machines."""

from __future__ import annotations

from functools import cache

from amaranth.hdl import Fragment
from amaranth.lib import wiring

from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.verilog import generate
from tests.formal.sby import modules

TOP = "hwgen_accelerator"
CHANNEL = "hwgen_load_channel"
CONFIG = AcceleratorConfig(p_i=8, p_o=16, acc_depth=64, act_words=1024, weight_lines=256, axi_ports=1,
                           program_words=256, aes_cycles=5)


#: the same with protected feature maps
PROTECTED = CONFIG.replace(protect_activations=True, spill_aes_cycles=5)


@cache
def design(config: AcceleratorConfig = CONFIG) -> str:
    """Verilog of the accelerator."""
    return generate(config, TOP)


def inside(*names: str) -> list[str]:
    """Modules of components of the accelerator."""
    return [f"{TOP}.{name}" for name in names]


def states(component: wiring.Component, name: str = "fsm") -> dict[str, int]:
    """Code of every state of a component's state machine."""
    machine = Fragment.get(component, None).generated[name]  # pyright: ignore[reportAttributeAccessIssue]
    return dict(machine.encoding)


def mutated(verilog: str, module: str, *changes: tuple[str, str]) -> str:
    """The design with faults in one module: (old, new) texts.

    Raises:
        ValueError: an old text is not in the module just once.
    """
    before = after = modules(verilog)[module]
    for old, new in changes:
        if before.count(old) != 1:
            raise ValueError(f"{old!r} is there {before.count(old)} times")
        after = after.replace(old, new)
    return verilog.replace(before, after)
