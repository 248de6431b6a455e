"""The whole accelerator: registers, frame control, channels, engine."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hwgen.config.accelerator import AcceleratorConfig, Crypto, WindowUnit
from hwgen.image.layout import config_fingerprint
from hwgen.isa.layout import COMPUTE_WORDS, COUNT_BITS, ISA_VERSION, LOAD_WORDS, STORE_WORDS, Opcode
from rtl_templates.crypto.key_manager import KeyManager
from rtl_templates.engine.counters import COUNTERS
from rtl_templates.engine.descriptor import compute_layout
from rtl_templates.engine.tensor_engine import TensorEngine
from rtl_templates.shell.axi import read_members, write_members
from rtl_templates.shell.axi_write_master import AxiWriteMaster
from rtl_templates.shell.frame_control import FrameControl
from rtl_templates.shell.load_channel import LoadChannel, load_channel_signature
from rtl_templates.shell.load_unit import LoadUnit
from rtl_templates.shell.packer import line_layout, word_layout
from rtl_templates.shell.placed import place
from rtl_templates.shell.program_fetcher import ProgramFetcher
from rtl_templates.shell.program_memory import ProgramMemory, write_layout
from rtl_templates.shell.registers import IDENTIFICATION, REGISTER_VERSION, RegisterFile, lite_members
from rtl_templates.shell.scrubber import Scrubber
from rtl_templates.shell.store_sealer import StoreSealer
from rtl_templates.shell.store_unit import StoreUnit
from rtl_templates.shell.stream_arbiter import StreamArbiter
from rtl_templates.stream.stream_engine import StreamEngine

LOAD_CHANNEL = "hwgen_load_channel"


class Accelerator(wiring.Component):
    """See docs/architecture.md.

    Args:
        config: of the engine.
        engines: accelerators of the whole design, this one included; only told to software.

    Members:
        s_axil_*: AXI4-Lite slave, registers.rdl.
        m_axi_0_*: AXI4 master, reads and writes; m_axi_1_* ...: read-only AXI4 masters.
        irq: Out(1), level: an enabled interrupt is set.
    """

    def __init__(self, *, config: AcceleratorConfig, engines: int = 1) -> None:
        self.config = config
        self.engines = engines
        self.engine = TensorEngine(config=config) if config.pipeline is None else StreamEngine(config=config)
        members = {f"s_axil_{name}": member for name, member in lite_members().items()}
        for port in range(config.axi_ports):
            signals = read_members() | (write_members() if port == 0 else {})
            members |= {f"m_axi_{port}_{name}": member for name, member in signals.items()}
        super().__init__({**members, "irq": Out(1)})

    def submodules(self) -> dict[str, wiring.Component]:
        """Components that are placed by name and must be converted to Verilog beside this one."""
        return {**self.engine.submodules(), LOAD_CHANNEL: LoadChannel(config=self.config)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, engine = self.config, self.engine
        m.submodules.registers = registers = RegisterFile(protection=config.protect_activations)
        m.submodules.frame = frame = FrameControl(config=config)
        m.submodules.engine = engine
        m.submodules.program = program = ProgramMemory(words=config.program_words, readers=4)
        m.submodules.scrubber = scrubber = Scrubber(config=config)
        m.submodules.writer = writer = AxiWriteMaster()
        load, store = LoadUnit(config=config), StoreUnit(config=config)
        fetch_load, fetch_store = ProgramFetcher(words=LOAD_WORDS), ProgramFetcher(words=STORE_WORDS)
        fetch_compute = ProgramFetcher(words=COMPUTE_WORDS)
        m.submodules.load = ResetInserter(frame.clear)(load)
        m.submodules.store = ResetInserter(frame.clear)(store)
        m.submodules.fetch_load = ResetInserter(frame.clear)(fetch_load)
        m.submodules.fetch_store = ResetInserter(frame.clear)(fetch_store)
        m.submodules.fetch_compute = ResetInserter(frame.clear)(fetch_compute)
        channels = [place(m, LOAD_CHANNEL, f"channel_{number}", load_channel_signature(config))
                    for number in range(config.axi_ports)]
        values, inputs = registers.values, registers.inputs
        read_beats, write_beats = inputs.read_beats_count, inputs.write_beats_count

        # ---- buses
        for name in lite_members():
            port, inner = getattr(self, f"s_axil_{name}"), getattr(registers.bus, name)
            m.d.comb += port.eq(inner) if name in ("awready", "wready", "bresp", "bvalid", "arready", "rdata", "rresp",
                                                   "rvalid") else inner.eq(port)
        for number, channel in enumerate(channels):
            for name, member in read_members().items():
                port, inner = getattr(self, f"m_axi_{number}_{name}"), getattr(channel.axi, name)
                m.d.comb += port.eq(inner) if member.flow == Out else inner.eq(port)
        for name, member in write_members().items():
            port, inner = getattr(self, f"m_axi_0_{name}"), getattr(writer.axi, name)
            m.d.comb += port.eq(inner) if member.flow == Out else inner.eq(port)

        # ---- keys
        loaded_key, locked_key, key_busy = Signal(), Signal(), Signal()
        key_valid = Signal()
        if config.crypto is Crypto.GCM:
            m.submodules.keys = keys = KeyManager(key_bits=config.aes_key_bits,
                                                  spill=config.protect_activations)
            m.d.comb += [
                keys.key_write.valid.eq(registers.external.valid & ~frame.busy),
                # the words of KEY count from 0 on, those of BOOT_SALT from 12 on
                keys.key_write.p.index.eq(registers.external.address[2:6 if config.protect_activations else 5]),
                keys.key_write.p.data.eq(registers.external.data),
                keys.key_commit.eq(values.key_control_commit & ~frame.busy),
                keys.lock.eq(values.key_control_lock),
                keys.zeroise.eq(values.control_zeroise),
                keys.start.eq(frame.key_start),
                keys.salt.eq(Cat(values.salt_0_word, values.salt_1_word, values.salt_2_word, values.salt_3_word)),
                keys.image_id.eq(Cat(values.image_id_low_id, values.image_id_high_id)),
                keys.version.eq(values.image_version_version),
                frame.no_key.eq(keys.no_key),
                loaded_key.eq(keys.key_loaded), locked_key.eq(keys.locked), key_busy.eq(keys.busy),
                key_valid.eq(keys.keys.valid),
            ]
            for channel in channels:
                m.d.comb += [getattr(channel.keys, name).eq(getattr(keys.keys, name))
                             for name in channel.keys.signature.members]
        else:
            m.d.comb += key_valid.eq(1)
            for channel in channels:
                m.d.comb += channel.keys.valid.eq(1)

        if config.protect_activations:
            flush = Signal()
            m.submodules.sealer = sealer = StoreSealer(config=config)
            ways = [*(channel.row_keys for channel in channels), sealer.keys]
            for way in ways:
                m.d.comb += way.valid.eq(1) if config.crypto is Crypto.BYPASS else [
                    getattr(way, name).eq(getattr(keys.spill_keys, name)) for name in way.signature.members]

        # ---- frame
        quiet = Signal()
        m.d.comb += [
            frame.start.eq(values.control_start), frame.soft_reset.eq(values.control_soft_reset),
            frame.zeroise.eq(values.control_zeroise), frame.warm_enable.eq(values.control_warm_enable),
            frame.invalidate.eq(registers.touched
                                | (registers.external.valid | values.key_control_commit) & ~frame.busy),
            frame.version.eq(values.image_version_version), frame.min_version.eq(values.min_version_version),
            frame.watchdog.eq(values.watchdog_cycles),
            frame.program_offset.eq(values.program_offset_beats), frame.program_beats.eq(values.program_beats_beats),
            frame.program_flags.eq(values.program_flags_flags),
            frame.program_segment_log2.eq(values.program_flags_segment_log2),
            frame.program_loaded.eq(load.program_loaded),
            frame.header_valid.eq(program.read_valid[0]), frame.header_data.eq(program.read_data),
            frame.write_error.eq(writer.error),
            frame.quiet.eq(quiet),
            frame.scrubbing.eq(scrubber.busy), scrubber.start.eq(frame.scrub),
            engine.scrub.eq(scrubber.window),
            registers.locked.eq(frame.busy),
            writer.abort.eq(frame.abort),
            engine.clear.eq(frame.clear), engine.ring_lines.eq(frame.ring_lines),
        ]
        wiring.connect(m, frame.header_read, program.read[0])
        m.d.sync += [
            quiet.eq(Cat(*(channel.idle for channel in channels)).all() & writer.idle),
            frame.finished.eq(engine.finished & load.finished & store.finished & writer.idle),
            frame.read_error.eq(Cat(*(channel.bus_error for channel in channels)).any()),
            frame.tag_error.eq(Cat(*(channel.failed for channel in channels)).any()),
        ]
        for channel in reversed(channels):
            m.d.comb += channel.abort.eq(frame.abort)
            with m.If(channel.failed):
                m.d.sync += frame.tag_index.eq(channel.failed_index)
                if config.protect_activations:
                    m.d.sync += frame.tag_row.eq(channel.failed_row)

        # ---- fetchers
        for index, (fetcher, base) in enumerate(((fetch_load, frame.load_at), (fetch_store, frame.store_at),
                                                 (fetch_compute, frame.compute_at)), start=1):
            wiring.connect(m, fetcher.read, program.read[index])
            m.d.comb += [
                fetcher.start.eq(frame.fetch), fetcher.base.eq(base), fetcher.limit.eq(frame.limit),
                fetcher.read_valid.eq(program.read_valid[index]), fetcher.read_data.eq(program.read_data),
            ]
        m.d.comb += [
            load.descriptor.payload.eq(Mux(frame.program.valid, frame.program.payload.as_value(),
                                           fetch_load.descriptor.payload)),
            load.descriptor.valid.eq(frame.program.valid | fetch_load.descriptor.valid),
            frame.program.ready.eq(load.descriptor.ready),
            fetch_load.descriptor.ready.eq(load.descriptor.ready & ~frame.program.valid),
            fetch_load.last.eq(load.last),
            store.descriptor.payload.eq(fetch_store.descriptor.payload),
            store.descriptor.valid.eq(fetch_store.descriptor.valid),
            fetch_store.descriptor.ready.eq(store.descriptor.ready),
            fetch_store.last.eq(store.last),
            engine.descriptors.payload.eq(fetch_compute.descriptor.payload),
            engine.descriptors.valid.eq(fetch_compute.descriptor.valid),
            fetch_compute.descriptor.ready.eq(engine.descriptors.ready),
            fetch_compute.last.eq(compute_layout()(fetch_compute.descriptor.payload[:compute_layout().size]).opcode
                                  == Opcode.END),
        ]

        # ---- stores that are in memory
        stored = Signal(COUNT_BITS)
        with m.If(frame.clear):
            m.d.sync += stored.eq(0)
        with m.Elif(writer.completed):
            m.d.sync += stored.eq(stored + 1)

        # ---- loads
        m.submodules.lines = lines = StreamArbiter(shape=line_layout(config), inputs=len(channels) + 1)
        m.submodules.words = words = StreamArbiter(shape=word_layout(config), inputs=len(channels) + 1)
        m.submodules.programs = programs = StreamArbiter(shape=write_layout(), inputs=len(channels) + 1)
        for number, channel in enumerate(channels):
            wiring.connect(m, load.segment[number], channel.segment)
            wiring.connect(m, channel.line, lines.i[number])
            wiring.connect(m, channel.word, words.i[number])
            wiring.connect(m, channel.program, programs.i[number])
            m.d.comb += [load.done[number].eq(channel.done), channel.ack.eq(load.ack[number]),
                         channel.ring_lines.eq(frame.ring_lines)]
        wiring.connect(m, scrubber.line, lines.i[-1])
        wiring.connect(m, scrubber.word, words.i[-1])
        wiring.connect(m, scrubber.program, programs.i[-1])
        wiring.connect(m, programs.o, program.write)
        for target, origin in ((engine.weight_write, lines.o), (engine.act_write, words.o)):
            m.d.comb += [target.payload.eq(origin.payload), target.valid.eq(origin.valid),
                         origin.ready.eq(target.ready)]
        m.d.comb += [
            load.image.eq(Cat(values.image_addr_low_addr, values.image_addr_high_addr)[4:]),
            load.input.eq(Cat(values.input_addr_low_addr, values.input_addr_high_addr)[4:]),
            load.scratch.eq(Cat(values.scratch_addr_low_addr, values.scratch_addr_high_addr)[4:]),
            load.stored.eq(stored),
            load.warm.eq(frame.warm), load.ring_lines.eq(frame.ring_lines),
            engine.weight_loaded.eq(load.loaded), engine.act_loaded.eq(load.act_loaded), engine.stored.eq(stored),
        ]
        m.d.sync += [load.progress.eq(engine.progress), load.freed.eq(engine.weight_freed)]
        if config.pipeline is not None:
            last_frame = Signal(12)
            with m.If(values.control_start & ~frame.busy):
                m.d.sync += last_frame.eq(values.frames_last)
            m.d.comb += [load.last_frame.eq(last_frame), store.last_frame.eq(last_frame)]

        # ---- stores
        m.d.comb += [
            store.output.eq(Cat(values.output_addr_low_addr, values.output_addr_high_addr)[4:]),
            store.scratch.eq(Cat(values.scratch_addr_low_addr, values.scratch_addr_high_addr)[4:]),
            writer.ends.eq(store.ends),
            engine.act_read.payload.eq(store.act_read.payload), engine.act_read.valid.eq(store.act_read.valid),
            store.act_read.ready.eq(engine.act_read.ready),
            store.act_data.eq(engine.act_data),
        ]
        m.d.sync += store.progress.eq(engine.progress)
        wiring.connect(m, store.request, writer.request)
        if config.protect_activations:
            wiring.connect(m, store.rows, sealer.rows)
            wiring.connect(m, store.beats, sealer.i)
            wiring.connect(m, sealer.o, writer.data)
            m.d.comb += [sealer.sealed.eq(store.sealed), sealer.flush.eq(flush)]
            m.d.sync += flush.eq(frame.abort)
        else:
            wiring.connect(m, store.beats, writer.data)

        # ---- what software reads
        done, error = Signal(), Signal()
        with m.If(frame.done | frame.failed | values.control_start & ~frame.busy):
            m.d.sync += [done.eq(frame.done), error.eq(frame.failed)]
        counting = Signal()
        first_busy = inputs.first_busy_count
        constants = {
            "id_value": IDENTIFICATION, "version_registers": REGISTER_VERSION, "version_isa": ISA_VERSION,
            "config0_p_i": config.p_i, "config0_p_o": config.p_o, "config0_axi_ports": config.axi_ports,
            "config0_crypto": int(config.crypto is Crypto.GCM), "config0_aes256": int(config.aes_key_bits == 256),
            "config0_line_columns": config.line_columns,
            **({"config0_protected": 1} if config.protect_activations else {}),
            "config1_acc_depth_log2": config.acc_depth.bit_length() - 1, "config1_acc_bits": config.acc_bits,
            "config1_program_words_log2": config.program_words.bit_length() - 1,
            "config2_weight_lines": config.weight_lines, "config3_act_words": config.act_words,
            "config4_unit": list(WindowUnit).index(config.window),
            **({} if config.window is WindowUnit.NONE else
               {"config4_kernel": config.window_kernel, "config4_width": config.window_width}),
            "engines_engines": self.engines,
            **{f"fingerprint_{k}_value": int.from_bytes(config_fingerprint(config)[4 * k:4 * k + 4], "little")
               for k in range(4)},
        }
        m.d.comb += [inputs[name].eq(Const(value, len(Signal.like(inputs[name])))) for name, value in constants.items()]
        m.d.comb += [
            inputs.status_busy.eq(frame.busy), inputs.status_done.eq(done), inputs.status_error.eq(error),
            inputs.status_resident.eq(frame.resident), inputs.status_key_loaded.eq(loaded_key),
            inputs.status_key_locked.eq(locked_key), inputs.status_key_ready.eq(key_valid),
            inputs.status_stuck.eq(frame.stuck),
            inputs.irq_status_done.eq(frame.done), inputs.irq_status_error.eq(frame.failed),
            inputs.error_code_code.eq(frame.error_code), inputs.error_segment_index.eq(frame.error_segment),
            inputs.cycles_count.eq(frame.cycles), inputs.program_cycles_count.eq(frame.program_cycles),
            *(inputs[f"{name}_count"].eq(engine.counters[name]) for name in COUNTERS),
        ]
        m.d.sync += [
            self.irq.eq(values.irq_status_done & values.irq_enable_done
                        | values.irq_status_error & values.irq_enable_error),
            counting.eq(frame.busy),
        ]

        # ---- counters of this level
        beats = Signal(range(len(channels) + 1))
        m.d.sync += beats.eq(sum(channel.beat for channel in channels))
        program_before, program_moved = Signal.like(load.program_loaded), Signal()
        m.d.sync += [program_before.eq(load.program_loaded), program_moved.eq(load.program_loaded != program_before)]
        engine_started = Signal()
        m.d.sync += engine_started.eq(engine.counters.busy != 0)
        with m.If(frame.key_start):
            m.d.sync += [read_beats.eq(0), write_beats.eq(0), inputs.key_cycles_count.eq(0), first_busy.eq(0),
                         inputs.program_loaded_count.eq(0)]
        with m.Elif(counting):
            m.d.sync += [
                read_beats.eq(read_beats + beats), write_beats.eq(write_beats + writer.beat),
                inputs.key_cycles_count.eq(inputs.key_cycles_count + key_busy),
            ]
            with m.If(engine_started & (first_busy == 0) & ~frame.clear):
                m.d.sync += first_busy.eq(frame.cycles)
            with m.If(program_moved & ~frame.clear):
                m.d.sync += inputs.program_loaded_count.eq(frame.cycles)
        return m
