"""A chain of registers."""

from amaranth.hdl import Module, Signal, Value, ValueLike


def delay(m: Module, value: ValueLike, cycles: int, name: str = "delay") -> Value:
    """``value`` as it was ``cycles`` clock cycles ago (0 returns it unchanged); reset to zero."""
    current = Value.cast(value)
    for stage in range(cycles):
        register = Signal(current.shape(), name=f"{name}_{stage}")
        m.d.sync += register.eq(current)
        current = register
    return current
