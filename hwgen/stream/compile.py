"""A quantised graph on a streaming pipeline: the program, the weight stream, the layouts of the frame's buffers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from hwgen.compiler.loads import LoadProgram
from hwgen.compiler.lower import spatial
from hwgen.compiler.options import CompileOptions
from hwgen.compiler.program import build_program
from hwgen.compiler.result import CompiledNetwork, LayerInfo
from hwgen.compiler.stream import Run
from hwgen.compiler.transfer import Box, Load, Region, Store, beats
from hwgen.config.accelerator import AcceleratorConfig, DspPacking, WindowUnit
from hwgen.config.pipeline import PipelineConfig, StageConfig
from hwgen.errors import HwgenError
from hwgen.image.io_layout import InputLayout, OutputLayout
from hwgen.ir import nodes as ir
from hwgen.ir.nodes import Graph
from hwgen.isa.layout import LoadFlag, LoadKind
from hwgen.quantize.bounds import required_acc_bits
from hwgen.stream.cost import stage_cycles
from hwgen.stream.layout import result_planes, stage_lines
from hwgen.stream.shapes import HINT, stages_of
from hwgen.stream.weights import stage_stream

#: words of program memory: a header, a load, a store, the end, and a load for each change between encrypted and plain
PROGRAM_WORDS = 256
WORD_SIZES = (8, 16, 32, 64)


def pipeline_config(stages: Sequence[StageConfig], base: AcceleratorConfig, acc_bits: int) -> AcceleratorConfig:
    """``base`` (crypto, packing, clock) with a pipeline of ``stages`` and a shell as small as it can be for it.

    Raises:
        HwgenError: the input has more channels, of all pixels of a tile, than a word can hold.
    """
    pipeline = PipelineConfig(stages=tuple(stages))
    channels = pipeline.first.channels
    if channels > WORD_SIZES[-1]:
        raise HwgenError(f"an input of {channels} channels", where=pipeline.first.name,
                         allowed=f"up to {WORD_SIZES[-1]} in a streaming pipeline", hint=HINT)
    p_i = next(size for size in WORD_SIZES if size >= channels and
               size % (1 if base.packing is DspPacking.NONE else base.packing.chain) == 0)
    least = base.replace(p_i=p_i, p_o=p_i, line_columns=2, axi_ports=1, act_words=2, acc_depth=2,
                         acc_bits=acc_bits, program_words=PROGRAM_WORDS, weight_lines=1 << 19,
                         window=WindowUnit.NONE, pipeline=pipeline)
    lines = stage_lines(least)[-1].end
    return least.replace(weight_lines=max(2 * least.lines_per_tile, lines + lines % 2))


def compile_pipeline(graph: Graph, config: AcceleratorConfig, options: CompileOptions | None = None) -> CompiledNetwork:
    """Compile a quantised graph for its pipeline.

    Raises:
        HwgenError: the pipeline is not one for this graph, or its accumulators are too narrow for these weights.
    """
    options = options or CompileOptions()
    assert config.pipeline is not None
    _check(graph, config)
    if options.debug_dump:
        raise HwgenError("a streaming pipeline keeps no layer's results, so none can be stored", where="--dump-layers",
                         hint="--style engine")
    stages, all_lines = config.pipeline.stages, stage_lines(config)
    runs: list[Run] = []
    for stage, lines in zip(stages, all_lines, strict=True):
        payload = stage_stream(graph[stage.name], stage, lines, config)
        if not payload:
            continue
        secret = options.encrypt is None or stage.name in options.encrypt
        flags = 1 << LoadFlag.RESIDENT | int(secret) << LoadFlag.ENCRYPTED
        if runs and runs[-1].flags == flags:
            payload, nodes = runs[-1].payload + payload, (*runs.pop().nodes, stage.name)
        else:
            nodes = (stage.name,)
        runs.append(Run(kind=LoadKind.WEIGHTS, flags=flags, segment_log2=options.segment_log2, payload=payload,
                        nodes=nodes))
    source, output = _input(graph, config), _output(graph, config)
    pixels = source.out_height * source.out_width
    image = Load(box=Box(0, 1, 0, pixels), region=Region(graph.input_node().name, 0, pixels, scratch=False),
                 first_plane=0, first_word=0)
    last = config.pipeline.last
    words = result_planes(last, config) * last.outputs
    result = Store(box=Box(0, 1, 0, words), region=Region(graph.output, 0, words, scratch=False), first_plane=0,
                   first_word=0, wait_progress=1)
    program = LoadProgram(runs, [*range(len(runs)), image])
    total = all_lines[-1].end
    placed = build_program(program, [result], (), ring_lines=total, config=config, encrypt=options.encrypt_program)
    return CompiledNetwork(
        name=graph.name, labels=graph.labels, config=config, runs=placed, descriptors=(), input=source, output=output,
        dumps=(), output_bytes=output.bytes, scratch_bytes=0, spilled_bytes=0, strips=False, ring_lines=total,
        stream_lines=total, resident=True, act_used=(0, 0), acc_bits=required_acc_bits(graph),
        issue_cycles=config.pipeline.slowest.frame_steps,
        layers=tuple(_layer(graph, stage, lines.end - lines.base, config)
                     for stage, lines in zip(stages, all_lines, strict=True)),
    )


def _check(graph: Graph, config: AcceleratorConfig) -> None:
    """The pipeline must be one for this graph, whatever its folding and queues."""
    assert config.pipeline is not None

    def shape(stage: StageConfig) -> StageConfig:
        return stage.replace(serial=False, pe=1, simd=1, lanes=1, columns=4, queue=16,
                             residual_queue=4 if stage.residual else 0)

    wanted, given = stages_of(graph), config.pipeline.stages
    with suppress(HwgenError):  # tiles that this network does not fall into are those of another one
        wanted = stages_of(graph, config.pipeline.first.tile)
    if [shape(stage) for stage in given] != [shape(stage) for stage in wanted]:
        different = next((a.name for a, b in zip(wanted, given, strict=False) if shape(a) != shape(b)),
                         f"{len(given)} stages for {len(wanted)} nodes")
        raise HwgenError("the pipeline was made for another network", where=f"config.pipeline: {different}",
                         hint="leave --config out, and it is made anew")
    needed = required_acc_bits(graph)
    if needed > config.acc_bits:
        raise HwgenError(f"sums need {needed} bits, the pipeline has {config.acc_bits}", where="config.acc_bits",
                         hint="leave --config out, and it is made anew")


def _input(graph: Graph, config: AcceleratorConfig) -> InputLayout:
    node = graph.input_node()
    assert isinstance(node, ir.QInput)
    assert config.pipeline is not None
    channels, height, width = spatial(node.shape, node.name)
    first, tile = config.pipeline.first, config.pipeline.first.tile
    # tiles are what a window of their size and stride sees; the last ones are filled up with zeros
    filled = (0, first.height * tile[0] - height, 0, first.width * tile[1] - width)
    words = first.height * first.width
    return InputLayout(
        kind="plain" if tile == (1, 1) else "folded", channels=channels, height=height, width=width, kernel=tile,
        stride=tile, padding=filled, out_height=first.height, out_width=first.width, p_i=config.p_i, planes=1,
        plane_stride=words, scale=node.scale, bytes=16 * beats(words, config.p_i))


def _output(graph: Graph, config: AcceleratorConfig) -> OutputLayout:
    node = graph[graph.output]
    assert config.pipeline is not None and isinstance(node, ir.QConv2d)
    last = config.pipeline.last
    return OutputLayout(
        kind="raw", channels=last.out_channels, height=last.out_height, width=last.out_width, shape=node.shape,
        p_i=config.p_i, plane_stride=last.outputs, parts=((0, last.out_channels, 0),),
        scale=(float(node.scale),) * last.out_channels if node.raw_scale is None
        else tuple(float(value) for value in node.raw_scale), offset=0,
        bytes=16 * beats(result_planes(last, config) * last.outputs, config.p_i))


def _layer(graph: Graph, stage: StageConfig, lines: int, config: AcceleratorConfig) -> LayerInfo:
    macs = 0
    if stage.kind.weighted:
        node = graph[stage.name]
        assert isinstance(node, ir.QConv2d)
        macs = int(node.weight.size) * stage.outputs * stage.out_tile[0] * stage.out_tile[1]  # type: ignore[union-attr]
    return LayerInfo(node=stage.name, descriptors=(), macs=macs, slots=stage.frame_steps, cycles=stage_cycles(stage),
                     lines=lines, bytes=lines * config.line_bytes,
                     shape=f"{stage.pe} x {stage.simd}", drains=0)
