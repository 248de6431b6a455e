"""Encrypts rows of feature maps on their way to the scratch buffer."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.crypto.interfaces import KeyBus
from rtl_templates.shell.axi import DATA_BITS
from rtl_templates.shell.load_channel import row_unit
from rtl_templates.shell.row_headers import RowHeaders, rows_layout


class StoreSealer(wiring.Component):
    """Between store unit and write master. Beats of other stores pass when no row is on its way any more.

    Members:
        rows: In(stream of rows_layout), before the beats of a store to the scratch buffer.
        i: In(stream of 128), from the store unit; sealed: In(1), with it: beats of rows.
        o: Out(stream of 128): the beats of every row, encrypted, and its tag; other beats as they are.
        keys: In(KeyBus), of feature maps.
        flush: In(1), drops and zeroises all state.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "rows": In(stream.Signature(rows_layout())),
            "i": In(stream.Signature(DATA_BITS)), "sealed": In(1),
            "o": Out(stream.Signature(DATA_BITS)),
            "keys": In(KeyBus(config.aes_key_bits)),
            "flush": In(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.headers = headers = ResetInserter(self.flush)(RowHeaders())
        m.submodules.unit = unit = row_unit(self.config, encrypt=True)
        connect(m, flipped(self.rows), headers.i)
        connect(m, headers.o, unit.header)
        connect(m, flipped(self.keys), unit.keys)
        m.d.comb += [
            unit.flush.eq(self.flush),
            unit.data.p.data.eq(self.i.payload), unit.data.valid.eq(self.i.valid & self.sealed),
            unit.status.ready.eq(1),
            self.o.payload.eq(unit.out.p.data), self.o.valid.eq(unit.out.valid), unit.out.ready.eq(self.o.ready),
            self.i.ready.eq(unit.data.ready & self.sealed),
        ]
        with m.If(~self.sealed & unit.idle):
            m.d.comb += [self.o.payload.eq(self.i.payload), self.o.valid.eq(self.i.valid),
                         self.i.ready.eq(self.o.ready)]
        return m
