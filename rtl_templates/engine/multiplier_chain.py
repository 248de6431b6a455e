"""Chains of multiply-add registers, two int8 products per multiplier where the board's multipliers are wide enough."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value, signed

from hwgen.config.accelerator import DspPacking


def multiplier_chain(
    m: Module, weights: Sequence[Value], activations: Sequence[Value], packing: DspPacking, labels: Sequence[str], *,
    tag: str,
) -> list[Signal]:
    """One chain: position k multiplies and adds to what position k - 1 had a cycle before.

    Packed chains carry two columns in one multiplier: value = odd·2^spacing + even; the even column's borrow has been
    taken from the odd weight before, and is given back when the sums are unpacked (Xilinx WP486).

    Args:
        weights: per position its registers: int8, packed: even weight, then the odd one less the borrow of the even.
        activations: per position, int8; with its weights k cycles behind those of position 0.
        labels: per position, for the names of signals; tag: the same for the chain.

    Returns:
        the signed sum of every column, ``len(weights) + 2`` cycles behind position 0.
    """
    packed = packing is not DspPacking.NONE
    spacing = packing.spacing
    cascade = None
    for bits, x, label in zip(weights, activations, labels, strict=True):
        if packed:
            weight = Cat(bits[:8], bits[7].replicate(spacing - 8), bits[8:]).as_signed()
        else:
            weight = bits.as_signed()
        product = Signal(signed(len(weight) + 8), name=f"product_{label}", attrs={"use_dsp": "yes"})
        m.d.sync += product.eq(weight * x.as_signed())
        width = (2 * spacing + 2) if packed else 16 + (packing.chain - 1).bit_length()
        total = Signal(signed(width), name=f"cascade_{label}")
        m.d.sync += total.eq(product if cascade is None else cascade + product)
        cascade = total
    assert cascade is not None
    if packed:
        low = Signal(signed(spacing), name=f"low_{tag}")
        high = Signal(signed(spacing), name=f"high_{tag}")
        m.d.sync += [
            low.eq(cascade[:spacing]),
            high.eq(cascade[spacing:2 * spacing].as_signed() + cascade[spacing - 1]),
        ]
        return [low, high]
    unpacked = Signal(cascade.shape(), name=f"unpacked_{tag}")
    m.d.sync += unpacked.eq(cascade)
    return [unpacked]


def adder_tree(m: Module, terms: Sequence[Value], width: int, name: str) -> tuple[Value, int]:
    """Signed sum in ``width`` bits and the cycles (levels of registered adders of two) that it takes."""
    level, nodes = 0, list(terms)
    while len(nodes) > 1:
        added: list[Value] = []
        for i in range(0, len(nodes), 2):
            node = Signal(signed(width), name=f"{name}_{level}_{i}")
            m.d.sync += node.eq(sum(nodes[i:i + 2]))
            added.append(node)
        nodes = added
        level += 1
    return nodes[0], level


__all__ = ["adder_tree", "multiplier_chain"]
