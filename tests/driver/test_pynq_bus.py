"""Waiting for the accelerator under PYNQ: with and without an interrupt, old and new Pythons, Jupyter's loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hwgen.driver.pynq_bus import PynqBus
from hwgen.driver.register_map import ENGINES, IRQ_STATUS, WINDOW_BYTES


class Ip:
    """An IP object; the status register of its last engine rises after some reads."""

    def __init__(self, reads: int, interrupt: Callable[[], Any] | None = None, engines: int = 1) -> None:
        self.left, self.engines = reads, engines
        self.mmio = SimpleNamespace(read=self._read, write=lambda *_: None)
        if interrupt is not None:
            self.irq = SimpleNamespace(wait=interrupt)

    def _read(self, offset: int) -> int:
        if offset == ENGINES:
            return self.engines
        engine, register = divmod(offset, WINDOW_BYTES)
        assert register == IRQ_STATUS and engine < self.engines
        if engine < self.engines - 1:
            return 0
        self.left -= 1
        return int(self.left < 0)


@pytest.fixture(autouse=True)
def pynq(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("pynq")
    module.allocate = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pynq", module)


async def at_once() -> None:
    """An interrupt that comes, or came before and was not forgotten."""


async def never() -> None:
    await asyncio.sleep(60)


def test_polls_without_an_interrupt() -> None:
    assert PynqBus(Ip(20)).wait_irq(5)
    assert not PynqBus(Ip(10**9)).wait_irq(0.02)


def test_the_interrupt_of_any_engine() -> None:
    assert PynqBus(Ip(20, engines=3)).wait_irq(5)
    assert PynqBus(Ip(1, at_once, engines=2)).wait_irq(5)


def test_waits_for_the_interrupt() -> None:
    ip = Ip(1, at_once)
    assert PynqBus(ip).wait_irq(5)
    assert ip.left == -1


def test_an_old_interrupt_is_not_the_end_of_the_frame() -> None:
    assert PynqBus(Ip(5, at_once)).wait_irq(5)
    assert not PynqBus(Ip(10**9, at_once)).wait_irq(0.02)


def test_time_is_up() -> None:
    assert not PynqBus(Ip(10**9, never)).wait_irq(0.02)


def test_time_is_up_on_python_3_10(monkeypatch: pytest.MonkeyPatch) -> None:
    class OldTimeoutError(Exception):
        """asyncio's own, which was no TimeoutError."""

    async def wait_for(awaitable: Any, timeout: float) -> None:
        awaitable.close()
        await asyncio.sleep(timeout)
        raise OldTimeoutError

    monkeypatch.setattr(asyncio, "TimeoutError", OldTimeoutError)
    monkeypatch.setattr(asyncio, "wait_for", wait_for)
    assert not PynqBus(Ip(10**9, never)).wait_irq(0.02)


def test_inside_a_running_loop() -> None:
    async def cell() -> bool:
        return PynqBus(Ip(20, never)).wait_irq(5)

    assert asyncio.run(cell())


def test_in_a_thread_without_a_loop() -> None:
    done: list[bool] = []
    thread = threading.Thread(target=lambda: done.append(PynqBus(Ip(1, at_once)).wait_irq(5)))
    thread.start()
    thread.join()
    assert done == [True]
