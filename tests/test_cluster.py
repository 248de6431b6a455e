"""Clusters: what cannot be reached or was not asked for sensibly is an error that says what to do."""

from __future__ import annotations

import pytest

from hwgen.cluster import connect
from hwgen.errors import HwgenError


def test_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed  # noqa: PLC0415

    def refuse(address: str, timeout: float) -> None:
        raise OSError(f"no answer from {address} in {timeout} s")

    monkeypatch.setattr(distributed, "Client", refuse)
    expected = r"--scheduler: no Dask scheduler answers: no answer from tcp://127\.0\.0\.1:1"
    with pytest.raises(HwgenError, match=expected), connect(scheduler="tcp://127.0.0.1:1"):
        pass


def test_no_worker() -> None:
    with pytest.raises(HwgenError, match="--workers: 0 is not possible\n  allowed: 1 or more"), connect(0):
        pass
