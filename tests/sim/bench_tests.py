"""cocotb tests of synchronous functions of a bench, for the simulator's side of the tests beside this file."""

import cocotb
from cocotb.task import bridge
from cocotb.triggers import FallingEdge


def tests_of(bench, **inputs):
    """A decorator that makes a cocotb test of a function of a ``bench``, which is made of the design under test.

    Reset comes first, with ``inputs`` (name of a port -> value), protocol checks last.
    """
    def test(function):
        async def run(dut):
            dut.rst.value = 1
            for name, value in inputs.items():
                getattr(dut, name).value = value
            for _ in range(10):
                await FallingEdge(dut.clk)
            dut.rst.value = 0
            await bridge(lambda: function(bench(dut)))()
            for _ in range(300):
                await FallingEdge(dut.clk)
            assert int(dut.violation.value) == 0 and int(dut.bursts_open.value) == 0

        run.__name__ = run.__qualname__ = function.__name__
        run.__doc__ = function.__doc__
        return cocotb.test()(run)

    return test
