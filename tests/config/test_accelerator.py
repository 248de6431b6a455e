"""Fields of a configuration: what follows from them, and what is refused."""

from __future__ import annotations

import pytest

from hwgen.config.accelerator import AcceleratorConfig, aes_cycles
from hwgen.errors import HwgenError


@pytest.mark.parametrize(
    ("bits", "rounds"),
    [(128, {1: 10, 2: 5, 3: 4, 4: 3, 5: 2, 10: 1}), (256, {1: 14, 2: 7, 3: 5, 4: 4, 5: 3, 7: 2, 14: 1})])
def test_rounds_of_a_decryptor(bits: int, rounds: dict[int, int]) -> None:
    found = {n: AcceleratorConfig(aes_key_bits=bits, aes_cycles=n).aes_rounds for n in aes_cycles(bits)}
    assert found == rounds


def test_rounds_that_would_do_it_in_fewer_cycles() -> None:
    with pytest.raises(HwgenError, match=r"6 is not possible") as error:
        AcceleratorConfig(aes_cycles=6)  # 2 rounds do it in 5
    assert error.value.where == "config.aes_cycles"
    assert error.value.allowed == "1, 2, 3, 4, 5, 10"
