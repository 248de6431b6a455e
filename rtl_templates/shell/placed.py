"""Places a component by the name of its Verilog module, so that equal components share one module."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import In


def place(m: Module, module: str, instance: str, signature: wiring.Signature) -> wiring.PureInterface:
    """Add an instance of the Verilog module ``module`` to ``m``.

    The module is a component with ``signature`` converted on its own (``rtl_templates.verilog.convert``).

    Returns:
        the instance's ports, to be used like the component itself.
    """
    ports = signature.create(path=(instance,))
    connections = {}
    for path, member, value in signature.flatten(ports):
        direction = "i" if member.flow == In else "o"
        connections[f"{direction}_{'__'.join(map(str, path))}"] = value
    m.submodules[instance] = Instance(module, i_clk=ClockSignal(), i_rst=ResetSignal(), **connections)
    return ports
