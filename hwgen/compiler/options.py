"""What the user of the compiler may choose, and the engine's timing as the compiler assumes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.engine.timing import WINDOW_START, pipeline_latency, window_latency


@dataclass(frozen=True)
class Timing:
    """Cycles of the engine that decide shapes and hazards.

    Args:
        pipeline_latency: issue slots between a pixel's last step and the first issue that may read its result.
        min_step: shortest step (the same accumulator row is not visited earlier).
        descriptor: cycles between two descriptors without a hazard.
        raw_interval: cycles per issued pixel of a RAW descriptor.
        window: cycles of a descriptor of the window unit besides its words.
    """

    pipeline_latency: int = 64
    min_step: int = 4
    descriptor: int = 6
    raw_interval: int = 4
    window: int = 40

    @classmethod
    def of(cls, config: AcceleratorConfig) -> Timing:
        """The published latency of the engine with ``config``."""
        return cls(pipeline_latency=pipeline_latency(config), window=WINDOW_START + window_latency(config))


@dataclass(frozen=True, kw_only=True)
class CompileOptions:
    """Choices of one compilation.

    Args:
        encrypt: names of the nodes whose weights are encrypted; None: all.
        encrypt_program: encrypt the program too.
        debug_dump: store every layer's tensor behind the output (debug image).
        fold_input: let the driver lay the taps of the first convolution into the channel lanes where that is cheaper.
        pair: use the two-pixel shape.
        segment_log2: log2 of a full weight segment in 16-byte beats.
        ramp: (beats, segment_log2) of the first weight runs, in small segments so that work starts early.
        input_pieces: pieces in which the frame's input is loaded, so that the first convolution starts with the first.
        timing: None: ``Timing.of(config)``.
    """

    encrypt: frozenset[str] | None = None
    encrypt_program: bool = True
    debug_dump: bool = False
    fold_input: bool = True
    pair: bool = True
    segment_log2: int = 10
    ramp: tuple[tuple[int, int], ...] = field(default=((1536, 7), (3072, 8)))
    input_pieces: int = 8
    timing: Timing | None = None
