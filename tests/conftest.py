"""Options of the suite."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random networks are simulated, and which."""
    parser.addoption("--random-cases", type=int, default=40,
                     help="random networks simulated per configuration (tests/sim/test_random_networks.py)")
    parser.addoption("--random-seed", type=int, default=1, help="which random networks")
