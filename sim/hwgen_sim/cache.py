"""A cache of folders named by the hash of what they were made from.

An entry appears by one rename, so an interrupt or a crash leaves none half-written; a lock file per entry makes
concurrent builders of the same entry wait for the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def default_cache_dir() -> Path:
    """``~/.cache/hwgen``."""
    return Path.home() / ".cache" / "hwgen"


def content_key(parts: Iterable[bytes | str]) -> str:
    """Hash of the parts, unambiguous in their order and lengths."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


class BuildCache:
    """Folders made once per key.

    Args:
        root: folder of the cache; made when first needed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """The entry's folder and whether it was there already; ``make(folder)`` fills a new one."""
        entry = self.root / key
        if entry.is_dir():
            return entry, True
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / f"{key}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if entry.is_dir():
                return entry, True
            self._sweep(key)
            partial = Path(tempfile.mkdtemp(prefix=f"{key}.partial-", dir=self.root))
            try:
                make(partial)
                os.rename(partial, entry)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        return entry, False

    def _sweep(self, key: str) -> None:
        """Remove what killed builders of this entry left (the lock is held, so none is alive)."""
        for left in self.root.glob(f"{key}.partial-*"):
            shutil.rmtree(left, ignore_errors=True)
