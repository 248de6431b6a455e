"""Predicted cycles of the compute program, and the per-layer table of the report."""

from __future__ import annotations

from collections.abc import Sequence

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.operations import Lowered
from hwgen.compiler.options import Timing
from hwgen.compiler.result import LayerInfo
from hwgen.compiler.stream import Run
from hwgen.config.accelerator import AcceleratorConfig
from hwgen.isa.layout import ComputeFlag, LoadKind


def descriptor_cycles(d: Descriptor, config: AcceleratorConfig, timing: Timing) -> int:
    """Cycles from the start of a descriptor to the start of the unit's next one, if its weights are there."""
    if d.window:
        return d.window_words + timing.window
    slots = d.step_slots * (timing.raw_interval if ComputeFlag.RAW in d.flags else 1)
    wait = timing.descriptor + (timing.pipeline_latency if ComputeFlag.DRAIN in d.flags else 0)
    if d.pool:
        return d.blocks * max(slots, d.lines) + wait
    half = 2 if ComputeFlag.PAIR in d.flags else 1
    tile, records = config.lines_per_tile // half, config.param_lines // half
    step = max(slots, tile, timing.min_step)
    return d.blocks * ((d.steps - 1) * step + max(step, tile + records)) + wait


def _kind(d: Descriptor) -> str:
    if d.window or d.pool:
        return "window" if d.window else "pool"
    return "pair" if ComputeFlag.PAIR in d.flags else "normal"


def layer_infos(
    descriptors: Sequence[Descriptor], lowered: Lowered, config: AcceleratorConfig, timing: Timing, runs: Sequence[Run]
) -> tuple[LayerInfo, ...]:
    """One entry per graph node that computes, in program order; ``runs`` for the first cores."""
    members: dict[str, list[int]] = {}
    for position, d in enumerate(descriptors):
        members.setdefault(d.node, []).append(position)
    macs: dict[str, int] = {}
    for op in lowered.operations:
        macs[op.node] = macs.get(op.node, 0) + getattr(op, "macs", 0)
    cores: dict[str, int] = {}
    for run in runs:
        if run.kind == LoadKind.ACTIVATIONS:
            cores[run.nodes[0]] = cores.get(run.nodes[0], 0) + len(run.payload)
    out = []
    for node, indices in members.items():
        mine = [descriptors[i] for i in indices]
        kinds = {_kind(d) for d in mine}
        lines = sum(d.lines * d.blocks for d in mine if ComputeFlag.RELEASE in d.flags)
        again = sum(d.lines * d.blocks for d in mine if ComputeFlag.RELEASE in d.flags and d.again)
        out.append(LayerInfo(
            node=node, descriptors=tuple(indices), macs=macs[node], slots=sum(d.slots for d in mine),
            cycles=sum(descriptor_cycles(d, config, timing) for d in mine),
            lines=lines, bytes=(lines - again) * config.line_bytes + cores.get(node, 0),
            shape="+".join(sorted(kinds)), drains=sum(ComputeFlag.DRAIN in d.flags for d in mine),
        ))
    return tuple(out)
