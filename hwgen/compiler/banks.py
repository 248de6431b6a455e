"""Which tensors must lie in different activation banks, and a two-colouring of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class BankConstraints:
    """Union-find with parity over names: ``apart`` records that two must differ."""

    _parent: dict[str, tuple[str, int]] = field(default_factory=dict)

    def find(self, name: str) -> tuple[str, int]:
        """(representative of the group, 0 if in the same bank as it, else 1)."""
        parent, parity = self._parent.setdefault(name, (name, 0))
        if parent == name:
            return name, 0
        root, above = self.find(parent)
        self._parent[name] = (root, parity ^ above)
        return root, parity ^ above

    def apart(self, a: str, b: str) -> bool:
        """Require different banks; False (and nothing changed) when earlier requirements contradict."""
        (root_a, parity_a), (root_b, parity_b) = self.find(a), self.find(b)
        if root_a == root_b:
            return parity_a != parity_b
        self._parent[root_b] = (root_a, parity_a ^ parity_b ^ 1)
        return True

    def groups(self, names: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Group and side of every name."""
        return {name: self.find(name) for name in names}
