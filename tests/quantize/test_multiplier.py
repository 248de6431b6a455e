"""Ratios as multipliers and shifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwgen.errors import HwgenError
from hwgen.quantize.multiplier import MAX_MULTIPLIER, MAX_SHIFT, nearest, not_below, shifts

ratios = st.floats(2.0**-40, 2.0**14, allow_nan=False)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(ratios, ratios), min_size=1, max_size=6))
def test_the_shift_is_legal_and_the_largest(pairs):
    table = np.array(pairs).T
    shift = shifts(table, "here")
    assert shift.min() >= 1 and shift.max() <= MAX_SHIFT
    for row in table:
        assert np.ceil(row * np.exp2(shift)).max() <= MAX_MULTIPLIER
        above = not_below(row, shift)
        assert (above >= row * np.exp2(shift)).all() and above.max() <= MAX_MULTIPLIER
        assert (np.abs(nearest(row, shift) - row * np.exp2(shift)) <= 0.5).all()
    larger = shift < MAX_SHIFT
    assert (np.ceil(table.max(axis=0) * np.exp2(shift + 1))[larger] > MAX_MULTIPLIER).all()


def test_normal_ratios_use_sixteen_bits():
    ratio = np.array([[0.9, 0.01, 3e-4, 1e-7]])
    assert (nearest(ratio[0], shifts(ratio, "here")) >= 32768).all()


def test_ratios_beyond_the_range_are_refused():
    message = r"conv7: a scale ratio of 4e\+04 cannot be expressed\n  allowed: ratios up to 2\^15"
    with pytest.raises(HwgenError, match=message):
        shifts(np.array([[0.5, 40000.0]]), "conv7")
    assert shifts(np.array([[0.0]]), "here") == MAX_SHIFT
