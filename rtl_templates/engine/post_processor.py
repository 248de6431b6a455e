"""From column sums to written words: parameters, requantisation lanes, residual reads, raw output."""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS
from rtl_templates.engine.activation_memory import request_layout
from rtl_templates.engine.delay import delay
from rtl_templates.engine.requantise import Requantise
from rtl_templates.engine.sequencer import RAW_INTERVAL, tag_layout
from rtl_templates.engine.timing import PARAMETER_SLOTS, POST_PROCESS

REQUANTISE = "hwgen_requantise"
#: of a record: bias, multiplier, residual multiplier, shift (offset in bits, width)
RECORD_FIELDS = ((0, 32), (32, 16), (48, 16), (64, 6))


class PostProcessor(wiring.Component):
    """p_o requantisation lanes at one pixel per cycle, parameters in small slots that rotate with the output blocks.

    Cycle numbers below count from the cycle A in which the column sums (or pooled lanes) are complete.

    Members:
        tag: In(tag_layout), of cycle A, two cycles early.
        totals: In(p_o*acc_bits), at A+1.
        parameter_write, parameter_index, parameter_slot, parameter_pair, parameter_line: In, a line of records.
        parameters_taken: Out, an output block is through with its slot.
        residual: Out(request), two cycles before A; residual0/1: In(p_i*8), three cycles after the request.
        write_valid, write_addr0/1, write_data0/1, to_weights: Out, results.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        word = config.p_i * 8
        super().__init__({
            "tag": In(tag_layout(config)),
            "totals": In(config.p_o * config.acc_bits),
            "parameter_write": In(1), "parameter_index": In(8), "parameter_slot": In(range(PARAMETER_SLOTS)),
            "parameter_pair": In(1), "parameter_line": In(config.line_bytes * 8),
            "parameters_taken": Out(1),
            "residual": Out(request_layout()), "residual0": In(word), "residual1": In(word),
            "write_valid": Out(2), "write_addr0": Out(ACT_ADDR_BITS), "write_addr1": Out(ACT_ADDR_BITS),
            "write_data0": Out(word), "write_data1": Out(word), "to_weights": Out(1),
        })

    def submodules(self) -> dict[str, wiring.Component]:
        """Components to be converted to Verilog beside this one, by module name."""
        return {REQUANTISE: Requantise(config=self.config)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word_bits = config.p_i * 8
        words = config.p_o // config.p_i
        emitted = Signal(tag_layout(config))
        m.d.comb += [emitted.eq(self.tag)]
        live = emitted.valid & emitted.emit

        # ---- residual request, at A-2
        wanted = live & emitted.residual
        m.d.comb += [
            self.residual.valid.eq(Cat(wanted, wanted & emitted.second)),
            self.residual.addr0.eq(emitted.res), self.residual.addr1.eq(emitted.res_second),
        ]
        has_residual = delay(m, wanted, 3, "has_residual")
        residual_words = Signal(words * word_bits)
        incoming = Cat(self.residual0, self.residual1)[:words * word_bits]
        m.d.sync += residual_words.eq(Mux(has_residual, incoming, 0))  # A+2

        # ---- parameters: slot of the pixel at A, registers at A+1
        tag_a = delay(m, emitted, 2, "tag_a")
        tag_a = emitted.shape()(tag_a)
        slot = Signal(range(PARAMETER_SLOTS))
        with m.If(tag_a.valid & tag_a.block_end):
            m.d.sync += slot.eq(slot + 1)
            m.d.comb += self.parameters_taken.eq(1)
        record_bits = sum(width for _, width in RECORD_FIELDS)
        per_line = config.params_per_line
        lines = config.param_lines
        compact = Cat(*(self.parameter_line[channel * 128 + at:channel * 128 + at + width]
                        for channel in range(per_line) for at, width in RECORD_FIELDS))
        records = []
        for line in range(lines):
            slots = memory.Memory(shape=per_line * record_bits, depth=PARAMETER_SLOTS, init=[],
                                  attrs={"ram_style": "distributed"})
            m.submodules[f"parameters_{line}"] = slots
            write, read = slots.write_port(), slots.read_port(domain="comb")
            hit = self.parameter_index == line
            if config.pair_mode and line >= lines // 2:
                hit |= self.parameter_pair & (self.parameter_index == line - lines // 2)
            m.d.comb += [
                write.addr.eq(self.parameter_slot), write.data.eq(compact), write.en.eq(self.parameter_write & hit),
                read.addr.eq(slot),
            ]
            register = Signal(per_line * record_bits, name=f"parameters_{line}")
            m.d.sync += register.eq(read.data)
            records.append(register)
        all_records = Cat(*records)

        # ---- lanes
        lo = delay(m, tag_a.lo, POST_PROCESS, "lo").as_signed()
        hi = delay(m, tag_a.hi, POST_PROCESS, "hi").as_signed()
        results = Signal(config.p_o * 8)
        raw = Signal(config.p_o * 32)
        for lane in range(config.p_o):
            record = all_records.word_select(lane, record_bits)
            bias, multiplier, residual_multiplier, shift = record[:32], record[32:48], record[48:64], record[64:70]
            m.submodules[f"lane_{lane}"] = Instance(
                REQUANTISE,
                i_clk=ClockSignal(), i_rst=ResetSignal(),
                i_acc=self.totals.word_select(lane, config.acc_bits),
                i_bias=bias, i_multiplier=multiplier, i_residual_multiplier=residual_multiplier, i_shift=shift,
                i_residual=residual_words.word_select(lane, 8), i_lo=lo, i_hi=hi,
                o_result=results.word_select(lane, 8), o_raw=raw.word_select(lane, 32),
            )

        # ---- raw output: p_o int32 in RAW_INTERVAL cycles, from A+3 on
        tag_raw = emitted.shape()(delay(m, tag_a, 2, "tag_raw"))
        raw_words = Signal(config.p_o * 32)
        raw_left = Signal(range(RAW_INTERVAL + 1))
        raw_addr0, raw_addr1, raw_step = Signal(ACT_ADDR_BITS), Signal(ACT_ADDR_BITS), Signal(ACT_ADDR_BITS)
        with m.If(tag_raw.valid & tag_raw.emit & tag_raw.raw):
            m.d.sync += [
                raw_words.eq(raw), raw_left.eq(RAW_INTERVAL),
                raw_addr0.eq(tag_raw.dst), raw_addr1.eq(tag_raw.dst + tag_raw.plane),
                raw_step.eq(tag_raw.plane << 1 if words == 2 else tag_raw.plane),
            ]
        with m.Elif(raw_left != 0):
            m.d.sync += [
                raw_words.eq(raw_words[words * word_bits:]), raw_left.eq(raw_left - 1),
                raw_addr0.eq(raw_addr0 + raw_step), raw_addr1.eq(raw_addr1 + raw_step),
            ]

        # ---- results, at A+1+POST_PROCESS
        tag_out = emitted.shape()(delay(m, tag_raw, POST_PROCESS + 1 - 2, "tag_out"))
        writes = tag_out.valid & tag_out.emit & ~tag_out.raw
        sending_raw = raw_left != 0
        m.d.comb += [
            self.to_weights.eq(tag_out.to_weights & ~sending_raw),
            self.write_valid.eq(Mux(sending_raw, (1 << words) - 1, Cat(writes, writes & tag_out.second))),
            self.write_addr0.eq(Mux(sending_raw, raw_addr0, tag_out.dst)),
            self.write_addr1.eq(Mux(sending_raw, raw_addr1, tag_out.dst_second)),
            self.write_data0.eq(Mux(sending_raw, raw_words[:word_bits], results[:word_bits])),
        ]
        if words == 2:
            m.d.comb += self.write_data1.eq(Mux(sending_raw, raw_words[word_bits:2 * word_bits],
                                                results[word_bits:2 * word_bits]))
        return m


