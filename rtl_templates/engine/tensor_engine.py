"""The tensor engine: everything between program memory and the on-chip buffers."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import fifo, wiring

from hwgen.config.accelerator import AcceleratorConfig, WindowUnit
from hwgen.isa.layout import Opcode
from rtl_templates.engine.accumulator import Accumulator
from rtl_templates.engine.activation_memory import ActivationMemory
from rtl_templates.engine.array import Array
from rtl_templates.engine.counters import COUNTERS, EXCLUSIVE_COUNTERS
from rtl_templates.engine.delay import delay
from rtl_templates.engine.descriptor import DESCRIPTOR_BITS, compute_layout, is_window, window_fields
from rtl_templates.engine.interface import engine_members
from rtl_templates.engine.pool import Pool
from rtl_templates.engine.post_processor import PostProcessor
from rtl_templates.engine.progress import Progress
from rtl_templates.engine.sequencer import PadMode, Sequencer, read_layout, tag_layout
from rtl_templates.engine.timing import ADDRESS, MEMORY, array_output, pool_output
from rtl_templates.engine.weight_fetch import WeightFetch
from rtl_templates.engine.weight_memory import READ_LATENCY, WeightMemory
from rtl_templates.engine.window_unit import SlidingWindow


class TensorEngine(wiring.Component):
    """See docs/architecture.md.

    Members:
        descriptors: stream In, raw compute descriptors.
        weight_write: stream In {line, data}; act_write: stream In {addr, data}.
        act_read: stream In {addr}; act_data: Out {valid, data}, in order, fixed latency, never stalled.
        ring_lines: In; weight_loaded: In, lines loaded and verified; weight_freed: Out.
        act_loaded, stored: In, activation loads landed, stores complete; progress: Out.
        finished: Out, stays until ``clear``; clear: In.
        counters: Out(counters_layout).
    """

    def __init__(self, *, config: AcceleratorConfig) -> None:
        self.config = config
        self.array = Array(config=config)
        self.post = PostProcessor(config=config)
        self.window = SlidingWindow(config=config) if config.window is not WindowUnit.NONE else None
        super().__init__(engine_members(config))

    def submodules(self) -> dict[str, wiring.Component]:
        """Components that are placed by name and must be converted to Verilog beside this one."""
        window = self.window.submodules() if self.window else {}
        return {**self.array.submodules(), **self.post.submodules(), **window}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word = config.p_i * 8
        clear = Signal()
        m.d.sync += clear.eq(self.clear)

        m.submodules.activations = activations = ActivationMemory(config=config)
        m.submodules.weights = weights = WeightMemory(config=config)
        m.submodules.array = array = self.array
        m.submodules.accumulator = accumulator = Accumulator(config=config)
        m.submodules.pool = pool = Pool(config=config)
        sequencer, fetch, post = Sequencer(config=config), WeightFetch(config=config), self.post
        m.submodules.sequencer = ResetInserter(clear)(sequencer)
        m.submodules.fetch = ResetInserter(clear)(fetch)
        m.submodules.post = ResetInserter(clear)(post)

        window = self.window
        progress = Progress(units=2 if window else 1)
        m.submodules.retirement = ResetInserter(clear)(progress)

        # ---- descriptors go to the weight fetch at once and to their unit through a short queue
        queue = fifo.SyncFIFOBuffered(width=DESCRIPTOR_BITS, depth=2)
        m.submodules.queue = ResetInserter(clear)(queue)
        arriving = compute_layout()(self.descriptors.payload[:compute_layout().size])
        is_end = arriving.opcode == Opcode.END
        to_window = is_window(arriving.opcode) if window else Const(0)
        unit_ready = Mux(to_window, window.descriptors.ready, queue.w_rdy) if window else queue.w_rdy
        may = unit_ready & progress.handed.ready & ~clear & ~self.clear
        accept = may & (fetch.descriptors.ready | is_end)
        taken = self.descriptors.valid & accept
        m.d.comb += [
            fetch.descriptors.payload.eq(arriving),
            fetch.descriptors.valid.eq(self.descriptors.valid & may & ~is_end),
            queue.w_data.eq(self.descriptors.payload),
            queue.w_en.eq(taken & ~to_window),
            self.descriptors.ready.eq(accept),
            sequencer.descriptors.payload.eq(compute_layout()(queue.r_data[:compute_layout().size])),
            sequencer.descriptors.valid.eq(queue.r_rdy),
            queue.r_en.eq(sequencer.descriptors.ready),
            progress.handed.valid.eq(taken & ~is_end), progress.handed.payload.eq(to_window),
            progress.retired[0].eq(sequencer.retired),
        ]

        # ---- weights
        in_array = fetch.line_valid & ~fetch.line_is_parameters & (~fetch.line_is_window if window else 1)
        in_post = fetch.line_valid & fetch.line_is_parameters
        m.d.comb += [
            weights.read_line.eq(fetch.read_line),
            array.line.eq(weights.read_data), post.parameter_line.eq(weights.read_data),
            array.line_valid.eq(delay(m, in_array, READ_LATENCY, "array_line")),
            array.line_index.eq(delay(m, fetch.line_index, READ_LATENCY, "line_index")),
            array.line_pair.eq(delay(m, fetch.line_pair, READ_LATENCY, "line_pair")),
            post.parameter_write.eq(delay(m, in_post, READ_LATENCY, "parameter_line")),
            post.parameter_index.eq(array.line_index), post.parameter_pair.eq(array.line_pair),
            post.parameter_slot.eq(delay(m, fetch.parameter_slot, READ_LATENCY, "parameter_slot")),
            fetch.ring_lines.eq(self.ring_lines), fetch.loaded.eq(self.weight_loaded),
            self.weight_freed.eq(fetch.freed),
            fetch.progress.eq(progress.progress),
            fetch.tile_taken.eq(sequencer.tile_taken), sequencer.tile_ready.eq(fetch.tile_ready),
            fetch.block_started.eq(sequencer.block_started),
            sequencer.parameters_ready.eq(fetch.parameters_ready),
            fetch.parameters_taken.eq(post.parameters_taken),
        ]
        wiring.connect(m, wiring.flipped(self.weight_write), weights.write)

        # ---- activation reads, padding, both halves of the array
        read = sequencer.read
        m.d.comb += [activations.source.valid.eq(read.valid), activations.source.addr0.eq(read.addr0),
                     activations.source.addr1.eq(read.addr1)]
        at_data = read_layout()(delay(m, read, MEMORY - 1, "read"))
        padding = Mux(at_data.pad == PadMode.LOWEST, int("80" * config.p_i, 16), 0)
        first_word, second_word = Signal(word), Signal(word)
        right = Signal(word)
        m.d.sync += [
            first_word.eq(Mux(at_data.inside[0], activations.word0, padding)),
            second_word.eq(Mux(at_data.inside[1], activations.word1, padding)),
            right.eq(Mux(at_data.pair, Mux(at_data.inside[1], activations.word1, padding),
                         Mux(at_data.inside[0], activations.word0, padding))),
        ]
        at_array = read_layout()(delay(m, at_data, 1, "at_array"))
        m.d.comb += [array.x_left.eq(first_word), array.x_right.eq(right), array.swap.eq(at_array.swap)]
        if not config.pair_mode:
            m.d.comb += array.x_right.eq(first_word)

        # ---- tags: the pooled path is shorter; the two never overlap (the sequencer drains between them)
        tag = sequencer.tag
        early = array_output(config) - 2 - ADDRESS
        early_pool = pool_output() - 2 - ADDRESS
        tag_pool = tag_layout(config)(delay(m, tag, early_pool, "tag_pool"))
        tag_conv = tag_layout(config)(delay(m, tag_pool, early - early_pool, "tag_conv"))
        use_pool = tag_pool.valid & tag_pool.pool
        conv_live = tag_conv.valid & ~tag_conv.pool
        tag_in = Signal(tag_layout(config))
        m.d.comb += [
            tag_in.eq(Mux(use_pool, tag_pool, tag_conv)),
            tag_in.valid.eq(use_pool | conv_live),
            post.tag.eq(tag_in),
            accumulator.read_row.eq(tag_conv.row),
        ]
        tag_a = tag_layout(config)(delay(m, Mux(use_pool, tag_pool, tag_conv), 2, "tag_a"))
        live_a = delay(m, conv_live, 2, "live_a")
        m.d.comb += [
            accumulator.sums.eq(array.sums),
            accumulator.valid.eq(live_a & ~tag_a.emit), accumulator.first.eq(tag_a.first),
            accumulator.row.eq(tag_a.row),
        ]

        # ---- pooling: the two words are the lanes of an output block
        m.d.comb += [
            pool.valid.eq(at_array.pool), pool.first.eq(tag_a.first), pool.maximum.eq(at_array.maximum),
            pool.word.eq(Cat(first_word, second_word)[:config.p_o * 8]),
        ]
        pooled = delay(m, at_array.pool, 1, "pooled")
        m.d.comb += post.totals.eq(Mux(pooled, pool.totals, accumulator.totals))

        # ---- results and DMA
        m.d.comb += [
            activations.residual.eq(post.residual),
            post.residual0.eq(activations.residual0), post.residual1.eq(activations.residual1),
            activations.write_valid.eq(post.write_valid & (~post.to_weights).replicate(2)),
            activations.write_addr0.eq(post.write_addr0), activations.write_addr1.eq(post.write_addr1),
            activations.write_data0.eq(post.write_data0), activations.write_data1.eq(post.write_data1),
            weights.granule_valid.eq(post.write_valid & post.to_weights.replicate(2)),
            weights.granule_addr.eq(post.write_addr0),
            weights.granule_data0.eq(post.write_data0), weights.granule_data1.eq(post.write_data1),
            self.act_data.eq(activations.dma_data),
        ]
        wiring.connect(m, wiring.flipped(self.act_write), activations.dma_write)
        wiring.connect(m, wiring.flipped(self.act_read), activations.dma_read)

        # ---- the window unit
        counted_now = {name: getattr(sequencer, name) for name in EXCLUSIVE_COUNTERS if name != "stall_other"}
        counted_now["stall_window"] |= sequencer.finished & ~progress.idle
        counted_now["stall_other"] = ~Cat(*counted_now.values()).any() & ~self.finished
        if window:
            m.submodules.window = window
            in_window = fetch.line_valid & fetch.line_is_window
            m.d.comb += [
                window.descriptors.payload.eq(window_fields(arriving)),
                window.descriptors.valid.eq(taken & to_window),
                window.parameter_write.eq(delay(m, in_window, READ_LATENCY, "window_line")),
                window.parameter_line.eq(weights.read_data), fetch.window_taken.eq(window.parameter_taken),
                window.act_loaded.eq(self.act_loaded), window.stored.eq(self.stored),
                window.progress.eq(progress.progress), progress.retired[1].eq(window.retired),
                window.word.eq(activations.window_data), window.clear.eq(clear), window.scrub.eq(self.scrub),
            ]
            wiring.connect(m, window.read, activations.window_read)
            wiring.connect(m, window.write, activations.window_write)
            counted_now["window_busy"] = window.busy

        # ---- status
        m.d.comb += [sequencer.act_loaded.eq(self.act_loaded), sequencer.stored.eq(self.stored),
                     sequencer.progress.eq(progress.progress), self.progress.eq(progress.progress),
                     self.finished.eq(sequencer.finished & progress.idle)]
        for name in COUNTERS:
            counted = Signal(name=f"counted_{name}")
            m.d.sync += counted.eq(counted_now.get(name, 0))
            value = self.counters[name]
            with m.If(self.clear):
                m.d.sync += value.eq(0)
            with m.Elif(counted):
                m.d.sync += value.eq(value + 1)
        return m
