"""Issues one pixel (pair) per cycle: loop nest, addresses, padding, and the tags that travel with a pixel."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, COORD_BITS, COUNT_BITS, LOOPS, ComputeFlag, Opcode
from rtl_templates.engine.descriptor import compute_layout
from rtl_templates.engine.timing import ACCUMULATOR_REVISIT, ADDRESS, array_output, pipeline_latency

RAW_INTERVAL = 4


class PadMode(enum.Enum, shape=1):
    """What a read outside the map gives."""

    ZERO = 0
    LOWEST = 1


def read_layout() -> data.StructLayout:
    """What goes to the activation memory, with the padding masks of both words (1 = inside the map)."""
    return data.StructLayout({
        "valid": 2, "addr0": ACT_ADDR_BITS, "addr1": ACT_ADDR_BITS, "inside": 2, "pad": PadMode,
        "pair": 1, "swap": 1, "pool": 1, "maximum": 1,
    })


def tag_layout(config: AcceleratorConfig) -> data.StructLayout:
    """What the accumulators and the post-processor must know of a pixel."""
    return data.StructLayout({
        "valid": 1,
        "first": 1,  # first step of the output block: accumulators start at zero
        "emit": 1,  # last step: the sum is complete
        "row": range(config.acc_depth),
        "block_end": 1,  # last emitted pixel of the output block
        "pool": 1, "pair": 1, "second": 1, "raw": 1, "residual": 1, "to_weights": 1,
        "dst": ACT_ADDR_BITS, "dst_second": ACT_ADDR_BITS, "plane": ACT_ADDR_BITS,
        "res": ACT_ADDR_BITS, "res_second": ACT_ADDR_BITS,
        "lo": 8, "hi": 8,
    })


class Sequencer(wiring.Component):
    """Runs the array's descriptors in order, until END; a reset starts over.

    Members:
        descriptors: stream In, decoded compute descriptor.
        tile_ready, parameters_ready: In; tile_taken, block_started: Out (see WeightFetch).
        act_loaded: In(16), activation loads landed; stored: In(16), stores complete;
            progress: In(16), descriptors retired.
        read: Out(read_layout), ``timing.ADDRESS`` cycles after the issue.
        tag: Out(tag_layout), at the same time.
        retired: Out(1), pulse; finished: Out(1).
        busy, stall_weights, stall_act, stall_drain, stall_window: Out, one of them per cycle at most; for the counters.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "descriptors": In(stream.Signature(compute_layout())),
            "tile_ready": In(1),
            "tile_taken": Out(1),
            "parameters_ready": In(1),
            "block_started": Out(1),
            "act_loaded": In(COUNT_BITS), "stored": In(COUNT_BITS), "progress": In(COUNT_BITS),
            "read": Out(read_layout()),
            "tag": Out(tag_layout(config)),
            "retired": Out(1),
            "finished": Out(1),
            "busy": Out(1),
            "stall_weights": Out(1),
            "stall_act": Out(1),
            "stall_drain": Out(1),
            "stall_window": Out(1),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        latency = pipeline_latency(config)
        held = Signal(compute_layout())
        is_pool = Signal()
        running = Signal()

        # ---- stage 0: loop counters. rest[k] counts down to 0; at_last/at_first are kept as flags to keep paths short
        rest = [Signal(12, name=f"rest_{k}") for k in range(LOOPS)]
        at_last = [Signal(name=f"at_last_{k}") for k in range(LOOPS)]
        at_first = [Signal(name=f"at_first_{k}") for k in range(LOOPS)]
        single = [Signal(name=f"single_{k}") for k in range(LOOPS)]
        limit = [held[f"last_l{k}"] for k in range(LOOPS)]

        step_start = Signal()  # next issue begins a step (conv) or a block (pool)
        block_start = Signal()
        revisit_ok = Signal()
        revisit = Signal(range(ACCUMULATOR_REVISIT + 1))
        raw_wait = Signal(range(RAW_INTERVAL))
        issue, may_start = Signal(), Signal()
        m.d.comb += [
            may_start.eq(Mux(is_pool, ~block_start | self.parameters_ready, self.tile_ready & revisit_ok)),
            issue.eq(running & (raw_wait == 0) & (~step_start | may_start)),
            self.tile_taken.eq(issue & step_start & ~is_pool),
            self.block_started.eq(issue & block_start),
        ]
        m.d.sync += revisit_ok.eq(revisit <= 1)
        with m.If(issue & step_start):
            m.d.sync += [revisit.eq(ACCUMULATOR_REVISIT - 1), revisit_ok.eq(0)]
        with m.Elif(revisit != 0):
            m.d.sync += revisit.eq(revisit - 1)
        with m.If(raw_wait != 0):
            m.d.sync += raw_wait.eq(raw_wait - 1)
        with m.Elif(issue & held.flags[ComputeFlag.RAW]):
            m.d.sync += raw_wait.eq(RAW_INTERVAL - 1)

        # level[k]: loop k steps, all inner ones restart
        level = [Signal(name=f"level_{k}") for k in range(LOOPS)]
        done = Signal()
        for k in range(LOOPS):
            inner = Cat(*at_last[:k]).all() if k else Const(1)
            m.d.comb += level[k].eq(inner & ~at_last[k])
            with m.If(issue):
                with m.If(level[k]):
                    m.d.sync += [rest[k].eq(rest[k] - 1), at_last[k].eq(rest[k] == 1), at_first[k].eq(0)]
                with m.Elif(inner):
                    m.d.sync += [rest[k].eq(limit[k]), at_last[k].eq(single[k]), at_first[k].eq(1)]
        m.d.comb += done.eq(Cat(*at_last).all())

        first = Mux(is_pool, at_first[0] & at_first[1], at_first[2] & at_first[3] & at_first[4])
        emit = Mux(is_pool, at_last[0] & at_last[1], at_last[2] & at_last[3] & at_last[4])
        block_last = Cat(*at_last[:5]).all()
        with m.If(issue):
            m.d.sync += [
                step_start.eq(Mux(is_pool, block_last, at_last[0] & at_last[1])),
                block_start.eq(block_last),
            ]

        # ---- stage 1: flags of the issued pixel; stage 2: selected jumps
        level_1 = [Signal(name=f"level1_{k}") for k in range(LOOPS)]
        issue_1, opening_1, first_1, emit_1, step_1 = Signal(), Signal(), Signal(), Signal(), Signal()
        block_end_1, last_block_1 = Signal(), Signal()
        opening = Signal()
        m.d.sync += [
            *(level_1[k].eq(level[k]) for k in range(LOOPS)),
            issue_1.eq(issue), opening_1.eq(opening), first_1.eq(first), emit_1.eq(emit),
            step_1.eq(step_start & ~is_pool), block_end_1.eq(block_last), last_block_1.eq(at_last[5]),
        ]
        with m.If(issue):
            m.d.sync += opening.eq(0)

        def select(prefix: str, width: int) -> Signal:
            terms = [held[f"{prefix}_jump_l{k}"].as_unsigned() & level_1[k].replicate(width) for k in range(LOOPS)]
            merged = terms[0]
            for term in terms[1:]:
                merged |= term
            return merged

        src_jump, iy_jump, ix_jump = Signal(ACT_ADDR_BITS), Signal(COORD_BITS), Signal(COORD_BITS)
        dst_jump, res_jump = Signal(ACT_ADDR_BITS), Signal(ACT_ADDR_BITS)
        valid_2, opening_2, first_2, emit_2, step_2 = Signal(), Signal(), Signal(), Signal(), Signal()
        block_end_2, last_block_2 = Signal(), Signal()
        next_x = Mux(is_pool, level_1[2], level_1[0])
        next_y = Mux(is_pool, level_1[3], level_1[1])

        def select_out(prefix: str) -> Signal:
            return (held[f"{prefix}_jump_x"].as_unsigned() & next_x.replicate(ACT_ADDR_BITS)
                    | held[f"{prefix}_jump_y"].as_unsigned() & next_y.replicate(ACT_ADDR_BITS)
                    | held[f"{prefix}_jump_o"].as_unsigned() & level_1[5].replicate(ACT_ADDR_BITS))

        m.d.sync += [
            src_jump.eq(select("src", ACT_ADDR_BITS)), iy_jump.eq(select("iy", COORD_BITS)),
            ix_jump.eq(select("ix", COORD_BITS)),
            dst_jump.eq(select_out("dst")), res_jump.eq(select_out("res")),
            valid_2.eq(issue_1), opening_2.eq(opening_1), first_2.eq(first_1), emit_2.eq(emit_1), step_2.eq(step_1),
            block_end_2.eq(block_end_1), last_block_2.eq(last_block_1),
        ]

        # ---- stage 2 -> 3: addresses
        flags = held.flags
        pair, residual = flags[ComputeFlag.PAIR], flags[ComputeFlag.RESIDUAL]
        src, iy, ix = Signal(ACT_ADDR_BITS), Signal(COORD_BITS), Signal(COORD_BITS)
        dst, res = Signal(ACT_ADDR_BITS), Signal(ACT_ADDR_BITS)
        row = Signal(range(config.acc_depth))
        src_now = Mux(opening_2, held.src_base, src)
        iy_now, ix_now = Mux(opening_2, held.iy_base, iy), Mux(opening_2, held.ix_base, ix)
        fresh = Signal()  # no output address of this descriptor has been used yet
        dst_now, res_now = Mux(fresh, held.dst_base, dst), Mux(fresh, held.res_base, res)
        row_now = Mux(step_2, 0, row)
        with m.If(valid_2):
            m.d.sync += [
                src.eq(src_now + src_jump), iy.eq(iy_now + iy_jump), ix.eq(ix_now + ix_jump), row.eq(row_now + 1),
            ]
            with m.If(emit_2):
                m.d.sync += [dst.eq(dst_now + dst_jump), res.eq(res_now + res_jump), fresh.eq(0)]

        read, tag = Signal(read_layout()), Signal(tag_layout(config))
        iy_3, ix_3 = Signal(COORD_BITS), Signal(COORD_BITS)
        ix_next = Signal(COORD_BITS)
        two_reads = Mux(is_pool, int(config.pair_mode), pair)
        m.d.sync += [
            read.valid.eq(Cat(valid_2, valid_2 & two_reads)),
            read.addr0.eq(src_now), read.addr1.eq(src_now + Mux(is_pool, held.res_plane, 1)),
            read.pair.eq(pair & ~is_pool), read.swap.eq(valid_2 & step_2), read.pool.eq(is_pool & valid_2),
            read.maximum.eq(held.opcode == Opcode.MAXPOOL),
            read.pad.eq(Mux(held.opcode == Opcode.MAXPOOL, PadMode.LOWEST, PadMode.ZERO)),
            iy_3.eq(iy_now), ix_3.eq(ix_now), ix_next.eq(ix_now + 1),
            tag.valid.eq(valid_2), tag.first.eq(first_2), tag.emit.eq(emit_2 & valid_2), tag.row.eq(row_now),
            tag.block_end.eq(block_end_2 & emit_2 & valid_2), tag.pool.eq(is_pool), tag.pair.eq(pair),
            tag.second.eq(Mux(pair, 1, (~last_block_2 | held.last_words) if config.pair_mode else 0)),
            tag.raw.eq(flags[ComputeFlag.RAW]), tag.residual.eq(residual),
            tag.to_weights.eq(flags[ComputeFlag.TO_WEIGHTS]),
            tag.dst.eq(dst_now), tag.dst_second.eq(dst_now + Mux(pair, 1, held.dst_plane)),
            tag.plane.eq(held.dst_plane),
            tag.res.eq(res_now), tag.res_second.eq(res_now + Mux(pair, 1, held.res_plane)),
            tag.lo.eq(held.lo), tag.hi.eq(held.hi),
        ]
        in_rows = iy_3 < held.height
        inside = Signal(2)
        m.d.comb += inside.eq(Cat(in_rows & (ix_3 < held.width),
                                  in_rows & (Mux(pair & ~is_pool, ix_next, ix_3) < held.width)))
        # ---- stage 4: reads outside the map are not made; their addresses could fall into the residual's bank
        m.d.sync += [
            self.read.eq(read), self.read.inside.eq(inside), self.read.valid.eq(read.valid & inside), self.tag.eq(tag),
        ]

        # ---- descriptor control: fetch, wait, run, let the address stages finish with it, retire after the pipeline
        drain = Signal(range(latency + 1))
        with m.If(issue):
            m.d.sync += drain.eq(latency)
        with m.Elif(drain != 0):
            m.d.sync += drain.eq(drain - 1)
        drained, residual_read = Signal(), Signal()
        m.d.sync += [
            drained.eq((drain <= 1) & ~issue),
            # the residual of the last pixel is read long after its activations; the next descriptor's reads must not
            # come upon it in the same bank
            residual_read.eq((drain <= latency - (array_output(config) - 2 - ADDRESS)) & ~issue),
        ]
        last_had_residual = Signal()
        last_was_pool = Signal()

        retire = Signal()
        retire_delay = Array([Signal(name=f"retire_{i}") for i in range(latency)])
        m.d.sync += retire_delay[0].eq(retire)
        m.d.sync += [retire_delay[i + 1].eq(retire_delay[i]) for i in range(latency - 1)]
        m.d.comb += self.retired.eq(retire_delay[latency - 1])

        # compared one cycle ahead: ``held`` rests since PREPARE when they are looked at
        act_there, stores_there, before_there = Signal(), Signal(), Signal()
        m.d.sync += [act_there.eq(self.act_loaded >= held.wait_act), stores_there.eq(self.stored >= held.wait_store),
                     before_there.eq(self.progress >= held.wait_progress)]

        settle = Signal(2)
        new = self.descriptors.payload
        with m.FSM(name="control"):
            with m.State("FETCH"), m.If(self.descriptors.valid):
                m.d.comb += self.descriptors.ready.eq(1)
                m.d.sync += [held.eq(new), last_had_residual.eq(residual)]
                with m.If(new.opcode == Opcode.END):
                    m.next = "END"
                with m.Else():
                    m.next = "PREPARE"
            with m.State("PREPARE"):
                for k in range(LOOPS):
                    m.d.sync += [rest[k].eq(limit[k]), at_last[k].eq(limit[k] == 0), single[k].eq(limit[k] == 0),
                                 at_first[k].eq(1)]
                m.d.sync += [
                    step_start.eq(1), block_start.eq(1), opening.eq(1), fresh.eq(1),
                    is_pool.eq(held.opcode != Opcode.CONV), last_was_pool.eq(is_pool),
                ]
                m.next = "WAIT"
            with m.State("WAIT"):
                must_drain = flags[ComputeFlag.DRAIN] | flags[ComputeFlag.RAW] | (last_was_pool != is_pool)
                with m.If(~act_there | ~stores_there):
                    m.d.comb += self.stall_act.eq(1)
                with m.Elif(~before_there):
                    m.d.comb += self.stall_window.eq(1)
                with m.Elif((must_drain & ~drained) | (last_had_residual & ~residual_read)):
                    m.d.comb += self.stall_drain.eq(1)
                with m.Else():
                    m.d.sync += running.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [self.busy.eq(issue), self.stall_weights.eq(running & step_start & ~may_start)]
                with m.If(issue & done):
                    m.d.comb += retire.eq(1)
                    m.d.sync += [running.eq(0), settle.eq(0)]
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                m.d.sync += settle.eq(settle + 1)
                with m.If(settle == 1):
                    m.next = "FETCH"
            with m.State("END"):
                m.d.comb += self.finished.eq(drained)
        return m
