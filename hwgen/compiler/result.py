"""What the compiler returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.stream import Run
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.image.io_layout import InputLayout, OutputLayout
from hwgen.isa.layout import LoadFlag


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """What became of one graph node.

    Args:
        node: its name.
        descriptors: indices of its compute descriptors (those of a reconstructed kernel stand earlier in the program).
        macs: logical multiply-accumulates.
        slots: issue slots.
        cycles: predicted cycles, waits for DRAIN included.
        lines: lines of the weight stream.
        bytes: of the image's payload: lines of the stream and first cores.
        shape: "normal", "pair", "normal+pair" or "pool".
        drains: descriptors that wait for the pipeline.
    """

    node: str
    descriptors: tuple[int, ...]
    macs: int
    slots: int
    cycles: int
    lines: int
    bytes: int
    shape: str
    drains: int


@dataclass(frozen=True, kw_only=True)
class CompiledNetwork:
    """Program, weight stream and layouts of one network on one configuration; everything in plaintext.

    Args:
        name: of the graph.
        runs: runs of the image in payload order; the first is the program.
        descriptors: compute descriptors in program order, END left out.
        input, output: layouts of the frame's buffers.
        dumps: (tensor name, layout) of every stored inner tensor (``debug_dump``).
        output_bytes: size of the output buffer, dumps included.
        scratch_bytes: size of the buffer for feature maps that do not fit on the chip.
        spilled_bytes: what a frame writes to it and reads from it.
        strips: some operations run in strips of rows, because a tensor (or the input) is not on the chip.
        ring_lines, stream_lines: lines of the weight ring and of the weight stream.
        resident: the stream stays in the ring between frames.
        act_used: words used of each activation bank.
        acc_bits: accumulator bits the network needs.
        issue_cycles: predicted cycles of the compute program alone (weights always there).
        layers: per graph node.
    """

    name: str
    labels: tuple[str, ...]
    config: AcceleratorConfig
    runs: tuple[Run, ...] = field(repr=False)
    descriptors: tuple[Descriptor, ...] = field(repr=False)
    input: InputLayout
    output: OutputLayout
    dumps: tuple[tuple[str, OutputLayout], ...] = field(repr=False)
    output_bytes: int
    scratch_bytes: int
    spilled_bytes: int
    strips: bool
    ring_lines: int
    stream_lines: int
    resident: bool
    act_used: tuple[int, ...]
    acc_bits: int
    issue_cycles: int
    layers: tuple[LayerInfo, ...] = field(repr=False)

    @property
    def program(self) -> bytes:
        """Program memory image."""
        return self.runs[0].payload

    @property
    def bound_cycles(self) -> float:
        """Cycles of a following frame at least: of the array or of the memory ports."""
        streamed = 0 if self.resident else self.stream_lines * self.config.line_bytes
        moved = streamed + self.spilled_bytes + self.input.bytes + self.output_bytes
        return max(self.issue_cycles, moved / (self.config.axi_ports * self.config.axi_bytes))

    @property
    def payload_beats(self) -> int:
        """Length of the image's payload, tags included, in 16-byte beats."""
        return sum(run.stored_beats for run in self.runs)

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(run.segments for run in self.runs)

    @property
    def layer_bytes(self) -> dict[str, int]:
        """Payload bytes per graph node in program order: what ``hwgen.seal.select_encrypted`` chooses from."""
        return {layer.node: layer.bytes for layer in self.layers}

    @property
    def bytes_encrypted(self) -> int:
        """Payload bytes in encrypted runs."""
        return sum(len(r.payload) for r in self.runs if r.flags >> LoadFlag.ENCRYPTED & 1)

    @property
    def macs(self) -> int:
        """Logical multiply-accumulates of a frame."""
        return sum(layer.macs for layer in self.layers)
