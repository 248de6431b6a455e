"""The compiler: its steps in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hwgen.compiler.allocate import Request, allocate
from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.emit import Batch, Surroundings, emit_contract, emit_conv, emit_pool
from hwgen.compiler.folding import Fold, find_fold
from hwgen.compiler.hazards import mark_drains
from hwgen.compiler.input_plan import InputPlan, cut_first_reader, plan_input
from hwgen.compiler.lower import lower, spatial
from hwgen.compiler.memory_plan import (
    START,
    MemoryPlan,
    contraction_inputs,
    plan_memory,
    roots,
    separate_banks,
    word_planes,
)
from hwgen.compiler.operations import ContractOp, ConvOp, Kernel, Lowered, Tensor
from hwgen.compiler.options import CompileOptions, Timing
from hwgen.compiler.predict import descriptor_cycles, layer_infos
from hwgen.compiler.program import Store, build_program
from hwgen.compiler.prove import prove_widths
from hwgen.compiler.result import CompiledNetwork
from hwgen.compiler.shapes import Part, choose_parts, fixed_part
from hwgen.compiler.stream import Run, place_batches, plan_ring, weight_runs
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.errors import HwgenError
from hwgen.image.io_layout import InputLayout, OutputLayout
from hwgen.ir.nodes import Graph, Node, QConv2d, QInput
from hwgen.isa.layout import LoadFlag, LoadKind


def compile_network(graph: Graph, config: AcceleratorConfig, options: CompileOptions | None = None) -> CompiledNetwork:
    """Compile a quantised graph for one engine.

    Raises:
        HwgenError: an operator the engine lacks, or a resource that does not suffice, by name and by how much.
    """
    options = options or CompileOptions()
    fold = find_fold(graph, config) if options.fold_input else None
    if fold is None:
        return _compile(graph, config, options, None)
    try:
        return _compile(graph, config, options, fold)
    except HwgenError:
        # a folded input takes more memory than a plain one
        return _compile(graph, config, options, None)


def _compile(graph: Graph, config: AcceleratorConfig, options: CompileOptions, fold: Fold | None) -> CompiledNetwork:
    timing = options.timing or Timing.of(config)
    lowered = separate_banks(lower(graph, config, fold, options.pair))
    acc_bits = prove_widths(lowered, config)
    reader, parts = cut_first_reader(lowered, _choose(lowered, config, timing, options), config, options.input_pieces)
    dumped = _dumped(graph, lowered) if options.debug_dump else ()
    plan, late = _plan(lowered, config, parts, (lowered.output, *dumped))

    regions, local_lines = _kernel_regions(lowered, config)
    ring = plan_ring(config, local_lines, options)
    where = Surroundings(lowered.tensors, plan.places, config)
    batches: list[Batch] = []
    for index, op in enumerate(lowered.operations):
        if isinstance(op, ConvOp):
            tile_line = ring.lines + regions[op.local] if op.local else 0
            for part in parts[index]:
                batches += emit_conv(index, op, part, where, budget=ring.budget, tile_line=tile_line)
        elif isinstance(op, ContractOp):
            granule = (ring.lines + regions[op.kernel]) * config.line_columns
            kernel = lowered.kernels[op.kernel]
            batches += emit_contract(index, op, kernel, where, region=granule, budget=ring.budget)
        else:
            batches += emit_pool(index, op, where)
    descriptors, spans = place_batches(batches, ring)
    stream_lines = spans[-1][1] if spans else 0
    resident = stream_lines <= ring.lines

    inputs = plan_input(lowered, plan.places[lowered.input], parts, reader, config)
    readers = contraction_inputs(lowered)
    kernels = sorted(lowered.kernels.values(), key=lambda k: readers[k.first])
    landed = {k.first: len(inputs.loads) + 1 + i for i, k in enumerate(kernels)}
    descriptors = _waits(descriptors, lowered, landed, inputs)
    before = {
        readers[k.first]: replace(_first_core(k, plan, config, options, lowered),
                                  wait_progress=_progress(descriptors, late.get(k.first)))
        for k in kernels
    }
    descriptors = mark_drains(descriptors, config, timing.pipeline_latency)
    early = inputs.reader if inputs.reader is not None and min(before, default=1) > 0 else None
    runs = weight_runs(batches, lowered.operations, before, ring, resident=resident, options=options, config=config,
                       early=early)
    stores, output, dumps, size = _outputs(graph, lowered, plan, config, finished=_finished(lowered, descriptors),
                                           dumped=dumped)
    placed = build_program(inputs.loads, runs, stores, descriptors, ring_lines=ring.lines, config=config,
                           encrypt=options.encrypt_program, early_runs=int(early is not None))
    return CompiledNetwork(
        name=graph.name, labels=graph.labels, config=config, runs=placed, descriptors=tuple(descriptors),
        input=_input_layout(graph, lowered, plan, config, fold), output=output, dumps=dumps,
        output_bytes=size, ring_lines=ring.lines, stream_lines=stream_lines, resident=resident,
        act_used=plan.used, acc_bits=acc_bits,
        issue_cycles=sum(descriptor_cycles(d, config, timing) for d in descriptors),
        layers=layer_infos(descriptors, lowered, config, timing, runs),
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
                out[index] = choose_parts(op, dst, config, timing, options.pair)
    return out


def _plan(lowered: Lowered, config: AcceleratorConfig, parts: dict[int, tuple[Part, ...]], stored: Sequence[str],
          ) -> tuple[MemoryPlan, dict[str, int]]:
    """Memory plan; first cores are loaded at the start of the frame if there is room, else later."""
    overhang: set[str] = set()
    for index, op in enumerate(lowered.operations):
        if isinstance(op, ConvOp) and any(p.tiling.overhang for p in parts[index]):
            overhang |= {op.dst} | ({op.residual} if op.residual else set())
    readers = contraction_inputs(lowered)
    attempts = [dict[str, int]()]
    if readers:
        attempts += [{name: max(START, at - lead) for name, at in readers.items()} for lead in (8, 3, 1)]
    error: HwgenError | None = None
    for late in attempts:
        try:
            return plan_memory(lowered, config, overhang, stored, late), late
        except HwgenError as failed:
            error = error or failed
    assert error is not None
    raise error


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
    graph: Graph, lowered: Lowered, plan: MemoryPlan, config: AcceleratorConfig, fold: Fold | None
) -> InputLayout:
    node = graph.input_node()
    assert isinstance(node, QInput)
    channels, height, width = spatial(node.shape, node.name)
    tensor, place = lowered.tensors[node.name], plan.places[node.name]
    words = tensor.layout.blocks * place.plane
    beats = -(-words * config.p_i // 16)
    geometry = {}
    if fold:
        geometry = {"kernel": fold.kernel, "stride": fold.stride, "padding": fold.padding, "dilation": fold.dilation}
    return InputLayout(
        kind="folded" if fold else "plain", channels=channels, height=height, width=width, out_height=tensor.height,
        out_width=tensor.width, p_i=config.p_i, planes=tensor.layout.blocks, plane_stride=place.plane, scale=node.scale,
        bytes=16 * beats, **geometry,
    )


def _waits(
    descriptors: Sequence[Descriptor], lowered: Lowered, landed: dict[str, int], inputs: InputPlan
) -> list[Descriptor]:
    """Descriptors with ``wait_act`` for tensors that are loaded, ``wait_progress`` for reconstructed kernels."""
    built: dict[str, int] = {}
    root = roots(lowered)
    out = []
    wait_act = 0  # never falls: a spare word behind a map may hold what an earlier load left there
    for position, d in enumerate(descriptors):
        op = lowered.operations[d.operation]
        read = [op.src] + ([op.residual] if isinstance(op, ConvOp) and op.residual else [])
        for name in read:
            if name == lowered.input:
                wait_act = max(wait_act, inputs.wait(d.operation, d.tile))
            wait_act = max(wait_act, landed.get(root[name], 0))
        if isinstance(op, ContractOp) and op.last:
            built[op.kernel] = position + 1
        wait_progress = built[op.local] if isinstance(op, ConvOp) and op.local else 0
        out.append(replace(d, wait_act=wait_act, wait_progress=wait_progress))
    return out


def _progress(descriptors: Sequence[Descriptor], operation: int | None) -> int:
    """Descriptors that have retired when all operations before ``operation`` have."""
    if operation is None:
        return 0
    return sum(1 for d in descriptors if d.operation < operation)


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


def _outputs(
    graph: Graph, lowered: Lowered, plan: MemoryPlan, config: AcceleratorConfig, *, finished: dict[str, int],
    dumped: Sequence[str],
) -> tuple[list[Store], OutputLayout, tuple[tuple[str, OutputLayout], ...], int]:
    """Stores in order of availability, layout of the output, layouts of the dumps, size of the output buffer."""
    stores, layouts, offset = [], {}, 0
    for name in (lowered.output, *dumped):
        tensor, place = lowered.tensors[name], plan.places[name]
        planes = tensor.layout.blocks
        if tensor.raw:
            planes = min(word_planes(tensor, config), -(-tensor.layout.channels // (config.p_i // 4)))
        words = planes * place.plane
        unit = max(1, 16 // config.p_i)
        words = -(-words // unit) * unit
        node = graph[graph.output if name == lowered.output else name]
        layouts[name] = _output_layout(node, tensor, place.plane, offset, words * config.p_i)
        stores.append(Store(place.base, words, offset, finished[name]))
        offset += words * config.p_i // 16
    stores.sort(key=lambda s: s.wait_progress)
    dumps = tuple((name, layouts[name]) for name in dumped)
    return stores, layouts[lowered.output], dumps, 16 * offset


def _finished(lowered: Lowered, descriptors: Sequence[Descriptor]) -> dict[str, int]:
    """Tensor -> compute descriptors that have retired when it is complete."""
    out: dict[str, int] = {}
    for position, d in enumerate(descriptors):
        name = lowered.operations[d.operation].dst
        if name is not None:
            out[name] = position + 1
    for whole, parts in lowered.joins.items():
        out[whole] = max(out[p] for p in parts)
    return out


def _output_layout(node: Node, tensor: Tensor, plane: int, offset: int, size: int) -> OutputLayout:
    scale: float | tuple[float, ...] = getattr(node, "scale", 1.0)
    if tensor.raw and isinstance(node, QConv2d):
        values = node.raw_scale
        scale = tuple(float(v) for v in values) if values is not None else (float(node.scale),) * tensor.layout.channels
    return OutputLayout(
        kind="raw" if tensor.raw else "int8", channels=tensor.layout.channels, height=tensor.height, width=tensor.width,
        shape=tuple(node.shape), p_i=tensor.layout.p_i, plane_stride=plane,
        parts=() if tensor.raw else tensor.layout.places(), scale=scale, offset=offset,
        bytes=size,
    )
