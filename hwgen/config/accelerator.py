"""The parameters of one tensor engine: what the search chooses and the hardware is elaborated from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hwgen.config.pipeline import PipelineConfig
from hwgen.errors import HwgenError

#: widest accumulator: raw results are int32
MAX_ACC_BITS = 32
#: shortest row that the window unit can take, in pixels: its row memories take as many cycles
WINDOW_MIN_WIDTH = 4


class DspPacking(StrEnum):
    """How int8 products are placed into the board's multipliers (board field ``dsp.packing``)."""

    DSP48E2 = "dsp48e2"  #: 27x18: two products, spacing 18, chains of 8
    DSP48E1 = "dsp48e1"  #: 25x18: two products, spacing 17, chains of 4
    NONE = "none"  #: one product per multiplier (18x18)

    @property
    def spacing(self) -> int:
        """Bits between the two packed products."""
        return {"dsp48e2": 18, "dsp48e1": 17, "none": 0}[self.value]

    @property
    def chain(self) -> int:
        """Longest sum of packed products that cannot collide: chain*127*128 < 2^(spacing-1)."""
        return {"dsp48e2": 8, "dsp48e1": 4, "none": 8}[self.value]

    @property
    def wide_bits(self) -> int:
        """Bits of the multiplier's wider signed operand."""
        return {"dsp48e2": 27, "dsp48e1": 25, "none": 18}[self.value]


class RamStyle(StrEnum):
    """Which kind of memory synthesis shall use for a buffer."""

    AUTO = "auto"
    BLOCK = "block"
    ULTRA = "ultra"


class Crypto(StrEnum):
    """What stands between the memory ports and the buffers."""

    GCM = "aes-gcm"
    BYPASS = "bypass"  #: same engine and schedule without the crypto unit; only to measure what the unit costs


#: rounds of AES by key size (FIPS 197)
AES_ROUNDS = {128: 10, 256: 14}


def aes_cycles(key_bits: int) -> tuple[int, ...]:
    """Cycles that a block may take: those for which no fewer rounds would do."""
    rounds = AES_ROUNDS[key_bits]
    return tuple(sorted({-(-rounds // built) for built in range(1, rounds + 1)}))


class WindowUnit(StrEnum):
    """What the sliding-window unit beside the array can do."""

    NONE = "none"  #: there is no such unit; its work is done by the array
    POOL = "pool"  #: maxima
    DEPTHWISE = "depthwise"  #: depthwise convolutions and maxima


#: fields of ``AcceleratorConfig`` that say nothing without protected feature maps
_PROTECTION = ("protect_activations", "spill_aes_cycles")


@dataclass(frozen=True, kw_only=True)
class AcceleratorConfig:
    """One tensor engine.

    Args:
        p_i: input channels per cycle = bytes of an activation word (8, 16, 32 or 64).
        p_o: output channels per cycle; p_i or 2*p_i. With 2*p_i, layers may run two pixels x p_o/2 channels ("pair").
        acc_depth: output pixels of a tile (rows of accumulator memory), a power of two.
        acc_bits: width of an accumulator; the compiler proves that it suffices.
        act_words: words of p_i bytes in each of the two activation banks, even.
        line_columns: array columns filled by one line of weight memory (line = line_columns*p_i bytes).
        weight_lines: lines of weight memory.
        weight_ram, act_ram: kind of memory for weights and activations.
        packing: see ``DspPacking``.
        axi_ports: AXI4 master ports; port 0 also writes.
        axi_bytes: bytes per beat of a port.
        program_words: 16-byte words of program memory, a power of two.
        crypto: see ``Crypto``.
        aes_key_bits: 128 or 256.
        aes_cycles: cycles per 16-byte block of a port's decryptor: of the 10 or 14 rounds, ``aes_rounds`` are built.
        protect_activations: feature maps in the scratch buffer are encrypted and authenticated, row by row.
        spill_aes_cycles: the same as ``aes_cycles`` of the units that do this: one per port that decrypts, one that
            encrypts.
        clock_mhz: clock of the engine.
        window: see ``WindowUnit``; it takes p_i channels of one input pixel per cycle.
        window_kernel: rows and columns of its window.
        window_width: longest row it can take, in pixels, a power of two.
        pipeline: stages of a streaming pipeline, which then stands in the place of the tensor engine. Of the fields
            above only those of shell, memories and crypto count: words of ``p_i`` bytes carry a pixel of the input,
            lines of weight memory are written into the stages' own memories, and there is one port.
    """

    p_i: int = 32
    p_o: int = 64
    acc_depth: int = 512
    acc_bits: int = 27
    act_words: int = 8192
    line_columns: int = 4
    weight_lines: int = 24576
    weight_ram: RamStyle = RamStyle.ULTRA
    act_ram: RamStyle = RamStyle.BLOCK
    packing: DspPacking = DspPacking.DSP48E2
    axi_ports: int = 3
    axi_bytes: int = 16
    program_words: int = 2048
    crypto: Crypto = Crypto.GCM
    aes_key_bits: int = 128
    aes_cycles: int = 1
    protect_activations: bool = False
    spill_aes_cycles: int = 1
    clock_mhz: float = 300.0
    window: WindowUnit = WindowUnit.NONE
    window_kernel: int = 3
    window_width: int = 256
    pipeline: PipelineConfig | None = None

    def __post_init__(self) -> None:
        def require(ok: bool, field: str, allowed: str) -> None:
            if not ok:
                raise HwgenError(f"{getattr(self, field)!r} is not possible", where=f"config.{field}", allowed=allowed)

        require(self.p_i in (8, 16, 32, 64), "p_i", "8, 16, 32, 64")
        require(self.p_o in (self.p_i, 2 * self.p_i), "p_o", "p_i or 2*p_i")
        require(self.p_o % self.line_columns == 0, "line_columns", "a divisor of p_o")
        require(self.line_bytes % 16 == 0, "line_columns", "line_columns*p_i must be a multiple of 16")
        require(self.line_bytes >= 2 * self.p_i, "line_columns", "at least 2")
        require(self.p_i % self.packing.chain == 0, "packing", f"p_i must be a multiple of {self.packing.chain}")
        for name in ("acc_depth", "program_words", "window_width"):
            require(getattr(self, name) > 0 and getattr(self, name) & (getattr(self, name) - 1) == 0, name,
                    "a power of two")
        require(self.act_words > 0 and self.act_words % 2 == 0, "act_words", "even")
        require(2 <= self.window_kernel <= 7, "window_kernel", "2..7")
        require(self.window_width >= WINDOW_MIN_WIDTH, "window_width", f"{WINDOW_MIN_WIDTH} at least")
        require(16 <= self.acc_bits <= MAX_ACC_BITS, "acc_bits", f"16..{MAX_ACC_BITS}")
        require(self.weight_lines % 2 == 0 and self.weight_lines >= 2 * self.lines_per_tile, "weight_lines",
                "even, at least two tiles")
        require(1 <= self.axi_ports <= 8, "axi_ports", "1..8")
        if self.pipeline is not None:
            require(self.axi_ports == 1, "axi_ports", "1, so that the input comes in order")
            require(self.pipeline.first.channels <= self.p_i, "p_i", f"{self.pipeline.first.channels} at least")
        require(self.axi_bytes == 16, "axi_bytes", "16")
        require(self.aes_key_bits in AES_ROUNDS, "aes_key_bits", "128 or 256")
        possible = aes_cycles(self.aes_key_bits)
        for name in ("aes_cycles", "spill_aes_cycles"):
            require(getattr(self, name) in possible, name, ", ".join(map(str, possible)))
        require(self.pipeline is None or not self.protect_activations, "protect_activations",
                "false: a pipeline keeps all feature maps on the chip")

    @property
    def pair_mode(self) -> bool:
        """Whether layers may run as two pixels x p_o/2 output channels."""
        return self.p_o == 2 * self.p_i

    @property
    def line_bytes(self) -> int:
        """Bytes of one weight-memory line."""
        return self.line_columns * self.p_i

    @property
    def lines_per_tile(self) -> int:
        """Lines of a full p_i x p_o weight tile."""
        return self.p_o // self.line_columns

    @property
    def params_per_line(self) -> int:
        """Output channels whose 16-byte requantisation records share a line."""
        return self.line_bytes // 16

    @property
    def param_lines(self) -> int:
        """Lines of requantisation records for p_o channels."""
        return self.p_o // self.params_per_line

    @property
    def aes_rounds(self) -> int:
        """Rounds of AES that every port's decryptor has."""
        return -(-AES_ROUNDS[self.aes_key_bits] // self.aes_cycles)

    @property
    def act_stride(self) -> int:
        """Distance of the two activation banks in word addresses: ``act_words`` rounded up to a power of two."""
        return 1 << (self.act_words - 1).bit_length()

    @property
    def window_taps(self) -> int:
        """Taps of the window unit."""
        return self.window_kernel ** 2

    @property
    def window_record_lines(self) -> int:
        """Weight-memory lines of requantisation records for one channel block (p_i channels) of the window unit."""
        return -(-self.p_i // self.params_per_line)

    @property
    def window_lines(self) -> int:
        """Weight-memory lines of one channel block of the window unit: records, then taps (line_columns a line)."""
        return self.window_record_lines + -(-self.window_taps // self.line_columns)

    @property
    def window_block_words(self) -> int:
        """Fewest source words of a channel block in a window descriptor of several: the next block's weights are loaded
        while the last windows of a block go through the taps."""
        return self.window_taps + 3

    @property
    def array_macs_per_cycle(self) -> int:
        """Multiply-accumulates per cycle of the array."""
        return self.p_i * self.p_o

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-accumulates per cycle of the array and the window unit, or of the pipeline."""
        if self.pipeline is not None:
            return self.pipeline.macs_per_cycle
        return self.array_macs_per_cycle + self.p_i * self.window_taps * (self.window is WindowUnit.DEPTHWISE)

    def replace(self, **changes: Any) -> AcceleratorConfig:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields; those of protected feature maps only where there are such."""
        left_out = ("pipeline",) if self.protect_activations else ("pipeline", *_PROTECTION)
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in left_out}
        return values if self.pipeline is None else {**values, "pipeline": self.pipeline.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AcceleratorConfig:
        """Inverse of ``to_dict``; HwgenError for unknown fields or values."""
        known = {f.name for f in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise HwgenError(f"unknown field {key!r}", where="config", allowed=", ".join(sorted(known)))
        fixed = dict(values)
        try:
            if "packing" in fixed:
                fixed["packing"] = DspPacking(fixed["packing"])
            for name in ("weight_ram", "act_ram"):
                if name in fixed:
                    fixed[name] = RamStyle(fixed[name])
            if "window" in fixed:
                fixed["window"] = WindowUnit(fixed["window"])
            if "crypto" in fixed:
                fixed["crypto"] = Crypto(fixed["crypto"])
            if fixed.get("pipeline") is not None:
                fixed["pipeline"] = PipelineConfig.from_dict(fixed["pipeline"])
        except ValueError as error:
            raise HwgenError(str(error), where="config") from error
        return cls(**fixed)
