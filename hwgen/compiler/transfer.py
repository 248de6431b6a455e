"""Transfers between activation memory and the frame's buffers: planes at fixed distances on both sides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """``planes`` times ``words`` activation words from ``start`` on, ``step`` words apart."""

    start: int
    planes: int
    step: int
    words: int


@dataclass(frozen=True)
class Region:
    """A tensor in memory.

    Args:
        name: of the tensor (for what waits for what).
        offset: of its first word, in 16-byte units from the start of the buffer.
        plane: distance of its planes in words, whole transfers of 16 bytes.
        scratch: in the scratch buffer; otherwise in the input buffer (loads) or the output buffer (stores).
        row: protected, in the scratch buffer: words of a row, each of which begins with 16 bytes of its own and has a
            tag behind it, so that transfers are whole rows; 0: not protected.
    """

    name: str
    offset: int
    plane: int
    scratch: bool
    row: int = 0

    def payload_beats(self, words: int, p_i: int) -> int:
        """16-byte units of so many words of a plane, without tags."""
        return words // self.row * beats(self.row, p_i) if self.row else beats(words, p_i)

    def stored_beats(self, words: int, p_i: int) -> int:
        """16-byte units that they take in memory."""
        return self.payload_beats(words, p_i) + (words // self.row if self.row else 0)


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load into activation memory from the input or the scratch buffer.

    Args:
        box: where it goes.
        region: what it comes from; first_plane, first_word: of ``box``'s first word.
        wait_progress, wait_store: retired descriptors and complete stores that it waits for.
    """

    box: Box
    region: Region
    first_plane: int
    first_word: int
    wait_progress: int = 0
    wait_store: int = 0


@dataclass(frozen=True, kw_only=True)
class Store:
    """A store from activation memory to the output or the scratch buffer; members as in ``Load``."""

    box: Box
    region: Region
    first_plane: int
    first_word: int
    wait_progress: int = 0


def beats(words: int, p_i: int) -> int:
    """16-byte units of so many words, rounded up."""
    return -(-words * p_i // 16)


def address(transfer: Load | Store, p_i: int) -> int:
    """Distance from the start of the buffer, in 16-byte units."""
    region = transfer.region
    if region.row:
        return (region.offset + transfer.first_plane * region.stored_beats(region.plane, p_i)
                + region.stored_beats(transfer.first_word, p_i))
    return region.offset + (transfer.first_plane * region.plane + transfer.first_word) * p_i // 16
