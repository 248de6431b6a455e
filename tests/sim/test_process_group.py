"""An interrupted compilation leaves no compiler behind."""

import os
import signal
import time
from pathlib import Path

import pytest

from hwgen_sim.runner import _Runner
from hwgen_sim.toolchain import Toolchain

TOOLS = Toolchain(verilator="/v", verilator_version="5", compiler_version="g++ 12")


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def runner():
    made = _Runner(TOOLS, False)
    made.env = dict(os.environ)
    return made


def test_grandchildren_end_with_an_interrupted_command(tmp_path, runner):
    def interrupted(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupted)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        with pytest.raises(KeyboardInterrupt):
            runner._execute_cmds([["sh", "-c", "sleep 60 & echo $! > pid; wait"]], tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    number = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not alive(number):
            break
        time.sleep(0.02)
    assert not alive(number)


def test_a_failing_command_is_an_error(tmp_path, runner):
    with pytest.raises(RuntimeError, match="return code: 3"):
        runner._execute_cmds([["true"], ["sh", "-c", "exit 3"]], tmp_path)
