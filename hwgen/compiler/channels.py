"""Where the channels of a tensor lie: channel blocks (words of p_i lanes) and the lanes within them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChannelLayout:
    """Channels cut into parts, each of which begins at a new channel block (a concatenated tensor has several).

    Args:
        parts: channels of each part, in order.
        p_i: lanes of a word.
    """

    parts: tuple[int, ...]
    p_i: int

    @property
    def channels(self) -> int:
        """Channels without the unused lanes."""
        return sum(self.parts)

    @property
    def blocks(self) -> int:
        """Channel blocks = words per pixel."""
        return sum(-(-part // self.p_i) for part in self.parts)

    @property
    def lanes(self) -> int:
        """Lanes of all blocks, used or not."""
        return self.blocks * self.p_i

    def lane_of(self) -> np.ndarray:
        """int64 [channels]: lane of every channel, counted over all blocks."""
        out, block = [], 0
        for part in self.parts:
            out.append(block * self.p_i + np.arange(part))
            block += -(-part // self.p_i)
        return np.concatenate(out)

    def places(self) -> tuple[tuple[int, int, int], ...]:
        """(first channel, channels, first block) of every part."""
        out, channel, block = [], 0, 0
        for part in self.parts:
            out.append((channel, part, block))
            channel += part
            block += -(-part // self.p_i)
        return tuple(out)

    @classmethod
    def plain(cls, channels: int, p_i: int) -> ChannelLayout:
        """One part."""
        return cls((channels,), p_i)

    @classmethod
    def joined(cls, layouts: tuple[ChannelLayout, ...]) -> ChannelLayout:
        """The parts of several tensors, one after the other."""
        return cls(tuple(part for layout in layouts for part in layout.parts), layouts[0].p_i)
