"""Signals: the first one stops in order even when it is swallowed, a later one ends the process and its children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: swallows the first signal, as Python does in a destructor, then waits
SWALLOW = """
import subprocess, sys, time
from hwgen import interrupt
interrupt.install()
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
interrupt.GROUPS.add(child.pid)
try:
    print(child.pid, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("swallowed", flush=True)
try:
    interrupt.check()
except KeyboardInterrupt:
    print("again", flush=True)
time.sleep(60)
"""

#: a library makes something else of the signal, as click does with its Abort
OTHERWISE = """
import os, signal, time
import hwgen.cli, hwgen.cli.app
def app():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    except KeyboardInterrupt:
        raise SystemExit(1)
hwgen.cli.app.app = app
hwgen.cli.main()
"""


def alive(number: int) -> bool:
    """Whether a process runs (one that only waits for its parent to notice its end does not)."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_an_interrupted_command_says_so_whatever_becomes_of_the_signal() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", OTHERWISE], env=environment, check=False).returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_and_second_signal(number: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", SWALLOW], env=environment, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        child = int(it.stdout.readline())
        it.send_signal(number)
        assert it.stdout.readline() == "swallowed\n"
        assert it.stdout.readline() == "again\n"
        it.send_signal(number)  # too soon after the first: the same one
        time.sleep(1.2)
        assert it.poll() is None
        it.send_signal(number)
        assert it.wait(10) == 130
    for _ in range(100):
        if not alive(child):
            break
        time.sleep(0.02)
    assert not alive(child)
