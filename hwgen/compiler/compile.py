"""The compiler: its steps in order."""

from __future__ import annotations

from dataclasses import replace

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.buffers import plan_outputs, plan_scratch, spilled_bytes, transfer_plane
from hwgen.compiler.dependencies import resolve
from hwgen.compiler.folding import Fold, find_fold
from hwgen.compiler.hazards import mark_drains
from hwgen.compiler.input_plan import InputPlan, cut_first_reader, plan_input
from hwgen.compiler.loads import load_program
from hwgen.compiler.lower import lower, spatial
from hwgen.compiler.memory_plan import MemoryPlan, contraction_inputs, separate_banks
from hwgen.compiler.operations import ContractOp, ConvOp, Kernel, Lowered, WindowOp
from hwgen.compiler.options import CompileOptions, Timing
from hwgen.compiler.overlap import find_groups
from hwgen.compiler.predict import descriptor_cycles, layer_infos
from hwgen.compiler.program import build_program
from hwgen.compiler.prove import prove_widths
from hwgen.compiler.result import CompiledNetwork
from hwgen.compiler.schedule import Compute, Core, Scheduler
from hwgen.compiler.shapes import Part, choose_parts, fixed_part
from hwgen.compiler.storage import Storage, plan_storage
from hwgen.compiler.stream import Run, place_batches, plan_ring
from hwgen.compiler.strips import strip_tiles
from hwgen.compiler.transfer import Store
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.image.io_layout import InputLayout
from hwgen.ir.nodes import Graph, QInput
from hwgen.isa.layout import LoadFlag, LoadKind

#: cycles that a word of program memory is worth, until the program fits
WORD_PRICES = (1.0, 20.0, 400.0)


def compile_network(graph: Graph, config: AcceleratorConfig, options: CompileOptions | None = None) -> CompiledNetwork:
    """Compile a quantised graph for one engine.

    Raises:
        HwgenError: an operator the engine lacks, or a resource that does not suffice, by name and by how much.
    """
    options = options or CompileOptions()
    for price in WORD_PRICES[:-1]:
        try:
            return _folded_or_plain(graph, config, options, price)
        except HwgenError as error:
            if error.where != "config.program_words":
                raise
    return _folded_or_plain(graph, config, options, WORD_PRICES[-1])


def _folded_or_plain(
    graph: Graph, config: AcceleratorConfig, options: CompileOptions, price: float
) -> CompiledNetwork:
    """Whichever way of laying out the input takes fewer cycles."""
    fold = find_fold(graph, config) if options.fold_input else None
    if fold is None:
        return _compile(graph, config, options, None, price)
    try:
        folded = _compile(graph, config, options, fold, price)
    except HwgenError:
        return _compile(graph, config, options, None, price)
    if not folded.strips:
        return folded
    # a folded input takes more memory than a plain one
    plain = _compile(graph, config, options, None, price)
    return min(folded, plain, key=lambda network: network.bound_cycles)


def _compile(
    graph: Graph, config: AcceleratorConfig, options: CompileOptions, fold: Fold | None, price: float, *,
    reconstruct: bool = True,
) -> CompiledNetwork:
    timing = options.timing or Timing.of(config)
    lowered = separate_banks(lower(graph, config, fold, options.pair, reconstruct=reconstruct))
    acc_bits = prove_widths(lowered, config)
    reader, parts = cut_first_reader(lowered, _choose(lowered, config, timing, options), config, options.input_pieces)
    dumped = _dumped(graph, lowered) if options.debug_dump else ()
    stored = (lowered.output, *dumped)
    kernel_lines, local_lines = _kernel_regions(lowered, config)
    ring = plan_ring(config, local_lines, options)
    groups = find_groups(lowered, config, parts, budget=ring.budget, timing=timing, word_price=price, stored=stored)
    try:
        storage = plan_storage(lowered, config, parts, stored=stored, budget=ring.budget, timing=timing,
                               word_price=price, groups=groups)
    except HwgenError:
        if not lowered.kernels:
            raise
        # cores of kernels do not come in strips: contract offline what would be built on the chip
        return _compile(graph, config, options, fold, price, reconstruct=False)
    plan = storage.plan
    outputs = plan_outputs(graph, lowered, storage, config, stored)
    memory = plan_scratch(lowered, storage, config, outputs)
    inputs = InputPlan((), None)
    if lowered.input not in storage.spilled:
        tiled = _as_run(reader, parts, storage, lowered, config)
        inputs = plan_input(lowered, plan.places[lowered.input], tiled, reader, config)

    scheduler = Scheduler(lowered, config, storage, parts, ring, kernel_lines, memory.sources, memory.destinations)
    scheduler.items += inputs.loads
    readers = contraction_inputs(lowered)
    cores = {readers[k.first]: k for k in lowered.kernels.values()}
    grouped = {group.operations[0]: group for group in storage.groups}
    inner = {index for group in storage.groups for index in group.operations[1:]}
    for index in range(len(lowered.operations)):
        if index in cores:
            scheduler.items.append(Core(_first_core(cores[index], plan, config, options, lowered)))
        if index in grouped:
            scheduler.add_group(grouped[index])
        elif index not in inner:
            scheduler.add(index)
        scheduler.items += outputs.stores.get(index, ())
    placed_batches, spans = place_batches(scheduler.batches, ring)
    descriptors = [placed_batches[item.batch][item.position] for item in scheduler.items if isinstance(item, Compute)]
    stream_lines = spans[-1][1] if spans else 0
    resident = stream_lines <= ring.lines

    resolved = resolve(scheduler.items, descriptors, lowered, config)
    descriptors = mark_drains(resolved.descriptors, config, timing.pipeline_latency)
    early = _early(inputs.reader, storage) if min(cores, default=1) > 0 else None
    if early is not None and max(end for batch, (_, end) in zip(scheduler.batches, spans, strict=True)
                                 if batch.operation <= early) > ring.lines:
        early = None  # the rest of the input would wait for room that only its readers can make
    loads = load_program(resolved.items, scheduler.batches, lowered.operations, ring, resident=resident,
                         options=options, config=config, early=early, pieces=len(inputs.loads))
    stores = [item for item in resolved.items if isinstance(item, Store)]
    placed = build_program(loads, stores, descriptors, ring_lines=ring.lines, config=config,
                           encrypt=options.encrypt_program)
    return CompiledNetwork(
        name=graph.name, labels=graph.labels, config=config, runs=placed, descriptors=tuple(descriptors),
        input=_input_layout(graph, lowered, storage, config, fold), output=outputs.layouts[lowered.output],
        dumps=tuple((name, outputs.layouts[name]) for name in dumped),
        output_bytes=outputs.size, scratch_bytes=memory.scratch_bytes,
        spilled_bytes=spilled_bytes(resolved.items, config), strips=bool(storage.strips), ring_lines=ring.lines,
        stream_lines=stream_lines,
        resident=resident, act_used=plan.used, acc_bits=acc_bits,
        issue_cycles=max(sum(descriptor_cycles(d, config, timing) for d in descriptors if d.window == unit)
                         for unit in (False, True)),
        layers=layer_infos(descriptors, lowered, config, timing, placed[1:]),
    )


def _choose(
    lowered: Lowered, config: AcceleratorConfig, timing: Timing, options: CompileOptions
) -> dict[int, tuple[Part, ...]]:
    """Operation index -> its parts (convolutions only)."""
    out: dict[int, tuple[Part, ...]] = {}
    for index, op in enumerate(lowered.operations):
        if isinstance(op, ConvOp):
            dst = lowered.tensors[op.dst]
            if op.local:
                out[index] = (fixed_part(op, dst, config, lowered.kernels[op.local].columns),)
            else:
                after = lowered.operations[index + 1] if index + 1 < len(lowered.operations) else None
                out[index] = choose_parts(op, dst, config, timing, options.pair,
                                          single_reads=isinstance(after, WindowOp) and after.src == op.dst)
    return out


def _as_run(
    reader: int | None, parts: dict[int, tuple[Part, ...]], storage: Storage, lowered: Lowered,
    config: AcceleratorConfig,
) -> dict[int, tuple[Part, ...]]:
    """``parts`` with the tiles in which the input's first reader really runs, if it is in a group cut by rows."""
    steps = [step for group in storage.groups for step in group.steps if step.operation == reader]
    if reader is None or not steps:
        return parts
    op, part = lowered.operations[reader], parts[reader][0]
    assert isinstance(op, ConvOp)
    cut = [strip_tiles(part, op, lowered.tensors[op.dst], step.rows, config) for step in steps]
    tiling = replace(cut[0], tiles=tuple(tile for one in cut for tile in one.tiles))
    return {**parts, reader: (replace(part, tiling=tiling),)}


def _early(reader: int | None, storage: Storage) -> int | None:
    """Last operation whose weights are needed while the input still comes; None: the input comes first."""
    if reader is None or reader in storage.strips:
        return None
    return next((group.operations[-1] for group in storage.groups if reader in group.operations), reader)


def _kernel_regions(lowered: Lowered, config: AcceleratorConfig) -> tuple[dict[str, int], int]:
    """Reconstructed kernel -> first line behind the ring; lines of all of them."""
    requests = []
    for name, kernel in lowered.kernels.items():
        uses = [i for i, op in enumerate(lowered.operations)
                if (isinstance(op, ContractOp) and op.kernel == name and op.last)
                or (isinstance(op, ConvOp) and op.local == name)]
        requests.append(Request(name, -(-kernel.granules // config.line_columns), min(uses), max(uses)))
    if not requests:
        return {}, 0
    found = allocate(requests, 1, 0)
    return {name: home.offset for name, home in found.homes.items()}, found.peak


def _input_layout(
    graph: Graph, lowered: Lowered, storage: Storage, config: AcceleratorConfig, fold: Fold | None
) -> InputLayout:
    node = graph.input_node()
    assert isinstance(node, QInput)
    channels, height, width = spatial(node.shape, node.name)
    tensor = lowered.tensors[node.name]
    if node.name in storage.spilled:  # fetched by rows: every plane begins at a transfer of 16 bytes
        plane = transfer_plane(tensor, config)
    else:
        plane = storage.plan.places[node.name].plane
    words = tensor.layout.blocks * plane
    beats = -(-words * config.p_i // 16)
    geometry = {}
    if fold:
        geometry = {"kernel": fold.kernel, "stride": fold.stride, "padding": fold.padding, "dilation": fold.dilation}
    return InputLayout(
        kind="folded" if fold else "plain", channels=channels, height=height, width=width, out_height=tensor.height,
        out_width=tensor.width, p_i=config.p_i, planes=tensor.layout.blocks, plane_stride=plane, scale=node.scale,
        bytes=16 * beats, **geometry,
    )


def _first_core(
    kernel: Kernel, plan: MemoryPlan, config: AcceleratorConfig, options: CompileOptions, lowered: Lowered
) -> Run:
    """The load of a kernel's first core as a tensor of ranks x rows."""
    place, tensor = plan.places[kernel.first], lowered.tensors[kernel.first]
    p_i = config.p_i
    data = bytearray(-(-tensor.layout.blocks * place.plane * p_i // 16) * 16)
    for block in range(tensor.layout.blocks):
        words = kernel.data[block * p_i:(block + 1) * p_i].T.tobytes()
        data[block * place.plane * p_i:block * place.plane * p_i + len(words)] = words
    node = next(op.node for op in lowered.operations if isinstance(op, ContractOp) and op.kernel == kernel.name)
    secret = options.encrypt is None or node in options.encrypt
    return Run(kind=LoadKind.ACTIVATIONS, flags=int(secret) << LoadFlag.ENCRYPTED, segment_log2=options.segment_log2,
               payload=bytes(data), dest=place.base, nodes=(node,))


def _dumped(graph: Graph, lowered: Lowered) -> tuple[str, ...]:
    """Graph tensors that a debug image stores besides the output."""
    names = {n.name for n in graph.nodes}
    return tuple(name for name in lowered.tensors
                 if name in names and name not in (lowered.output, lowered.input) and name not in lowered.joins)
