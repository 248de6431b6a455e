"""Arithmetic in GF(2^128) modulo x^128 + x^7 + x^2 + x + 1 (NIST SP 800-38D, section 6.3), as Amaranth expressions.

Inside, bit i of a value is the coefficient of x^i. GCM writes blocks the other way round: the coefficient of x^0 is
the most significant bit of byte 0; ``to_poly`` and ``to_block`` convert and are wires only.
"""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Signal, Value

WIDTH = 128
TAPS = (0, 1, 2, 7)
"""Exponents of x^128 modulo the field polynomial."""


def to_poly(block: Value) -> Value:
    """A block in memory byte order as a polynomial."""
    return Cat(block[8 * (i // 8) + 7 - i % 8] for i in range(WIDTH))


def to_block(poly: Value) -> Value:
    """Inverse of ``to_poly`` (it is its own inverse)."""
    return to_poly(poly)


def reduce(m: Module, product: Value, name: str = "product") -> Value:
    """A polynomial of degree below 256 modulo the field polynomial."""
    whole = Signal(len(product), name=name)
    m.d.comb += whole.eq(product)
    bits = [[whole[i]] if i < len(whole) else [] for i in range(2 * WIDTH)]
    for i in range(2 * WIDTH - 1, WIDTH - 1, -1):
        for tap in TAPS:
            bits[i - WIDTH + tap] += bits[i]
    result = []
    for terms in bits[:WIDTH]:
        odd: dict[int, Value] = {}
        for term in terms:  # equal terms cancel
            if odd.pop(id(term), None) is None:
                odd[id(term)] = term
        result.append(_xor(list(odd.values())))
    return Cat(result)


def _xor(terms: list[Value]) -> Value:
    result: Value = Const(0, 1)
    for term in terms:
        result = term if isinstance(result, Const) else result ^ term
    return result


def times_digit(value: Value, digit: Value) -> Value:
    """Product of a polynomial and a short one, not reduced."""
    result: Value = Const(0, 1)
    for i in range(len(digit)):
        partial = Cat(Const(0, i), value & digit[i].replicate(len(value)))
        result = partial if i == 0 else result ^ partial
    return result[:len(value) + len(digit) - 1]


@dataclass(frozen=True)
class Product:
    """A carry-less product in Karatsuba form: a leaf holds its value, a node its three half-width products."""

    width: int
    value: Value | None = None
    low: "Product | None" = None
    high: "Product | None" = None
    middle: "Product | None" = None

    def map(self, change: Callable[[Value], Value]) -> "Product":
        """The same tree with every leaf changed, as by a register."""
        if self.value is not None:
            return Product(self.width, value=change(self.value))
        assert self.low and self.high and self.middle
        return Product(self.width, low=self.low.map(change), high=self.high.map(change),
                       middle=self.middle.map(change))


def multiply(m: Module, a: Value, b: Value, *, levels: int, name: str = "mul") -> Product:
    """The leaf products of ``levels`` Karatsuba levels (3^levels schoolbook products)."""
    width = len(a)
    if levels == 0:
        leaf = Signal(2 * width - 1, name=f"{name}_p")
        m.d.comb += leaf.eq(times_digit(a, b))
        return Product(width, value=leaf)
    half = width // 2
    sum_a = Signal(half, name=f"{name}_a")
    sum_b = Signal(half, name=f"{name}_b")
    m.d.comb += [sum_a.eq(a[:half] ^ a[half:]), sum_b.eq(b[:half] ^ b[half:])]
    return Product(
        width,
        low=multiply(m, a[:half], b[:half], levels=levels - 1, name=f"{name}l"),
        high=multiply(m, a[half:], b[half:], levels=levels - 1, name=f"{name}h"),
        middle=multiply(m, sum_a, sum_b, levels=levels - 1, name=f"{name}m"),
    )


def combine(m: Module, product: Product, name: str = "mul") -> Value:
    """The polynomial of degree 2*width - 2 that a Karatsuba tree stands for."""
    if product.value is not None:
        return product.value
    assert product.low and product.high and product.middle
    low = combine(m, product.low, f"{name}l")
    high = combine(m, product.high, f"{name}h")
    middle = combine(m, product.middle, f"{name}m")
    half = product.width // 2
    cross = Signal(len(middle), name=f"{name}_x")
    result = Signal(2 * product.width - 1, name=f"{name}_c")
    m.d.comb += [
        cross.eq(low ^ high ^ middle),
        result.eq(Cat(low, Const(0, 1), high) ^ Cat(Const(0, half), cross)),
    ]
    return result
