"""Clusters: what cannot be reached or was not asked for sensibly is an error that says what to do."""

from __future__ import annotations

import os

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


def test_local_workers_keep_their_buffers() -> None:
    with connect() as client:
        found = client.submit(_environment).result()
    assert found["MALLOC_TRIM_THRESHOLD_"] == str(1 << 30) and found["MALLOC_MMAP_THRESHOLD_"] == str(1 << 25)


def _environment() -> dict[str, str]:
    return dict(os.environ)


def test_no_worker() -> None:
    with pytest.raises(HwgenError, match="--workers: 0 is not possible\n  allowed: 1 or more"), connect(0):
        pass
