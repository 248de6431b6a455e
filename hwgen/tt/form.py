"""The shape of a tensor train over a convolution kernel: which modes each core holds, and what executing it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from hwgen.errors import HwgenError

#: Modes of a kernel in the order of a train: input channels, kernel rows, kernel columns, output channels.
MODES = "IHWO"
#: Groupings with a name in recipes and docs.
GROUPINGS: tuple[str, ...] = ("I|HW|O", "I|H|W|O", "IH|WO", "IHW|O", "I|HWO")


def parse_grouping(text: str) -> tuple[str, ...]:
    """Split ``"I|HW|O"`` into ``("I", "HW", "O")``.

    Raises:
        HwgenError: the groups are not consecutive parts of I, H, W, O, or there are fewer than two.
    """
    groups = tuple(text.split("|"))
    if "".join(groups) != MODES or len(groups) < 2 or not all(groups):
        raise HwgenError(
            f"TT grouping {text!r} does not split the modes {MODES} into consecutive groups",
            allowed=", ".join(GROUPINGS),
        )
    return groups


@dataclass(frozen=True, kw_only=True)
class ConvShape:
    """The dimensions of one convolution as it is used in a network.

    Args:
        in_channels, out_channels, kernel: of the layer; ``kernel`` is (Kh, Kw).
        in_size, out_size: (height, width) of the maps before and after.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    in_size: tuple[int, int]
    out_size: tuple[int, int]

    @property
    def parameters(self) -> int:
        """Weights of the dense kernel, without bias."""
        return self.in_channels * self.out_channels * prod(self.kernel)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense convolution, for one image."""
        return self.parameters * prod(self.out_size)

    def mode_sizes(self) -> dict[str, int]:
        """Size of every mode letter."""
        return {"I": self.in_channels, "H": self.kernel[0], "W": self.kernel[1], "O": self.out_channels}


@dataclass(frozen=True)
class TtForm:
    """A grouping with its inner ranks: n groups and n - 1 ranks.

    Raises:
        HwgenError: the number of ranks does not fit the grouping, or a rank is not positive.
    """

    grouping: tuple[str, ...]
    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        parse_grouping("|".join(self.grouping))
        if len(self.ranks) != len(self.grouping) - 1 or any(rank < 1 for rank in self.ranks):
            raise HwgenError(
                f"TT ranks {list(self.ranks)} do not fit the grouping {'|'.join(self.grouping)!r}",
                allowed=f"{len(self.grouping) - 1} positive integers",
            )

    def core_shapes(self, modes: dict[str, int]) -> tuple[tuple[int, ...], ...]:
        """Shape of every core, [r_k, modes of its group, r_(k+1)], with outer ranks 1."""
        bounds = (1, *self.ranks, 1)
        return tuple(
            (bounds[k], *(modes[letter] for letter in group), bounds[k + 1]) for k, group in enumerate(self.grouping)
        )

    def parameters(self, conv: ConvShape) -> int:
        """Numbers in all cores."""
        return sum(prod(shape) for shape in self.core_shapes(conv.mode_sizes()))

    def macs(self, conv: ConvShape) -> int:
        """Multiply-accumulates of the chain of convolutions, for one image.

        The core that holds H brings the vertical stride and padding, the one that holds W the horizontal ones: cores
        before it work on maps of the input's size.
        """
        total, (rows, columns) = 0, conv.in_size
        for group, shape in zip(self.grouping, self.core_shapes(conv.mode_sizes()), strict=True):
            rows = conv.out_size[0] if "H" in group else rows
            columns = conv.out_size[1] if "W" in group else columns
            total += prod(shape) * rows * columns
        return total


def max_ranks(grouping: Sequence[str], modes: dict[str, int]) -> tuple[int, ...]:
    """The ranks at which a train of this grouping is exact for any kernel."""
    sizes = [prod(modes[letter] for letter in group) for group in grouping]
    return tuple(min(prod(sizes[: k + 1]), prod(sizes[k + 1 :])) for k in range(len(sizes) - 1))
