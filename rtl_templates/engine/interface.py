"""The members of what stands between program memory and the on-chip buffers, the same for both styles."""

from __future__ import annotations

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ACT_ADDR_BITS, COUNT_BITS, LINE_BITS, SEQ_BITS
from rtl_templates.engine.counters import counters_layout
from rtl_templates.engine.descriptor import DESCRIPTOR_BITS


def engine_members(config: AcceleratorConfig) -> dict[str, wiring.Member]:
    """By name; what they mean stands in ``TensorEngine`` and ``StreamEngine``."""
    word = config.p_i * 8
    return {
        "descriptors": In(stream.Signature(DESCRIPTOR_BITS)),
        "weight_write": In(stream.Signature(data.StructLayout({
            "line": LINE_BITS, "data": config.line_bytes * 8}))),
        "act_write": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS, "data": word}))),
        "act_read": In(stream.Signature(data.StructLayout({"addr": ACT_ADDR_BITS}))),
        "act_data": Out(data.StructLayout({"valid": 1, "data": word})),
        "ring_lines": In(LINE_BITS),
        "weight_loaded": In(SEQ_BITS),
        "weight_freed": Out(SEQ_BITS),
        "act_loaded": In(COUNT_BITS), "stored": In(COUNT_BITS),
        "progress": Out(COUNT_BITS),
        "finished": Out(1),
        "clear": In(1),
        "scrub": In(1),
        "counters": Out(counters_layout()),
    }
