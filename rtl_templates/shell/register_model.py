"""The register map as Python objects, read from ``registers.rdl``."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddrmapNode, RegNode
from systemrdl.rdltypes.builtin_enums import AccessType

RDL_FILE = Path(__file__).parent / "registers.rdl"


@dataclass(frozen=True)
class RegisterField:
    """One field.

    ``readable``, ``writable``: by software; ``pulse``: high for one cycle after a 1 is written; ``clear_by_one``: set
    by the hardware, cleared by writing 1; ``lockable``: not written while locked; ``rises``: smaller values ignored;
    ``protection``: only in hardware that protects feature maps.
    """

    name: str
    low: int
    width: int
    readable: bool
    writable: bool
    pulse: bool
    clear_by_one: bool
    lockable: bool
    rises: bool
    protection: bool
    reset: int
    text: str


@dataclass(frozen=True)
class Register:
    """One 32-bit register."""

    name: str
    address: int
    external: bool
    title: str
    text: str
    fields: tuple[RegisterField, ...]
    protection: bool

    def signal(self, field: RegisterField) -> str:
        """Name of a field in the register file's structures."""
        return f"{self.name}_{field.name}".lower()


@cache
def compile_registers() -> AddrmapNode:
    """The elaborated SystemRDL description."""
    compiler = RDLCompiler()
    compiler.compile_file(str(RDL_FILE))
    return compiler.elaborate().top


def _name(node: RegNode) -> str:
    return node.inst_name if node.current_idx is None else f"{node.inst_name}_{node.current_idx[0]}"


def _fields(node: RegNode) -> Iterator[RegisterField]:
    for field in node.fields():
        access = field.get_property("sw")
        yield RegisterField(
            name=field.inst_name, low=field.low, width=field.width,
            readable=access in (AccessType.r, AccessType.rw), writable=access in (AccessType.w, AccessType.rw),
            pulse=field.get_property("singlepulse"), clear_by_one=field.get_property("onwrite") is not None,
            lockable=bool(field.get_property("swwel")), rises=bool(field.get_property("rises")),
            protection=bool(field.get_property("protection")),
            reset=field.get_property("reset") or 0, text=" ".join((field.get_property("desc") or "").split()))


@cache
def register_map(protection: bool = True) -> tuple[Register, ...]:
    """All registers by address, arrays unrolled (``SALT_0`` ...); without those of the protection of feature maps if it
    is not there."""
    every = (
        Register(name=_name(node), address=node.absolute_address, external=node.external,
                 title=node.get_property("name"), text=" ".join((node.get_property("desc") or "").split()),
                 fields=tuple(f for f in _fields(node) if protection or not f.protection),
                 protection=bool(node.get_property("protection")))
        for node in compile_registers().registers(unroll=True))
    return tuple(register for register in every if protection or not register.protection)
