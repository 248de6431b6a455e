"""What the emulator raises."""

from __future__ import annotations


class ContractViolation(AssertionError):
    """A program breaks the hardware contract of docs/architecture.md; says which descriptor and what."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(f"{where}: {what}" if where else what)


def require(ok: bool, what: str, where: str = "") -> None:
    """Raise ``ContractViolation`` unless ``ok``."""
    if not ok:
        raise ContractViolation(what, where)
