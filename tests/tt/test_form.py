"""Forms: what groupings are, what chains cost."""

from __future__ import annotations

import pytest

from hwgen.errors import HwgenError
from hwgen.tt import ConvShape, TtForm, parse_grouping
from hwgen.tt.form import max_ranks

CONV = ConvShape(in_channels=64, out_channels=128, kernel=(3, 3), in_size=(32, 32), out_size=(16, 16))


def test_three_cores_cost_by_hand() -> None:
    form = TtForm(("I", "HW", "O"), (32, 64))
    assert form.core_shapes(CONV.mode_sizes()) == ((1, 64, 32), (32, 3, 3, 64), (64, 128, 1))
    assert form.parameters(CONV) == 64 * 32 + 32 * 9 * 64 + 64 * 128
    assert form.macs(CONV) == 64 * 32 * 32 * 32 + (32 * 9 * 64 + 64 * 128) * 16 * 16


def test_four_cores_split_the_stride() -> None:
    form = TtForm(("I", "H", "W", "O"), (8, 16, 32))
    assert form.macs(CONV) == 64 * 8 * 1024 + 8 * 3 * 16 * (16 * 32) + 16 * 3 * 32 * 256 + 32 * 128 * 256


def test_two_cores() -> None:
    form = TtForm(("IH", "WO"), (24,))
    assert form.core_shapes(CONV.mode_sizes()) == ((1, 64, 3, 24), (24, 3, 128, 1))
    assert form.macs(CONV) == 64 * 3 * 24 * (16 * 32) + 24 * 3 * 128 * 256


def test_max_ranks_are_those_of_the_smaller_side() -> None:
    assert max_ranks(("I", "HW", "O"), CONV.mode_sizes()) == (64, 128)
    assert max_ranks(("I", "H", "W", "O"), CONV.mode_sizes()) == (64, 192, 128)


@pytest.mark.parametrize("text", ["I|HW", "O|HW|I", "IHWO", "I||HWO", "I,HW,O"])
def test_bad_grouping_is_refused(text: str) -> None:
    with pytest.raises(HwgenError, match="does not split the modes IHWO"):
        parse_grouping(text)


@pytest.mark.parametrize("ranks", [(32,), (32, 0), (32, 32, 32)])
def test_wrong_ranks_are_refused(ranks: tuple[int, ...]) -> None:
    with pytest.raises(HwgenError, match="allowed: 2 positive integers"):
        TtForm(("I", "HW", "O"), ranks)
