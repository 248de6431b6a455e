"""Several streams into one, round robin."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class StreamArbiter(wiring.Component):
    """Passes one input at a time; the next one is chosen a cycle ahead, so the payload's path is one multiplexer.

    The payload is not registered: a transfer on ``i[k]`` is a transfer on ``o`` in the same cycle. Inputs that are
    always valid take turns without a lost cycle.

    Members:
        i: In(stream) × ``inputs``; o: Out(stream).

    Raises:
        ValueError: fewer than two inputs.
    """

    def __init__(self, *, shape: object, inputs: int) -> None:
        if inputs < 2:
            raise ValueError(f"inputs must be at least 2, not {inputs!r}")
        self.shape, self.inputs = shape, inputs
        super().__init__({"i": In(stream.Signature(shape)).array(inputs), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        grant = Signal(range(self.inputs))
        following = Signal(range(self.inputs))
        taken = Signal()
        m.d.comb += [
            self.o.payload.eq(Array([source.payload for source in self.i])[grant]),
            self.o.valid.eq(Array([source.valid for source in self.i])[grant]),
            taken.eq(self.o.valid & self.o.ready),
            following.eq(grant),
        ]
        for index, source in enumerate(self.i):
            m.d.comb += source.ready.eq(self.o.ready & (grant == index))
        # the nearest other input behind the granted one that wants to send
        with m.Switch(grant):
            for index in range(self.inputs):
                with m.Case(index):
                    for distance in reversed(range(1, self.inputs)):
                        other = (index + distance) % self.inputs
                        with m.If(self.i[other].valid):
                            m.d.comb += following.eq(other)
        with m.If(taken | ~self.o.valid):
            m.d.sync += grant.eq(following)
        return m
