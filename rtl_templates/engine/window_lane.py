"""One channel of the window unit: its weights, the sum of weighted taps, the maximum of taps."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit


def total_bits(config: AcceleratorConfig) -> int:
    """Width of what a lane gives: a maximum, or K² products of int8 values."""
    if config.window is not WindowUnit.DEPTHWISE:
        return 8
    return 16 + (config.window_taps - 1).bit_length()


class WindowLane(wiring.Component):
    """K² multiplications as one chain of multiply-add registers, K² comparisons as another.

    Element e = j·K + x of a chain is tap (K-1-j, x). Every element takes the word of row j (of ``columns``) of this
    very position and adds it to what the element before it made at the position before: so the rows must be delayed by
    K positions more than each other, and nothing else needs to be kept. For an output announced at position n, element
    e takes its word at position n + e + 1 into its input register (two more to the sum; maxima have no such register).

    Members:
        shift: In(1), a position; columns: In(K*8), newest row first.
        inside: In(K²), by element: take the tap; swap: In(K²), by element: the loaded weight becomes active.
        line: In(line_columns*8); line_enable: In, by line: this lane's weights of the next block.
        maximum: In(1), which total is wanted.
        total: Out(signed total_bits), one cycle after the position at which it is complete.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        kernel, taps = config.window_kernel, config.window_taps
        weights = {
            "swap": In(taps), "line": In(config.line_columns * 8),
            "line_enable": In(-(-taps // config.line_columns)), "maximum": In(1),
        }
        super().__init__({
            "shift": In(1), "columns": In(kernel * 8), "inside": In(taps),
            "total": Out(signed(total_bits(config))),
            **(weights if config.window is WindowUnit.DEPTHWISE else {}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        maximum = self._maximum(m)
        if self.config.window is WindowUnit.DEPTHWISE:
            m.d.sync += self.total.eq(Mux(self.maximum, maximum, self._sum(m)))
        else:
            m.d.sync += self.total.eq(maximum)
        return m

    def _maximum(self, m: Module) -> Signal:
        """Maximum of the taps that count, -128 without any."""
        greatest = Const(0, 8)  # value + 128: nothing is less than 0
        for e in range(self.config.window_taps):
            tap = self.columns.word_select(e // self.config.window_kernel, 8)
            candidate = Cat(tap[:7], ~tap[7])
            larger = Signal(8, name=f"greatest_{e}")
            with m.If(self.shift):
                m.d.sync += larger.eq(Mux(self.inside[e] & (candidate > greatest), candidate, greatest))
            greatest = larger
        return Cat(greatest[:7], ~greatest[7]).as_signed()

    def _sum(self, m: Module) -> Signal:
        """Sum of the products of weights and the taps that count."""
        config, kernel = self.config, self.config.window_kernel
        cascade = None
        for e in range(config.window_taps):
            tap = (kernel - 1 - e // kernel) * kernel + e % kernel
            loaded, active = Signal(signed(8), name=f"loaded_{e}"), Signal(signed(8), name=f"active_{e}")
            with m.If(self.line_enable[tap // config.line_columns]):
                m.d.sync += loaded.eq(self.line.word_select(tap % config.line_columns, 8))
            x = Signal(signed(8), name=f"x_{e}")
            product = Signal(signed(16), name=f"product_{e}", attrs={"use_dsp": "yes"})
            total = Signal(signed(total_bits(config)), name=f"cascade_{e}")
            with m.If(self.shift):
                with m.If(self.swap[e]):
                    m.d.sync += active.eq(loaded)
                m.d.sync += [
                    x.eq(Mux(self.inside[e], self.columns.word_select(e // kernel, 8).as_signed(), 0)),
                    product.eq(x * active),
                    total.eq(product if cascade is None else cascade + product),
                ]
            cascade = total
        assert cascade is not None
        return cascade
