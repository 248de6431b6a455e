"""Streams parameter records and weight tiles out of weight memory, ahead of the units that use them."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.isa.layout import COUNT_BITS, LINE_BITS, SEQ_BITS, ComputeFlag, Opcode
from rtl_templates.engine.descriptor import compute_layout, is_window
from rtl_templates.engine.timing import PARAMETER_SLOTS, WINDOW_QUEUE


class WeightFetch(wiring.Component):
    """One line per cycle; the next tile starts the cycle after the array took the last one.

    With the array's activation path one cycle longer than its line path (``timing``), ``tile_ready`` may be raised in
    the cycle before the last line is read, and a tile can be swapped every ``lines_per_tile`` cycles. The lines of a
    window descriptor are read in order, as long as the window unit's queue has room for those on their way.

    Members:
        descriptors: stream In, decoded compute descriptor; taken when the previous one's lines are all read.
        read_line, line_valid, line_index, line_pair, line_is_parameters, parameter_slot: Out, the read of this cycle.
        tile_ready: Out, a whole tile waits in the array's shadow registers (or will when it is needed).
        tile_taken: In, the sequencer started a step with it.
        parameters_taken: In, the post-processor is done with the oldest parameter slot.
        parameters_ready: Out, the records of the next output block to start have been read.
        block_started: In, the sequencer started an output block.
        line_is_window: Out, the read of this cycle is for the window unit; window_taken: In, one of its lines has left
            the queue (with a window unit).
        ring_lines, loaded: In; freed: Out; progress: In (16).
        busy: Out, a descriptor is held.
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        super().__init__({
            "descriptors": In(stream.Signature(compute_layout())),
            "read_line": Out(LINE_BITS),
            "line_valid": Out(1),
            "line_index": Out(8),
            "line_pair": Out(1),
            "line_is_parameters": Out(1),
            "parameter_slot": Out(range(PARAMETER_SLOTS)),
            "tile_ready": Out(1),
            "tile_taken": In(1),
            "parameters_taken": In(1),
            "parameters_ready": Out(1),
            "block_started": In(1),
            "ring_lines": In(LINE_BITS),
            "loaded": In(SEQ_BITS),
            "freed": Out(SEQ_BITS),
            "progress": In(COUNT_BITS),
            "busy": Out(1),
            **({} if config.window is WindowUnit.NONE else {"line_is_window": Out(1), "window_taken": In(1)}),
        })

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        layout = compute_layout()
        held = Signal(layout)
        busy = Signal()
        flags = held.flags
        pair = flags[ComputeFlag.PAIR]
        local = flags[ComputeFlag.LOCAL_WEIGHTS]
        m.d.comb += [self.busy.eq(busy), self.line_pair.eq(pair)]

        ring_line = Signal(LINE_BITS)  # next line of the stream ...
        ring_seq = Signal(SEQ_BITS)  # ... and its number since the start of the frame
        local_line = Signal(LINE_BITS)
        blocks_left = Signal(12)
        tiles_left = Signal(16)
        index = Signal(8)
        in_parameters = Signal()
        last_parameter = Signal(8)
        last_tile_line = Signal(8)
        waits_done = Signal()  # LOCAL_WEIGHTS: the kernel has been written
        no_tiles = Signal()
        for_window = Signal()  # busy with a window descriptor: all its lines are like parameters
        window_room = Signal(init=1)

        shadow_free = Signal(init=1)
        slots_used = Signal(range(PARAMETER_SLOTS + 1))
        slot = Signal(range(PARAMETER_SLOTS))
        ready = Signal()
        loaded = Signal(SEQ_BITS)
        m.d.sync += loaded.eq(self.loaded)

        has_window = config.window is not WindowUnit.NONE
        for_array = Signal() if has_window else busy  # busy with one of the array
        from_ring = Signal()
        available, next_available = Signal(), Signal()
        may_array, may_window, issue_array, issue = Signal(), Signal(), Signal(), Signal()
        slot_free, last_line = Signal(), Signal()
        before_last = Signal()
        m.d.comb += [
            from_ring.eq(in_parameters | ~local),
            available.eq(Mux(from_ring, ring_seq < loaded, waits_done)),
            next_available.eq(Mux(from_ring, (ring_seq + 1)[:SEQ_BITS] < loaded, waits_done)),
            last_line.eq(index == Mux(in_parameters, last_parameter, last_tile_line)),
            before_last.eq(index + 1 == last_tile_line),
            slot_free.eq(Mux(in_parameters, slots_used != PARAMETER_SLOTS, shadow_free)),
            may_array.eq(for_array & ((index != 0) | slot_free)),
            may_window.eq(for_window & window_room),
            issue_array.eq(may_array & available),
            issue.eq((may_array | may_window) & available),
            self.line_valid.eq(issue),
            self.line_is_parameters.eq(in_parameters & for_array),
            self.line_index.eq(index),
            self.read_line.eq(Mux(from_ring, ring_line, local_line)),
            self.parameter_slot.eq(slot),
            self.tile_ready.eq(ready),
        ]
        tile_issue = issue_array & ~in_parameters
        with m.If(self.tile_taken):
            m.d.sync += [shadow_free.eq(1), ready.eq(0)]
        with m.If(tile_issue & (index == 0)):
            m.d.sync += shadow_free.eq(0)
        with m.If(tile_issue & (last_line | (before_last & next_available))):
            m.d.sync += ready.eq(1)
        # a single step may be taken between "before last" and "last": the last line must not raise ready again
        announced = Signal()
        with m.If(tile_issue):
            m.d.sync += announced.eq(~last_line & before_last & next_available)
        with m.If(tile_issue & last_line & announced):
            m.d.sync += ready.eq(ready & ~self.tile_taken)

        new_block = issue_array & in_parameters & last_line
        taken = self.parameters_taken
        m.d.sync += slots_used.eq(slots_used + (issue_array & in_parameters & (index == 0)) - taken)
        with m.If(new_block):
            m.d.sync += slot.eq(slot + 1)
        blocks_ready = Signal(range(PARAMETER_SLOTS + 1))
        m.d.sync += blocks_ready.eq(blocks_ready + new_block - self.block_started)
        m.d.comb += self.parameters_ready.eq(blocks_ready != 0)
        if has_window:
            window_lines = Signal(range(WINDOW_QUEUE + 1))
            issue_window = may_window & available
            m.d.comb += self.line_is_window.eq(for_window)
            with m.If(issue_window & ~self.window_taken):
                m.d.sync += [window_lines.eq(window_lines + 1), window_room.eq(window_lines != WINDOW_QUEUE - 1)]
            with m.Elif(self.window_taken & ~issue_window):
                m.d.sync += [window_lines.eq(window_lines - 1), window_room.eq(1)]
        ring_last = Signal(LINE_BITS)
        m.d.sync += ring_last.eq(self.ring_lines - 1)

        with m.If(issue):
            m.d.sync += index.eq(Mux(last_line, 0, index + 1))
            with m.If(from_ring):
                m.d.sync += [
                    ring_line.eq(Mux(ring_line == ring_last, 0, ring_line + 1)),
                    ring_seq.eq(ring_seq + 1),
                ]
                with m.If(flags[ComputeFlag.RELEASE]):
                    m.d.sync += self.freed.eq(ring_seq + 1)
            with m.Else():
                m.d.sync += local_line.eq(local_line + 1)
            with m.If(last_line):
                end_of_block = Mux(in_parameters, no_tiles, tiles_left == 1)
                with m.If(in_parameters & ~no_tiles):
                    m.d.sync += [in_parameters.eq(0), tiles_left.eq(held.steps)]
                with m.Elif(end_of_block):
                    m.d.sync += [in_parameters.eq(1), blocks_left.eq(blocks_left - 1)]
                    with m.If(blocks_left == 0):
                        m.d.sync += busy.eq(0)
                        if has_window:
                            m.d.sync += [for_array.eq(0), for_window.eq(0)]
                with m.Else():
                    m.d.sync += tiles_left.eq(tiles_left - 1)
        with m.If(busy & ~waits_done):
            m.d.sync += waits_done.eq(self.progress >= held.wait_progress)

        new = self.descriptors.payload
        m.d.comb += self.descriptors.ready.eq(~busy)
        with m.If(self.descriptors.valid & self.descriptors.ready & (new.opcode != Opcode.END)):
            half = new.flags[ComputeFlag.PAIR]
            m.d.sync += [
                held.eq(new),
                busy.eq(1),
                ring_line.eq(new.weight_line), ring_seq.eq(new.weight_seq), local_line.eq(new.tile_line),
                blocks_left.eq(new.last_l5), in_parameters.eq(1), index.eq(0),
                waits_done.eq(0), no_tiles.eq(new.steps == 0),
                last_parameter.eq(Mux(half, config.param_lines // 2 - 1, config.param_lines - 1)),
                last_tile_line.eq(Mux(half, config.lines_per_tile // 2 - 1, config.lines_per_tile - 1)),
            ]
            if has_window:
                m.d.sync += [for_window.eq(is_window(new.opcode)), for_array.eq(~is_window(new.opcode))]
                with m.If(is_window(new.opcode)):
                    m.d.sync += [no_tiles.eq(1), last_parameter.eq(config.window_lines - 1)]
        return m
