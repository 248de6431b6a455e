"""Training stops between two steps on Ctrl-C and on SIGTERM."""

from __future__ import annotations

import os
import signal

import pytest

from hwgen.train.interrupt import interrupt_flag


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_second_raises(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interrupt_flag() as event:
        os.kill(os.getpid(), number)
        assert event.wait(5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
