"""What every load, compute descriptor and store must wait for, so that running at the same time they do what they would
do one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwgen.compiler.descriptor import Descriptor
from hwgen.compiler.operations import ContractOp, ConvOp, Lowered
from hwgen.compiler.schedule import Compute, Core, Item
from hwgen.compiler.transfer import Box, Load, Store
from hwgen.config.accelerator import AcceleratorConfig


@dataclass(frozen=True)
class Resolved:
    """The sequence and its compute descriptors with all waits."""

    items: list[Item]
    descriptors: list[Descriptor]


def resolve(
    items: Sequence[Item], descriptors: Sequence[Descriptor], lowered: Lowered, config: AcceleratorConfig
) -> Resolved:
    """Walk the sequence with the last writers and readers of every word; counts are ordinals from 1, 0 is none.

    Loads start and stores run in program order, descriptors of each unit too. Results of a descriptor are seen by the
    next one of its unit (the pipeline's hazards are those of ``hazards``); what the other unit does is waited for.
    Counts of loads and stores that a descriptor waits for never fall from one to the next.
    """
    size = 2 * config.act_stride
    words = _Words(size)
    stored: dict[str, np.ndarray] = {}  # region -> last store to each word, [planes, words]
    out: list[Item] = []
    made: list[Descriptor] = []
    loads = stores = wait_act = wait_store = 0
    built: dict[str, int] = {}
    for item in items:
        if isinstance(item, Load | Core):
            loads += 1
            box = item.box if isinstance(item, Load) else core_box(item, config)
            progress = words.latest_of((*words.read_by_unit, *words.written_by_unit), (box,))
            store = words.latest(words.read_by_store, box)
            if isinstance(item, Load):
                if item.region.scratch:
                    store = max(store, int(_window(stored[item.region.name], item).max(initial=0)))
                out.append(replace(item, wait_progress=progress, wait_store=store))
            else:
                out.append(replace(item, run=replace(item.run, wait_progress=progress, wait_store=store)))
            words.mark(words.written_by_load, box, loads)
            for marks in words.written_by_unit:
                words.mark(marks, box, 0)
        elif isinstance(item, Store):
            stores += 1
            out.append(replace(item, wait_progress=words.latest_of(words.written_by_unit, (item.box,))))
            words.mark(words.read_by_store, item.box, stores)
            if item.region.scratch:
                known = stored.setdefault(item.region.name, np.zeros((1, 1), np.int32))
                stored[item.region.name] = known = _grown(known, item)
                _window(known, item)[...] = stores
        elif isinstance(item, Compute):
            d = descriptors[len(made)]
            op = lowered.operations[d.operation]
            for box in (*d.reads, *d.writes):
                wait_act = max(wait_act, words.latest(words.written_by_load, box))
            for box in d.writes:
                wait_store = max(wait_store, words.latest(words.read_by_store, box))
            unit, other = int(d.window), 1 - int(d.window)
            progress = max(words.latest_of((words.written_by_unit[other],), (*d.reads, *d.writes)),
                           words.latest_of((words.read_by_unit[other],), d.writes))
            for box in d.reads:
                words.mark(words.read_by_unit[unit], box, len(made) + 1)
            for box in d.writes:
                words.mark(words.written_by_unit[unit], box, len(made) + 1)
                words.mark(words.written_by_load, box, 0)
            if isinstance(op, ContractOp) and op.last:
                built[op.kernel] = len(made) + 1
            local = built[op.local] if isinstance(op, ConvOp) and op.local else 0
            made.append(replace(d, wait_act=wait_act, wait_store=wait_store, wait_progress=max(local, progress)))
            out.append(item)
        else:
            out.append(item)
    return Resolved(out, made)


def core_box(item: Core, config: AcceleratorConfig) -> Box:
    """Words that the load of a first core writes."""
    return Box(item.run.dest, 1, 0, len(item.run.payload) // config.p_i)


class _Words:
    """Per word of activation memory, the last load, descriptor of each unit (array, window unit) and store that touched
    it."""

    def __init__(self, size: int) -> None:
        self.written_by_load, self.read_by_store = np.zeros(size, np.int32), np.zeros(size, np.int32)
        self.written_by_unit, self.read_by_unit = (
            (np.zeros(size, np.int32), np.zeros(size, np.int32)) for _ in range(2))

    @staticmethod
    def latest(marks: np.ndarray, box: Box) -> int:
        """The largest mark in a box."""
        return int(_view(marks, box).max(initial=0))

    @classmethod
    def latest_of(cls, every: Iterable[np.ndarray], boxes: Sequence[Box]) -> int:
        """The largest of several marks in several boxes."""
        return max((cls.latest(marks, box) for marks in every for box in boxes), default=0)

    @staticmethod
    def mark(marks: np.ndarray, box: Box, value: int) -> None:
        """Set all marks in a box."""
        _view(marks, box)[...] = value


def _view(marks: np.ndarray, box: Box) -> np.ndarray:
    if box.words <= 0 or box.planes <= 0:
        return marks[:0]
    assert box.start >= 0 and box.start + (box.planes - 1) * box.step + box.words <= len(marks), box
    item = marks.itemsize
    return np.lib.stride_tricks.as_strided(
        marks[box.start:], shape=(box.planes, box.words), strides=(box.step * item, item))


def _window(known: np.ndarray, transfer: Load | Store) -> np.ndarray:
    box, plane, word = transfer.box, transfer.first_plane, transfer.first_word
    return known[plane:plane + box.planes, word:word + box.words]


def _grown(known: np.ndarray, store: Store) -> np.ndarray:
    """``known`` with room for the planes and words of a store."""
    planes = max(known.shape[0], store.first_plane + store.box.planes)
    words = max(known.shape[1], store.region.plane)
    if (planes, words) == known.shape:
        return known
    out = np.zeros((planes, words), np.int32)
    out[:known.shape[0], :known.shape[1]] = known
    return out
