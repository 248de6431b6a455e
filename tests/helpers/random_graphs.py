"""Random quantised graphs: the networks that compiler, emulator and hardware tests run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hwgen.ir import nodes as ir
from hwgen.ir.nodes import ContractionStep, Graph, Node, Padding, Pair, ReconstructedKernel, Requantise


def window_count(size: int, kernel: int, stride: int, pad: Pair, dilation: int = 1) -> int:
    """Positions of a window along one axis."""
    return (size + sum(pad) - dilation * (kernel - 1) - 1) // stride + 1


def random_requantise(rng: np.random.Generator, channels: int, spread: float, residual: bool = False) -> Requantise:
    """Multipliers that bring sums of standard deviation ``spread`` to about +-60, with a random clamp."""
    shift = rng.integers(1, 48, channels) if rng.random() < 0.1 else rng.integers(14, 30, channels)
    factor = 60.0 / max(spread, 1.0) * rng.uniform(0.5, 1.5, channels)
    multiplier = np.clip(np.round(factor * 2.0**shift), 0, 65535).astype(np.int64)
    extra = np.clip(np.round(rng.uniform(0.2, 1.2, channels) * 2.0**shift), 0, 65535).astype(np.int64)
    lo, hi = [(-128, 127), (0, 127), (0, int(rng.integers(20, 127)))][rng.integers(3)]
    return Requantise(multiplier=multiplier, shift=shift.astype(np.int64),
                      residual_multiplier=extra if residual else np.zeros(channels, np.int64), lo=lo, hi=hi)


def random_image(rng: np.random.Generator, graph: Graph, count: int = 1) -> np.ndarray:
    """int8 [count, C, H, W], extremes included."""
    image = rng.integers(-128, 128, (count, *graph.input_node().shape))
    return np.where(rng.random(image.shape) < 0.05, rng.choice([-128, 127, 0], image.shape), image).astype(np.int8)


def random_kernel(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> ReconstructedKernel:
    """A kernel that the hardware contracts, grouped (O | HW | I), (O | H | W | I), (O | HWI), (OHW | I), (OH | W | I)
    or (O | I)."""
    out, channels, kernel_h, kernel_w = shape

    early = [(), (), (), (kernel_h, kernel_w), (kernel_h,)]
    groupings = [[(kernel_h, kernel_w)], [(kernel_h,), (kernel_w,)], [], [], [(kernel_w,)]]
    choice = rng.integers(len(groupings)) if kernel_h * kernel_w > 1 else 2
    middle, taken = groupings[choice], early[choice]
    sizes = [int(rng.integers(3, 40)) for _ in range(len(middle) + 1)]
    first = rng.integers(-127, 128, (out, *taken, sizes[0])).astype(np.int8)
    steps = []
    for position, modes in enumerate(middle):
        core = rng.integers(-127, 128, (sizes[position], *modes, sizes[position + 1])).astype(np.int8)
        steps.append(_step(rng, core))
    taps = () if middle or taken or kernel_h * kernel_w == 1 else (kernel_h, kernel_w)
    last = (sizes[len(middle)], *taps, channels)
    steps.append(_step(rng, rng.integers(-127, 128, last).astype(np.int8)))
    return ReconstructedKernel(first=first, steps=tuple(steps), shape=shape)


def _step(rng: np.random.Generator, core: np.ndarray) -> ContractionStep:
    columns = int(np.prod(core.shape[1:]))
    shift = rng.integers(14, 24, columns)
    factor = 60.0 / (5000.0 * np.sqrt(core.shape[0]))
    multiplier = np.clip(np.round(factor * 2.0**shift), 1, 65535).astype(np.int64)
    return ContractionStep(core=core, requantise=Requantise(
        multiplier=multiplier, shift=shift.astype(np.int64), residual_multiplier=np.zeros(columns, np.int64), lo=-127,
        hi=127))


@dataclass
class GraphBuilder:
    """Grows a quantised graph node by node; every method returns the new tensor's name."""

    rng: np.random.Generator
    shape: tuple[int, int, int]
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes.append(ir.QInput(name="input", inputs=(), shape=self.shape, scale=0.05))

    def shape_of(self, name: str) -> tuple[int, int, int]:
        """(C, H, W)."""
        return next(n.shape for n in self.nodes if n.name == name)  # type: ignore[return-value]

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def conv(self, src: str, out: int, kernel: Pair = (3, 3), stride: Pair = (1, 1), *, padding: Padding | None = None,
             dilation: Pair = (1, 1), groups: int = 1, residual: str | None = None, raw: bool = False,
             reconstruct: bool = False) -> str:
        """A convolution; ``padding`` None keeps the size at stride 1 (odd kernels)."""
        rng = self.rng
        channels, height, width = self.shape_of(src)
        if padding is None:
            ph, pw = dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)
            padding = (ph // 2, ph - ph // 2, pw // 2, pw - pw // 2)
        shape = (out, channels // groups, *kernel)
        weight = random_kernel(rng, shape) if reconstruct else rng.integers(-127, 128, shape).astype(np.int8)
        spread = 70.0 * 70.0 * np.sqrt(shape[1] * kernel[0] * kernel[1])
        size = (window_count(height, kernel[0], stride[0], padding[:2], dilation[0]),
                window_count(width, kernel[1], stride[1], padding[2:], dilation[1]))
        name = self._name("conv")
        self.nodes.append(ir.QConv2d(
            name=name, inputs=(src,) if residual is None else (src, residual), shape=(out, *size), weight=weight,
            bias=rng.integers(-20000, 20000, out).astype(np.int32),
            requantise=None if raw else random_requantise(rng, out, spread, residual is not None), scale=0.05,
            raw_scale=rng.random(out) if raw else None, stride=stride, padding=padding, dilation=dilation,
            groups=groups))
        return name

    def max_pool(self, src: str, kernel: Pair = (2, 2), stride: Pair = (2, 2), padding: Padding = (0, 0, 0, 0)) -> str:
        """A maximum pool."""
        channels, height, width = self.shape_of(src)
        name = self._name("max")
        self.nodes.append(ir.QMaxPool(name=name, inputs=(src,), shape=(
            channels, window_count(height, kernel[0], stride[0], padding[:2]),
            window_count(width, kernel[1], stride[1], padding[2:])),
            kernel=kernel, stride=stride, padding=padding, scale=0.05))
        return name

    def avg_pool(self, src: str, kernel: Pair | None = None, stride: Pair = (1, 1)) -> str:
        """An average pool; global by default."""
        channels, height, width = self.shape_of(src)
        kernel = kernel or (height, width)
        name = self._name("avg")
        spread = 60.0 * kernel[0] * kernel[1]
        self.nodes.append(ir.QAvgPool(
            name=name, inputs=(src,), shape=(channels, window_count(height, kernel[0], stride[0], (0, 0)),
                                             window_count(width, kernel[1], stride[1], (0, 0))),
            kernel=kernel, stride=stride, requantise=random_requantise(self.rng, channels, spread), scale=0.05))
        return name

    def add(self, a: str, b: str) -> str:
        """A sum of two tensors."""
        name = self._name("add")
        self.nodes.append(ir.QAdd(name=name, inputs=(a, b), shape=self.shape_of(a),
                                  requantise=random_requantise(self.rng, self.shape_of(a)[0], 80.0, True), scale=0.05))
        return name

    def concat(self, *parts: str) -> str:
        """A concatenation along channels."""
        name = self._name("cat")
        channels = sum(self.shape_of(p)[0] for p in parts)
        self.nodes.append(ir.QConcat(name=name, inputs=tuple(parts), shape=(channels, *self.shape_of(parts[0])[1:]),
                                     scale=0.05))
        return name

    def flatten(self, src: str) -> str:
        """A vector."""
        name = self._name("flat")
        self.nodes.append(ir.QFlatten(name=name, inputs=(src,), shape=(int(np.prod(self.shape_of(src))),), scale=0.05))
        return name

    def graph(self, name: str = "random") -> Graph:
        """The graph; its output is the last node."""
        return Graph(name=name, nodes=tuple(self.nodes), output=self.nodes[-1].name)


def single_conv(rng: np.random.Generator, largest: int = 12, most_channels: int = 70) -> Graph:
    """One convolution of random geometry, sometimes raw."""
    while True:
        kernel = (int(rng.integers(1, 8)), int(rng.integers(1, 8)))
        stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
        dilation = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        height, width = int(rng.integers(1, largest + 1)), int(rng.integers(1, largest + 1))
        top, bottom, left, right = (int(v) for v in rng.integers(0, 4, 4))
        padding = (top, bottom, left, right)
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        channels, out = (groups * int(rng.integers(1, most_channels // groups + 1)) for _ in range(2))
        if rng.random() < 0.15:
            groups, out = channels, channels  # depthwise
        if (window_count(height, kernel[0], stride[0], padding[:2], dilation[0]) >= 1
                and window_count(width, kernel[1], stride[1], padding[2:], dilation[1]) >= 1):
            break
    builder = GraphBuilder(rng, (channels, height, width))
    builder.conv("input", out, kernel, stride, padding=padding, dilation=dilation, groups=groups,
                 raw=bool(rng.random() < 0.2))
    return builder.graph("single_conv")


def random_graph(rng: np.random.Generator, depth: int = 8, largest: int = 12, most_channels: int = 60,
                 reconstruct: bool = False) -> Graph:
    """A graph of all operators: branches, residuals, concatenations, pools, sometimes a raw classifier.

    Args:
        depth: nodes before the head.
        reconstruct: some kernels are contracted on the chip.
    """
    height, width = (int(rng.integers(3, largest + 1)) for _ in range(2))
    builder = GraphBuilder(rng, (int(rng.integers(1, 9)), height, width))
    tensors = ["input"]
    for _ in range(depth):
        src = tensors[-1] if rng.random() < 0.7 else str(rng.choice(tensors))
        channels, height, width = builder.shape_of(src)
        same = [t for t in tensors if builder.shape_of(t) == (channels, height, width) and t != src]
        maps = [t for t in tensors if builder.shape_of(t)[1:] == (height, width)]
        choice = rng.random()
        out = int(rng.integers(1, most_channels + 1))
        if choice < 0.12 and height > 2 and width > 2:
            name = builder.max_pool(src, (int(rng.integers(2, 4)), int(rng.integers(2, 4))),
                                    (int(rng.integers(1, 3)), int(rng.integers(1, 3))), (0, 1, 1, 0))
        elif choice < 0.17 and height > 2 and width > 2:
            name = builder.avg_pool(src, (2, 2), (2, int(rng.integers(1, 3))))
        elif choice < 0.27 and same:
            name = builder.add(src, str(rng.choice(same)))
        elif choice < 0.37 and len(maps) > 1:
            name = builder.concat(*(str(t) for t in rng.choice(maps, int(rng.integers(2, min(4, len(maps) + 1))))))
        elif choice < 0.6:
            residuals = [t for t in maps if builder.shape_of(t)[0] >= 1]
            residual = str(rng.choice(residuals))
            kernel = [(1, 1), (3, 3), (1, 3), (3, 1), (5, 3)][rng.integers(5)]
            name = builder.conv(src, builder.shape_of(residual)[0], kernel, residual=residual,
                                reconstruct=reconstruct and bool(rng.random() < 0.5))
        elif choice < 0.7:
            name = builder.conv(src, channels, (3, 3), groups=channels)
        else:
            kernel = [(1, 1), (3, 3), (1, 3), (3, 1), (2, 2), (5, 5)][rng.integers(6)]
            stride = (1, 1) if rng.random() < 0.6 else (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
            name = builder.conv(src, out, kernel, stride, reconstruct=reconstruct and bool(rng.random() < 0.5))
        tensors.append(name)
    if rng.random() < 0.6:
        pooled = builder.avg_pool(tensors[-1])
        builder.conv(pooled, int(rng.integers(2, 20)), (1, 1), raw=bool(rng.random() < 0.7))
    return builder.graph()


def small_resnet(rng: np.random.Generator, widths: tuple[int, ...] = (16, 32), size: int = 16, *, blocks: int = 1,
                 classes: int = 10, chain_rank: int = 0) -> Graph:
    """A residual network of the CIFAR kind.

    Args:
        widths: channels of the stages; every stage but the first halves the map.
        blocks: residual blocks per stage.
        chain_rank: with a rank, 3x3 convolutions are chains 1x1, 3x1, 1x3, 1x1 of that rank.
    """
    builder = GraphBuilder(rng, (3, size, size))

    def conv3(src: str, out: int, stride: int, residual: str | None = None) -> str:
        if not chain_rank:
            return builder.conv(src, out, (3, 3), (stride, stride), padding=(1, 1, 1, 1), residual=residual)
        rank = min(chain_rank, builder.shape_of(src)[0])
        x = builder.conv(src, rank, (1, 1))
        x = builder.conv(x, rank, (3, 1), (stride, 1), padding=(1, 1, 0, 0))
        x = builder.conv(x, rank, (1, 3), (1, stride), padding=(0, 0, 1, 1))
        return builder.conv(x, out, (1, 1), residual=residual)

    x = builder.conv("input", widths[0], (3, 3))
    for stage, out in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            skip = x
            if stride == 2 or builder.shape_of(x)[0] != out:
                skip = builder.conv(x, out, (1, 1), (stride, stride), padding=(0, 0, 0, 0))
            x = conv3(x, out, stride)
            x = conv3(x, out, 1, residual=skip)
    x = builder.avg_pool(x)
    builder.conv(x, classes, (1, 1), raw=True)
    return builder.graph("small_resnet")
