"""The shell's bus components side by side, for one simulation with independent AXI models."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl_templates.shell.axi import DATA_BITS, read_signature, write_signature
from rtl_templates.shell.axi_read_master import REQUEST_BEATS_BITS as READ_BEATS_BITS
from rtl_templates.shell.axi_read_master import AxiReadMaster
from rtl_templates.shell.axi_write_master import REQUEST_BEATS_BITS as WRITE_BEATS_BITS
from rtl_templates.shell.axi_write_master import AxiWriteMaster
from rtl_templates.shell.burst_splitter import request_layout
from rtl_templates.shell.registers import RegisterFile, external_layout, inputs_layout, lite_members, values_layout


class BusParts(wiring.Component):
    """Read master (r_*), write master (w_*), register file (bus, values, inputs ...)."""

    def __init__(self):
        super().__init__({
            "r_request": In(stream.Signature(request_layout(READ_BEATS_BITS))),
            "r_data": Out(stream.Signature(DATA_BITS)),
            "r_axi": Out(read_signature()),
            "r_abort": In(1), "r_idle": Out(1), "r_error": Out(1), "r_beat": Out(1),
            "w_request": In(stream.Signature(request_layout(WRITE_BEATS_BITS))),
            "w_data": In(stream.Signature(DATA_BITS)),
            "w_axi": Out(write_signature()),
            "w_abort": In(1), "w_idle": Out(1), "w_error": Out(1), "w_beat": Out(1), "w_ends": In(1),
            "w_completed": Out(1),
            "bus": Out(wiring.Signature(lite_members())),
            "values": Out(values_layout(True)), "inputs": In(inputs_layout(True)), "external": Out(external_layout()),
            "locked": In(1), "touched": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = AxiReadMaster()
        m.submodules.writer = writer = AxiWriteMaster()
        m.submodules.registers = registers = RegisterFile(protection=True)
        for prefix, part in (("r", reader), ("w", writer)):
            for name in ("request", "data", "axi"):
                wiring.connect(m, wiring.flipped(getattr(self, f"{prefix}_{name}")), getattr(part, name))
            m.d.comb += part.abort.eq(getattr(self, f"{prefix}_abort"))
            for name in ("idle", "error", "beat"):
                m.d.comb += getattr(self, f"{prefix}_{name}").eq(getattr(part, name))
        m.d.comb += [writer.ends.eq(self.w_ends), self.w_completed.eq(writer.completed)]
        wiring.connect(m, wiring.flipped(self.bus), registers.bus)
        m.d.comb += [self.values.eq(registers.values), self.external.eq(registers.external),
                     self.touched.eq(registers.touched), registers.inputs.eq(self.inputs),
                     registers.locked.eq(self.locked)]
        return m
